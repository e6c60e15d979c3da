"""Latents of any galaxies, in memory or in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from astrojepa_bench.explore.sample import Sample, sample_of
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
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs.open_run import OpenRun
from astrojepa_bench.types import GalaxyTable

LATENT_FORMATS: Mapping[str, Callable[[Columns, TableOrigin], bytes]] = {
    ".h5": as_hdf5, ".npz": as_npz, ".parquet": as_parquet, ".fits": as_fits,
}  # fmt: skip


def extract_latents(
    run: OpenRun, dataset: GalaxyTable | Dataset | None = None
) -> tuple[Float[np.ndarray, "galaxy dim"], Int[np.ndarray, " galaxy"]]:
    """Encode galaxies with a finished run.

    Args:
        run: a finished run (`open_run`).
        dataset: every galaxy of it is encoded; None: the run's own test galaxies.

    Returns:
        features of tap `last`, float32, as the evaluators read them; and labels, -1 unknown.

    Raises:
        ConfigError: the run's own galaxies lie in files; give them as a dataset.
        DataError: the galaxies cannot be read, have other bands than the run's, or get non-finite features.

    Example:
        >>> latents, labels = extract_latents(open_run("3f9a2c"), Hdf5(path="mine.h5"))  # doctest: +SKIP
    """
    sample = sample_of(run, dataset)
    return sample.latents.numpy(), sample.table.label[sample.rows]


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
    write_atomically(path, LATENT_FORMATS[path.suffix.lower()](columns, origin))
    return path
