"""Whatever is in an HDF5 file, it is read, or refused in one line, and nothing outside the cache is touched."""

import shutil

import h5py
import numpy as np
import pytest

from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.published.galaxy10 import Galaxy10
from astrojepa_bench.errors import BenchError
from astrojepa_bench.types import GalaxyTable

ROWS = 24


def columns(rows=ROWS):
    """The columns of a sound file."""
    stream = np.random.default_rng(0)
    return {
        "images": stream.integers(0, 256, (rows, 8, 8, 3), dtype=np.uint8),
        "ans": np.arange(rows) % 3,
        "ra": stream.uniform(0, 360, rows),
        "dec": stream.uniform(-90, 90, rows),
        "redshift": stream.uniform(0, 0.2, rows),
        "pxscale": np.full(rows, 0.262),
        "split": np.array(["train", "val", "test"] * (rows // 3), dtype="S5"),
    }


def write(path, contents, **storage):
    with h5py.File(path, "w") as file:
        for name, values in contents.items():
            file.create_dataset(name, data=values, **(storage if name == "images" else {}))
    return path


def outcome(path, dataset=Hdf5):
    """Load a file; gives the table or the message, and lets every other exception through."""
    folder, before = path.parent, sorted(path.parent.iterdir())
    cache = folder.parent / f"{folder.name}-cache"
    try:
        found = dataset(path=path).load(8, cache)
    except BenchError as error:
        found = str(error)
        assert "\n" not in found
        assert len(found) < 600
    assert sorted(folder.iterdir()) == before, "something was written beside the file"
    shutil.rmtree(cache, ignore_errors=True)
    return found


@pytest.fixture
def folder(tmp_path):
    """Return a folder that must not change, with its cache beside it."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def some(count, limit, seed):
    return np.sort(np.random.default_rng(seed).choice(limit, count, replace=False)).tolist()


@pytest.mark.parametrize("count", [40, pytest.param(600, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "storage", [{}, {"chunks": (4, 8, 8, 3), "compression": "gzip"}], ids=["flat", "gzip"]
)
def test_file_cut_off_anywhere_is_refused(folder, storage, count):
    """A download that broke off is told from a whole file wherever it broke."""
    whole = write(folder / "a.h5", columns(), **storage).read_bytes()
    assert isinstance(outcome(folder / "a.h5"), GalaxyTable)
    for length in [0, 1, 7, 8, *some(count, len(whole) - 1, 1)]:
        (folder / "a.h5").write_bytes(whole[:length])
        assert isinstance(outcome(folder / "a.h5"), str), f"{length} of {len(whole)} bytes were taken for all"


@pytest.mark.parametrize("count", [60, pytest.param(4000, marks=pytest.mark.slow)])
def test_flipped_bytes_are_read_or_refused(folder, count):
    """A damaged byte may hide in a pixel, but never ends in a traceback."""
    whole = write(folder / "a.h5", columns(), chunks=(4, 8, 8, 3), compression="gzip").read_bytes()
    for offset in some(count, len(whole), 2):
        damaged = bytearray(whole)
        damaged[offset] ^= 0xFF
        (folder / "a.h5").write_bytes(damaged)
        outcome(folder / "a.h5")


def changed(**changes):
    return lambda: {name: values for name, values in {**columns(), **changes}.items() if values is not None}


NAN, INF = np.full(ROWS, np.nan), np.full(ROWS, np.inf)
READ = {
    "no position": changed(ra=None, dec=None),
    "position without dec": changed(dec=None),
    "no split": changed(split=None),
    "redshift all NaN": changed(redshift=NAN),
    "redshift infinite": changed(redshift=INF),
    "redshift -99": changed(redshift=np.full(ROWS, -99.0)),
    "position infinite": changed(ra=INF, dec=-INF),
    "position off the sky": changed(ra=np.full(ROWS, 1e9), dec=np.full(ROWS, -1e9)),
    "scale zero": changed(pxscale=np.zeros(ROWS)),
    "scale infinite": changed(pxscale=INF),
    "labels as floats": changed(ans=columns()["ans"].astype(float)),
    "labels half unknown": changed(ans=np.where(np.arange(ROWS) % 2, 255, 1)),
    "one class": changed(ans=np.zeros(ROWS)),
    "five bands": changed(images=np.random.default_rng(1).integers(0, 256, (ROWS, 8, 8, 5), np.uint8)),
    "one row of each class": lambda: {k: v[:3] for k, v in columns().items()},
}
REFUSED = {
    "no images": changed(images=None),
    "no labels": changed(ans=None),
    "zero rows": lambda: {name: values[:0] for name, values in columns().items()},
    "one row": lambda: {name: values[:1] for name, values in changed(split=None)().items()},
    "float images": changed(images=columns()["images"].astype(np.float32)),
    "16-bit images": changed(images=columns()["images"].astype(np.uint16)),
    "flat images": changed(images=columns()["images"].reshape(ROWS, -1)),
    "channels first": changed(images=columns()["images"].transpose(0, 3, 1, 2)),
    "images without pixels": changed(images=np.zeros((ROWS, 0, 8, 3), np.uint8)),
    "images are text": changed(images=np.array(["a"] * ROWS, dtype="S1")),
    "all images blank": changed(images=np.zeros((ROWS, 8, 8, 3), np.uint8)),
    "one band blank": changed(images=columns()["images"] * np.array([1, 1, 0], np.uint8)),
    "labels all NaN": changed(ans=NAN),
    "labels infinite": changed(ans=INF),
    "labels fractions": changed(ans=np.linspace(0, 1, ROWS)),
    "labels huge": changed(ans=np.full(ROWS, 2**40)),
    "labels too few": changed(ans=np.arange(ROWS - 1) % 3),
    "labels in two columns": changed(ans=np.zeros((ROWS, 2))),
    "redshift is text": changed(redshift=np.array(["low"] * ROWS, dtype="S3")),
    "redshift too long": changed(redshift=np.zeros(ROWS + 1)),
    "split misspelt": changed(split=np.array(["trian"] * ROWS, dtype="S5")),
    "split is a number": changed(split=np.arange(ROWS)),
    "split without test": changed(split=np.array(["train"] * ROWS, dtype="S5")),
    "every image under two labels": changed(images=np.repeat(columns()["images"][:1], ROWS, axis=0)),
}


@pytest.mark.parametrize("kind", READ)
def test_strange_but_sound_files_are_read(folder, kind):
    """What is unknown is unknown; nothing not finite reaches the table."""
    table = outcome(write(folder / "a.h5", READ[kind]()))
    assert isinstance(table, GalaxyTable), table
    known = [
        column for column in (table.redshift, table.ra, table.dec, table.pixel_scale) if column is not None
    ]
    assert not any(np.isinf(column).any() for column in known)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("dataset", [Hdf5, Galaxy10])
def test_wrong_files_are_refused_in_one_line(folder, kind, dataset):
    """A file that cannot be scored honestly is refused, by either reader."""
    assert isinstance(outcome(write(folder / "a.h5", REFUSED[kind]()), dataset), str)


def test_links_out_of_the_file_are_refused(folder):
    """A column that lives in a file which is not there is a missing column, not a crash."""
    write(folder / "a.h5", changed(ans=None)())
    with h5py.File(folder / "a.h5", "a") as file:
        file["ans"] = h5py.ExternalLink("nowhere.h5", "/ans")
    assert isinstance(outcome(folder / "a.h5"), str)
