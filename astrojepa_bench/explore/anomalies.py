"""Anomaly scores of galaxies, by distance in feature space and by prediction error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.evaluation.extras_on_offer import with_extras
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.evaluation.prediction_errors import DRAWS, prediction_errors
from astrojepa_bench.evaluation.store import FeatureFile
from astrojepa_bench.evaluators.probes.anomaly_scores import mahalanobis_scores, neighbour_scores
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import facts_table, rounded

NEIGHBOURS = 10
BY_DISTANCE = ("knn_distance", "mahalanobis_distance")
BY_ERROR = ("mean_mse", "max_mse", "mean_cosine", "min_cosine", "prediction_error")
SCORES = (*BY_DISTANCE, *BY_ERROR)
LOWER_IS_STRANGER = frozenset({"mean_cosine", "min_cosine"})
Scores = Mapping[str, Float[np.ndarray, " galaxy"]]


def anomaly_table(
    sample: Sample, by: str = "knn_distance", draws: int = DRAWS, *, predicts: bool = True
) -> pd.DataFrame:
    """Return the anomaly scores of each galaxy with its facts, the most anomalous first.

    | column | what |
    |---|---|
    | `rank` | 1 for the most anomalous by the column `by` |
    | `knn_distance` | mean standardised distance to the 10 nearest training galaxies, as evaluator `anomaly` |
    | `mahalanobis_distance` | from the mean of the training galaxies, shrunk covariance |
    | `mean_mse`, `max_mse` | mean and largest squared error of the predicted tokens |
    | `mean_cosine`, `min_cosine` | mean and smallest cosine of prediction and truth (lower is more anomalous) |
    | `prediction_error` | mean_mse + max_mse / 2 + (1 - mean_cosine) / 10 |
    | `draws` | of masks, over which these errors are averaged |

    Errors are averages over seeded draws of masks, the first of them the same however many there are; they are
    NaN where the objective predicts nothing, and compare views where it predicts no patches. Where the table has
    no training galaxies, distances are to the galaxies of the sample. A galaxy is never its own neighbour.
    Numbers have six significant digits.

    Args:
        sample: the galaxies.
        by: the score to rank by.
        draws: of masks.
        predicts: whether to predict galaxies whose errors are not kept; without it, their columns are left out.

    Raises:
        ConfigError: there is no such score, or the objective has none, or `draws` is no number from 1 on.

    Source:
        `prediction_error` is AstroJEPA's anomaly score. Deviations: an average over 16 seeded draws of masks
        instead of one unseeded draw, whose luck dominates the ranking; its parts stand beside it, since their
        spreads differ so much that the largest error decides the sum.
    """
    check_score(by)
    check_draws(draws)
    scores = {**distance_scores(sample)}
    if predicts or errors_are_kept(sample, draws):
        scores |= error_scores(sample, draws)
    if np.isnan(scores[by]).all():
        raise ConfigError(f"the objective predicts nothing, so there is no {by}; rank by knn_distance")
    ascending = scores[by] if by in LOWER_IS_STRANGER else -scores[by]
    order = np.lexsort((sample.table.ids[sample.rows], ascending))
    frame = facts_table(sample).assign(**scores, draws=draws).iloc[order].reset_index(drop=True)
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    return frame


def check_score(name: str) -> None:
    """Check the name of a score before any slow work.

    Raises:
        ConfigError: there is no such score; names the known ones.
    """
    if name not in SCORES:
        raise ConfigError(f"unknown anomaly score '{name}'; {nearest(name, SCORES)}")


def check_draws(draws: int) -> None:
    """Check a number of draws before any slow work.

    Raises:
        ConfigError: none at all.
    """
    if draws < 1:
        raise ConfigError(
            f"{draws} draws of masks tell nothing; ask for 1 or more ({DRAWS} is the usual number)"
        )


def distance_scores(sample: Sample) -> Scores:
    """Compute the distance of each galaxy from the reference galaxies, in the order of the sample."""
    reference = sample.reference.double()
    features = sample.latents.double()
    near = neighbour_scores(reference, features, NEIGHBOURS)
    member = np.isin(sample.rows, sample.reference_rows)
    if member.any() and len(reference) > 1:
        # A reference galaxy finds itself at distance 0: one more neighbour, of which that one does not count.
        taken = min(NEIGHBOURS + 1, len(reference))
        near[member] = neighbour_scores(reference, features[member], NEIGHBOURS + 1) * taken / (taken - 1)
    far = mahalanobis_scores(reference, features) if len(reference) > 1 else np.full(len(near), np.nan)
    return {"knn_distance": rounded(near), "mahalanobis_distance": rounded(far)}


def error_scores(sample: Sample, draws: int = DRAWS) -> Scores:
    """Compute how badly the objective predicts each galaxy, in the order of the sample; NaN where it cannot."""
    errors = _errors(sample, draws)
    if errors is None:
        name = sample.run.record.objective
        events.emit("note", text=f"objective '{name}' predicts nothing: no {', '.join(BY_ERROR)}")
        return {column: np.full(len(sample), np.nan) for column in BY_ERROR}
    found = {
        "mean_mse": errors["mean_squared"], "max_mse": errors["max_squared"],
        "mean_cosine": errors["mean_cosine"], "min_cosine": errors["min_cosine"],
    }  # fmt: skip
    found["prediction_error"] = found["mean_mse"] + found["max_mse"] / 2 + (1 - found["mean_cosine"]) / 10
    return {column: rounded(found[column].astype(float)) for column in BY_ERROR}


def _may_keep(sample: Sample, draws: int) -> bool:
    """Return whether a run's file has a place for such errors: of its own test galaxies, as evaluators see them."""
    of_test = sample.own and sample.split == "test"
    return of_test and draws == DRAWS and sample.kept is not None and sample.galaxies is not None


def errors_are_kept(sample: Sample, draws: int = DRAWS) -> bool:
    """Return whether prediction errors were kept with a run's features, so that they cost nothing."""
    run = sample.run
    if not _may_keep(sample, draws):
        return False
    file = FeatureFile(run.store.features_path(run.record.run_id), sample.table.fingerprint)
    return file.read("extras/prediction_errors") is not None


def _errors(sample: Sample, draws: int) -> Scores | None:
    """Read the errors stored with a run's features, or compute and store them; others are computed each time.

    What is stored is what evaluators are given, of `DRAWS` draws.
    """
    run, kept = sample.run, sample.kept
    if kept is None or sample.galaxies is None or not _may_keep(sample, draws):
        return prediction_errors(run.objective, run.masker, sample.images, sample.rows, draws=draws)
    subject = ExtrasContext(run.objective, run.masker, sample.galaxies)
    path = run.store.features_path(run.record.run_id)
    return with_extras(kept, ("prediction_errors",), subject, path).features.test.prediction_errors or None
