"""Which dataset reads a path? So that a user can look at a file without knowing the name of its layout."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import h5py

from astrojepa_bench.data.column_names import candidates
from astrojepa_bench.data.convert import reading
from astrojepa_bench.data.given import check_regular
from astrojepa_bench.data.manifest import MANIFEST
from astrojepa_bench.data.published.releases import release_of
from astrojepa_bench.data.sources.container import is_zip
from astrojepa_bench.data.sources.file_kinds import FITS, TABLES, kind_of_table
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.sources.hub_library import SAVED
from astrojepa_bench.data.sources.parquet_files import holds_parquet, is_parquet
from astrojepa_bench.errors import DataError

Layout: TypeAlias = Literal["hdf5", "folder", "huggingface", "parquet", "prepared"]
HUB_MARKS = (*SAVED, "dataset_info.json")


def layout_of(path: Path) -> Layout:
    """Detect how a file or folder is laid out, reading no more of it than necessary.

    Raises:
        DataError: nothing is there, or nothing reads it.
    """
    with reading(path):
        path.stat()
    if path.is_dir():
        if (path / MANIFEST).is_file():
            return "prepared"
        if any((path / mark).is_file() for mark in HUB_MARKS):
            return "huggingface"
        return "parquet" if holds_parquet(path) else "folder"
    check_regular(path)
    if is_parquet(path):
        return "parquet"
    if h5py.is_hdf5(path):
        return "hdf5"
    if is_zip(path):
        return "folder"
    kind = kind_of_table(path.name)
    folder = "give the folder in which all images (and their table) lie"
    found = "a single FITS file" if kind in FITS else "a table" if kind in TABLES else ""
    raise DataError(
        f"{path} is {found}; {folder}"
        if found
        else f"{path} is neither an HDF5 file nor a zip nor a folder of images nor Parquet; give one of these"
    )


def recognise(path: Path) -> tuple[str, Mapping[str, object]]:
    """Find the built-in dataset that reads a file or folder, and the options it needs.

    Raises:
        DataError: nothing is there, or no dataset reads it.
    """
    layout = layout_of(path)
    if layout != "hdf5":
        return layout, {"path": path}
    file = Hdf5File.opened(path, None)
    if "ans" not in file.columns:
        for name in candidates("label", file.flat):  # under another usual name than Galaxy10's
            with suppress(DataError):
                Hdf5File.opened(path, name).classes()
                return layout, {"path": path, "label": name}
        return layout, {"path": path, "label": ""}
    release = release_of(file)
    return ("galaxy10", {"path": path, "release": release.name}) if release else (layout, {"path": path})
