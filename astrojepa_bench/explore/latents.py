"""Latents of any galaxies, in memory or in a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from astrojepa_bench.explore.sample import Sample, sample_of
from astrojepa_bench.explore.tables import astropy_table, check_format, columns_of, facts_table, table_bytes
from astrojepa_bench.results.store import write_atomically
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs.open_run import OpenRun
from astrojepa_bench.types import GalaxyTable

Columns = Mapping[str, np.ndarray]


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


def write_latents(sample: Sample, path: Path) -> Path:
    """Write latents beside ids, labels, splits, redshifts and positions, as far as they are known.

    HDF5 and NumPy hold one array a column (`latents` is galaxy by dim); Parquet a list and FITS a vector a row.

    Raises:
        ConfigError: the ending is unknown, a library is missing, or the file cannot be written.
        DataError: a feature is not finite.
    """
    check_format(path, LATENT_FORMATS)
    facts = facts_table(sample).drop(columns="viewer", errors="ignore")
    content = {**columns_of(facts), "latents": sample.latents.numpy()}
    write_atomically(path, LATENT_FORMATS[path.suffix.lower()](content, sample))
    return path


def _attributes(sample: Sample) -> dict[str, str]:
    record = sample.run.record
    return {"run_id": record.run_id, "run": record.title, "galaxies": sample.title, "tap": "last"}


def _hdf5(columns: Columns, sample: Sample) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs.update(_attributes(sample))
        for name, values in columns.items():
            text = values.dtype.kind == "U"
            file.create_dataset(name, data=values.astype(object) if text else values)
    return stream.getvalue()


def _npz(columns: Columns, sample: Sample) -> bytes:
    stream = io.BytesIO()
    arrays: dict[str, Any] = {**columns, **{k: np.array(v) for k, v in _attributes(sample).items()}}
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _parquet(columns: Columns, sample: Sample) -> bytes:
    stream = io.BytesIO()
    frame = pd.DataFrame({name: values for name, values in columns.items() if values.ndim == 1})
    frame.assign(latents=list(columns["latents"])).to_parquet(stream, index=False)
    return stream.getvalue()


def _fits(columns: Columns, sample: Sample) -> bytes:
    table = astropy_table(columns)
    table.meta.update({"RUN_ID": sample.run.record.run_id, "TAP": "last"})
    return table_bytes(table, "fits")


LATENT_FORMATS: Mapping[str, Callable[[Columns, Sample], bytes]] = {
    ".h5": _hdf5,
    ".npz": _npz,
    ".parquet": _parquet,
    ".fits": _fits,
}
