"""What is known of the galaxies as a table, and tables as files that astronomers' programs read."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.results.store import write_atomically
from astrojepa_bench.types import ANOMALY_KINDS

if TYPE_CHECKING:
    from astropy.table import Table

VIEWER = "https://www.legacysurvey.org/viewer?ra={ra:.6f}&dec={dec:.6f}&layer=ls-dr9&zoom=16"
UNITS: Mapping[str, str] = {"ra": "deg", "dec": "deg", "pixel_scale": "arcsec"}  # of a pixel


def facts_table(sample: Sample) -> pd.DataFrame:
    """Give what is known of each galaxy: one row a galaxy, in the order of the sample.

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
    return _with_links(frame)


def _with_links(frame: pd.DataFrame) -> pd.DataFrame:
    if not {"ra", "dec"} <= set(frame):
        return frame
    places = zip(frame["ra"].tolist(), frame["dec"].tolist(), strict=True)
    links = [viewer_link(ra, dec) for ra, dec in places]
    return frame.assign(viewer=np.array(links, dtype=str))


def viewer_link(ra: float, dec: float) -> str:
    """Link to a place [deg, deg] in the Legacy Survey viewer; empty where the place is unknown.

    Example:
        >>> viewer_link(12.5, -3.25)
        'https://www.legacysurvey.org/viewer?ra=12.500000&dec=-3.250000&layer=ls-dr9&zoom=16'
    """
    return VIEWER.format(ra=ra, dec=dec) if np.isfinite(ra) and np.isfinite(dec) else ""


def spelt(column: str) -> str:
    """Write the name of a column as a reader would.

    Example:
        >>> spelt("knn_distance")
        'k-NN distance'
    """
    return column.replace("_", " ").replace("knn", "k-NN").replace("mse", "squared error")


# --- files --------------------------------------------------------------------------------------------------


def check_format(path: Path, formats: Mapping[str, object]) -> None:
    """Refuse a file name whose ending nothing here writes, before anything slow is done.

    Raises:
        ConfigError: with the endings that are known, or the library that is missing.
    """
    if path.suffix.lower() not in formats:
        raise ConfigError(f"--out {path}: unknown ending '{path.suffix}'; use one of {', '.join(formats)}")


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """Write a table in the format that the name of the file says; the same table gives the same bytes.

    Raises:
        ConfigError: the ending is unknown, a library is missing, or the file cannot be written.
    """
    check_format(path, TABLE_FORMATS)
    write_atomically(path, TABLE_FORMATS[path.suffix.lower()](frame))
    return path


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream, index=False)
    return stream.getvalue()


def _astropy(kind: str) -> Callable[[pd.DataFrame], bytes]:
    def write(frame: pd.DataFrame) -> bytes:
        return table_bytes(astropy_table(columns_of(frame)), kind)

    return write


def columns_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give the columns of a table as NumPy numbers or text, which every format knows."""
    return {str(name): _plain(frame[name]) for name in frame}


def _plain(column: pd.Series[Any]) -> np.ndarray:
    values = column.to_numpy()
    return values if values.dtype.kind in "if" else values.astype(str)


def astropy_table(columns: Mapping[str, np.ndarray]) -> Table:
    """Make an astropy table, with units where a column has one."""
    from astropy.table import Table

    table = Table(dict(columns))
    for name in set(columns) & set(UNITS):
        table[name].unit = UNITS[name]
    return table


def table_bytes(table: Table, kind: str) -> bytes:
    """Write an astropy table as `fits` or `votable`."""
    stream = io.BytesIO()
    table.write(stream, format=kind)
    return stream.getvalue()


TABLE_FORMATS: Mapping[str, Callable[[pd.DataFrame], bytes]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".fits": _astropy("fits"),
    ".vot": _astropy("votable"),
    ".xml": _astropy("votable"),
}


def rounded(values: Float[np.ndarray, " galaxy"], digits: int = 6) -> Float[np.ndarray, " galaxy"]:
    """Round to significant digits: float32 features carry no more, and the last bits depend on the machine."""
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
    found: Float[np.ndarray, " galaxy"] = np.round(values * scale) / scale
    return found
