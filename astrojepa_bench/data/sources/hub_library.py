"""How is the Hugging Face library `datasets` called? Quietly, briefly without a network, with one-line errors."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from astrojepa_bench.data.convert import ROWS_AT_ONCE, cached, fingerprint, reading
from astrojepa_bench.data.sources.hub_folder import check_builder, check_folder
from astrojepa_bench.errors import BenchError, ConfigError, DataError
from astrojepa_bench.events import track

if TYPE_CHECKING:
    import datasets

PROBE_SECONDS = 5.0
SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves in a folder


@dataclass(frozen=True)
class Origin:
    """Where a data set comes from.

    Attributes:
        name, config, revision: which of the hub's.
        path: folder on disk; exactly one of `name` and `path` is given.
        galaxies: at most so many of each split, the first ones; None for all.
    """

    name: str | None
    path: Path | None
    config: str | None = None
    revision: str | None = None
    galaxies: int | None = None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.path is None):
            found = (
                "neither a name on the hub nor a folder" if self.name is None else "both a name and a folder"
            )
            raise ConfigError(
                f"dataset huggingface has {found}; set one of dataset.name=OWNER/NAME and dataset.path=FOLDER"
            )
        if self.galaxies is not None and self.galaxies < 1:
            raise ConfigError(f"dataset.galaxies is {self.galaxies}; expected at least 1, or none for all")

    @property
    def title(self) -> str:
        """The name on the hub, or the folder's base name."""
        return str(self.name) if self.path is None else self.path.name

    def splits(self, cache_dir: Path) -> Mapping[str, datasets.Dataset]:
        """Return all rows by the name of their split, fetching what has not been fetched before.

        A folder's parquet files are unpacked into `cache_dir`, and the first `galaxies` of a hub's splits
        streamed into it; whole data sets of a hub go to the library's own cache, which others share.

        Raises:
            DataError: it does not exist, cannot be reached or is damaged.
            ConfigError: the library is missing, or the cache cannot be written.
        """
        library()
        with _in_one_line(self):
            if self.path is not None:
                check_folder(self.path)
            found = self._opened(cache_dir)
            several = dict(found) if isinstance(found, dict) else {"all": found}
            for rows in several.values():
                check_builder(self.title, rows.info.builder_name)
            cap = self.galaxies
            return {n: rows.select(range(min(cap or len(rows), len(rows)))) for n, rows in several.items()}

    def rooms(self, cache_dir: Path) -> tuple[Path, ...]:
        """Return where a file that a row names may lie: the data set's folder, and where it was unpacked."""
        if self.path is not None:
            unpacked = (cache_dir / "hub" / "downloads").absolute()
            return self.path.absolute(), self.path.resolve(), unpacked, unpacked.resolve()
        import huggingface_hub  # with datasets: not at the top

        held = (library().config.DOWNLOADED_DATASETS_PATH, huggingface_hub.constants.HF_HUB_CACHE)
        return tuple(Path(room).absolute() for room in held)

    def _opened(self, cache_dir: Path) -> Any:  # noqa: ANN401 one data set or several by name
        if self.path is None:
            return self._load() if self.galaxies is None else self._first(cache_dir)
        if any((self.path / mark).is_file() for mark in SAVED):
            return library().load_from_disk(str(self.path), keep_in_memory=False)
        where, held = str(self.path), str(cache_dir / "hub")
        builder = library().load_dataset_builder(where, self.config, revision=self.revision, cache_dir=held)
        check_builder(self.title, type(builder).__module__.rpartition(".")[2])
        return self._load(cache_dir=held)

    def _load(self, **how: object) -> Any:  # noqa: ANN401
        where, task = str(self.path or self.name), f"opening {self.title}"
        with _brief_about(self.name):
            for _ in track((None,), task=task, total=1, unit="data sets"):
                found = library().load_dataset(
                    where, self.config, revision=self.revision, keep_in_memory=False, **how
                )
        return found

    def _first(self, cache_dir: Path) -> dict[str, datasets.Dataset]:
        key = fingerprint(self.name, self.config, self.revision, self.galaxies)
        folder = cached(cache_dir, key, self._stream_into, room="hub")
        return {file.stem: library().Dataset.from_file(str(file)) for file in sorted(folder.glob("*.arrow"))}

    def _stream_into(self, folder: Path) -> None:
        hub = library()
        with _in_one_line(self):  # within, or the cache takes a lost connection for a full disk
            for split, stream in self._load(streaming=True, cache_dir=str(folder / "library")).items():
                with hub.arrow_writer.ArrowWriter(
                    path=str(folder / f"{split}.arrow"), features=stream.features
                ) as writer:
                    for block in self._blocks(split, stream):
                        writer.write_table(
                            hub.table.embed_table_storage(_without_local(block, stream.features))
                        )
                    writer.finalize()

    def _blocks(self, split: str, stream: datasets.IterableDataset) -> Iterator[Any]:
        count, unit = self.galaxies or 0, f"blocks of {ROWS_AT_ONCE}"
        blocks = stream.take(count).with_format("arrow").iter(batch_size=ROWS_AT_ONCE)
        return track(
            blocks, task=f"fetching {split} of {self.name}", total=-(-count // ROWS_AT_ONCE), unit=unit
        )


def _without_local(block: Any, features: Mapping[str, object]) -> Any:  # noqa: ANN401 a table of Arrow
    """Blank the images that name files of this machine; those of a hub are URLs."""
    for at, (name, feature) in enumerate(features.items()):
        if isinstance(feature, library().Image):
            cells, field = block.column(name).to_pylist(), block.schema.field(name)
            local = [bool(cell) and not cell["bytes"] and "://" not in str(cell["path"]) for cell in cells]
            kept = [None if here else cell for cell, here in zip(cells, local, strict=True)]
            block = block.set_column(at, field, [pa.array(kept, field.type)]) if any(local) else block
    return block


def library() -> ModuleType:
    """Import the library, which takes a second and is an optional dependency.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import datasets
    except ImportError:
        raise ConfigError(
            "dataset huggingface needs the library datasets, which is not installed; "
            'run: pip install "astrojepa-bench[hub]"'
        ) from None
    return datasets


@contextmanager
def _brief_about(name: str | None) -> Iterator[None]:
    """Ask the hub once; without an answer, restrict the library to what it has fetched before.

    By itself it would retry for half a minute before it gives up.
    """
    import huggingface_hub  # with datasets: not at the top

    config, constants = library().config, huggingface_hub.constants
    before = config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    try:
        if name is not None:
            huggingface_hub.HfApi().dataset_info(name, timeout=PROBE_SECONDS)
    except huggingface_hub.errors.HfHubHTTPError:
        pass  # an answer, if only to say no
    except Exception:
        config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


@contextmanager
def _hushed() -> Iterator[None]:
    """Silence the library's progress bars, log and warnings."""
    import huggingface_hub  # with datasets: not at the top

    talkers = [each for each in (library(), huggingface_hub.utils) if not each.are_progress_bars_disabled()]
    logged = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            for talker in talkers:
                talker.disable_progress_bars()
            yield
        finally:
            for talker in talkers:
                talker.enable_progress_bars()
            logging.disable(logged)


@contextmanager
def _in_one_line(origin: Origin) -> Iterator[None]:
    if origin.path is not None:
        with reading(origin.path):
            origin.path.stat()
    try:
        with _hushed():
            yield
    except BenchError:
        raise
    except Exception as error:  # the library lets through whatever its parts raise
        told = error.__cause__ if "generating the dataset" in str(error) else error
        reason = " ".join(str(told).split())[:300] or type(error).__name__
        way_out = (
            "check the folder" if origin.path else "check name and network, or give a copy as dataset.path"
        )
        raise DataError(f"{origin.title} cannot be loaded ({reason}); {way_out}") from None
