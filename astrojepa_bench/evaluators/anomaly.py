"""Whether odd galaxies lie far from ordinary ones in feature space."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.answers import Answers, SplitAnswers
from astrojepa_bench.evaluators.reading import read_features, read_ordinary
from astrojepa_bench.evaluators.standardise import Standardisation
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import ANOMALY_KINDS, Evaluation, Score

Scores = Float[np.ndarray, " galaxy"]
CHUNK = 1024


class Anomaly(Evaluator):
    """Ranks test galaxies by their mean distance to the k nearest train galaxies.

    Measures whether anomalies that no training saw stand apart from ordinary galaxies. Features (tap `last`)
    are standardised on train, the distance is Euclidean, larger is odder. All ordinary test galaxies,
    labelled or not, are the background. Scores without a suffix rank all anomalies together; `_physical` and
    `_artefact` leave the other kind out of the ranking.

    Chance: `auroc` 1/2; `recall_at_k`, with k the number of anomalies, k / N; `average_precision` what a
    random order scores on average, which for few anomalies lies above their share. Golden number: a feature
    that is the anomaly flag scores 1 in all three; equal scores for all galaxies give 1/2, k / N and k / N.
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
    version = 1

    def __init__(self, *, k: int = 10, held_out: int | None = None) -> None:
        if k < 1:
            raise ConfigError(f"anomaly.k={k} must be at least 1; 10 is usual")
        if held_out is not None:
            self.requires = ("label",)  # known anomalies are welcome, but no longer needed
        self.k = k
        self.held_out = held_out

    def evaluate(self, answers: Answers) -> Evaluation:
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
            scores += _scores_by_kind(oddness, kind)
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


def _check_both_kinds(kind: Int[np.ndarray, " galaxy"]) -> None:
    if not 0 < (kind > 0).sum() < len(kind):
        raise DataError(
            f"test holds {(kind > 0).sum()} anomalies of {len(kind)} galaxies; anomaly needs both kinds"
        )


def knn_oddness(train: Float[Tensor, "voter dim"], features: Float[Tensor, "galaxy dim"], k: int) -> Scores:
    """Give the mean standardised distance of each galaxy to its k nearest of `train` (all, if fewer)."""
    scaling = Standardisation.fit(train)
    reference = scaling(train)
    parts = [torch.cdist(scaling(part), reference) for part in features.split(CHUNK)]
    nearest = [part.topk(min(k, len(train)), largest=False).values.mean(dim=1) for part in parts]
    oddness: Scores = torch.cat(nearest).double().cpu().numpy()
    return oddness


def _scores_by_kind(oddness: Scores, kind: Int[np.ndarray, " galaxy"]) -> list[Score]:
    """Score the ranking of all anomalies together, then of each kind by itself."""
    present = [index for index in range(1, len(ANOMALY_KINDS)) if (kind == index).any()]
    rankings = [("", present), *((f"_{ANOMALY_KINDS[index]}", [index]) for index in present)]
    scores: list[Score] = []
    for suffix, wanted in rankings:
        ranked = np.isin(kind, [0, *wanted])
        scores += _scores(oddness[ranked], kind[ranked] > 0, suffix)
    return scores


def _scores_held_out(oddness: Scores, test: SplitAnswers, held_out: int) -> list[Score]:
    ordinary = (test.anomaly == 0) & (test.label >= 0)
    odd = test.label[ordinary] == held_out
    if not 0 < odd.sum() < len(odd):
        raise DataError(
            f"anomaly.held_out={held_out}: {odd.sum()} of {len(odd)} labelled test galaxies are of that class; "
            f"choose one of {np.unique(test.label[ordinary]).tolist()} beside others"
        )
    return _scores(oddness[ordinary], odd, "_held_out")


def _scores(oddness: Scores, odd: Bool[np.ndarray, " galaxy"], suffix: str) -> list[Score]:
    n, k = len(odd), int(odd.sum())
    auroc, precision = float(roc_auc_score(odd, oddness)), float(average_precision_score(odd, oddness))
    recall, chance = recall_at_k(odd, oddness, k), average_precision_chance(k, n)
    se = auroc_standard_error(odd, oddness)
    name = f"average_precision{suffix}"
    return [
        Score("anomaly", f"auroc{suffix}", auroc, True, n, 0.5, se),
        Score("anomaly", name, precision, True, n, chance, _binomial(precision, k)),
        Score("anomaly", f"recall_at_k{suffix}", recall, True, n, k / n, _binomial(recall, k)),
    ]


def recall_at_k(odd: Bool[np.ndarray, " galaxy"], score: Scores, k: int) -> float:
    """Give the share of anomalies among the k highest scores, in expectation over the order of equal ones."""
    edge = np.sort(score)[::-1][k - 1]
    above, level = score > edge, score == edge
    drawn = (k - above.sum()) / level.sum()
    return float((odd & above).sum() + drawn * (odd & level).sum()) / float(odd.sum())


def auroc_standard_error(odd: Bool[np.ndarray, " galaxy"], score: Scores) -> float | None:
    """Give DeLong's standard error; None where either side holds a single galaxy."""
    odd_count, ordinary_count = int(odd.sum()), int((~odd).sum())
    if min(odd_count, ordinary_count) < 2:
        return None
    ranks = rankdata(score)
    of_odd = (ranks[odd] - rankdata(score[odd])) / ordinary_count
    of_ordinary = (ranks[~odd] - rankdata(score[~odd])) / odd_count
    return math.sqrt(of_odd.var(ddof=1) / odd_count + of_ordinary.var(ddof=1) / ordinary_count)


def average_precision_chance(odd: int, n: int) -> float:
    """Give the mean average precision of a random order of `n` galaxies, `odd` of them anomalies.

    The anomaly at rank i stands above (i - 1)(odd - 1)/(n - 1) others in expectation, so its precision is
    (1 + that) / i; the mean over all ranks i.
    """
    harmonic = float((1 / np.arange(1, n + 1)).mean())
    return harmonic + (odd - 1) / max(n - 1, 1) * (1 - harmonic)


def _binomial(share: float, n: int) -> float:
    return math.sqrt(share * (1 - share) / n)
