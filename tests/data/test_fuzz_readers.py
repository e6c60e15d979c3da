"""Every reader, on inputs by lot: galaxies or one line, in bounded time, for as long as one likes.

A few inputs a reader by default. `ASTROJEPA_BENCH_FUZZ_SECONDS=600` tries each reader for ten minutes, with other
lots at each start; a failure names its lot, and `ASTROJEPA_BENCH_FUZZ_LOT=123` repeats just that one. How many
inputs were tried is printed (`pytest -s`).
"""

import io
import itertools
import json
import os
import random
import resource
import shutil
import struct
import time
import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.hub import HuggingFace
from astrojepa_bench.data.parquet import Parquet
from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.image_formats import decode, glance
from astrojepa_bench.data.sources.tables import classes_of, names_of, numbers_of, read_table
from astrojepa_bench.errors import BenchError
from astrojepa_bench.runs.request import read_config

SECONDS = float(os.environ.get("ASTROJEPA_BENCH_FUZZ_SECONDS", "0"))
LOT = os.environ.get("ASTROJEPA_BENCH_FUZZ_LOT")
SAMPLE_SECONDS = 4.0  # a reader in the slow suite
LONGEST_SECONDS = 60.0  # an input, on a crowded machine
MOST_MEMORY_KB = 3 << 20  # that all inputs together may add to the peak
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
ODD = (0, 1, -1, 7, 255, 65536, 10**6, 2**31 - 1, 2**31, 2**32, 10**9, 10**13, 2**63 - 1)


def held(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def png(pixels):
    return held(lambda file: Image.fromarray(pixels).save(file, "PNG"))


def damaged(data, lot):
    """Flip, cut, repeat, or put a strange number somewhere; now and then nothing."""
    data = bytearray(data)
    for _ in range(lot.choice((0, 1, 1, 2, 5))):
        at = lot.randrange(max(1, len(data)))
        match lot.choice(("flip", "cut", "repeat", "zeros", "number")):
            case "flip" if data:
                data[at] ^= 1 << lot.randrange(8)
            case "cut":
                del data[at:]
            case "repeat":
                data[at:at] = data[at : at + lot.randrange(1, 300)]
            case "zeros":
                data[at : at + 40] = bytes(len(data[at : at + 40]))
            case "number":
                width, odd = lot.choice((("<I", 4), ("<Q", 8))), lot.choice(ODD)
                data[at : at + width[1]] = struct.pack(width[0], odd % 256 ** width[1])
    return bytes(data)


# --- one reader each: makes an input by lot, reads it, raises BenchError or RefusedError, or nothing --------


def hdf5(room, lot):
    path = room / "a.h5"
    with h5py.File(path, "w", libver=lot.choice(("earliest", "latest"))) as file:
        match lot.choice(("sound", "sound", "shape", "outside", "link", "virtual", "chunked")):
            case "shape":
                shape = [lot.choice((1, 3, 8, *filter(None, map(abs, ODD[:-3])))) for _ in range(3)]
                file.create_dataset("images", (*shape, 3), "u1", chunks=(1, 1, 1, 3))
            case "outside":
                file.create_dataset(
                    "images", PIXELS.shape, "u1", external=[("/etc/hostname", 0, PIXELS.nbytes)]
                )
            case "link":
                kind = lot.choice((h5py.SoftLink, lambda to: h5py.ExternalLink("/dev/zero", to)))
                file["images"], file["x"], file["y"] = (
                    kind(lot.choice("xyz")),
                    h5py.SoftLink("y"),
                    h5py.SoftLink("x"),
                )
            case "virtual":
                layout = h5py.VirtualLayout(PIXELS.shape, "u1")
                layout[:] = h5py.VirtualSource(lot.choice((".", "/dev/zero")), lot.choice("ax"), PIXELS.shape)
                file.create_virtual_dataset("images", layout)
            case "chunked":
                file.create_dataset("images", data=PIXELS, chunks=(4, 8, 8, 3), compression="gzip")
            case _:
                file["images"] = PIXELS
        file["ans"] = np.arange(12) % 2
        file["split"] = np.array(["train", "val", "test"] * 4, dtype=h5py.string_dtype())
    path.write_bytes(damaged(path.read_bytes(), lot))
    Hdf5(path=path).load(8, room / "cache")


KEYWORDS = (
    "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "BITPIX", "PCOUNT", "GCOUNT", "TFIELDS", "EXTEND", "ZNAXIS", "ZNAXIS1",
    "ZTILE1", "ZCMPTYPE", "WCSAXES", "A_ORDER", "CTYPE1", "CTYPE2", "CRVAL1", "DP1", "TFORM1", "HIERARCH NAXIS",
)  # fmt: skip


def cards_by_lot(data, lot):
    """Overwrite some cards of a FITS file by those that state its structure, with strange values."""
    data = bytearray(data)
    for _ in range(lot.randrange(4)):
        at = 80 * lot.randrange(max(1, min(len(data), 5760) // 80))
        value = lot.choice((*ODD, "'RA---TAN-SIP'", "1E13", "'9999999A'", "T", ""))
        data[at : at + 80] = f"{lot.choice(KEYWORDS):<8}= {value:>20}"[:80].ljust(80).encode()
    return damaged(data, lot) if lot.random() < 0.5 else bytes(data)


def fits_image(room, lot):
    whole = [fits.PrimaryHDU(PIXELS.astype(">f4").transpose(0, 3, 1, 2)[0])]
    if lot.random() < 0.3:
        whole = [fits.PrimaryHDU(), fits.CompImageHDU(PIXELS[0, ..., 0].astype(np.int16))]
    data = cards_by_lot(held(lambda file: fits.HDUList(whole).writeto(file)), lot)
    for read in (lambda: glance(data, "auto"), lambda: decode(data, 3, "auto")):
        read()


def read_columns(name, data):
    frame = read_table(name, data)
    for at in range(frame.shape[1]):
        for read in (classes_of, names_of, numbers_of):
            read(frame.iloc[:, at])


FRAME = pd.DataFrame(
    {"id": [f"g{row}" for row in range(12)], "label": ["a", "b", ""] * 4, "z": np.linspace(0, 1, 12)}
)


def fits_table(room, lot):
    lists = fits.Column("lists", "PJ()", array=np.array([np.arange(row) for row in range(12)], dtype=object))
    columns = [
        fits.Column("id", "8A", array=FRAME["id"].tolist()),
        fits.Column("z", "D", array=FRAME["z"]),
        lists,
    ]
    whole = held(lambda file: fits.BinTableHDU.from_columns(columns[: lot.randrange(1, 4)]).writeto(file))
    read_columns("x.fits", cards_by_lot(whole, lot))


def parquet_table(room, lot):
    frame = FRAME if lot.random() < 0.5 else pd.DataFrame({"id": ["x" * lot.choice((1, 300, 90_000))] * 50})
    compression = lot.choice((None, "snappy", "gzip", "zstd"))
    read_columns(
        "x.parquet", damaged(held(lambda file: frame.to_parquet(file, compression=compression)), lot)
    )


def csv_table(room, lot):
    cells = (",", "\n", "\r", '"', "id", "1", "1e400", "nan", "\0", "é", "," * 20_000, "9" * 5000, "2.0", " ")
    head = "id,path,label\n" if lot.random() < 0.5 else ""
    read_columns("x.csv", (head + "".join(lot.choices(cells, k=lot.randrange(60)))).encode())


NAMES = (
    "a/1.png",
    "b/2.png",
    "../up.png",
    "/etc/hostname",
    "",
    "a/",
    "table.csv",
    "C:\\x.png",
    "é.png",
    "c.npy",
    "d.fits",
)


def zip_of_images(room, lot):
    path = room / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for row in range(8):
            archive.writestr(f"{'ab'[row % 2]}/good{row}.png", png(PIXELS[row + 4]))
        for row in range(lot.randrange(8)):
            entry = zipfile.ZipInfo(lot.choice(NAMES) or "x")
            entry.external_attr = lot.choice((0, 0o120777 << 16, 0o010777 << 16, 0o644 << 16))
            content = lot.choice((png(PIXELS[row]), b"id,path\n1,../../x.png\n", bytes(1 << 20), b""))
            archive.writestr(entry, content, lot.choice((0, 8, 8, 12, 14)))
    data = bytearray(path.read_bytes())
    for mark, fields in ((b"PK\x01\x02", (10, 20, 24, 28, 30, 42)), (b"PK\x03\x04", (8, 18, 22, 26, 28))):
        if lot.random() < 0.4 and (at := data.find(mark)) >= 0:
            struct.pack_into("<I", data, at + lot.choice(fields), lot.choice((0, 1, 5000, 2**31, 2**32 - 1)))
    path.write_bytes(damaged(data, lot))
    Folder(path=path, on_bad_image=lot.choice(("skip", "fail"))).load(8, room / "cache")


def toml(room, lot):
    parts = (
        "[",
        "]",
        "x",
        " = ",
        ".",
        "\n",
        '"',
        "'",
        "1",
        "9" * 5000,
        "a." * 200,
        "[" * 2000,
        "{",
        "}",
        ",",
        "\0",
        "é",
    )
    text = "seeds = 3\n" + "".join(lot.choices(parts, k=lot.randrange(80)))
    (room / "a.toml").write_text(text)
    read_config(room / "a.toml")


def numpy_array(room, lot):
    shape = tuple(lot.choice(ODD) for _ in range(lot.randrange(5)))
    header = str(
        {"descr": lot.choice(("|u1", "<f8", "|O", "<U9", "|V9")), "fortran_order": False, "shape": shape}
    )
    whole = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + bytes(300)
    data = damaged(whole if lot.random() < 0.5 else held(lambda file: np.save(file, PIXELS[0])), lot)
    for read in (lambda: glance(data, "auto"), lambda: decode(data, 3, "auto")):
        read()


PATHS = (
    None,
    "/etc/hostname",
    "/dev/zero",
    "../x.png",
    "own.png",
    "~/x",
    "file:///etc/hostname",
    "a::b",
    "",
    "\0",
)


def hub_folder(room, lot):
    datasets = pytest.importorskip("datasets")
    import pyarrow as pa
    from pyarrow import parquet

    (room / "f").mkdir()
    cells = [
        {"bytes": png(image) if lot.random() < 0.9 else None, "path": lot.choice(PATHS)} for image in PIXELS
    ]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array(cells, kind), "label": list("ab" * 6)})
    known = {b"huggingface": json.dumps({"info": {"features": features.to_dict()}}).encode()}
    parquet.write_table(table.replace_schema_metadata(known), room / "f" / "train.parquet")
    if lot.random() < 0.3:
        named = lot.choice(PATHS)
        card = {"configs": [{"config_name": "default", "data_files": named}]}
        (room / "f" / "README.md").write_bytes(damaged(f"---\n{json.dumps(card)}\n---\n".encode(), lot))
    if lot.random() < 0.5:
        whole = (room / "f" / "train.parquet").read_bytes()
        (room / "f" / "train.parquet").write_bytes(damaged(whole, lot))
    HuggingFace(path=room / "f", on_bad_image=lot.choice(("skip", "fail"))).load(8, room / "cache")


def parquet_galaxies(room, lot):
    import pyarrow as pa
    from pyarrow import parquet

    flux = PIXELS.transpose(0, 3, 1, 2) / 9.0
    cells = [
        {"band": list("grz"), "flux": image.tolist(), "mask": (image > 1).tolist(), "scale": [0.262] * 3}
        for image in flux
    ]
    image = lot.choice((
        lambda: pa.array(cells), lambda: pa.array(PIXELS.tolist()), lambda: pa.nulls(12),
        lambda: pa.array([png(image) for image in PIXELS]),
        lambda: pa.array([[[lot.choice(ODD[:7])] * lot.randrange(3)] * 3 for _ in PIXELS]),
        lambda: pa.array([cell if lot.random() < 0.7 else None for cell in cells]),
    ))()  # fmt: skip
    table = pa.table({"image": image, **{name: FRAME[name] for name in FRAME}})
    folder = room / "hats"
    file = folder / lot.choice(("a.parquet", "dataset/Norder=0/Dir=0/Npix=3.parquet", "train-0.parquet"))
    file.parent.mkdir(parents=True)
    parquet.write_table(
        table, file, compression=lot.choice(("none", "snappy", "zstd")), row_group_size=lot.choice((5, 12))
    )
    if lot.random() < 0.7:
        file.write_bytes(damaged(file.read_bytes(), lot))
    for name in ("hats.properties", "partition_info.csv", "collection.properties", "catalog_info.json"):
        if lot.random() < 0.2:
            text = b"hats_primary_table_url=../x\ndataproduct_type=object\nNorder,Npix\n0,3\n{}"
            (folder / name).write_bytes(damaged(text, lot))
    if lot.random() < 0.1:
        (folder / "round").symlink_to(folder)
    Parquet(path=folder, on_bad_image=lot.choice(("skip", "fail"))).load(8, room / "cache")


READERS = (
    hdf5,
    fits_image,
    fits_table,
    parquet_table,
    csv_table,
    zip_of_images,
    toml,
    numpy_array,
    hub_folder,
    parquet_galaxies,
)
SLOW_TO_START = (hub_folder,)


def line_of(reader, room, number):
    """Read one input by lot; return the line with which it is refused, or nothing."""
    try:
        reader(room, random.Random(number))
    except (BenchError, RefusedError) as why:
        return str(why)
    except BaseException as error:
        error.add_note(f"{reader.__name__}: lot {number}")
        raise
    return None


def tried(reader, tmp_path, lots, seconds):
    """Read inputs until lots or time run out, and tell how many."""
    began, lines, before = time.monotonic(), [], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in itertools.takewhile(lambda _: time.monotonic() - began < seconds, lots):
        room, start = tmp_path / "room", time.monotonic()
        room.mkdir()
        line = line_of(reader, room, number)
        assert line is None or ("\n" not in line and 0 < len(line) < 1500), f"lot {number}: {line}"
        assert time.monotonic() - start < LONGEST_SECONDS, (
            f"lot {number} took {time.monotonic() - start:.0f} s"
        )
        shutil.rmtree(room)
        lines.append(line)
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert more < MOST_MEMORY_KB, f"{reader.__name__} took {more >> 10} MB"
    refused = len(lines) - lines.count(None)
    print(
        f"{reader.__name__}: {len(lines)} inputs, {refused} of them refused, {more >> 10} MB more at the peak"
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", [reader for reader in READERS if reader not in SLOW_TO_START])
def test_any_input_is_read_or_refused(reader, tmp_path):
    """A sample of inputs: nothing but galaxies or one line comes of them."""
    tried(reader, tmp_path, range(12) if LOT is None else [int(LOT)], 60)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS)
def test_many_inputs_are_read_or_refused(reader, tmp_path):
    """The same for some seconds, or as long as `ASTROJEPA_BENCH_FUZZ_SECONDS` says."""
    start = 1000 if not SECONDS else random.SystemRandom().randrange(10**12)
    tried(reader, tmp_path, itertools.count(start) if LOT is None else [int(LOT)], SECONDS or SAMPLE_SECONDS)
