"""Facts of the galaxies as a table, and tables as files in formats that astronomers use."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore.column_meanings import UNITS
from astrojepa_bench.explore.endings import TABLE_FORMATS
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.table_formats import (
    TableOrigin,
    as_csv,
    as_fits,
    as_parquet,
    as_votable,
    columns_of,
)
from astrojepa_bench.results.store import write_atomically
from astrojepa_bench.types import ANOMALY_KINDS

VIEWER = "https://www.legacysurvey.org/viewer?ra={ra:.6f}&dec={dec:.6f}&layer=ls-dr9&zoom=16"


def facts_table(sample: Sample) -> pd.DataFrame:
    """Return the facts of each galaxy: one row a galaxy, in the order of the sample.

    Columns: `index` (its place in the sample), `id`, `split`, `label` (-1 unknown), `class`; and where any galaxy
    has one `anomaly` (`physical` or `artefact`), `anomaly_type`, `redshift`, `ra` and `dec` [deg], `viewer` (a
    link to the Legacy Survey viewer), `pixel_scale` [arcsec/px].
    """
    table, rows = sample.table, sample.rows
    names = np.array([*sample.classes, ""])  # label -1 takes the last
    frame = pd.DataFrame({"index": np.arange(len(rows)), "id": table.ids[rows], "split": table.split[rows]})
    frame["label"], frame["class"] = table.label[rows], names[table.label[rows]]
    if (table.anomaly[rows] > 0).any():
        frame["anomaly"] = np.array(["", *ANOMALY_KINDS[1:]])[table.anomaly[rows]]
        frame["anomaly_type"] = table.anomaly_type[rows]
    for name in ("redshift", "ra", "dec", "pixel_scale"):
        known = getattr(table, name)
        if known is not None and np.isfinite(known[rows]).any():
            frame[name] = known[rows]
    if {"ra", "dec"} <= set(frame):
        places = zip(frame["ra"].tolist(), frame["dec"].tolist(), strict=True)
        frame["viewer"] = np.array([viewer_link(ra, dec) for ra, dec in places], dtype=str)
    return frame


def viewer_link(ra: float, dec: float) -> str:
    """Link to a place [deg, deg] in the Legacy Survey viewer; empty where the place is unknown.

    Example:
        >>> viewer_link(12.5, -3.25)
        'https://www.legacysurvey.org/viewer?ra=12.500000&dec=-3.250000&layer=ls-dr9&zoom=16'
    """
    return VIEWER.format(ra=ra, dec=dec) if np.isfinite(ra) and np.isfinite(dec) else ""


def spelt(column: str) -> str:
    """Spell out the name of a column.

    Example:
        >>> spelt("knn_distance")
        'k-NN distance'
    """
    return column.replace("_", " ").replace("knn", "k-NN").replace("mse", "squared error")


def column_label(name: str) -> str:
    """Spell out the name of a column with its unit.

    Example:
        >>> column_label("ra")
        'ra [deg]'
    """
    return f"{spelt(name)} [{UNITS[name]}]" if name in UNITS else spelt(name)


def written(value: float) -> str:
    """Write a number with four significant digits, zeros at its end among them: columns are cut evenly.

    Example:
        >>> written(3.3), written(3.312), written(2048.0)
        ('3.300', '3.312', '2048')
    """
    return f"{value:#.4g}".removesuffix(".")


# --- files --------------------------------------------------------------------------------------------------


def check_format(path: Path, formats: Collection[str]) -> None:
    """Check the ending of a file name before any slow work.

    Raises:
        ConfigError: unknown ending; names the known ones.
    """
    if path.suffix.lower() not in formats:
        raise ConfigError(f"{path}: unknown ending '{path.suffix}'; use one of {', '.join(formats)}")


def write_table(frame: pd.DataFrame, path: Path, origin: TableOrigin | None = None) -> Path:
    """Write a table in the format of the file's ending; the same table of one origin gives the same bytes.

    In CSV a text that a spreadsheet would take for a formula begins with `'`; numbers stay numbers. Characters that
    steer a terminal are spelt out in every format. Where the format has room, units, UCDs and descriptions of the
    columns and the table's origin are written too (`table_formats`).

    Args:
        frame: the table.
        path: the file.
        origin: where the table comes from.

    Raises:
        ConfigError: the ending is unknown, or the file cannot be written.
    """
    check_format(path, TABLE_FORMATS)
    columns = columns_of(frame)
    match TABLE_FORMATS[path.suffix.lower()]:
        case "csv":
            content = as_csv(columns)
        case "parquet":
            content = as_parquet(columns, origin)
        case "fits":
            content = as_fits(columns, origin)
        case _:
            content = as_votable(columns, origin)
    write_atomically(path, content)
    return path


def rounded(values: Float[np.ndarray, " galaxy"], digits: int = 6) -> Float[np.ndarray, " galaxy"]:
    """Round to significant digits: float32 features carry no more, and the last bits depend on the machine."""
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
    found: Float[np.ndarray, " galaxy"] = np.round(values * scale) / scale
    return found
