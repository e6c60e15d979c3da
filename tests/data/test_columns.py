"""Numbers by galaxy from a file: found by id, NaN where unknown, refused where they mean nothing."""

import h5py
import numpy as np
import pandas as pd
import pytest

from astrojepa_bench.data.columns import with_columns
from astrojepa_bench.errors import DataError
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

IDS = ["c", "a", "x"]
SPECTRUM = np.arange(12, dtype=np.float64).reshape(3, 4)
MASS = np.array([1.0, np.inf, 3.0])


@pytest.fixture
def table():
    """Four galaxies, the last one of the pool."""
    return GalaxyTable(
        images=np.zeros((4, 1, 8, 8), dtype=np.uint8),
        ids=np.array(["a", "b", "c", "pool/x"]),
        split=np.array(["train", "val", "test", "pool"]),
        spec=ImageSpec(("g",), 8, (0.5,), (0.5,)),
        card=Card("few", "CC0", "nobody"),
        fingerprint="few",
        label=np.array([0, 1, 0, -1]),
        anomaly=np.zeros(4, dtype=np.int64),
        anomaly_type=np.full(4, ""),
        redshift=np.zeros(4),
    )


def written(path, **columns):
    """Write columns in the format that the ending says."""
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".parquet":
        flat = {name: list(each) if np.ndim(each) > 1 else each for name, each in columns.items()}
        pd.DataFrame(flat).to_parquet(path)
    else:
        with h5py.File(path, "w") as file:
            for name, each in columns.items():
                values = np.asarray(each)
                file[name] = values.astype(object) if values.dtype.kind == "U" else values
    return path


@pytest.mark.parametrize("ending", ["h5", "npz", "parquet"])
def test_columns_are_found_by_id(table, tmp_path, ending):
    """In every format: one number or several, infinite ones unknown, and labels left where they are."""
    path = written(
        tmp_path / f"more.{ending}", id=IDS, spectrum=SPECTRUM, mass=MASS, label=[0, 1, 2], redshift=[9.0] * 3,
        name=["C", "A", "X"],
    )  # fmt: skip
    found = with_columns(table, path)

    assert set(found.columns) == {"spectrum", "mass"}
    np.testing.assert_array_equal(found.columns["mass"], np.float32([np.nan, np.nan, 1, 3]))
    missing = np.full(4, np.nan)
    np.testing.assert_array_equal(
        found.columns["spectrum"], np.float32([SPECTRUM[1], missing, SPECTRUM[0], SPECTRUM[2]])
    )
    assert found.fingerprint == table.fingerprint
    assert set(found.numbers) == {"redshift", "spectrum", "mass"}


def test_ids_keep_their_digits_and_the_card_counts_the_rest(table, tmp_path):
    """19-digit ids of a Parquet column with a gap; who has no row, and what is not read, is counted."""
    ids = [1237648720693755918, 1237648720693755919]
    long = GalaxyTable(**{**vars(table), "ids": np.array([*map(str, ids), "c", "pool/x"])})
    frame = pd.DataFrame({"objid": pd.array([*ids, None], dtype="Int64"), "mass": MASS, "text": IDS})
    frame.to_parquet(tmp_path / "more.parquet")
    found = with_columns(long, tmp_path / "more.parquet")
    np.testing.assert_array_equal(found.columns["mass"], np.float32([1, np.nan, np.nan, np.nan]))
    assert "2 galaxies have no row in more.parquet" in found.card.notes
    assert "1 columns of more.parquet are no numbers by galaxy, and not read: text" in found.card.notes


def test_a_pool_never_takes_the_numbers_of_the_table(table, tmp_path):
    """Row 1 of a pool is not row 1 of the table, which may be a test galaxy."""
    numbered = GalaxyTable(**{**vars(table), "ids": np.array(["0", "1", "2", "pool/1"])})
    found = with_columns(numbered, written(tmp_path / "more.h5", mass=np.float32([10, 11, 12])))

    np.testing.assert_array_equal(found.columns["mass"], np.float32([10, 11, 12, np.nan]))


def test_rows_are_ids_where_a_file_names_none(table, tmp_path):
    """As galaxies of an HDF5 file have no other name."""
    numbered = GalaxyTable(**{**vars(table), "ids": np.array(["0", "2", "1", "3"])})
    found = with_columns(numbered, written(tmp_path / "more.h5", mass=np.float32([10, 11, 12, 13])))

    assert found.columns["mass"].tolist() == [10, 12, 11, 13]


def test_ids_are_no_numbers_by_galaxy(table, tmp_path):
    """Those of another survey beside the ids that name the galaxies are counted, and not rounded to 32 bits."""
    path = written(tmp_path / "more.npz", id=IDS, specobjid=[2**60, 2**60 + 1, 5], mass=MASS)
    found = with_columns(table, path)

    assert set(found.columns) == {"mass"}
    assert "1 columns of more.npz are no numbers by galaxy, and not read: specobjid" in found.card.notes


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"objid": [7, 8, 9, 10], "mass": [1.0] * 4}, "the first id in its column 'objid' is '7', the table's 'a'"),
        ({"id": ["p", "q"], "mass": [1.0, 2.0]}, "no galaxy of the table: its first id is 'p', the table's 'a'"),
        ({"id": ["a", "a"], "mass": [1.0, 2.0]}, "names 1 galaxies twice"),
        ({"id": ["a", "b"], "mass": [1.0, 2.0, 3.0]}, "'mass' has 3 rows for 2 ids"),
        ({"id": ["a", "b"], "label": [1, 2]}, "holds id, label; expected columns of numbers"),
        ({"id": ["a", "b"], "images": np.zeros((2, 3, 3))}, "expected columns of numbers"),
        ({"id": ["a", "b"], "wide": np.zeros((2, 20_000), np.uint8)}, "expected columns of numbers"),
    ],
)  # fmt: skip
def test_a_file_that_means_nothing_is_refused(table, tmp_path, columns, reason):
    """In one line that names it and what was expected."""
    with pytest.raises(DataError, match=reason) as caught:
        with_columns(table, written(tmp_path / "more.npz", **columns))

    assert "more.npz" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("more.csv", b"id,mass", "no file of columns; give one that ends in .h5"),
        ("more.npz", b"PK nonsense", "more.npz cannot be read"),
        ("more.parquet", b"PAR1", "more.parquet cannot be read"),
        ("more.h5", b"\x89HDF\r\n\x1a\nnonsense", "more.h5 cannot be read"),
    ],
)
def test_a_damaged_file_is_refused(table, tmp_path, name, data, reason):
    """Whatever its decoder raises."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=reason):
        with_columns(table, tmp_path / name)


def test_nothing_in_a_file_is_executed(table, tmp_path):
    """A pickled array is refused, not opened."""
    path = tmp_path / "more.npz"
    np.savez(path, id=np.array(["a", "b"]), mass=np.array([{}, {}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        with_columns(table, path)


def test_lists_of_several_lengths_are_no_column(table, tmp_path):
    """Nobody knows which of their numbers belong together."""
    path = tmp_path / "more.parquet"
    pd.DataFrame({"id": ["a", "b"], "flux": [[1.0, 2.0], [3.0]]}).to_parquet(path)
    with pytest.raises(DataError, match="the lists of 'flux' are of 2 lengths"):
        with_columns(table, path)
