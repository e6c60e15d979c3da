"""Galaxies that `data prepare` wrote: more than fit into memory, in random order, read block by block."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Int
from pyarrow import parquet

from astrojepa_bench.data.convert import stack
from astrojepa_bench.data.given import check_affordable
from astrojepa_bench.data.joined import IS_JOINABLE, Joined
from astrojepa_bench.data.manifest import AGAIN, INDEX, Manifest, check_sum, shard_path
from astrojepa_bench.data.sources.catalogue import FACTS
from astrojepa_bench.data.sources.container import RefusedError, guarded
from astrojepa_bench.errors import DataError
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import ORIENTATION, GalaxyTable, Images

WORDS = ("id", "split", "anomaly_type", "group")
FACTOR, COLUMN, LYING = "factor ", "column ", "orientation "  # and the name of one


class Prepared(Dataset):
    """Galaxies that `data prepare` wrote into a folder, from any other data set.

    They are the same galaxies in the same splits, in an order of their own: what pretraining reads comes first, in
    random order. Training takes blocks of rows in another order in every pass and mixes the rows of several blocks,
    so that only a few places are read at a time; nothing of the images is held in memory. Pool, anomalies and
    columns are given to `data prepare`. Everything was checked when it was written; `data verify` compares all
    checksums.

    Args:
        path: the folder.
    """

    version: ClassVar[int | None] = 1

    def __init__(self, *, path: Path) -> None:
        self.path = Path(path).expanduser()

    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """Open the folder.

        Raises:
            DataError: it is damaged, incomplete, of another version, or was prepared at another size.
        """
        manifest = Manifest.read(self.path)
        if manifest.spec.size_px != size_px:
            raise DataError(
                f"{manifest.title(self.path)} is wanted at {size_px} px; prepare it anew with --size {size_px}"
            )
        facts = _read_index(self.path, manifest)
        images = open_shards(self.path, manifest, cache_dir)
        return GalaxyTable(
            images=images, spec=manifest.spec, card=manifest.card, fingerprint=manifest.fingerprint,
            block=manifest.block, **facts,
        )  # fmt: skip


def open_shards(folder: Path, manifest: Manifest, cache_dir: Path) -> Images:
    """Map the images of all shards as one array.

    Raises:
        DataError: a shard cannot be opened.
    """
    spec, dtype = manifest.spec, np.dtype(manifest.dtype)
    of_one = (len(spec.bands), spec.size_px, spec.size_px)
    paths = [shard_path(folder, number) for number in range(len(manifest.shards))]
    try:
        if IS_JOINABLE:
            sizes = [shard.size for shard in manifest.shards]
            return Joined(paths, sizes).array((manifest.index.galaxies, *of_one), dtype)
        parts = [np.memmap(path, dtype, "r").reshape(-1, *of_one) for path in paths]
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); check who may read it") from None
    return stack([(each, np.arange(len(each))) for each in parts], manifest.fingerprint, cache_dir)


def index_of(table: GalaxyTable, order: Int[np.ndarray, " galaxy"]) -> pa.Table:
    """Return everything of a table but its images, in another order, with the row that each galaxy had."""
    columns: dict[str, np.ndarray | None] = {
        "id": table.ids, "split": table.split, "label": table.label, "anomaly": table.anomaly,
        "anomaly_type": table.anomaly_type, "group": table.group,
        **{name: getattr(table, name) for name in FACTS},
        **{FACTOR + name: column for name, column in table.factors.items()},
        **{COLUMN + name: column for name, column in table.columns.items()},
        **({} if table.orientation is None else {LYING + n: table.orientation[n] for n in ORIENTATION.names or ()}),
    }  # fmt: skip
    known = {name: _to_arrow(column[order]) for name, column in columns.items() if column is not None}
    return pa.table({**known, "source_row": pa.array(order)})


def _to_arrow(column: np.ndarray) -> pa.Array:
    if column.dtype.kind not in "iufb":
        return pa.array(column.astype(str).tolist(), pa.string())
    if column.ndim == 1:
        return pa.array(column)
    return pa.FixedSizeListArray.from_arrays(pa.array(column.reshape(-1)), column.shape[1])


def _read_index(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Read the columns of a table.

    Raises:
        DataError: the file is not what was written, or holds something else than an index.
    """
    path = folder / INDEX
    check_sum(path, manifest.index)
    try:
        with guarded():
            file = parquet.ParquetFile(path)
            groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
            check_affordable(2 * sum(group.total_byte_size for group in groups), f"{path}: its columns")
            read = file.read()
            found = {name: _from_arrow(read.column(name).combine_chunks()) for name in read.column_names}
            return _facts(found)
    except (RefusedError, KeyError) as why:
        raise DataError(f"{path} is no index of a prepared data set ({why}); {AGAIN}") from None


def _facts(found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "ids": found["id"],
        **{name: found[name] for name in ("split", "label", "anomaly", "anomaly_type")},
        **{name: found.get(name) for name in ("group", *FACTS)},
        "factors": {n.removeprefix(FACTOR): found[n] for n in found if n.startswith(FACTOR)},
        "orientation": _orientation(found),
        "columns": {n.removeprefix(COLUMN): found[n] for n in found if n.startswith(COLUMN)},
    }


def _orientation(found: Mapping[str, np.ndarray]) -> np.ndarray | None:
    if not any(name.startswith(LYING) for name in found):
        return None
    lying = np.zeros(len(found["id"]), dtype=ORIENTATION)
    for name in ORIENTATION.names or ():
        lying[name] = found[LYING + name]
    return lying


def _from_arrow(column: pa.Array) -> np.ndarray:
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=str)
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values
