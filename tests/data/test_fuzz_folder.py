"""Folders, zips, tables and images with anything wrong: one line, or galaxies; never anything else."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.image_formats import decode, glance
from astrojepa_bench.data.sources.tables import classes_of, names_of, numbers_of, read_table
from astrojepa_bench.errors import BenchError, DataError

QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
THOROUGH = settings(QUICK, max_examples=1500)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 12, 3), dtype=np.uint8)
FLUX = RNG.normal(0, 1, (3, 12, 12)).astype(np.float32)


def saved(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def celestial(values):
    hdu = fits.PrimaryHDU(values)
    hdu.header.update({
        "BANDS": "grz", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 2.0,
        "CRPIX1": 6.5, "CRPIX2": 6.5, "CDELT1": -7e-5, "CDELT2": 7e-5,
    })  # fmt: skip
    return hdu


IMAGES = {
    "png": saved(lambda file: Image.fromarray(PIXELS).save(file, "PNG")),
    "jpg": saved(lambda file: Image.fromarray(PIXELS).save(file, "JPEG")),
    "tif": saved(lambda file: Image.fromarray(PIXELS).save(file, "TIFF", compression="tiff_lzw")),
    "webp": saved(lambda file: Image.fromarray(PIXELS).save(file, "WEBP")),
    "bmp": saved(lambda file: Image.fromarray(PIXELS).save(file, "BMP")),
    "npy": saved(lambda file: np.save(file, FLUX)),
    "fits": saved(lambda file: celestial(FLUX).writeto(file)),
    "fit": saved(
        lambda file: fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(FLUX[0].astype(np.int16))]).writeto(
            file
        )
    ),
}
FRAME = pd.DataFrame({
    "id": [f"g{row}" for row in range(12)],
    "path": [f"{row:02}.png" for row in range(12)],
    "label": ["a", "b", ""] * 4,
    "redshift": np.linspace(0, 1, 12),
    "ra": np.linspace(0, 300, 12),
    "dec": np.linspace(-90, 90, 12),
})  # fmt: skip
TABLES = {
    "csv": FRAME.to_csv(index=False).encode(),
    "parquet": saved(FRAME.to_parquet),
    "vot": saved(lambda file: Table.from_pandas(FRAME).write(file, format="votable")),
    "fits": saved(
        lambda file: fits.BinTableHDU.from_columns([
            fits.Column(name, "8A" if FRAME[name].dtype == object or name in ("id", "path", "label") else "D",
                        array=FRAME[name].tolist())
            for name in FRAME
        ]).writeto(file)
    ),
}  # fmt: skip


@st.composite
def spoilt(draw, originals):
    """Cut a good file short, overwrite stretches of it, repeat a part, or replace it by noise."""
    kind = draw(st.sampled_from(sorted(originals)))
    data = bytearray(originals[kind])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["cut", "overwrite", "repeat", "digits", "noise"])):
            case "cut":
                del data[at:]
            case "overwrite":
                new = draw(st.binary(min_size=1, max_size=16))
                data[at : at + len(new)] = new
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case "digits":
                data[at : at + 4] = b"9999"
            case "noise":
                data = bytearray(draw(st.binary(max_size=300)))
    return kind, bytes(data)


def only(error, action):
    """Run what may succeed or raise this error with one line, and nothing else; give result and line."""
    try:
        return action(), None
    except error as why:
        message = str(why)
    assert "\n" not in message
    assert 0 < len(message) < 1000
    return None, message


def check_image(data):
    for stretch in ("auto", "viewer", "asinh", "none"):
        found, _ = only(RefusedError, lambda stretch=stretch: glance(data, stretch))
        picture, _ = only(RefusedError, lambda stretch=stretch: decode(data, 3, stretch))
        assert picture is None or picture.pixels.shape[2] == 3
        assert found is None or 0 < found.bands <= 5


def check_table(kind, data):
    frame, _ = only(DataError, lambda: read_table(f"x.{kind}", data))
    for name in [] if frame is None else range(frame.shape[1]):
        for read in (classes_of, names_of, numbers_of):
            only(DataError, lambda name=name, read=read: read(frame.iloc[:, name]))


@QUICK
@given(spoilt(IMAGES))
def test_spoilt_image_is_shown_or_refused(case):
    """Whatever happened to an image's bytes, it is decoded or refused with a reason."""
    check_image(case[1])


@QUICK
@given(spoilt(TABLES))
def test_spoilt_table_is_read_or_refused(case):
    """Whatever happened to a table's bytes, it is read or refused in one line, and so is each column."""
    check_table(*case)


@pytest.mark.slow
@THOROUGH
@given(spoilt(IMAGES))
def test_many_spoilt_images_are_shown_or_refused(case):
    """The same, often."""
    check_image(case[1])


@pytest.mark.slow
@THOROUGH
@given(spoilt(TABLES))
def test_many_spoilt_tables_are_read_or_refused(case):
    """The same, often."""
    check_table(*case)


# --- whole folders ----------------------------------------------------------------------------------------

CELLS = st.one_of(
    st.sampled_from(
        ["", "nan", "inf", "-inf", "-99", "1e400", "0x10", "train", "test", "a\nb", "é\0", "../../x"]
    ),
    st.text(max_size=12),
    st.floats(),
    st.integers(),
    st.none(),
)
NAMES = st.sampled_from([
    "a.png", "b.jpg", "c.npy", "d.fits", "train/a.png", "test/b.jpg", "deep/er/c.png", "../up.png", "/abs.png",
    "back\\slash.png", "inner.zip", "table.csv", "table.parquet", "x.csv", "new\nline.png", ".hidden.png",
    "C:/drive.png", "folder.png/", "é.png",
])  # fmt: skip
CONTENTS = st.one_of(st.sampled_from(sorted(IMAGES.values())), spoilt(IMAGES).map(lambda case: case[1]))
COLUMNS = st.sets(st.sampled_from(["id", "path", "label", "redshift", "ra", "dec", "group", "split", "x"]))


@st.composite
def tables(draw):
    """A CSV of any cells in any of the columns, or a spoilt table."""
    if draw(st.booleans()):
        return draw(spoilt(TABLES))[1]
    rows, columns = draw(st.integers(0, 6)), sorted(draw(COLUMNS))
    cells = {name: draw(st.lists(CELLS, min_size=rows, max_size=rows)) for name in columns}
    if "path" in cells and draw(st.booleans()):
        cells["path"] = draw(st.lists(NAMES, min_size=rows, max_size=rows))
    return pd.DataFrame(cells).to_csv(index=False).encode("utf-8", "surrogatepass")


def put(room, entries, as_zip):
    """Write entries to a zip as they are named, or below a folder where they stay inside it."""
    if as_zip:
        with zipfile.ZipFile(room / "f.zip", "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
        return room / "f.zip"
    (room / "f").mkdir()
    for name, data in entries.items():
        if not name.startswith(("/", "..", "C:")) and not name.endswith("/"):
            (room / "f" / name).parent.mkdir(parents=True, exist_ok=True)
            (room / "f" / name).write_bytes(data)
    return room / "f"


def listing(room):
    return {str(path): path.stat().st_mtime_ns for path in room.rglob("*") if "cache" not in path.parts}


def check_folder(room, entries, as_zip, options, damage):
    room.mkdir()
    path = put(room, entries, as_zip)
    if damage is not None and as_zip:
        data = path.read_bytes()
        path.write_bytes(data[: damage % len(data)])
    before, outside = listing(room), set(room.parent.iterdir())
    table, refusal = only(BenchError, lambda: Folder(path=path, **options).load(4, room / "cache"))
    assert listing(room) == before
    assert set(room.parent.iterdir()) == outside
    if table is not None:
        assert len(table) == len(np.unique(table.ids)) > 0
        assert not any("up" in name or "abs" in name for name in table.ids.tolist())
    return refusal


FOLDERS = {
    "entries": st.dictionaries(NAMES, st.one_of(CONTENTS, tables()), max_size=8),
    "table": st.one_of(st.none(), tables()),
    "as_zip": st.booleans(),
    "skip": st.booleans(),
    "label": st.sampled_from(["label", "x", ""]),
    "damage": st.one_of(st.none(), st.integers(0, 1 << 20)),
}


GOOD = {
    f"good/{row}.png": saved(lambda file, row=row: Image.fromarray(PIXELS ^ row).save(file, "PNG"))
    for row in range(8)
}  # enough for something to come of it


def fuzzed(tmp_path_factory, entries, table, as_zip, skip, label, damage):
    entries = {**GOOD, **entries, **({} if table is None else {"table.csv": table})}
    options = {"on_bad_image": "skip" if skip else "fail", "label": label}
    check_folder(tmp_path_factory.mktemp("fuzz") / "room", entries, as_zip, options, damage)


@QUICK
@given(**FOLDERS)
def test_any_folder_is_read_or_refused(tmp_path_factory, entries, table, as_zip, skip, label, damage):
    """Any files under any names, with any table: galaxies or one line, and not a file beside the cache."""
    fuzzed(tmp_path_factory, entries, table, as_zip, skip, label, damage)


@pytest.mark.slow
@settings(THOROUGH, max_examples=600)
@given(**FOLDERS)
def test_many_folders_are_read_or_refused(tmp_path_factory, entries, table, as_zip, skip, label, damage):
    """The same, often."""
    fuzzed(tmp_path_factory, entries, table, as_zip, skip, label, damage)


def bomb():
    """Return a PNG of 20,000 x 20,000 pixels in 50 kB."""
    return saved(lambda file: Image.new("1", (20_000, 20_000)).save(file, "PNG"))


HEADING = b"id,path,label\n1,good/1.png,a\n"
PLANTED = {
    "zip in a zip": ({"inner.zip": saved(lambda file: zipfile.ZipFile(file, "w").close())}, None),
    "png bomb": ({"bomb.png": bomb}, "1 of 9 images cannot be read, first bomb.png"),
    "huge label": (
        {"table.csv": HEADING + b"2,good/2.png," + b"x" * 1_000_000},
        "1000000 characters in row 2",
    ),
    "huge path": ({"table.csv": HEADING + b"2," + b"x" * 1_000_000 + b","}, "1 of 2 images cannot be read"),
    "deep path": ({"table.csv": HEADING + b"2," + b"a/" * 3000 + b"a.png,"}, "1 of 2 images cannot be read"),
    "nul in a path": ({"table.csv": HEADING + b"2,good/2\0.png,"}, None),
    "no rows": ({"table.csv": b"id,path\n"}, "has no rows"),
    "garbage": ({"table.csv": RNG.integers(0, 256, 5000, dtype=np.uint8).tobytes()}, "is not a CSV table"),
}


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("kind", PLANTED)
def test_planted_trap_is_refused_in_one_line(tmp_path, kind, as_zip):
    """Bombs, cells of a megabyte, no rows and garbage: one short line each; what is no image is passed over."""
    planted, message = PLANTED[kind]
    entries = {name: data() if callable(data) else data for name, data in planted.items()}
    found = check_folder(tmp_path / "room", {**GOOD, **entries}, as_zip, {}, None)
    assert message in found if message else found is None
