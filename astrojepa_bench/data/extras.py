"""More galaxies for a labelled set: a pool to pretrain on, and known anomalies to find in the test set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from astrojepa_bench.data.convert import band_statistics, convert, fingerprint, stack
from astrojepa_bench.data.sources.archive import ImageFiles
from astrojepa_bench.data.sources.band_order import in_order_of
from astrojepa_bench.data.sources.catalogue import FACTS, Source, unknown_orientation
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.sources.hub_rows import saved_rows
from astrojepa_bench.data.sources.layouts import layout_of
from astrojepa_bench.data.sources.listing import Columns
from astrojepa_bench.data.sources.parquet_rows import ParquetRows, Wanted
from astrojepa_bench.data.sources.table_columns import LABEL
from astrojepa_bench.data.splitting.leaks import Part, showing
from astrojepa_bench.data.splitting.selection import OnBadImage, readable
from astrojepa_bench.data.splitting.splits import sky_groups
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track
from astrojepa_bench.types import ANOMALY_KINDS, GalaxyTable, Images, ImageSpec

PHYSICAL = ANOMALY_KINDS.index("physical")
UNNAMED = "anomaly"


@dataclass(frozen=True)
class Extra:
    """Galaxies to append to a table.

    Attributes:
        role: what they are for.
        images: at the table's size.
        rows: rows of `images` that are used; everything below has one entry for each of these.
        content: hash of each image as its source holds it.
        ids: unique names.
        kinds: name of each anomaly, empty in a pool.
        facts: the columns of `FACTS`.
        source: base name of where they came from.
        orientation: how each picture lies, or None where that is unknown.
        notes: what was left out, and why.
    """

    role: Literal["pool", "anomaly"]
    images: np.ndarray
    rows: Int[np.ndarray, " galaxy"]
    content: np.ndarray
    ids: np.ndarray
    kinds: np.ndarray
    facts: Mapping[str, Float[np.ndarray, " galaxy"]]
    source: str
    orientation: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def kept(self, keep: Bool[np.ndarray, " galaxy"], *notes: str) -> Extra:
        """Keep the marked galaxies, and add notes."""
        columns = {name: getattr(self, name)[keep] for name in ("rows", "content", "ids", "kinds")}
        facts = {name: column[keep] for name, column in self.facts.items()}
        lying = None if self.orientation is None else self.orientation[keep]
        return replace(self, **columns, facts=facts, orientation=lying, notes=(*self.notes, *notes))


def with_extras(
    table: GalaxyTable,
    *,
    pool: Path | None,
    anomalies: Path | None,
    size_px: int,
    cache_dir: Path,
    on_bad_image: OnBadImage = "fail",
    bands: tuple[str, ...] = (),
) -> GalaxyTable:
    """Append unlabelled images for pretraining and known anomalies for the test set.

    Each is an HDF5 file of Galaxy10's layout, a zip or a folder of images, or a saved Hugging Face data set.
    An anomaly that shows a galaxy of the table is left out, and so is a pool image that shows a validation
    or test galaxy or an anomaly: an encoder must not learn from what it is tested on. A galaxy is
    recognised by its pixels, by its place on the sky, and by its appearance in another crop. The card counts them.
    Where both name their bands, theirs are put into the table's order.

    Args:
        table: the galaxies to add to.
        pool: images that only pretraining sees (split `pool`); labels in it are ignored.
        anomalies: known anomalies, appended to `test` without label; their classes name their kind.
        size_px: the table's image size.
        cache_dir: where converted images are kept.
        on_bad_image: whether an unreadable image ends everything or is left out; blank ones are left out.
        bands: names of the table's bands as its source states them; empty where it does not.

    Raises:
        DataError: a source is missing, unreadable, of other bands, or holds nothing new.
    """
    if table.images.dtype != np.uint8 and (pool is not None or anomalies is not None):
        raise DataError(
            "a pool or anomalies are read as display levels, and these galaxies are flux; leave them out"
        )
    extras: list[Extra] = []
    reader = _SourceReader(len(table.spec.bands), bands, size_px, cache_dir, on_bad_image)
    if anomalies is not None:
        found = reader.read(Path(anomalies).expanduser(), "anomaly")
        extras.append(_new(found, table, np.arange(len(table)), [], cache_dir))
    if pool is not None:
        found = reader.read(Path(pool).expanduser(), "pool")
        extras.append(_new(found, table, table.rows("val", "test"), extras, cache_dir))
    return _appended(table, extras, cache_dir) if extras else table


def open_source(path: Path, columns: Columns, cache_dir: Path) -> Source:
    """Open an HDF5 file of Galaxy10's layout, a zip or folder of images, Parquet, or a saved Hugging Face data set.

    Raises:
        DataError: it is missing, or none of these.
    """
    layout = layout_of(path)
    if layout == "huggingface":
        return saved_rows(path, cache_dir)
    if layout == "parquet":
        roles = {} if columns.label else {"label": None}
        return ParquetRows.opened(
            path, Wanted(roles=roles, on_bad_image=columns.on_bad_image), cache_dir=cache_dir
        )
    if layout == "folder":
        return ImageFiles.opened(path, columns, cache_dir=cache_dir)
    if layout == "prepared":
        raise DataError(
            f"{path} was written by `data prepare`, which no other set takes; give what it was made of"
        )
    return Hdf5File.opened(path, None)


@dataclass(frozen=True)
class _SourceReader:
    """Reads extras for a table of so many bands, of these names where they are stated, and pixels."""

    bands: int
    names: tuple[str, ...]
    size_px: int
    cache_dir: Path
    on_bad_image: OnBadImage

    def read(self, path: Path, role: Literal["pool", "anomaly"]) -> Extra:
        label = LABEL if role == "anomaly" else ""  # labels of a pool are never read
        source = open_source(path, Columns(label=label, on_bad_image=self.on_bad_image), self.cache_dir)
        if role == "anomaly" and isinstance(source, Hdf5File):
            source = source.naming_kinds()
        if source.bands != self.bands:
            raise DataError(
                f"{role} {path.name} has {source.bands} bands, the dataset {self.bands}; "
                f"give images of {self.bands} bands"
            )
        catalogue = source.catalogue()
        reordered = in_order_of(self.names, source, catalogue.bands, f"{role} {path.name}")
        converted = convert(reordered or source, self.size_px, self.cache_dir)
        seen, notes = readable(path.name, converted, self.on_bad_image)
        kinds = catalogue.kinds() if role == "anomaly" else np.full(len(catalogue), "")
        if role == "anomaly":
            kinds = np.where(kinds == "", UNNAMED, kinds)
        extra = Extra(
            role, converted.images, np.arange(len(catalogue)), content=converted.digests, kinds=kinds,
            ids=np.array([f"{role}/{name}" for name in catalogue.ids.tolist()]),
            facts=catalogue.facts(converted.images.shape[2]), source=path.name, orientation=catalogue.orientation,
        )  # fmt: skip
        if reordered is not None:
            notes.append(f"bands {', '.join(catalogue.bands)} were put in the order {', '.join(self.names)}")
        elif self.bands > 1 and (catalogue.bands or self.names) and not (catalogue.bands and self.names):
            named, other = (
                ("its", "those of the dataset") if catalogue.bands else ("the dataset's", "its own")
            )
            bands = ", ".join(catalogue.bands or self.names)
            notes.append(
                f"{named} bands are {bands}, and {other} have no names: they are taken to be in one order"
            )
        return extra.kept(seen, *(f"{role}: {note}" for note in (*catalogue.notes, *notes)))


def _new(
    extra: Extra,
    table: GalaxyTable,
    rows: Int[np.ndarray, " row"],
    others: Sequence[Extra],
    cache_dir: Path,
) -> Extra:
    """Leave out what shows the pixels, the sky or the galaxies of the given rows or of other extras."""
    new, known = Part(extra.images, extra.rows), [Part(table.images, rows)]
    known += [Part(each.images, each.rows) for each in others]
    held = sum(len(part.rows) for part in known)
    pixels = (part.images[row] for part in (*known, new) for row in part.rows.tolist())
    watched = track(pixels, task="comparing images", total=held + len(new.rows))
    digests = np.array([hashlib.sha256(image.tobytes()).hexdigest()[:32] for image in watched], dtype="<U32")
    sky = {name: _joined(table, (*others, extra), name, rows) for name in FACTS}
    groups = sky_groups(digests, sky["ra"], sky["dec"], sky["pixel_scale"] * table.spec.size_px)
    same = np.isin(groups[held:], groups[:held])
    task = f"looking for galaxies of the dataset in {extra.source}"
    alike = showing(new, known, digests, cache_dir, task)
    dropped = same | alike
    if dropped.all():
        raise DataError(
            f"all {len(dropped)} images of {extra.source} show galaxies of the dataset itself; give others"
        )
    return extra.kept(~dropped, _told(extra, dropped, int((dropped & ~same).sum())))


def _told(extra: Extra, dropped: Bool[np.ndarray, " row"], recut: int) -> str:
    left_out = f", {dropped.sum()} left out for showing galaxies of the dataset" if dropped.any() else ""
    in_another_crop = f" ({recut} of them in another crop)" if recut else ""
    return f"{extra.role}: {(~dropped).sum()} galaxies of {extra.source}{left_out}{in_another_crop}"


def _joined(
    table: GalaxyTable, extras: Sequence[Extra], name: str, rows: Int[np.ndarray, " row"]
) -> Float[np.ndarray, " galaxy"]:
    column = getattr(table, name)
    own = np.full(len(rows), np.nan) if column is None else column[rows]
    return np.concatenate([own, *(extra.facts[name] for extra in extras)])


def _appended(table: GalaxyTable, extras: Sequence[Extra], cache_dir: Path) -> GalaxyTable:
    more = sum(len(extra.rows) for extra in extras)
    every = np.arange(len(table))
    content = fingerprint(
        table.fingerprint,
        *(part for e in extras for part in (e.role, e.content, e.ids, e.kinds, *(e.facts[f] for f in FACTS))),
    )
    parts = [(table.images, every), *((extra.images, extra.rows) for extra in extras)]
    images = stack(parts, fingerprint(content, table.images.shape), cache_dir)
    facts = {name: _joined(table, extras, name, every) for name in FACTS}
    splits = {"pool": "pool", "anomaly": "test"}
    lying = [(table.orientation, len(table)), *((extra.orientation, len(extra.rows)) for extra in extras)]
    known = [unknown_orientation(count) if each is None else each for each, count in lying]
    split = _after(table.split, [np.full(len(e.rows), splits[e.role], dtype="<U5") for e in extras])
    anomaly = [np.full(len(e.rows), PHYSICAL if e.role == "anomaly" else 0) for e in extras]
    ids = [extra.ids for extra in extras]
    return replace(
        table, images=images, split=split, fingerprint=content, ids=_after(table.ids, ids),
        spec=_spec(table.spec, images, split), anomaly=_after(table.anomaly, anomaly),
        card=replace(table.card, notes=(*table.card.notes, *(note for extra in extras for note in extra.notes))),
        label=_after(table.label, [np.full(more, -1)]),
        anomaly_type=_after(table.anomaly_type, [extra.kinds for extra in extras]),
        group=None if table.group is None else _after(table.group.astype(str), ids),
        factors={name: _after(column, [np.full(more, np.nan)]) for name, column in table.factors.items()},
        orientation=None if all(each is None for each, _ in lying) else np.concatenate(known), columns={}, block=0,
        **{name: None if np.isnan(column).all() else column for name, column in facts.items()},
    )  # fmt: skip


def _after(column: np.ndarray, more: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([column, *more])


def _spec(spec: ImageSpec, images: Images, split: np.ndarray) -> ImageSpec:
    mean, std = band_statistics(images, np.flatnonzero(np.isin(split, ("train", "pool"))))
    return replace(spec, mean=mean, std=std)
