"""May a folder in a Hugging Face format be opened? What its files name must lie in it, and be a regular file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from astrojepa_bench.data.given import check_regular, read_at_most
from astrojepa_bench.data.sources.container import LARGEST_FILE, RefusedError, escapes, guarded, shown
from astrojepa_bench.errors import DataError

LARGEST_STATEMENT = 8 << 20  # bytes of a README or of what `save_to_disk` writes beside the data
STATEMENTS = frozenset({"dataset_dict.json", "state.json", "dataset_infos.json", "dataset_info.json"})
CARDS = ("README.md", ".huggingface.yaml")
NAMING = frozenset({"data_files", "data_dir", "_data_files", "_indices_data_files", "splits"})
# Of the library's builders these read what lies in a folder and nothing else.
BUILDERS = frozenset({"arrow", "csv", "imagefolder", "json", "parquet", "text", "webdataset"})


def check_folder(folder: Path) -> None:
    """Make sure that the library may look for its files: it follows paths wherever they lead.

    Raises:
        DataError: a file is no regular one, too large for what it is, or names something outside the folder.
    """
    for path in sorted(folder.rglob("*")):
        if path.exists() and not path.is_dir():
            check_regular(path)
        if path.name in STATEMENTS or (path.parent == folder and path.name in CARDS):
            data = read_at_most(path, LARGEST_STATEMENT)
            try:
                with guarded():
                    stated = json.loads(data) if path.suffix == ".json" else _front_matter(path, data)
                    outside = next((name for name in _named(stated) if leads_out(name)), None)
            except RefusedError as why:
                raise DataError(f"{path} cannot be read ({why}); repair it, or remove it") from None
            if outside is not None:
                raise DataError(
                    f"{path} names '{shown(outside)}', which lies outside the folder; move it in, and name it as "
                    "it lies there"
                )


def check_builder(title: str, builder: str | None) -> None:
    """Make sure that a part of the library is known to read no more than it is given.

    Raises:
        DataError: it is not.
    """
    if builder is not None and builder not in BUILDERS:
        raise DataError(
            f"{title} is read as '{builder}'; expected one of {', '.join(sorted(BUILDERS))}: convert it to parquet"
            + (", or give its file as dataset hdf5" if builder == "hdf5" else "")
        )


def leads_out(name: str) -> bool:
    """Return whether a name in a data file could lead out of its folder, or into a network."""
    return escapes(name) or "://" in name or "::" in name or name.startswith("~")


def read_inside(path: str, rooms: Iterable[Path]) -> bytes:
    """Read a file that a row of a data set names.

    Args:
        path: as it is written in the row, relative to the first room.
        rooms: folders in which such files may lie.

    Raises:
        RefusedError: it lies elsewhere, is no regular file, or is too large.
    """
    places = list(rooms)
    if leads_out(path) and not Path(path).is_absolute():
        raise RefusedError(f"it names '{shown(path)}', outside the data set")
    file = Path(places[0] / path) if places else Path(path)
    if ".." in file.parts or not any(file.is_relative_to(place) for place in places):
        raise RefusedError(f"it names '{shown(path)}', outside the data set")
    try:
        return read_at_most(file, LARGEST_FILE)
    except DataError as error:
        raise RefusedError(str(error)) from None


def _front_matter(path: Path, data: bytes) -> object:
    import yaml  # with datasets: not at the top

    text = data.decode("utf-8", "replace")
    if path.suffix == ".md":
        text = text.lstrip("\ufeff \t\r\n")
        text = text.removeprefix("---").split("\n---")[0] if text.startswith("---") else ""
    return yaml.safe_load(text)


def _named(stated: object) -> Iterator[str]:
    """Go through all texts below a key that names files; each part once, since parts may refer to one another."""
    ahead, seen = [(stated, False)], set()
    while ahead:
        part, names = ahead.pop()
        if isinstance(part, str) and names:
            yield part
        if isinstance(part, dict | list) and (id(part), names) not in seen:
            seen.add((id(part), names))
            inner = part.items() if isinstance(part, dict) else (("", each) for each in part)
            ahead += [(each, names or str(key) in NAMING) for key, each in inner]
