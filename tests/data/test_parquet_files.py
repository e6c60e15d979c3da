"""Files and folders of Parquet: splits by name, few rows in memory, one line for what no catalogue should be."""

import os

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from astrojepa_bench.data.parquet import Parquet
from astrojepa_bench.data.sources import parquet_table
from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.layouts import recognise
from astrojepa_bench.data.sources.parquet_cells import array_of
from astrojepa_bench.data.sources.parquet_columns import ColumnPlace
from astrojepa_bench.data.sources.parquet_rows import ParquetRows
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import listening
from tests.data.parquet_files import COUNT, PIXELS, RNG, SIDE, THREE, encoded, nested, refusal, write

# --- files and folders --------------------------------------------------------------------------------------


def test_files_of_a_folder_named_for_splits_state_them(tmp_path):
    """As exports of a hub are named; others beside them are left out. Without a test file, all are divided anew."""
    for name, rows in (("train-0", range(10)), ("validation-0", range(10, 14)), ("test-0", range(14, 24))):
        write(
            tmp_path / "set" / "data" / f"{name}.parquet", nested(PIXELS[rows]), label=[r % 2 for r in rows]
        )
    write(tmp_path / "set" / "data" / "extra.parquet", nested(PIXELS[:2]))
    (tmp_path / "set" / "README.md").write_text("about")
    assert recognise(tmp_path / "set") == ("parquet", {"path": tmp_path / "set"})
    table = Parquet(path=tmp_path / "set").load(4, tmp_path / "cache")
    assert {name: len(table.rows(name)) for name in ("train", "val", "test")} == {
        "train": 10,
        "val": 4,
        "test": 10,
    }
    assert "splits 'the rest' are neither train, validation nor test and were left out" in table.card.notes
    assert "data/test-0/3" in table.ids.tolist()
    for name in ("validation-0", "test-0", "extra"):
        (tmp_path / "set" / "data" / f"{name}.parquet").unlink()
    assert ParquetRows.opened(tmp_path / "set").catalogue().split is None


def test_parquet_beside_images_is_a_table_of_them(tmp_path, files):
    """What was a folder of images stays one; a single file is Parquet, whatever its name."""
    folder = files.tabled(tmp_path / "set", 12)
    parquet.write_table(pa.table({"path": files.numbered(12)}), folder / "table.parquet")
    assert recognise(folder)[0] == "folder"
    assert recognise(folder / "table.parquet")[0] == "parquet"
    (tmp_path / "hub").mkdir()
    write(tmp_path / "hub" / "train.parquet", nested())
    (tmp_path / "hub" / "dataset_info.json").write_text("{}")
    assert recognise(tmp_path / "hub")[0] == "huggingface"


@pytest.mark.slow
def test_a_pool_may_be_parquet(tmp_path):
    """Its images are pretrained on, and its labels never read."""
    train = write(tmp_path / "a.parquet", nested(), label=np.arange(COUNT) % 2)
    pool = RNG.integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
    write(tmp_path / "pool.parquet", nested(pool), label=[[1]] * 5)
    table = Parquet(path=train, pool=tmp_path / "pool.parquet").load(4, tmp_path / "cache")
    assert len(table.rows("pool")) == 5


def test_only_a_few_rows_are_in_memory_and_no_image_is_read_for_the_rest(tmp_path):
    """Columns are read from a file whose images are damaged; of sound ones a batch is held, not a row group."""
    path = write(tmp_path / "a.parquet", nested(), id=[f"g{row}" for row in range(COUNT)])
    chunk = parquet.read_metadata(path).row_group(0).column(0)
    data = bytearray(path.read_bytes())
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    data[begin : begin + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    (tmp_path / "b.parquet").write_bytes(data)
    rows = ParquetRows.opened(tmp_path / "b.parquet")
    assert rows.catalogue().ids[3] == "g3"
    with pytest.raises(DataError, match=r"b.parquet cannot be read .*; it may be damaged or incomplete"):
        next(rows.pictures())


@pytest.mark.slow
def test_memory_is_bounded_whatever_the_row_group(tmp_path):
    """Of 100 MB of flux in one row group no more than a few blocks are held, and progress tells how far it is."""
    images = RNG.integers(0, 256, (1600, 256, 256), dtype=np.uint8)
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(images)
    parquet.write_table(pa.table({"image": tensor}), tmp_path / "a.parquet", row_group_size=1600)
    del tensor
    told = []
    before = pa.total_allocated_bytes()
    with listening(lambda event: told.append(event.fields.get("total"))):
        rows = ParquetRows.opened(tmp_path / "a.parquet").pictures()
        held = [pa.total_allocated_bytes() - before for _ in rows]
    assert len(held) == 1600
    assert max(held) < 3 * parquet_table.BLOCK_BYTES
    assert 1 in told


# --- what no catalogue should be ----------------------------------------------------------------------------


def test_files_that_are_not_alike_are_refused(tmp_path):
    """Another nesting, another type of image, or a column that is missing: named with the file."""
    write(tmp_path / "set" / "a.parquet", nested(), label=["a"] * COUNT)
    write(tmp_path / "set" / "b.parquet", pa.array([encoded(image) for image in PIXELS]), label=["a"] * COUNT)
    told = refusal(tmp_path / "set")
    assert "b.parquet cannot be read (its column 'image' holds binary, that of the first file list" in told
    write(tmp_path / "set" / "b.parquet", nested())
    assert "its column 'label' holds None, that of the first file string" in refusal(tmp_path / "set")
    write(tmp_path / "set" / "b.parquet", nested(PIXELS[::-1]), label=pa.nulls(COUNT))
    assert len(Parquet(path=tmp_path / "set").load(4, tmp_path / "cache")) > 0


def test_other_files_are_refused_by_name(tmp_path):
    """Not Parquet, cut short, empty, a pipe, without rows; links round in circles are not followed."""
    folder = tmp_path / "set"
    path = write(folder / "a.parquet", nested())
    whole = path.read_bytes()
    (folder / "loop").symlink_to(folder)
    assert len(ParquetRows.opened(folder)) == COUNT
    damaged = {b"hello": "is no Parquet file", b"": "is no Parquet file", whole[:-20]: "cannot be read"}
    for content, message in damaged.items():
        path.write_bytes(content)
        assert message in refusal(folder)
        assert "a.parquet" in refusal(folder)
    path.unlink()
    os.mkfifo(path)
    assert "is a pipe; expected a regular file" in refusal(folder)
    path.unlink()
    assert "holds no Parquet file" in refusal(folder)
    write(path, pa.array([], THREE))
    assert "has no rows; expected at least one galaxy" in refusal(folder)


def test_text_that_is_none_is_refused(tmp_path):
    """Damaged text would come to light one cell at a time, or crash what counts its characters."""
    words = pa.array([b"ok", b"\xff\xfe"])
    damaged = pa.StringArray.from_buffers(2, *words.buffers()[1:])
    path = write(tmp_path / "a.parquet", nested(PIXELS[:2]), id=damaged)
    assert "Invalid UTF8" in refusal(path)


def test_a_short_file_that_claims_a_billion_pixels_is_refused(tmp_path, monkeypatch):
    """Runs of one value, of which a few kilobytes hold gigabytes: counted before they are written out."""
    monkeypatch.setattr(parquet_table, "ALWAYS_BELIEVED", 1 << 20)
    side = np.arange(0, 1_000_001, 1000, dtype=np.int32)
    rows = pa.ListArray.from_arrays(side, pa.array(np.ones(1_000_000, np.uint8)))
    image = pa.ListArray.from_arrays(np.arange(0, 1_001, 1000, dtype=np.int32), rows)
    path = write(tmp_path / "a.parquet", image, compression="zstd")
    assert path.stat().st_size < 7_000
    assert "it claims 8.0 MB of images in" in refusal(path)


def test_a_file_that_repeats_is_held_once(tmp_path):
    """A thousand rows of one image of 1 MB are read without writing it out a thousand times."""
    image = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), pa.array([bytes(1 << 20)]))
    path = write(tmp_path / "a.parquet", image)
    before = pa.total_allocated_bytes()
    rows = ParquetRows.opened(path)
    assert next(rows.pictures()).reason == "not a JPEG, PNG, FITS or NumPy image, nor TIFF, WebP or BMP"
    assert pa.total_allocated_bytes() - before < 64 << 20


def test_tensors_whose_axes_are_permuted_are_refused():
    """What pyarrow makes of them is pixels from elsewhere, in the shape that was asked for."""
    lists = pa.array([[*range(24)]] * 2, pa.list_(pa.int32(), 24))
    for order, can_be_read in (([0, 1, 2], True), ([2, 0, 1], False), ([1, 2, 0], False)):
        kind = pa.fixed_shape_tensor(pa.int32(), (4, 2, 3), permutation=order)
        cell = pa.ExtensionArray.from_storage(kind, lists).slice(0, 1)
        if can_be_read:
            assert array_of(cell, ColumnPlace("image")).tolist() == np.arange(24).reshape(4, 2, 3).tolist()
            continue
        with pytest.raises(RefusedError, match="another order of axes"):
            array_of(cell, ColumnPlace("image"))
