"""HATS catalogues: what lsdb writes is read whole, without the margins, and batches mix its sky."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from astrojepa_bench.data.parquet import Parquet
from astrojepa_bench.data.sources.layouts import recognise
from astrojepa_bench.data.sources.parquet_files import ParquetFiles
from astrojepa_bench.data.sources.parquet_rows import ParquetRows
from astrojepa_bench.errors import DataError
from astrojepa_bench.training.order import DataOrder

WRITTEN = Path(__file__).with_name("hats_by_lsdb.zip")  # what `by_lsdb` wrote with lsdb 0.11.1
BANDS, SIDE = ("DES-G", "DES-R", "DES-I", "DES-Z"), 6
IMAGE = pa.struct([
    ("band", pa.list_(pa.string())), ("flux", pa.list_(pa.list_(pa.list_(pa.float32())))),
    ("ivar", pa.list_(pa.list_(pa.list_(pa.float32())))), ("mask", pa.list_(pa.list_(pa.list_(pa.bool_())))),
    ("psf_fwhm", pa.list_(pa.float32())), ("scale", pa.list_(pa.float32())),
])  # fmt: skip


def places(count):
    """Draw positions evenly over the sky."""
    lot = np.random.default_rng(7)
    return lot.uniform(0, 360, count), np.degrees(np.arcsin(lot.uniform(-1, 1, count)))


def flux_of(row):
    """Draw the flux of one galaxy in all bands, in eighths."""
    return np.random.default_rng(row).integers(0, 80, (len(BANDS), SIDE, SIDE)).astype(np.float32) / 8


def cell(row):
    """Return one galaxy in the schema of the Multimodal Universe."""
    flux = flux_of(row)
    return {
        "band": list(BANDS), "flux": flux.tolist(), "ivar": np.ones_like(flux).tolist(),
        "mask": np.ones(flux.shape, bool).tolist(), "psf_fwhm": [1.2] * 4, "scale": [0.262] * 4,
    }  # fmt: skip


def by_lsdb(folder, count=72):
    """Have lsdb write galaxies as a collection with margins, one degree wide."""
    lsdb = pytest.importorskip("lsdb")
    ra, dec = places(count)
    frame = pd.DataFrame({"object_id": [f"g{row}" for row in range(count)], "ra": ra, "dec": dec})
    frame["label"] = np.arange(count) % 2
    cells = pa.array([cell(row) for row in range(count)], IMAGE)
    frame["image"] = pd.Series(cells, dtype=pd.ArrowDtype(IMAGE))
    made = lsdb.from_dataframe(frame, partition_rows=8, margin_threshold=3600.0)
    made.write_catalog(folder, catalog_name="galaxies", progress_bar=False)


def healpix(order, ra, dec):
    """Return the nested pixel of each position.

    Source: Górski et al. 2005, ApJ 622, 759, equations 4 to 13, and its figure 3 for the nested numbers.
    """
    side, z = 1 << order, np.sin(np.radians(dec))
    turn = np.mod(np.asarray(ra) / 90, 4)
    up, down = side * (0.5 + turn - 0.75 * z), side * (0.5 + turn + 0.75 * z)
    rising, falling = np.floor(up).astype(int), np.floor(down).astype(int)
    a, b = rising // side, falling // side
    face = np.where(a == b, a % 4 + 4, np.where(a < b, a, b + 8))
    x, y = falling % side, side - rising % side - 1
    quarter = np.minimum(turn.astype(int), 3)
    width = side * np.sqrt(3 * (1 - np.abs(z)))
    left = np.minimum((width * (turn - quarter)).astype(int), side - 1)
    right = np.minimum((width * (1 - turn + quarter)).astype(int), side - 1)
    north, south = z > 2 / 3, z < -2 / 3
    face = np.where(north, quarter, np.where(south, quarter + 8, face))
    x = np.where(north, side - right - 1, np.where(south, left, x))
    y = np.where(north, side - left - 1, np.where(south, right, y))
    spread = [sum(((axis >> bit) & 1) << (2 * bit) for bit in range(order)) for axis in (x, y)]
    return face * side**2 + spread[0] + 2 * spread[1]


def catalogue(folder, count, order, image, **properties):
    """Write galaxies as a HATS catalogue of one order, sorted by sky."""
    ra, dec = places(count)
    deep = healpix(12, ra, dec)
    rows = np.argsort(deep, kind="stable")
    for pixel in np.unique(deep >> (2 * (12 - order))):
        here = [row for row in rows.tolist() if deep[row] >> (2 * (12 - order)) == pixel]
        file = folder / "dataset" / f"Norder={order}" / "Dir=0" / f"Npix={pixel}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        columns = {"id": [f"g{row}" for row in here], "ra": ra[here], "dec": dec[here]}
        columns["image"] = image[here].tolist()
        kinds = {"image": pa.list_(pa.list_(pa.list_(pa.uint8())))}
        arrays = {name: pa.array(values, kinds.get(name)) for name, values in columns.items()}
        parquet.write_table(pa.table({**arrays, "_healpix_29": pa.array(deep[here])}), file)
    stated = {"dataproduct_type": "object", "hats_nrows": count, "hats_col_ra": "ra", **properties}
    lines = [f"{key}={value}" for key, value in stated.items()]
    (folder / "hats.properties").write_text("#HATS catalog\n" + "\n".join(lines))
    return ra, dec


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Unpack what lsdb wrote."""
    folder = tmp_path_factory.mktemp("hats")
    with zipfile.ZipFile(WRITTEN) as archive:
        archive.extractall(folder)
    return folder / "galaxies"


def check_collection(folder, tmp_path):
    """Hold what is read of a collection against what was written."""
    table = Parquet(path=folder).load(SIDE, tmp_path / "cache")
    assert len(table) == 72
    rows = np.array([int(name.removeprefix("g")) for name in table.ids.tolist()])
    ra, dec = places(72)
    np.testing.assert_allclose(table.ra, ra[rows])
    np.testing.assert_allclose(table.dec, dec[rows])
    np.testing.assert_array_equal(table.label, rows % 2)
    assert table.spec.bands == ("z", "i", "r", "g")
    np.testing.assert_allclose(table.pixel_scale, 0.262)
    assert (np.diff(healpix(0, ra[rows], dec[rows])) >= 0).all()  # one partition of the sky after another


def test_a_collection_that_lsdb_wrote_is_read_without_its_margins(written, tmp_path):
    """72 galaxies are 72, though margins repeat some; positions, classes and bands are those that were written."""
    margins = parquet.ParquetDataset(written / "galaxies_3600arcs" / "dataset").read()
    assert len(margins) > 0
    check_collection(written, tmp_path)
    assert recognise(written) == ("parquet", {"path": written})
    with pytest.raises(DataError, match=r"kind 'margin'.* give the object catalogue"):
        ParquetFiles.opened(written / "galaxies_3600arcs")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of lsdb about pandas
def test_lsdb_writes_such_a_collection_today(tmp_path):
    """The layout of the stored collection is that of the library that is installed."""
    by_lsdb(tmp_path / "galaxies")
    check_collection(tmp_path / "galaxies", tmp_path)


def test_pixels_of_the_sky_are_those_that_hats_numbers(written):
    """The index that lsdb wrote is the one that these tests sort by."""
    held = parquet.ParquetDataset(written / "galaxies" / "dataset").read().to_pandas()
    for order in (0, 3, 12):
        found = healpix(order, held["ra"].to_numpy(), held["dec"].to_numpy())
        np.testing.assert_array_equal(found, held["_healpix_29"].to_numpy() >> (2 * (29 - order)))


# --- the sky of a batch -------------------------------------------------------------------------------------


def sky_of_batches(batches, ra, dec):
    """Return how many of 192 pixels of the sky a batch touches, and how far apart its galaxies lie [deg]."""
    pixel = healpix(2, ra, dec)
    ra, dec = np.radians(ra), np.radians(dec)
    towards = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    touched = [len(np.unique(pixel[batch])) for batch in batches]
    apart = [np.degrees(np.arccos(np.clip(towards[b] @ towards[b].T, -1, 1))).mean() for b in batches]
    return np.array([np.mean(touched), np.mean(apart)])


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Write a catalogue of 480 galaxies in 48 partitions."""
    folder = tmp_path_factory.mktemp("sky") / "hats"
    images = np.random.default_rng(0).integers(0, 256, (480, 6, 6, 3), dtype=np.uint8)
    return folder, images, *catalogue(folder, 480, 1, images)


def test_a_batch_mixes_the_sky_as_a_random_one_does(sky, tmp_path):
    """Rows lie sorted by sky; batches touch as many of its pixels, as far apart, as random ones. Unshuffled: no."""
    table = Parquet(path=sky[0]).load(6, tmp_path)
    rows, size = table.pretraining_rows, 24
    steps = range(len(rows) // size)
    order = DataOrder(rows, size, seed=0)
    found = sky_of_batches([order.at(step) for step in steps], table.ra, table.dec)
    lot = np.random.default_rng(1)
    drawn = [lot.permutation(rows)[: len(steps) * size].reshape(-1, size) for _ in range(100)]
    random = np.array([sky_of_batches(batches, table.ra, table.dec) for batches in drawn])
    assert (random.min(0) <= found).all()
    assert (found <= random.max(0)).all()
    as_stored = sky_of_batches(rows[: len(steps) * size].reshape(-1, size), table.ra, table.dec)
    assert (as_stored < 0.75 * random.min(0)).all()  # the test can fail


def test_a_part_is_taken_evenly_from_the_sky(sky, tmp_path):
    """Sixty of 480 galaxies lie all over it, and are those of that place."""
    folder, images, ra, dec = sky
    table = Parquet(path=folder, galaxies=60).load(6, tmp_path)
    assert len(table) == 60
    assert len(np.unique(healpix(0, table.ra, table.dec))) == 12
    row = int(table.ids[30].removeprefix("g"))
    np.testing.assert_allclose((table.ra[30], table.dec[30]), (ra[row], dec[row]))
    np.testing.assert_array_equal(table.images[30], images[row].transpose(2, 0, 1))
    assert "60 of 480 rows are used, evenly over all of them" in table.card.notes


# --- other shapes of the layout -----------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """Write a catalogue of 40 galaxies."""
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)
    catalogue(tmp_path / "hats", 40, 0, images)
    return tmp_path / "hats"


def test_partitions_may_be_folders_and_older_catalogues_are_read(small):
    """`Npix=P/part0.parquet` and hipscat's layout hold the same rows in the same order."""
    before = ParquetRows.opened(small).catalogue()
    for file in list((small / "dataset").rglob("*.parquet")):
        inner = file.with_suffix("")
        inner.mkdir()
        file.rename(inner / "part0.parquet")
    (small / "dataset" / "_metadata").write_bytes(b"PAR1")
    (small / "per_partition_statistics.parquet").write_bytes(b"PAR1")
    assert ParquetRows.opened(small).catalogue().ids.tolist() == before.ids.tolist()
    (small / "dataset" / "Norder=0").rename(small / "Norder=0")
    (small / "hats.properties").unlink()
    (small / "catalog_info.json").write_text(json.dumps({"catalog_type": "object", "ra_column": "ra"}))
    assert ParquetRows.opened(small).catalogue().ids.tolist() == before.ids.tolist()
    (small / "catalog_info.json").write_text(json.dumps({"catalog_type": "margin"}))
    with pytest.raises(DataError, match="kind 'margin'"):
        ParquetRows.opened(small)


def test_partitions_that_were_not_fetched_are_counted(small):
    """Somebody may have downloaded a part of the sky, on purpose or not."""
    pixels = sorted(int(f.stem.partition("=")[2]) for f in (small / "dataset").rglob("*.parquet"))
    listed = "\n".join(f"0,{pixel}" for pixel in pixels)
    (small / "partition_info.csv").write_text(f"Norder,Npix\n{listed}\n")
    assert not any("partitions" in note for note in ParquetRows.opened(small).catalogue().notes)
    (small / "dataset" / "Norder=0" / "Dir=0" / f"Npix={pixels[3]}.parquet").unlink()
    note = f"1 partitions of its list are not there, first Norder=0/Npix={pixels[3]}"
    assert note in ParquetRows.opened(small).catalogue().notes


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "hats_primary_table_url=../secret",
            "names '../secret' as the catalogue, which is no folder beside it",
        ),
        ("hats_primary_table_url=https://x/y", "which is no folder beside it"),
        ("", "names '' as the catalogue"),
    ],
)
def test_a_collection_names_no_catalogue_outside(small, statement, message):
    """A statement may not lead to other files."""
    (small.parent / "secret").mkdir()
    (small / "collection.properties").write_text(statement)
    with pytest.raises(DataError, match=message):
        ParquetRows.opened(small)


def test_several_catalogues_are_asked_for(small):
    """A folder of catalogues is none: their rows may be copies of one another."""
    assert recognise(small.parent)[0] == "parquet"
    (small.parent / "second").mkdir()
    (small.parent / "second" / "hats.properties").write_text("dataproduct_type=object")
    with pytest.raises(DataError, match=r"holds 2 HATS catalogues \(hats, second\); give the path of one"):
        ParquetRows.opened(small.parent)
    with pytest.raises(DataError, match="without partitions"):
        ParquetRows.opened(small.parent / "second")
