"""Whether anomalies lie far from ordinary galaxies in feature space."""

from __future__ import annotations

import numpy as np

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.metrics.ranking import check_both_kinds, ranking_scores, scores_by_kind
from astrojepa_bench.evaluators.probes.anomaly_scores import AnomalyScores, neighbour_scores
from astrojepa_bench.evaluators.probes.reading import read_features, read_ordinary
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
            check_both_kinds(kind)
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
