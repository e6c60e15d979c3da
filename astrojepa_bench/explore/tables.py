"""Facts of the galaxies as a table, and tables as files in formats that astronomers use."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.table import Table
from jaxtyping import Float

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.escaping import csv_cell, plain
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.results.store import write_atomically
from astrojepa_bench.types import ANOMALY_KINDS

VIEWER = "https://www.legacysurvey.org/viewer?ra={ra:.6f}&dec={dec:.6f}&layer=ls-dr9&zoom=16"
UNITS: Mapping[str, str] = {"ra": "deg", "dec": "deg", "pixel_scale": "arcsec / pix"}  # as astropy reads them
TABLE_FORMATS: Mapping[str, str] = {
    ".csv": "csv", ".parquet": "parquet", ".fits": "fits", ".vot": "votable", ".xml": "votable",
}  # fmt: skip


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


# --- files --------------------------------------------------------------------------------------------------


def check_format(path: Path, formats: Collection[str]) -> None:
    """Check the ending of a file name before any slow work.

    Raises:
        ConfigError: unknown ending; names the known ones.
    """
    if path.suffix.lower() not in formats:
        raise ConfigError(f"{path}: unknown ending '{path.suffix}'; use one of {', '.join(formats)}")


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table in the format of the file's ending; the same table gives the same bytes.

    In CSV a text that a spreadsheet would take for a formula begins with `'`; numbers stay numbers. Characters that
    steer a terminal are spelt out in every format.

    Raises:
        ConfigError: the ending is unknown, or the file cannot be written.
    """
    check_format(path, TABLE_FORMATS)
    stream = io.BytesIO()
    match kind := TABLE_FORMATS[path.suffix.lower()]:
        case "csv":
            _as_csv(frame).to_csv(stream, index=False, lineterminator="\n")
        case "parquet":
            pd.DataFrame(columns_of(frame)).to_parquet(stream, index=False)
        case _:
            astropy_table(columns_of(frame)).write(stream, format=kind)
    write_atomically(path, stream.getvalue())
    return path


def columns_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the columns of a table as NumPy numbers or text without controls, which every format can hold."""
    arrays = {str(name): frame[name].to_numpy() for name in frame}
    return {
        name: values if values.dtype.kind in "if" else np.array([*map(plain, values.astype(str))], dtype=str)
        for name, values in arrays.items()
    }


def _as_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """Escape the texts of a table that a spreadsheet would take for formulas."""
    texts = {str(name): frame[name].map(csv_cell) for name in frame if frame[name].dtype.kind not in "ifb"}
    return frame.assign(**texts) if texts else frame


def astropy_table(columns: Mapping[str, np.ndarray]) -> Table:
    """Make an astropy table, with units where a column has one."""
    table = Table(dict(columns))
    for name in set(columns) & set(UNITS):
        table[name].unit = UNITS[name]
    return table


def rounded(values: Float[np.ndarray, " galaxy"], digits: int = 6) -> Float[np.ndarray, " galaxy"]:
    """Round to significant digits: float32 features carry no more, and the last bits depend on the machine."""
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
    found: Float[np.ndarray, " galaxy"] = np.round(values * scale) / scale
    return found
