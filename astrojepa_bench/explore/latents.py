"""Latents of any galaxies, in memory or in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from astrojepa_bench.explore.endings import LATENT_FORMATS
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.table_formats import (
    Columns,
    TableOrigin,
    as_fits,
    as_hdf5,
    as_npz,
    as_parquet,
    columns_of,
)
from astrojepa_bench.explore.tables import check_format, facts_table
from astrojepa_bench.results.store import write_atomically

_WRITERS: Mapping[str, Callable[[Columns, TableOrigin], bytes]] = {
    "hdf5": as_hdf5, "npz": as_npz, "parquet": as_parquet, "fits": as_fits,
}  # fmt: skip


def write_latents(sample: Sample, path: Path, command: str = "") -> Path:
    """Write latents with ids, labels, splits, and known redshifts and positions.

    HDF5 and NumPy hold one array a column (`latents` is galaxy by dim); Parquet a list and FITS a vector a row.

    Args:
        sample: the galaxies.
        path: the file.
        command: that asked for it, to be written beside the run where the format has room.

    Raises:
        ConfigError: the ending is unknown, a library is missing, or the file cannot be written.
        DataError: a feature is not finite.
    """
    check_format(path, LATENT_FORMATS)
    origin = TableOrigin.of(sample, command)
    facts = columns_of(facts_table(sample).drop(columns="viewer", errors="ignore"))
    columns = {**facts, "latents": sample.latents.numpy()}
    write_atomically(path, _WRITERS[LATENT_FORMATS[path.suffix.lower()]](columns, origin))
    return path
