"""How are chosen rows of Parquet files read? A few at a time, only the columns asked for, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int
from pyarrow import parquet, types

from astrojepa_bench.data.given import check_affordable, in_bytes
from astrojepa_bench.data.sources.container import RefusedError, guarded, shown
from astrojepa_bench.data.sources.image_shape import MOST_BANDS, MOST_PIXELS
from astrojepa_bench.data.sources.parquet_columns import ColumnPlace, ImagePlaces, Schema, levels
from astrojepa_bench.data.sources.parquet_files import ParquetFiles, check_parquet
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track

BUFFER_BYTES = 1 << 20  # of a column that are read ahead; without it a whole row group would be
BLOCK_BYTES = 16 << 20  # of images in memory at once
CATALOGUE_ROWS = 1 << 16  # at once
MOST_IMAGES = 256  # at once, whatever little they take
VALUE_BYTES = 8  # that a number takes at most
ROW_BYTES = 512  # that a galaxy takes in memory beside its pixels
HIGHEST_COMPRESSION = 1100
ALWAYS_BELIEVED = 64 << 20  # bytes; a claim that does no harm
MOST_BESIDE = 2  # numbers of mask or variance for one of the image; flux may be missing where they are not
MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Shard:
    """What one file of a table says of itself.

    Attributes:
        path: the file.
        name: as messages and ids spell it.
        groups: rows of each row group.
        values: numbers, or bytes of files, of the images in each row group.
    """

    path: Path
    name: str
    groups: tuple[int, ...]
    values: tuple[int, ...]

    def __len__(self) -> int:
        return sum(self.groups)


def schema_of(files: ParquetFiles) -> tuple[Schema, dict[bytes, bytes]]:
    """Read the columns of a table's first file, and what it says beyond them.

    Raises:
        DataError: it is damaged or no Parquet, or has too many columns, or several of one name.
    """
    path = next(iter(files.files.values()))
    with opened(path) as file:
        schema = file.schema_arrow
        if not 0 < len(set(schema.names)) == len(schema) <= MOST_COLUMNS:
            raise RefusedError(
                f"it has {len(schema)} columns; expected 1 to {MOST_COLUMNS}, none of them twice"
            )
        return Schema(files.path.name, {each.name: each.type for each in schema}), dict(schema.metadata or {})


def shards_of(
    files: ParquetFiles, schema: Schema, image: ImagePlaces, others: Sequence[ColumnPlace]
) -> tuple[Shard, ...]:
    """Read what every file says of its rows, and none of them.

    Args:
        files: of the table.
        schema: of its first file.
        image: where images lie.
        others: what else will be read.

    Raises:
        DataError: a file is damaged, has other columns than the first, or claims more than it can hold; or there
            are no rows.
    """
    title, shards = files.path.name, []
    for name, path in track(
        files.files.items(), task=f"looking through {title}", total=len(files.files), unit="files"
    ):
        with opened(path) as file:
            _check_alike(file.schema_arrow, schema, (image.pixels, *image.beside), exact=True)
            _check_alike(file.schema_arrow, schema, others, exact=False)
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            shards.append(
                Shard(path, name, tuple(group.num_rows for group in groups), _image_values(file, image))
            )
    rows = sum(map(len, shards))
    if not rows:
        raise DataError(f"{title} has no rows; expected at least one galaxy")
    check_affordable(rows * ROW_BYTES, f"{title}: the table of {rows} images")
    return tuple(shards)


def batches(
    shards: Sequence[Shard],
    places: Sequence[ColumnPlace],
    rows: Int[np.ndarray, " row"],
    files_of_images: ColumnPlace | None = None,
    *,
    images: bool,
) -> Iterator[tuple[Shard, Int[np.ndarray, " row"], pa.RecordBatch]]:
    """Read chosen rows in order, a few at a time.

    Args:
        shards: the files.
        places: what to read.
        rows: numbers over all files, ascending.
        files_of_images: which of the places holds whole files; one that repeats is held once.
        images: whether these are images, of which few fit in memory.

    Yields:
        A file, numbers of some of its rows, and those rows.

    Raises:
        DataError: a file is damaged, or holds fewer rows than it says.
    """
    begin = 0
    for shard in shards:
        within = rows[np.searchsorted(rows, begin) : np.searchsorted(rows, begin + len(shard))] - begin
        begin += len(shard)
        if not len(within):
            continue
        with opened(shard.path, files_of_images) as file:
            names = [leaf for place in places for leaf in place.leaves(_leaves(file))]
            first = 0
            for group, count in enumerate(shard.groups):
                chosen = (
                    within[np.searchsorted(within, first) : np.searchsorted(within, first + count)] - first
                )
                if len(chosen):
                    a_row = max(1, shard.values[group] // count) * VALUE_BYTES * len(places)
                    size = max(1, min(MOST_IMAGES, BLOCK_BYTES // a_row)) if images else CATALOGUE_ROWS
                    for numbers, batch in _of_group(file, group, count, names, chosen, size):
                        yield shard, numbers + first, batch
                first += count


def _of_group(
    file: parquet.ParquetFile,
    group: int,
    count: int,
    names: list[str],
    chosen: Int[np.ndarray, " row"],
    size: int,
) -> Iterator[tuple[Int[np.ndarray, " row"], pa.RecordBatch]]:
    seen = 0
    for batch in file.iter_batches(size, row_groups=[group], columns=names, use_threads=False):
        here = chosen[np.searchsorted(chosen, seen) : np.searchsorted(chosen, seen + len(batch))]
        batch.validate(full=True)  # what is damaged would come to light later, or crash
        if len(here):
            yield here, batch if len(here) == len(batch) else batch.take(pa.array(here - seen))
        seen += len(batch)
        if seen > chosen[-1]:
            return
    if seen != count:
        raise RefusedError(f"it says that it has {count} rows where it has {seen}")


@contextmanager
def opened(path: Path, files_of_images: ColumnPlace | None = None) -> Iterator[parquet.ParquetFile]:
    """Open a file; whatever goes wrong with it from then on is one line.

    Args:
        path: the file.
        files_of_images: what of it holds whole files; one that repeats is held once.

    Raises:
        DataError: it is no regular file, no Parquet, or damaged.
    """
    check_parquet(path)
    try:
        with guarded(), parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
            if file.metadata.num_columns > MOST_COLUMNS:
                raise RefusedError(
                    f"it has {file.metadata.num_columns} columns; expected at most {MOST_COLUMNS}"
                )
            if files_of_images is None:
                yield file
                return
            texts = files_of_images.leaves(_leaves(file))
            with parquet.ParquetFile(
                path,
                buffer_size=BUFFER_BYTES,
                pre_buffer=False,
                metadata=file.metadata,
                read_dictionary=texts,
            ) as again:
                yield again
    except RefusedError as why:
        raise DataError(
            f"{path} cannot be read ({why}); it may be damaged or incomplete: check it or fetch it again"
        ) from None


def _leaves(file: parquet.ParquetFile) -> list[str]:
    return [file.schema.column(at).path for at in range(file.metadata.num_columns)]


def _check_alike(found: pa.Schema, wanted: Schema, places: Sequence[ColumnPlace], *, exact: bool) -> None:
    """Refuse a file whose columns differ from the first's: those of images in type, others in being there."""
    types_here = {each.name: each.type for each in found}
    for place in places:
        here, there = types_here.get(place.column), wanted.columns[place.column]
        empty = here is not None and not exact and types.is_null(here)
        if here is None or not (
            empty or (levels(here)[0] == levels(there)[0] and (here == there or not exact))
        ):
            raise RefusedError(
                f"its column '{shown(place.column)}' holds {shown(str(here))}, that of the first file "
                f"{shown(str(there))}"
            )


def _image_values(file: parquet.ParquetFile, image: ImagePlaces) -> tuple[int, ...]:
    """Count what images take, and hold it to the size of the file.

    Raises:
        RefusedError: no compression packs so much, or what lies beside an image is larger.
    """
    leaves = _leaves(file)
    pixels, beside = (_numbered(leaves, places) for places in ((image.pixels,), image.beside))
    counts, claim, packed = [], 0, 0
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        held = [group.column(at) for at in pixels]
        if image.kind == "encoded":
            counts.append(sum(each.total_uncompressed_size for each in held))
            continue
        counts.append(sum(each.num_values for each in held))
        if counts[-1] > MOST_PIXELS * MOST_BANDS * max(1, group.num_rows):
            raise RefusedError(f"it claims {counts[-1]} pixels for {group.num_rows} images")
        most = max(MOST_BESIDE * counts[-1], ALWAYS_BELIEVED // VALUE_BYTES)
        if any(group.column(at).num_values > most for at in beside):
            raise RefusedError("what lies beside its images is much larger than they are")
        claim += counts[-1] * VALUE_BYTES
        packed += sum(each.total_compressed_size for each in held)
    if claim > max(ALWAYS_BELIEVED, packed * HIGHEST_COMPRESSION):
        raise RefusedError(
            f"it claims {in_bytes(claim)} of images in {in_bytes(packed)}, which no compression does"
        )
    return tuple(counts)


def _numbered(leaves: Sequence[str], places: Sequence[ColumnPlace]) -> list[int]:
    return [at for at, leaf in enumerate(leaves) if any(place.leaves([leaf]) for place in places)]
