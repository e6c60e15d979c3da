"""What a finished run sees of galaxies, as figures, which a notebook shows; `savefig` writes one.

`run` and `dataset` are as in `looking`.
"""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from astrojepa_bench.api.galaxies import Given
from astrojepa_bench.api.looking import NEAR_ARCSEC, RunLike, Which, looking, meant
from astrojepa_bench.api.wording import speaking_python
from astrojepa_bench.evaluation.prediction_errors import DRAWS
from astrojepa_bench.explore.anomalies import BY_DISTANCE, anomaly_table, check_score
from astrojepa_bench.explore.latents_figure import latents_figure
from astrojepa_bench.explore.map import check_method, make_map
from astrojepa_bench.explore.map_figures import map_figure, thumbnail_map_figure
from astrojepa_bench.explore.mosaic import anomalies_figure
from astrojepa_bench.explore.neighbours import NEIGHBOURS, neighbours_figure


@speaking_python()
def draw_map(
    run: RunLike,
    dataset: Given | None = None,
    *,
    method: str = "tsne",
    colour: str | None = None,
    thumbnails: bool = False,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> Figure:
    """Draw galaxies on a plane, those alike near to one another.

    Args:
        run: a finished run.
        dataset: galaxies; None: the run's own test galaxies.
        method: `tsne`, `umap` or `pca`.
        colour: column to colour by; class, redshift or anomaly score if None.
        thumbnails: whether to show the galaxies themselves instead of points.
        settings: options of the data set, of the run's own too: `{"dataset.path": "moved.h5"}`.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Raises:
        ConfigError: there is no such method or column.
        DataError: the galaxies cannot be read, or are too few.
    """
    check_method(method)
    with looking(run, dataset, settings, progress) as sample:
        found = make_map(sample, method)
        return thumbnail_map_figure(found) if thumbnails else map_figure(found, colour)


@speaking_python()
def draw_anomalies(
    run: RunLike,
    dataset: Given | None = None,
    *,
    by: str = "knn_distance",
    number: int = 10,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> Figure:
    """Draw the most anomalous galaxies side by side.

    Args:
        run: a finished run.
        dataset: galaxies; None: the run's own test galaxies.
        by: the score to rank by, a column of `compute_jepa_anomaly_scores`.
        number: how many.
        settings: options of the data set, of the run's own too: `{"dataset.path": "moved.h5"}`.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Raises:
        ConfigError: there is no such score, or the objective has none.
        DataError: the galaxies cannot be read, or have other bands than the run's.
    """
    check_score(by)
    draws = 1 if by in BY_DISTANCE else DRAWS  # distances need no masks
    with looking(run, dataset, settings, progress) as sample:
        return anomalies_figure(sample, anomaly_table(sample, by, draws), by, number)


@speaking_python()
def draw_neighbours(
    run: RunLike,
    dataset: Given | None = None,
    *,
    idx: Which = 0,
    radius: float = NEAR_ARCSEC,
    number: int = NEIGHBOURS,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> Figure:
    """Draw a galaxy and those that are most similar to it as a strip.

    Args:
        run: a finished run.
        dataset: galaxies; None: the run's own test galaxies.
        idx: number of the galaxy among them, its id, or its place on the sky (ra, dec) [deg].
        radius: how far from a place it may be [arcsec].
        number: how many neighbours.
        settings: options of the data set, of the run's own too: `{"dataset.path": "moved.h5"}`.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Raises:
        ConfigError: there is no such galaxy.
        DataError: the galaxies cannot be read, or have other bands than the run's.
    """
    with looking(run, dataset, settings, progress) as sample:
        return neighbours_figure(sample, meant(sample, idx, radius), number)


@speaking_python()
def visualize_full_latent_map(
    run: RunLike,
    dataset: Given | None = None,
    *,
    idx: Which = 0,
    radius: float = NEAR_ARCSEC,
    settings: Mapping[str, object] | None = None,
    progress: bool | None = None,
) -> Figure:
    """Draw what a run sees of one galaxy, what it predicts, and how well.

    Args:
        run: a finished run.
        dataset: the galaxies; None: the run's own test galaxies.
        idx: number of the galaxy among them, its id, or its place on the sky (ra, dec) [deg].
        radius: how far from a place it may be [arcsec].
        settings: options of the data set, of the run's own too: `{"dataset.path": "moved.h5"}`.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Returns:
        five panels, see `latents_figure`.

    Raises:
        ConfigError: there is no such galaxy, or the run's own galaxies lie in files.
        DataError: the galaxies cannot be read, or have other bands than the run's.
    """
    with looking(run, dataset, settings, progress) as sample:
        return latents_figure(sample, meant(sample, idx, radius))
