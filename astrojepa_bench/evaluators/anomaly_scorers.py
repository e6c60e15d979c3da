"""Whether other ways to score anomalies agree: covariance, forest, prediction error, and colour alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.metrics.ranking import check_both_kinds, scores_by_kind
from astrojepa_bench.evaluators.probes.anomaly_scores import (
    AnomalyScores,
    forest_scores,
    mahalanobis_scores,
    neighbour_scores,
)
from astrojepa_bench.evaluators.probes.reading import by_id, read_features, read_ordinary
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation


class AnomalyScorers(Evaluator):
    """Ranks test galaxies by other scorers than `anomaly`: covariance, forest, prediction error, and colour alone.

    Measures whether the ranking of `anomaly` is a matter of its scorer, whether the objective's own prediction
    error finds what its features find, and whether colour would have been enough. Metrics are those of `anomaly`
    under a prefix: `mahalanobis_` (distance from the mean of train in units of its shrunk covariance), `forest_`
    (isolation forest), `error_` and `error_max_` (mean and largest squared error of the objective's
    predictions, over 16 draws of masks; left out, with a warning, where the objective predicts nothing), and the
    control `colour_`: k-NN distance in the mean flux of each band. Tap `last`, fitted on ordinary train galaxies.

    Chance, golden number, standard errors: as for `anomaly`. Do not trust any of them where `colour_` scores as
    high: then the anomalies come from another survey or exposure, and nothing was learnt about their shape.
    Prediction errors rise with brightness and contrast; a bright ordinary galaxy may rank above a faint lens.

    Args:
        k: neighbours that are averaged by the colour control.
        trees: of the isolation forest.

    Source:
        Ledoit & Wolf 2004 (J. Multivariate Analysis 88, 365); Liu, Ting & Zhou 2008 (ICDM); prediction error as
        in AstroJEPA, deviation: averaged over seeded masks, and its parts kept apart.
    """

    requires = ("anomaly",)
    requests = ("prediction_errors", "band_fluxes")
    metrics = SHOWN["anomaly-scorers"]
    version = 1

    def __init__(self, *, k: int = 10, trees: int = 500) -> None:
        if min(k, trees) < 1:
            raise ConfigError(
                f"anomaly-scorers.k={k} and anomaly-scorers.trees={trees} must be at least 1; 10 and 500 are usual"
            )
        self.k, self.trees = k, trees

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on ordinary train galaxies, score all of test with every scorer.

        Raises:
            ContractError: a feature is not finite.
            DataError: test lacks anomalies or ordinary galaxies.
        """
        kind = features.test.anomaly
        check_both_kinds(kind)
        found = dict(self._anomaly_scores(features))
        scores = [
            score
            for name, values in found.items()
            for score in scores_by_kind("anomaly-scorers", values, kind, f"{name}_")
        ]
        selection: dict[str, float | str] = {"tap": features.taps[0], "trees": float(self.trees)}
        auroc = {score.metric: score.value for score in scores if "auroc" in score.metric}
        warnings = tuple(
            f"{kind} anomalies: colour alone ranks them as well as the features do"
            for kind in ("physical", "artefact")
            if f"colour_auroc_{kind}" in auroc
            and auroc[f"colour_auroc_{kind}"] >= auroc[f"mahalanobis_auroc_{kind}"]
        )
        return Evaluation(tuple(scores), found, features.test.ids, selection, warnings)

    def _anomaly_scores(self, features: Features) -> Iterator[tuple[str, AnomalyScores]]:
        """Score every test galaxy by its features, by its prediction errors, and by its colours alone."""
        train, test, tap = features.train, features.test, features.taps[0]
        fitted = read_ordinary(features, "train", tap)
        scored = read_features(test, "test", tap, np.arange(len(test.ids)))
        yield "mahalanobis", mahalanobis_scores(fitted, scored)
        yield "forest", forest_scores(fitted, scored, self.trees, features.seed)
        if test.prediction_errors:
            yield "error", np.asarray(test.prediction_errors["mean_squared"], dtype=float)
            yield "error_max", np.asarray(test.prediction_errors["max_squared"], dtype=float)
        if train.band_fluxes is not None and test.band_fluxes is not None:
            ordinary = by_id(train, np.flatnonzero(train.anomaly == 0))
            near = torch.as_tensor(train.band_fluxes[ordinary]).double()
            yield "colour", neighbour_scores(near, torch.as_tensor(test.band_fluxes).double(), self.k)
