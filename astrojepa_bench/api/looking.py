"""Looking at galaxies with a finished run: latents, oddities, neighbours.

`run` is what `open_run` or `run` returned, a record's file, the first letters of an id, or `latest`. `dataset` is
what `load` takes or returned, every galaxy of it; None is the run's own test galaxies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from astrojepa_bench.api.arrays import as_seen
from astrojepa_bench.api.cards import card
from astrojepa_bench.api.galaxies import Given, LoadedGalaxies, named, read_named
from astrojepa_bench.api.progress import showing
from astrojepa_bench.api.results import RunResult
from astrojepa_bench.api.settings import by_address
from astrojepa_bench.api.wording import speaking_python
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.looked_at import only_looked_at
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluation.prediction_errors import DRAWS
from astrojepa_bench.explore.anomalies import anomaly_table, check_draws, check_score
from astrojepa_bench.explore.neighbours import NEIGHBOURS
from astrojepa_bench.explore.neighbours import find_neighbours as nearest_to
from astrojepa_bench.explore.predict import prediction_table
from astrojepa_bench.explore.probes import fit_probes
from astrojepa_bench.explore.query import by_id, by_index, by_place
from astrojepa_bench.explore.sample import Sample, own_sample, sample_of
from astrojepa_bench.explore.tables import facts_table
from astrojepa_bench.options import Settings
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs import open_run as opening
from astrojepa_bench.runs.open_run import OUT, OpenRun, reopen_galaxies
from astrojepa_bench.types import GalaxyTable

RunLike: TypeAlias = OpenRun | RunResult | str | Path
Which: TypeAlias = int | np.integer | str | tuple[float, float]
NEAR_ARCSEC = 10.0


class GalaxyLatents(tuple[np.ndarray, np.ndarray]):
    """Latents and labels of some galaxies, and who they are.

    It is the pair `latents, labels`, and has both by name as well.

    Attributes:
        facts: one row a galaxy, in the same order: `id`, `split`, `class`, and what else is known (see
            `facts_table`).
    """

    facts: pd.DataFrame

    def __new__(cls, sample: Sample) -> GalaxyLatents:
        """Compute the latents of a sample."""
        made = super().__new__(cls, (sample.latents.numpy(), sample.table.label[sample.rows]))
        made.facts = facts_table(sample)
        return made

    @property
    def latents(self) -> Float[np.ndarray, "galaxy dim"]:
        """Features of tap `last`, float32, as the evaluators read them."""
        return self[0]

    @property
    def labels(self) -> Int[np.ndarray, " galaxy"]:
        """Class numbers, -1 unknown."""
        return self[1]

    @property
    def ids(self) -> np.ndarray:
        """Names of the galaxies."""
        return self.facts["id"].to_numpy()

    def __repr__(self) -> str:
        count, dim = self.latents.shape
        return f"<latents of {count:,} galaxies, {dim} numbers each; .latents, .labels, .ids and .facts>"

    def _repr_html_(self) -> str:
        count, dim = self.latents.shape
        columns = [str(name) for name in self.facts if name not in ("index", "viewer")][:6]
        rows = [[str(row[name]) for name in columns] for _, row in self.facts.head(5).iterrows()]
        title = f"latents of {count:,} galaxies, {dim} numbers each"
        tables: list[tuple[list[str], list[list[str]]]] = [(columns, rows)]
        return card(title, [("by name", ".latents, .labels, .ids, .facts")], tables)


@speaking_python()
def open_run(
    where: str | Path | RunResult = "latest",
    *,
    out: Path | str = OUT,
    plugins: Sequence[Path | str] = (),
    registry: Registry | None = None,
) -> OpenRun:
    """Open a finished run; its galaxies need not be at hand.

    Args:
        where: a record's file, the first letters of its id, `latest`, or what `run` returned.
        out: output folder in which ids are looked up.
        plugins: plugin files, or folders of them, to load in addition to what is installed.
        registry: in their place, what offers the components that it is built from.

    Raises:
        ConfigError: no run, or more than one, has that id; a component of it is not installed.
        DataError: the run has no scores, or its weights are missing, damaged or of another version.

    Example:
        >>> run = open_run("3f9a2c")  # doctest: +SKIP
        >>> run.encoder.taps(images)["last"]  # doctest: +SKIP
    """
    offered = registry or load_registry(tuple(Path(each) for each in plugins))
    if isinstance(where, RunResult):
        return opening.open_run(where.run_id, out=where.out, registry=offered)
    return opening.open_run(where, out=out, registry=offered)


@speaking_python()
def extract_latents(
    run: RunLike,
    dataset: Given | None = None,
    *,
    bands: str | Sequence[str] | None = None,
    ids: Sequence[object] | np.ndarray | None = None,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> GalaxyLatents:
    """Encode galaxies with a finished run.

    Args:
        run: a finished run.
        dataset: every galaxy of it is encoded; None: the run's own test galaxies.
        bands: of images given as an array, in the order of its last axis.
        ids: of images given as an array.
        settings: options of the data set, of the run's own too: `{"dataset.path": "moved.h5"}`.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Returns:
        `latents, labels`: features of tap `last`, float32, as the evaluators read them, and class numbers, -1
        unknown; with `ids` and `facts`.

    Raises:
        ConfigError: the run's own galaxies lie in files; give them as a dataset.
        DataError: the galaxies cannot be read, have other bands than the run's, or get non-finite features.

    Example:
        >>> latents, labels = extract_latents("latest", "my_images/")  # doctest: +SKIP
    """
    with looking(run, dataset, settings, progress, bands, ids) as sample:
        return GalaxyLatents(sample)


@speaking_python()
def compute_jepa_anomaly_scores(
    run: RunLike,
    dataset: Given | None = None,
    *,
    by: str = "knn_distance",
    draws: int = DRAWS,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Score how anomalous galaxies are, highest score first.

    Args:
        run: a finished run.
        dataset: its galaxies are scored, all of them; None: the run's own test galaxies.
        by: the score to rank by.
        draws: of masks, over which prediction errors are averaged; fewer take less time.
        settings: options of the data set, of the run's own too: `{"dataset.path": "moved.h5"}`.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Returns:
        one row a galaxy, see `anomaly_table`.

    Raises:
        ConfigError: the run's own galaxies lie in files; give them as a dataset. Or there is no such score, or
            `draws` is no number from 1 on.
        DataError: the galaxies cannot be read, have other bands than the run's, or get non-finite features.
    """
    check_score(by)
    check_draws(draws)
    with looking(run, dataset, settings, progress) as sample:
        return anomaly_table(sample, by, draws)


@speaking_python()
def find_neighbours(
    run: RunLike,
    dataset: Given | None = None,
    *,
    idx: Which = 0,
    radius: float = NEAR_ARCSEC,
    number: int = NEIGHBOURS,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Find the galaxies that are most similar to one of them.

    Args:
        run: a finished run.
        dataset: galaxies; None: the run's own test galaxies.
        idx: number of the galaxy among them, its id, or its place on the sky (ra, dec) [deg].
        radius: how far from a place it may be [arcsec].
        number: how many neighbours.
        settings: options of the data set, of the run's own too: `{"dataset.path": "moved.h5"}`.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Returns:
        facts of the galaxy (`rank` 0) and its neighbours, the most similar first, with `similarity` (cosine).

    Raises:
        ConfigError: there is no such galaxy.
        DataError: the galaxies cannot be read, or have other bands than the run's.
    """
    with looking(run, dataset, settings, progress) as sample:
        return nearest_to(sample, meant(sample, idx, radius), number)


@speaking_python()
def predict(
    run: RunLike,
    dataset: Given | None = None,
    *,
    bands: str | Sequence[str] | None = None,
    ids: Sequence[object] | np.ndarray | None = None,
    latents: bool = False,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Predict class and redshift of galaxies by the probes that were fitted for a run.

    Nothing is fitted to these galaxies, whatever is known of them.

    Args:
        run: a finished run.
        dataset: every galaxy of it is looked at; None: the run's own test galaxies.
        bands: of images given as an array, in the order of its last axis.
        ids: of images given as an array.
        latents: whether to add the features of each galaxy, one array a row.
        settings: options of the data set, of the run's own too: `{"dataset.path": "moved.h5"}`.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Returns:
        one row a galaxy: what is known of it, `predicted_class` with its `probability` and those of all classes,
        `predicted_redshift` with its `redshift_scatter` (see `prediction_table`).

    Raises:
        ConfigError: the run's galaxies have neither labels nor redshifts, or lie in files that are not found.
        DataError: the galaxies cannot be read, have other bands than the run's, or get non-finite features.

    Example:
        >>> predict("latest", "new_images/")  # doctest: +SKIP
    """
    with looking(run, dataset, settings, progress, bands, ids) as sample:
        opened, own = sample.run, by_address(settings or {}) if dataset is None else {}
        probes = fit_probes(
            opened,
            lambda: reopen_galaxies(
                opened, load_registry(), own, default_cache(), opened.device, resident_bytes=0
            ),
        )
        return prediction_table(sample, probes, latents=latents)


def meant(sample: Sample, which: Which, radius: float) -> int:
    """Return the place in a sample of the galaxy that is meant by number, id or place on the sky.

    Raises:
        ConfigError: there is none.
    """
    if isinstance(which, str):
        return by_id(sample, which).index
    if isinstance(which, tuple):
        return by_place(sample, *which, radius).index
    return by_index(sample, int(which)).index


@contextmanager
def looking(
    run: RunLike,
    dataset: Given | None,
    settings: Mapping[str, object] | None,
    progress: bool | None,
    bands: str | Sequence[str] | None = None,
    ids: Sequence[object] | np.ndarray | None = None,
) -> Iterator[Sample]:
    """Open a run and galaxies, and show progress meanwhile; for the arguments see `extract_latents`.

    Raises:
        ConfigError: the run, the galaxies or an option is unknown.
        DataError: the galaxies cannot be read, or have other bands than the run's.
    """
    with showing(progress):
        opened = run if isinstance(run, OpenRun) else open_run(run)
        chosen = by_address(settings or {})
        if dataset is None:
            yield own_sample(opened, load_registry(), chosen)
        else:
            yield sample_of(opened, galaxies_for(opened, dataset, chosen, bands=bands, ids=ids))


def galaxies_for(
    run: OpenRun,
    dataset: Given,
    settings: Settings,
    *,
    bands: str | Sequence[str] | None = None,
    ids: Sequence[object] | np.ndarray | None = None,
) -> GalaxyTable | Dataset:
    """Return galaxies as a run can see them: at its size, whatever the order of the bands.

    Raises:
        ConfigError: they are neither a data set nor a path nor images, or options do not go with them.
        DataError: they cannot be read.
    """
    px, cache = run.spec.size_px, default_cache()
    if isinstance(dataset, LoadedGalaxies) and not settings and dataset.spec.size_px == px:
        return dataset
    if isinstance(dataset, np.ndarray | GalaxyTable | Dataset) and not isinstance(dataset, LoadedGalaxies):
        if settings:
            raise ConfigError(
                "settings are of a data set that is still to be read; give its path or its name"
            )
        if isinstance(dataset, Dataset):
            return dataset
        if isinstance(dataset, GalaxyTable):
            return dataset
        return as_seen(run, dataset, cache, bands=bands, ids=ids)
    name, known = named(load_registry, dataset, cache, bands=bands, ids=ids)
    with only_looked_at():
        return read_named(load_registry(), name, known, settings, px, cache)
