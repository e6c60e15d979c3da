"""Which dataset reads a path: so that nobody has to know the name of a layout to look at a file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py

from astrojepa_bench.data.conversion import reading
from astrojepa_bench.data.hdf5_file import Hdf5File
from astrojepa_bench.data.releases import release_of
from astrojepa_bench.errors import DataError

HUB_MARKS = ("dataset_dict.json", "dataset_info.json", "state.json")


def recognise(path: Path) -> tuple[str, Mapping[str, object]]:
    """Name the built-in dataset that reads a file or folder, and the options it needs.

    Raises:
        DataError: nothing is there, or no dataset reads it.
    """
    with reading(path):
        path.stat()
    if path.is_dir():
        hub = any((path / mark).is_file() for mark in HUB_MARKS)
        return "huggingface" if hub else "folder", {"path": path}
    if h5py.is_hdf5(path):
        return _hdf5(path)
    if zipfile.is_zipfile(path):
        return "folder", {"path": path}
    raise DataError(f"{path} is neither an HDF5 file nor a zip nor a folder of images; give one of these")


def _hdf5(path: Path) -> tuple[str, Mapping[str, object]]:
    with reading(path), h5py.File(path) as file:
        labelled = "ans" in file
    if not labelled:
        return "hdf5", {"path": path, "label": ""}
    release = release_of(Hdf5File.opened(path, "ans"))
    return ("galaxy10", {"path": path, "release": release.name}) if release else ("hdf5", {"path": path})
