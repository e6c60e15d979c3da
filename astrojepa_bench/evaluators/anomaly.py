"""Whether odd galaxies lie far from ordinary ones in feature space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.metrics.ranking import ranking_scores, scores_by_kind
from astrojepa_bench.evaluators.probes.anomaly_scores import (
    Oddness,
    forest_oddness,
    knn_oddness,
    mahalanobis_oddness,
)
from astrojepa_bench.evaluators.probes.reading import by_id, read_features, read_ordinary
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score


class Anomaly(Evaluator):
    """Ranks test galaxies by their mean distance to the k nearest train galaxies.

    Measures whether anomalies that no training saw stand apart from ordinary galaxies. Features (tap `last`)
    are standardised on train, the distance is Euclidean, larger is odder. All ordinary test galaxies,
    labelled or not, are the background. Scores without a suffix rank all anomalies together; `_physical` and
    `_artefact` leave the other kind out of the ranking.

    Chance: `auroc` 1/2; `recall_at_k`, with k the number of anomalies, k / N, and so `precision_at_50` (at k, where
    there are fewer); `average_precision` what a random order scores on average, which for few anomalies lies
    above their share. Golden number: a feature that is the anomaly flag scores 1 in all four; equal scores for
    all galaxies give 1/2, k / N, k / N and k / N.
    Do not trust `average_precision` across test sets with other shares of anomalies, nor `recall_at_k` below
    some 50 anomalies; artefacts are easy (a blank frame is far from everything), so read the physical ones.

    Args:
        k: neighbours that are averaged. With 1 a single odd train galaxy hides everything near it, with
            hundreds a small but ordinary class looks odd; 10 lies within the 5 to 20 over which rankings
            hardly move.
        held_out: number of an ordinary class that is ranked as if it were an anomaly (metrics `_held_out`): left
            out of the train galaxies that distances are measured from, against all other ordinary test
            galaxies. Pretraining saw it: it is odd to the scorer, not to the encoder.

    Source:
        Mean k-NN distance: Angiulli & Pizzuti 2002 (PKDD). Chance of average precision: Bestgen 2015
        (Scientometrics 105, 1203). Standard errors: DeLong et al. 1988 (Biometrics 44, 837) for the AUROC,
        binomial over the anomalies for recall and average precision (Boyd et al. 2013, ECML); for the latter
        it is cautious, by a tenth near 1 and up to twofold near chance (simulated).
    """

    requires = ("anomaly",)
    version = 2

    def __init__(self, *, k: int = 10, held_out: int | None = None) -> None:
        if k < 1:
            raise ConfigError(f"anomaly.k={k} must be at least 1; 10 is usual")
        if held_out is not None:
            self.requires = ("label",)  # known anomalies are welcome, but no longer needed
        self.k = k
        self.held_out = held_out

    def evaluate(self, answers: Features) -> Evaluation:
        """Fit on ordinary train galaxies, score all of test.

        Raises:
            ContractError: a feature is not finite.
            DataError: test lacks anomalies or ordinary galaxies.
        """
        tap, kind = answers.taps[0], answers.test.anomaly
        everything = read_features(answers.test, "test", tap, np.arange(len(kind)))
        train = read_ordinary(answers, "train", tap)
        scores, predictions = list[Score](), dict[str, np.ndarray]()
        if self.held_out is None or (kind > 0).any():
            _check_both_kinds(kind)
            predictions["oddness"] = oddness = knn_oddness(train, everything, self.k)
            scores += scores_by_kind("anomaly", oddness, kind)
        if self.held_out is not None:
            train = read_ordinary(answers, "train", tap, without=self.held_out)
            predictions["oddness_held_out"] = oddness = knn_oddness(train, everything, self.k)
            scores += _scores_held_out(oddness, answers.test, self.held_out)
        selection: dict[str, float | str] = {"tap": tap, "k": float(min(self.k, len(train)))}
        return Evaluation(tuple(scores), predictions, answers.test.ids, selection, self._warnings(len(train)))

    def _warnings(self, train: int) -> tuple[str, ...]:
        warnings = {
            f"only {train} train galaxies for k = {self.k}": train < self.k,
            f"class {self.held_out} was held out of the scorer only: it was seen in pretraining": (
                self.held_out is not None
            ),
        }
        return tuple(warning for warning, holds in warnings.items() if holds)


def _scores_held_out(oddness: Oddness, test: SplitFeatures, held_out: int) -> list[Score]:
    ordinary = (test.anomaly == 0) & (test.label >= 0)
    odd = test.label[ordinary] == held_out
    if not 0 < odd.sum() < len(odd):
        raise DataError(
            f"anomaly.held_out={held_out}: {odd.sum()} of {len(odd)} labelled test galaxies are of that class; "
            f"choose one of {np.unique(test.label[ordinary]).tolist()} beside others"
        )
    return ranking_scores("anomaly", oddness[ordinary], odd, "_held_out")


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
    requests = ("errors", "fluxes")
    version = 1

    def __init__(self, *, k: int = 10, trees: int = 500) -> None:
        if min(k, trees) < 1:
            raise ConfigError(
                f"anomaly-scorers.k={k} and anomaly-scorers.trees={trees} must be at least 1; 10 and 500 are usual"
            )
        self.k, self.trees = k, trees

    def evaluate(self, answers: Features) -> Evaluation:
        """Fit on ordinary train galaxies, score all of test with every scorer.

        Raises:
            ContractError: a feature is not finite.
            DataError: test lacks anomalies or ordinary galaxies.
        """
        kind = answers.test.anomaly
        _check_both_kinds(kind)
        oddness = {**dict(self._by_features(answers)), **dict(self._by_image(answers.train, answers.test))}
        scores = [
            score
            for name, values in oddness.items()
            for score in scores_by_kind("anomaly-scorers", values, kind, f"{name}_")
        ]
        selection: dict[str, float | str] = {"tap": answers.taps[0], "trees": float(self.trees)}
        return Evaluation(tuple(scores), oddness, answers.test.ids, selection, _warnings(scores))

    def _by_features(self, answers: Features) -> Iterator[tuple[str, Oddness]]:
        tap = answers.taps[0]
        train = read_ordinary(answers, "train", tap)
        test = read_features(answers.test, "test", tap, np.arange(len(answers.test.ids)))
        yield "mahalanobis", mahalanobis_oddness(train, test)
        yield "forest", forest_oddness(train, test, self.trees, answers.seed)

    def _by_image(self, train: SplitFeatures, test: SplitFeatures) -> Iterator[tuple[str, Oddness]]:
        if test.errors:
            yield "error", np.asarray(test.errors["mean_squared"], dtype=float)
            yield "error_max", np.asarray(test.errors["max_squared"], dtype=float)
        if train.fluxes is not None and test.fluxes is not None:
            ordinary = by_id(train, np.flatnonzero(train.anomaly == 0))
            yield "colour", knn_oddness(_tensor(train.fluxes[ordinary]), _tensor(test.fluxes), self.k)


def _tensor(fluxes: Float[np.ndarray, "galaxy band"]) -> Float[torch.Tensor, "galaxy band"]:
    return torch.as_tensor(fluxes).double()


def _warnings(scores: list[Score]) -> tuple[str, ...]:
    auroc = {score.metric: score.value for score in scores if "auroc" in score.metric}
    return tuple(
        f"{kind} anomalies: colour alone ranks them as well as the features do"
        for kind in ("physical", "artefact")
        if f"colour_auroc_{kind}" in auroc
        and auroc[f"colour_auroc_{kind}"] >= auroc[f"mahalanobis_auroc_{kind}"]
    )
