"""What a data file may do: nothing. It reads no other file, waits for nobody, and takes no more than it holds."""

import io
import json
import os
import resource
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from astrojepa_bench.data import device
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.extras import open_source
from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.given import available_bytes, check_regular
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.hub import HuggingFace
from astrojepa_bench.data.sources import hdf5_watch
from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.listing import Columns
from astrojepa_bench.errors import BenchError, ConfigError, DataError
from astrojepa_bench.runs.request import read_config

RNG = np.random.default_rng(0)
ROWS, SHAPE = 30, (30, 16, 16, 3)
PIXELS = RNG.integers(0, 255, SHAPE, dtype=np.uint8)
LABELS = (np.arange(ROWS) % 2).astype("u1")


def png(pixels):
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def refusal(dataset, room):
    """Return the one line with which a data set is refused."""
    with pytest.raises(BenchError) as caught:
        dataset.load(8, room / "cache")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def secret(tmp_path):
    """Lay an HDF5 file, a picture and a text of somebody else beside the data."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["images"], file["ans"] = PIXELS, LABELS
    (tmp_path / "secret.png").write_bytes(png(PIXELS[0]))
    (tmp_path / "secret.txt").write_bytes(PIXELS.tobytes())
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@contextmanager
def at_most(limit):
    """Make sure that a block takes no more bytes of memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


# --- HDF5 --------------------------------------------------------------------------------------------------


def external(file, room):
    file.create_dataset("images", SHAPE, "u1", external=[(str(room / "secret.txt"), 0, PIXELS.nbytes)])


def pipe(file, room):
    file.create_dataset("images", SHAPE, "u1", external=[(str(room / "pipe"), 0, PIXELS.nbytes)])


def link(file, room):
    file["images"] = h5py.ExternalLink(str(room / "secret.h5"), "/images")


def link_behind_a_link(file, room):
    file["deep/out"] = h5py.ExternalLink(str(room / "secret.h5"), "/")
    file["images"] = h5py.SoftLink("/deep/out/images")


def piped_link(file, room):
    file["images"], file["more"] = PIXELS, h5py.ExternalLink(str(room / "pipe"), "/")


def virtual(file, room, name="secret.h5", inside="images"):
    layout = h5py.VirtualLayout(SHAPE, "u1")
    layout[:] = h5py.VirtualSource(str(room / name) if name != "." else ".", inside, SHAPE)
    file.create_virtual_dataset("images", layout)


def virtual_of_external(file, room):
    file.create_dataset("held", SHAPE, "u1", external=[(str(room / "secret.txt"), 0, PIXELS.nbytes)])
    virtual(file, room, ".", "held")


@pytest.mark.parametrize(
    "reach", [external, pipe, link, link_behind_a_link, piped_link, virtual, virtual_of_external]
)
def test_hdf5_file_reads_no_other_file(secret, reach):
    """Storage, links and virtual sets that lie elsewhere are refused before they are opened."""
    with h5py.File(secret / "data" / "a.h5", "w") as file:
        reach(file, secret)
        file["ans"] = LABELS
    assert "file" in refusal(Hdf5(path=secret / "data" / "a.h5"), secret)


def test_hdf5_labels_are_not_the_bytes_of_another_file(secret):
    """A column is watched as the pixels are."""
    with h5py.File(secret / "data" / "a.h5", "w") as file:
        file["images"] = PIXELS
        file.create_dataset("ans", (ROWS,), "u1", external=[(str(secret / "secret.txt"), 0, ROWS)])
    assert "'ans' keeps its data in another file" in refusal(Hdf5(path=secret / "data" / "a.h5"), secret)


def test_hdf5_links_within_the_file_are_followed(tmp_path):
    """Soft links, and virtual sets of the file itself, are how people sort what they have."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw/pixels"], file["ans"] = PIXELS, LABELS
        file["there"] = h5py.SoftLink("/raw")
        virtual(file, tmp_path, ".", "there/pixels")
    assert len(Hdf5(path=tmp_path / "a.h5").load(8, tmp_path / "cache")) == ROWS


CLAIMS = {
    "rows": ((10**9, 1, 1, 3), (65536, 1, 1, 3)),
    "pixels": ((1, 200_000, 200_000, 3), (1, 1000, 1000, 3)),
    "a large image": ((1, 6000, 6000, 3), (1, 1000, 1000, 3)),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_hdf5_claims_are_checked_before_anything_is_allocated(tmp_path, claim):
    """A billion rows or 200,000 pixels in two kilobytes are refused with the claim, in a few megabytes."""
    shape, chunks = CLAIMS[claim]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", shape, "u1", chunks=chunks)
    with at_most(50e6):
        assert str(shape[1]) in refusal(Hdf5(path=tmp_path / "a.h5", label=""), tmp_path)


@pytest.mark.slow
def test_hdf5_file_without_end_is_refused_in_time(tmp_path, monkeypatch):
    """A hole in the heap keeps the library busy for ever: another process meets it, and is ended."""
    monkeypatch.setattr(hdf5_watch, "PATIENCE_SECONDS", 1.5)
    with h5py.File(tmp_path / "a.h5", "w", libver="earliest") as file:
        file["images"] = PIXELS[:10, :8, :8]
        file["split"] = np.array(["train", "val", "test", "train", "test"] * 2, dtype=h5py.string_dtype())
    data = bytearray((tmp_path / "a.h5").read_bytes())
    at = data.find(b"GCOL") + 16
    for _ in range(4):
        at += 16 + (struct.unpack_from("<Q", data, at + 8)[0] + 7) // 8 * 8
    data[at : at + 40] = bytes(40)
    (tmp_path / "a.h5").write_bytes(data)
    assert "no end" in refusal(Hdf5(path=tmp_path / "a.h5", label=""), tmp_path)


# --- pipes and devices -------------------------------------------------------------------------------------


def test_pipes_and_devices_are_never_opened(secret):
    """Whatever option names one gets one line, at once."""
    for path in (secret / "pipe", Path("/dev/zero")):
        for open_it in (
            lambda p: Hdf5(path=p).load(8, secret / "cache"),
            lambda p: Folder(path=p).load(8, secret / "cache"),
            lambda p: open_source(p, Columns(), secret / "cache"),
            check_regular,
        ):
            with pytest.raises(DataError, match="expected a regular file"):
                open_it(path)
        with pytest.raises(ConfigError, match="expected a regular file"):
            read_config(path)


# --- folders and zips --------------------------------------------------------------------------------------


def test_links_in_a_folder_are_followed_and_counted(secret):
    """A folder of links is a usual way to choose images; the card says that it was one."""
    for row in range(12):
        (secret / f"{row}.png").write_bytes(png(PIXELS[row]))
        (secret / "data" / f"{row}.png").symlink_to(secret / f"{row}.png")
    (secret / "data" / "12.png").write_bytes(png(PIXELS[12]))
    table = Folder(path=secret / "data").load(8, secret / "cache")
    assert len(table) == 13
    assert "12 images are symbolic links and were followed" in table.card.notes


def packed(path, **entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for row in range(12):
            archive.writestr(f"{'ab'[row % 2]}/{row}.png", png(PIXELS[row]))
        for name, (data, method) in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return path


def test_zip_that_lies_about_a_size_is_not_unpacked(tmp_path):
    """An entry of 20 MB in 100 bytes, called 5,000 bytes long, is refused and takes no memory."""
    path = packed(tmp_path / "a.zip", bomb=(bytes(20 << 20), zipfile.ZIP_BZIP2))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rfind(b"PK\x01\x02") + 24, 5000)
    path.write_bytes(data)
    container = open_source(path, Columns(), tmp_path / "cache").container
    with (
        at_most(5e6),
        container.reader() as read,
        pytest.raises(RefusedError, match="not what the zip's directory says"),
    ):
        read("bomb")


def test_zip_of_bzip2_is_read(tmp_path):
    """Whoever packs so honestly is served."""
    path = packed(tmp_path / "a.zip", **{"a/more.png": (png(PIXELS[20]), zipfile.ZIP_BZIP2)})
    assert len(Folder(path=path).load(8, tmp_path / "cache")) == 13


def test_zip_that_claims_too_much_is_refused(tmp_path):
    """Many entries over the same bytes add up to more than any compression gives."""
    path = packed(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<I", data, at + 24, 200 << 20)
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(data)
    assert "claims to hold 2.5 GB" in refusal(Folder(path=path), tmp_path)


def test_zip_with_a_nameless_entry_is_refused(tmp_path):
    """It once ended in an IndexError."""
    path = packed(tmp_path / "a.zip", x=(b"x", zipfile.ZIP_STORED))
    data = bytearray(path.read_bytes())
    for mark, field in ((b"PK\x03\x04", 26), (b"PK\x01\x02", 28)):
        struct.pack_into("<HH", data, data.rfind(mark) + field, 0, 1)
    path.write_bytes(data)
    assert "without a name" in refusal(Folder(path=path), tmp_path)


def test_link_in_a_zip_is_not_followed(secret):
    """Its entry holds a path; neither that nor what it leads to is an image."""
    entry = zipfile.ZipInfo("a/link.png")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    path = packed(secret / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, str(secret / "secret.png"))
    assert "a/link.png (a symbolic link; pack the file itself)" in refusal(Folder(path=path), secret)


# --- Hugging Face ------------------------------------------------------------------------------------------


@pytest.fixture
def saved(secret):
    """Write rows whose fourth image is the file of a given path."""
    datasets = pytest.importorskip("datasets")
    import pyarrow as pa
    from pyarrow import parquet

    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")}).to_dict()

    def save(path):
        cells = [{"bytes": png(PIXELS[row]), "path": None} for row in range(ROWS)]
        cells[3] = {"bytes": None, "path": path}
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        table = pa.table({"image": pa.array(cells, kind), "label": [f"c{row % 2}" for row in range(ROWS)]})
        known = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        parquet.write_table(table.replace_schema_metadata(known), secret / "data" / "train-00000.parquet")
        return HuggingFace(path=secret / "data")

    return save


PATHS = ("{}/secret.png", "../secret.png")
MORE_PATHS = (
    "{}/data/../secret.png",
    "/dev/zero",
    "{}/pipe",
    "file://{}/secret.png",
    "~/x.png",
    "a::{}/secret.png",
)


@pytest.mark.parametrize(
    "path", [*PATHS, *(pytest.param(path, marks=pytest.mark.slow) for path in MORE_PATHS)]
)
def test_path_in_a_row_stays_in_the_folder(secret, saved, path):
    """A picture of somebody else, a device or a pipe is neither opened nor shown."""
    assert "1 of 30 images cannot be read" in refusal(saved(path.format(secret)), secret)


def test_path_in_a_row_may_name_a_file_of_the_folder(secret, saved):
    """That is what such a path is for."""
    (secret / "data" / "own.png").write_bytes(png(PIXELS[3]))
    assert len(saved("own.png").load(8, secret / "cache")) == ROWS


STATEMENTS = {
    "README.md": "---\nconfigs:\n- config_name: default\n  data_files: {secret}\n---\n",
    ".huggingface.yaml": "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: ../*.txt\n",
    "state.json": '{{"_data_files": [{{"filename": "../data.arrow"}}]}}',
    "dataset_dict.json": '{{"splits": ["../other"]}}',
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_folder_names_no_file_outside(secret, saved, name):
    """What says where the rows lie is read first, and may not point elsewhere."""
    dataset = saved(None)
    (secret / "data" / name).write_text(STATEMENTS[name].format(secret=secret / "secret.txt"))
    assert "outside the folder" in refusal(dataset, secret)


def test_pipe_in_a_saved_folder_is_refused(secret, saved):
    """The library would wait for it."""
    dataset = saved(None)
    os.mkfifo(secret / "data" / "train-00001.parquet")
    assert "expected a regular file" in refusal(dataset, secret)


# --- memory ------------------------------------------------------------------------------------------------


def test_images_beside_the_processor_are_not_copied(tmp_path, monkeypatch):
    """A memory map of the size of the data is enough: batches are the same rows."""
    monkeypatch.setattr(device, "HELD_BYTES", 10_000)
    np.save(tmp_path / "x.npy", RNG.integers(0, 255, (500, 3, 32, 32), dtype=np.uint8))
    images = np.load(tmp_path / "x.npy", mmap_mode="r")
    with at_most(images.nbytes / 2):
        served = DeviceImages(images, torch.device("cpu"))
    assert served._resident is None
    rows = np.array([3, 3, 0])
    for _ in range(3):  # the map is let go in between
        assert torch.equal(served.raw(rows), torch.from_numpy(np.array(images))[rows])


@pytest.mark.skipif(sys.platform != "linux", reason="limits are read off /proc")
def test_memory_that_is_left_respects_the_limit():
    """A process under a limit knows what it may still take."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (64 << 30, before[1]))
        assert 0 <= available_bytes() < 64 << 30
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 20, before[1]))
        assert available_bytes() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limits are not kept")
@pytest.mark.parametrize("limit", [1 << 30, 4 << 30])
def test_file_under_a_limit_is_read_or_refused_in_one_line(tmp_path, limit):
    """100 MB under a limit: galaxies, or a line that says that memory was short; never a bug."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        tints = np.arange(40, dtype=np.uint8).reshape(-1, 1, 1, 1, 1)
        file["images"] = (RNG.integers(0, 255, (200, 64, 64, 3), dtype=np.uint8) + tints).reshape(
            -1, 64, 64, 3
        )
        file["ans"] = np.arange(8000) % 10
    limits = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))"
    run = (
        "import sys; from astrojepa_bench.cli import main; sys.exit(main('data info a.h5 --cache c'.split()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{limits}; {run}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode in (0, 2), done.stderr[-500:]
    assert "bug:" not in done.stderr
    assert "Traceback" not in done.stderr
