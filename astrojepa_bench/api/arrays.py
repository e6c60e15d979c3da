"""Images in memory: kept as a file under their content, which the readers of files take from there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.table import Table
from pyarrow import parquet

from astrojepa_bench.data.column_names import ALIASES, candidates
from astrojepa_bench.data.convert import cached, convert, fingerprint
from astrojepa_bench.data.sources.parquet_rows import ParquetRows, Wanted
from astrojepa_bench.data.table import usual_names
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import emit
from astrojepa_bench.runs.open_run import OpenRun
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

ARRAYS = "arrays.parquet"
ROWS_TOGETHER = 256
READ = frozenset(alias for aliases in ALIASES.values() for alias in aliases)  # names that readers look for
Columns: TypeAlias = pd.DataFrame | Table | Mapping[str, Any]


def as_seen(
    run: OpenRun,
    images: np.ndarray,
    cache: Path,
    *,
    bands: str | Sequence[str] | None = None,
    ids: Sequence[object] | np.ndarray | None = None,
) -> GalaxyTable:
    """Return images as a run looks at them: one row an image, in their order, however few or alike they are.

    Nothing is divided or left out, as nothing is learnt from them.

    Args:
        run: gives size, and how flux is shown.
        images: (galaxy, height, width, band) or (galaxy, height, width), as `load` takes them.
        cache: folder of converted galaxies.
        bands: names of the bands, in the order of the last axis; None: those that the user gave to the run's own
            galaxies, else those of the run, if there are as many; a note says so.
        ids: unique names; the row numbers if None.

    Raises:
        DataError: they are no images, one cannot be shown, or ids repeat.
    """
    options = kept(images, cache, bands=bands, ids=ids)
    given, here = options["bands"], images.shape[-1] if images.ndim == 4 else 1
    usual = run.given_bands if len(run.given_bands) == here else run.spec.bands
    if bands is None and len(usual) == here > 1 and usual != usual_names(here):
        given, order = usual, ", ".join(usual)
        emit(
            "note",
            text=f"the images do not name their bands, which are taken to be {order}; else give bands=",
        )
    source = ParquetRows.opened(options["path"], Wanted(bands=given), run.stretch, cache_dir=cache)
    found, known = convert(source, run.spec.size_px, cache), source.catalogue()
    for name, reason in found.unreadable.values():
        raise DataError(f"image {name} cannot be shown ({reason}); leave it out")
    count, here = len(known), found.images.shape[1]
    names = known.bands or usual_names(here)
    nothing = (0.0,) * here, (1.0,) * here  # statistics of the run count, and these are not asked for
    return GalaxyTable(
        images=found.images, ids=known.ids, split=np.full(count, "test"), label=known.label,
        spec=ImageSpec(names, run.spec.size_px, *nothing), card=Card("arrays", "yours", "unstated"),
        fingerprint=fingerprint("arrays as seen", source.rendering, str(options["path"].parent.name)),
        anomaly=np.zeros(count, dtype=np.int64), anomaly_type=np.full(count, "", dtype="<U1"),
    )  # fmt: skip


def kept(
    images: np.ndarray,
    cache: Path,
    table: Columns | None = None,
    bands: str | Sequence[str] | None = None,
    ids: Sequence[object] | np.ndarray | None = None,
    labels: Sequence[object] | np.ndarray | None = None,
) -> dict[str, Any]:
    """Keep arrays as a file under their content, for whoever reads them again; return the options that read it."""
    names = [] if bands is None else band_names(bands)
    planes = _planes(images, names)
    columns = _columns(len(planes), table, ids, labels)
    numbers = [
        name for name in map(str, columns) if name.lower() not in READ and columns[name].dtype.kind in "iuf"
    ]
    try:
        beside = pa.Table.from_pandas(columns, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"the table cannot be kept ({' '.join(str(error).split())}); give one type a column"
        ) from None
    sink = pa.BufferOutputStream()
    parquet.write_table(beside, sink)
    written = hashlib.sha256(sink.getvalue()).hexdigest()

    def fill(folder: Path) -> None:
        shape = planes.shape[1:]  # stated: of a single band, strides do not tell the order of axes
        flat = pa.FixedSizeListArray.from_arrays(pa.array(planes.ravel()), int(np.prod(shape)))
        kind = pa.fixed_shape_tensor(flat.type.value_type, shape)
        whole = beside.append_column("image", pa.ExtensionArray.from_storage(kind, flat))
        parquet.write_table(whole, folder / ARRAYS, row_group_size=ROWS_TOGETHER, compression="none")

    key = fingerprint("arrays", planes.dtype, planes.shape, planes, written)
    path = cached(cache, key, fill, room="arrays") / ARRAYS
    options: dict[str, Any] = {"path": path, "bands": tuple(names), "attributes": tuple(numbers)}
    return {**options, **({"group": "group"} if "group" in columns else {})}


def band_names(bands: str | Sequence[str]) -> list[str]:
    """Return the names of bands: letters of one word, words between commas, or a list.

    Example:
        >>> band_names("grz"), band_names("F090W,F277W"), band_names(("g", "r"))
        (['g', 'r', 'z'], ['F090W', 'F277W'], ['g', 'r'])
    """
    if isinstance(bands, str):
        bands = bands.split(",") if "," in bands else [*bands]
    return [str(name).strip() for name in bands]


def _planes(images: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return images with the bands first, as bytes or floating-point numbers.

    Raises:
        DataError: they have another shape or kind, or may be display levels as well as flux.
    """
    shape = f"found {images.dtype} {images.shape}"
    stacked = images[..., None] if images.ndim == 3 else images
    if stacked.ndim != 4 or not stacked.size or stacked.dtype.kind not in "uif":
        raise DataError(f"{shape}; expected images as numbers, (galaxy, height, width, band)")
    if names and len(names) != stacked.shape[-1]:
        raise DataError(
            f"{shape} and {len(names)} bands ({', '.join(names)}); expected as many names as bands"
        )
    if stacked.dtype.kind == "f":
        least, most = float(np.nanmin(stacked)), float(np.nanmax(stacked))
        if not names and least >= 0 and most <= 1:
            raise DataError(
                f"{shape} from {least:g} to {most:g}, which may be display levels or flux; give levels as bytes, "
                "(255 * images).round().astype('uint8'), and flux with the names of its bands"
            )
        kept = stacked.astype(np.float32 if stacked.dtype != np.float64 else np.float64)
    elif stacked.min() < 0 or stacked.max() > 255:
        raise DataError(
            f"{shape} from {stacked.min()} to {stacked.max()}; expected bytes, or floating-point numbers for flux"
        )
    else:
        kept = stacked.astype(np.uint8)
    return np.ascontiguousarray(kept.transpose(0, 3, 1, 2))


def _columns(
    count: int,
    table: Columns | None,
    ids: Sequence[object] | np.ndarray | None,
    labels: Sequence[object] | np.ndarray | None,
) -> pd.DataFrame:
    """Return what is known of each image.

    Raises:
        ConfigError: something is given twice.
        DataError: there is not one row an image.
    """
    frame = pd.DataFrame(index=range(count)) if table is None else _frame(table)
    if len(frame) != count:
        raise DataError(f"the table has {len(frame)} rows for {count} images; expected one row an image")
    for name, values in {"id": ids, "label": labels}.items():
        if values is None:
            continue
        if name in frame:
            raise ConfigError(f"the table has a column '{name}' and {name}s= is given; leave one of them out")
        if len(values) != count:
            raise DataError(f"found {len(values)} {name}s for {count} images; expected one an image")
        frame[name] = pd.Series([*values])
    if not candidates("id", [*map(str, frame)]):
        frame["id"] = [str(row) for row in range(count)]
    if "image" in frame:
        raise ConfigError("the table has a column 'image' beside the array; leave one of them out")
    return frame


def _frame(table: Columns) -> pd.DataFrame:
    if isinstance(table, Table):
        wide = [name for name in table.colnames if table[name].ndim > 1]
        if wide:
            raise DataError(f"column '{wide[0]}' holds several values a row; expected one: leave it out")
        table = table.copy()
        table.convert_bytestring_to_unicode()
        table = table.to_pandas()
    frame = pd.DataFrame(table).reset_index(drop=True)
    return frame.set_axis([str(name) for name in frame], axis="columns")
