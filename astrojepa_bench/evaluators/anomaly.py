"""Whether anomalies lie far from ordinary galaxies in feature space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.metrics.ranking import ranking_scores, scores_by_kind
from astrojepa_bench.evaluators.probes.anomaly_scores import (
    AnomalyScores,
    forest_scores,
    mahalanobis_scores,
    neighbour_scores,
)
from astrojepa_bench.evaluators.probes.reading import by_id, read_features, read_ordinary
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score


class Anomaly(Evaluator):
    """Ranks test galaxies by their mean distance to the k nearest train galaxies.

    Measures whether anomalies that no training saw stand apart from ordinary galaxies. Features (tap `last`)
    are standardised on train, the distance is Euclidean, and larger is more anomalous. All ordinary test galaxies,
    labelled or not, are the background. Scores without a suffix rank all anomalies together; `_physical` and
    `_artefact` leave the other kind out of the ranking.

    Chance: `auroc` 1/2; `recall_at_k`, with k the number of anomalies, k / N, and so `precision_at_50` (at k, where
    there are fewer); `average_precision` what a random order scores on average, which for few anomalies lies
    above their share. Golden number: a feature that is the anomaly flag scores 1 in all four; equal scores for
    all galaxies give 1/2, k / N, k / N and k / N.
    Do not trust `average_precision` across test sets with other shares of anomalies, nor `recall_at_k` below
    some 50 anomalies; artefacts are easy (a blank frame is far from everything), so read the physical ones.

    Args:
        k: neighbours that are averaged. With 1 a single anomalous train galaxy hides everything near it, with
            hundreds a small but ordinary class looks anomalous; 10 lies within the 5 to 20 over which rankings
            hardly move.
        held_out: number of an ordinary class that is ranked as if it were an anomaly (metrics `_held_out`): left
            out of the train galaxies that distances are measured from, against all other ordinary test
            galaxies. Pretraining saw it: it is new to the scorer, not to the encoder.

    Source:
        Mean k-NN distance: Angiulli & Pizzuti 2002 (PKDD). Chance of average precision: Bestgen 2015
        (Scientometrics 105, 1203). Standard errors: DeLong et al. 1988 (Biometrics 44, 837) for the AUROC,
        binomial over the anomalies for recall and average precision (Boyd et al. 2013, ECML); for the latter
        it is cautious, by a tenth near 1 and up to twofold near chance (simulated).
    """

    requires = ("anomaly",)
    metrics = SHOWN["anomaly"]
    version = 2

    def __init__(self, *, k: int = 10, held_out: int | None = None) -> None:
        if k < 1:
            raise ConfigError(f"anomaly.k={k} must be at least 1; 10 is usual")
        if held_out is not None:
            self.requires = ("label",)  # known anomalies are welcome, but no longer needed
        self.k = k
        self.held_out = held_out

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on ordinary train galaxies, score all of test.

        Raises:
            ContractError: a feature is not finite.
            DataError: test lacks anomalies or ordinary galaxies.
        """
        tap, kind = features.taps[0], features.test.anomaly
        everything = read_features(features.test, "test", tap, np.arange(len(kind)))
        train = read_ordinary(features, "train", tap)
        scores, predictions = list[Score](), dict[str, np.ndarray]()
        if self.held_out is None or (kind > 0).any():
            _check_both_kinds(kind)
            predictions["anomaly_score"] = found = neighbour_scores(train, everything, self.k)
            scores += scores_by_kind("anomaly", found, kind)
        if self.held_out is not None:
            train = read_ordinary(features, "train", tap, without=self.held_out)
            predictions["anomaly_score_held_out"] = found = neighbour_scores(train, everything, self.k)
            scores += self._scores_held_out(found, features.test, self.held_out)
        selection: dict[str, float | str] = {"tap": tap, "k": float(min(self.k, len(train)))}
        warnings = {
            f"only {len(train)} train galaxies for k = {self.k}": len(train) < self.k,
            f"class {self.held_out} was held out of the scorer only: it was seen in pretraining": (
                self.held_out is not None
            ),
        }
        held = tuple(warning for warning, holds in warnings.items() if holds)
        return Evaluation(tuple(scores), predictions, features.test.ids, selection, held)

    def _scores_held_out(self, found: AnomalyScores, test: SplitFeatures, held_out: int) -> list[Score]:
        ordinary = (test.anomaly == 0) & (test.label >= 0)
        odd = test.label[ordinary] == held_out
        if not 0 < odd.sum() < len(odd):
            raise DataError(
                f"anomaly.held_out={held_out}: {odd.sum()} of {len(odd)} labelled test galaxies are of that class; "
                f"choose one of {np.unique(test.label[ordinary]).tolist()} beside others"
            )
        return ranking_scores("anomaly", found[ordinary], odd, "_held_out")


def _check_both_kinds(kind: Int[np.ndarray, " galaxy"]) -> None:
    if not 0 < (kind > 0).sum() < len(kind):
        raise DataError(
            f"test holds {(kind > 0).sum()} anomalies of {len(kind)} galaxies; anomaly needs both kinds"
        )


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
        _check_both_kinds(kind)
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
