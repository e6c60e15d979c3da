"""Galaxies written once in random order, in shards that training reads block by block.

The order is a permutation of all rows by a seed: first those that encoders learn from, mixed among themselves, then
val, then test. A shard is gathered at a time, so that data sets of any size are prepared in the memory of one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Int
from pyarrow import parquet

from astrojepa_bench.data.convert import ROWS_AT_ONCE, file_sha256, steps
from astrojepa_bench.data.manifest import (
    AGAIN,
    INDEX,
    MANIFEST,
    FileFacts,
    Manifest,
    columns_digest,
    prepared_fingerprint,
    shard_path,
    shard_rows,
    split_counts,
)
from astrojepa_bench.data.memory import let_go
from astrojepa_bench.data.prepared import index_of
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.events import track
from astrojepa_bench.files import locked, replacing
from astrojepa_bench.streams import numpy_stream
from astrojepa_bench.types import GalaxyTable, Split

SHARD_BYTES = 64 << 20
BLOCK_BYTES = 2 << 20  # of a stretch that training reads at once
PARTS: tuple[tuple[Split, ...], ...] = (("train", "pool"), ("val",), ("test",))


def prepare(
    table: GalaxyTable, folder: Path, seed: int, source: Mapping[str, object]
) -> tuple[Manifest, bool]:
    """Write a table's galaxies in random order, unless the folder holds just these.

    Args:
        table: the galaxies.
        folder: is made; it appears when it is complete.
        seed: of the order.
        source: what they were loaded from, for the manifest.

    Returns:
        What the folder states, and whether it was written now.

    Raises:
        ConfigError: the folder holds something else.
        StorageError: it cannot be written.
    """
    block = max(1, BLOCK_BYTES // table.images[:1].nbytes)
    wanted = prepared_fingerprint(table, seed, block)
    with locked(folder):
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            return _what_is_there(folder, wanted, columns_digest(table)), False
        order = shuffled(table, seed)
        with replacing(folder, table.images.nbytes) as draft:
            (draft / "shards").mkdir(parents=True)
            shards = tuple(_write_shards(draft, table, order))
            stated = dict(
                fingerprint=wanted, source={**source, "fingerprint": table.fingerprint}, seed=seed,
                columns=columns_digest(table), card=table.card, spec=table.spec, dtype=str(table.images.dtype),
                block=block, splits=split_counts(table.split), index=_write_index(draft, table, order),
                shards=shards,
            )  # fmt: skip
            manifest = Manifest.model_validate(stated)
            with (draft / MANIFEST).open("wb") as file:
                file.write(manifest.text().encode())
                _synchronise(file)
        return manifest, True


def shuffled(table: GalaxyTable, seed: int) -> Int[np.ndarray, " galaxy"]:
    """Return the rows of a table in the order in which they are written."""
    draw = numpy_stream(seed, "prepared order")
    return np.concatenate([draw.permutation(table.rows(*splits)) for splits in PARTS])


def _what_is_there(folder: Path, wanted: str, columns: str) -> Manifest:
    if not (folder / MANIFEST).is_file():
        raise ConfigError(
            f"--out {folder} is there and is no prepared data set; name a folder that is not there"
        )
    manifest = Manifest.read(folder)
    if (manifest.fingerprint, manifest.columns) != (wanted, columns):
        raise ConfigError(
            f"--out {folder} holds {manifest.card.name} with the fingerprint {manifest.fingerprint}, and these "
            f"galaxies at this size and seed have {wanted}; name another folder, or {AGAIN}"
        )
    return manifest


def _write_shards(folder: Path, table: GalaxyTable, order: Int[np.ndarray, " galaxy"]) -> Iterator[FileFacts]:
    """Gather each shard in the order of the source, whose images are so read from begin to end once a shard."""
    images = table.images
    most = min(shard_rows(images[:1].nbytes, SHARD_BYTES), len(order))
    gathered = np.empty((most, *images.shape[1:]), dtype=images.dtype)
    shards = [order[at : at + most] for at in range(0, len(order), most)]
    places = [(number, at) for number, rows in enumerate(shards) for at in steps(rows)]
    watched = track(places, task="writing shards", total=len(places), unit=f"blocks of {ROWS_AT_ONCE} images")
    for number, at in watched:
        rows = shards[number]
        if at == 0:
            ascending = np.argsort(rows)
        some = ascending[at : at + ROWS_AT_ONCE]
        gathered[some] = images[rows[some]]
        let_go(images)
        if at + ROWS_AT_ONCE >= len(rows):
            pixels = gathered[: len(rows)].data
            with shard_path(folder, number).open("wb") as file:
                file.write(pixels)
                _synchronise(file)
            digest = hashlib.sha256(pixels).hexdigest()
            yield FileFacts(galaxies=len(rows), size=pixels.nbytes, sha256=digest)


def _write_index(folder: Path, table: GalaxyTable, order: Int[np.ndarray, " galaxy"]) -> FileFacts:
    path = folder / INDEX
    parquet.write_table(index_of(table, order), path)
    with path.open("rb") as file:
        _synchronise(file)
    return FileFacts(galaxies=len(order), size=path.stat().st_size, sha256=file_sha256(path))


def _synchronise(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
