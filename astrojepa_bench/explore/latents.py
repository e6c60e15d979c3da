"""Latents of any galaxies, in memory or in a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from astrojepa_bench.explore.sample import Sample, sample_of
from astrojepa_bench.explore.tables import astropy_table, check_format, columns_of, facts_table
from astrojepa_bench.options import legible
from astrojepa_bench.results.store import write_atomically
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs.open_run import OpenRun
from astrojepa_bench.types import GalaxyTable

LATENT_FORMATS = (".h5", ".npz", ".parquet", ".fits")


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
    """Write latents with ids, labels, splits, and known redshifts and positions.

    HDF5 and NumPy hold one array a column (`latents` is galaxy by dim); Parquet a list and FITS a vector a row.

    Raises:
        ConfigError: the ending is unknown, a library is missing, or the file cannot be written.
        DataError: a feature is not finite.
    """
    check_format(path, LATENT_FORMATS)
    write_atomically(path, _file_of(sample, path.suffix.lower()))
    return path


def _file_of(sample: Sample, ending: str) -> bytes:
    columns = columns_of(facts_table(sample).drop(columns="viewer", errors="ignore"))
    latents, record = sample.latents.numpy(), sample.run.record
    attributes = {
        "run_id": record.run_id,
        "run": record.title,
        "galaxies": legible(sample.title),
        "tap": "last",
    }
    stream = io.BytesIO()
    match ending:
        case ".h5":
            with h5py.File(stream, "w") as file:
                file.attrs.update(attributes)
                for name, values in {**columns, "latents": latents}.items():
                    file.create_dataset(
                        name, data=values.astype(object) if values.dtype.kind == "U" else values
                    )
        case ".npz":
            arrays: dict[str, Any] = {**columns, "latents": latents, **attributes}
            np.savez_compressed(stream, **arrays)
        case ".parquet":
            pd.DataFrame(columns).assign(latents=list(latents)).to_parquet(stream, index=False)
        case ".fits":
            table = astropy_table({**columns, "latents": latents})
            table.meta.update({"RUN_ID": record.run_id, "TAP": "last"})
            table.write(stream, format="fits")
    return stream.getvalue()
