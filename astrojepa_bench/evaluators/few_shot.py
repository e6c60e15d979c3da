"""How much of the classes a linear classifier finds when only a few galaxies of each are labelled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.probes.logistic import LogisticFits, fit_logistic_draws
from astrojepa_bench.evaluators.probes.reading import LabelledGalaxies, read_labelled
from astrojepa_bench.evaluators.probes.standardise import Standardisation
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.events import track
from astrojepa_bench.features import Features
from astrojepa_bench.metric import binomial_se
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.streams import stream_seed
from astrojepa_bench.types import Evaluation, Score

SHOTS = (1, 5, 10, 100)
C_GRID = (1e-3, 1e-2, 1e-1, 1.0, 1e1)
TOLERANCE = 1e-5  # after few galaxies many answers hang by a hair
Hits = Bool[np.ndarray, "... galaxy"]


class FewShot(Evaluator):
    """The linear probe fitted on 1, 5, 10 and 100 galaxies of each class (all of a class that has fewer).

    Measures how few labels a representation needs. Each number is a mean over random draws of the labelled
    galaxies, with its spread beside it (`..._spread`, the standard deviation over draws): a single draw of one
    galaxy per class is luck by several points. Draws follow from the ids of the galaxies alone, so all entries
    and seeds see the same ones; larger draws contain the smaller ones. Features are standardised on all labelled
    train galaxies, which takes no label. For each number of galaxies, the inverse penalty C and the tap are
    those of the best validation balanced accuracy, averaged over the draws (the strongest penalty, then the first
    tap, of equals): all of val is used for that, so this measures features and not a recipe for few labels. No
    fixed C would be fair: between encoders the best one differs a hundredfold, which is worth 6 points.

    Chance: 1 / classes of train, for accuracy as well, since each class is drawn equally often; nothing for test
    galaxies of a class that train lacks. Golden number: equal to `sklearn.linear_model.LogisticRegression` on the
    same galaxies. Do not trust differences below the standard errors, which are of the test galaxies, for these
    draws: other galaxies of each class would add the spread over draws divided by the root of their number. Nor 100
    per class where a warning says that classes have fewer.

    Args:
        draws: how many draws are averaged.

    Source:
        Low-shot evaluation by logistic regression on frozen features: Assran et al. 2022 (arXiv 2204.07141).
        Deviations: C and tap chosen on val, standardised features, five draws.
    """

    requires = ("label",)
    metrics = SHOWN["few-shot"]
    version = 2

    def __init__(self, *, draws: int = 5) -> None:
        if draws < 2:
            raise ConfigError(f"few-shot.draws={draws} must be at least 2, or there is no spread; 5 is usual")
        self.draws = draws

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on draws of train, choose C and tap on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: a split has no labelled galaxy.
        """
        splits = {
            tap: tuple(read_labelled(features, split, tap) for split in ("train", "val", "test"))
            for tap in features.taps
        }
        train, _, test = splits[features.taps[0]]
        scores, predictions = list[Score](), dict[str, np.ndarray]()
        selection: dict[str, float | str] = {"standard_errors": "of the test galaxies, for these draws"}
        warnings = list[str]()
        for shots in track(SHOTS, task="few-shot probes", total=len(SHOTS), unit="curve points"):
            rows = draw_rows(train, shots, self.draws)
            probes = [_FewShotProbe.fit(tap, rows, *splits[tap][:2]) for tap in splits]
            best = max(probes, key=lambda probe: probe.validation)  # the first of equals
            answered = best.predict(splits[best.tap][2].features)
            scores += curve_point(shots, answered == test.label, test.label, np.unique(train.label))
            predictions |= {f"class_{shots}_{draw}": found for draw, found in enumerate(answered)}
            selection |= {f"C_{shots}": best.c, f"tap_{shots}": best.tap}
            warnings += [*_shortages(shots, train.label), *best.warnings(shots)]
        return Evaluation(tuple(scores), predictions, test.ids, selection, tuple(warnings))


def draw_rows(train: LabelledGalaxies, shots: int, draws: int) -> Int[np.ndarray, "draw row"]:
    """Draw `shots` galaxies of each class, or all there are.

    A galaxy's place in the queue of its class is a hash of its id and the number of the draw: the order of the
    table, other galaxies and other classes have no say in it.
    """
    queues = [
        np.array([stream_seed(0, f"few-shot/{name}", draw) for name in train.ids.tolist()], dtype=np.int64)
        for draw in range(draws)
    ]
    members = [np.flatnonzero(train.label == index) for index in np.unique(train.label)]
    return np.stack([np.concatenate([own[np.argsort(q[own])][:shots] for own in members]) for q in queues])


@dataclass(frozen=True)
class _FewShotProbe:
    """One classifier per draw on one tap, at the penalty that validation prefers."""

    tap: str
    classes: Int[np.ndarray, " class"]
    scaling: Standardisation
    fits: LogisticFits
    c: float = 0.0
    validation: float = 0.0

    @classmethod
    def fit(
        cls, tap: str, rows: Int[np.ndarray, "draw row"], train: LabelledGalaxies, val: LabelledGalaxies
    ) -> _FewShotProbe:
        classes, target = np.unique(train.label, return_inverse=True)
        scaling = Standardisation.fit(train.features)
        here = torch.as_tensor(rows, device=train.features.device)
        features = scaling(train.features)[here]
        classes_there = torch.as_tensor(target, device=here.device)[here]
        fits = fit_logistic_draws(features, classes_there, C_GRID, tolerance=TOLERANCE)
        hits = cls(tap, classes, scaling, fits).predict(val.features) == val.label
        found = balanced_mean(hits, val.label).reshape(len(rows), len(C_GRID)).mean(axis=0)
        best = int(found.argmax())
        chosen = fits.only(slice(best, None, len(C_GRID)))
        return cls(tap, classes, scaling, chosen, C_GRID[best], float(found[best]))

    def predict(self, features: Float[Tensor, "galaxy dim"]) -> Int[np.ndarray, "fit galaxy"]:
        predicted: Int[np.ndarray, "fit galaxy"]
        predicted = self.classes[self.fits.predict(self.scaling(features)).cpu().numpy()]
        return predicted

    def warnings(self, shots: int) -> Iterator[str]:
        cut_short = int((~self.fits.converged).sum())
        if cut_short:
            yield f"{cut_short} fits on {shots} per class (C = {self.c:g}, tap '{self.tap}') did not converge"


def balanced_mean(
    values: Float[np.ndarray, "... galaxy"] | Hits, label: Int[np.ndarray, " galaxy"]
) -> Float[np.ndarray, ...]:
    """Average over the galaxies of each class, then over the classes."""
    return np.mean([values[..., label == index].mean(axis=-1) for index in np.unique(label)], axis=0)


def curve_point(
    shots: int,
    hits: Bool[np.ndarray, "draw galaxy"],
    label: Int[np.ndarray, " galaxy"],
    drawn: Int[np.ndarray, " class"],
) -> Iterator[Score]:
    """Score the mean over draws; its standard error is that of the mean success of the galaxies in test.

    Chance is that of naming any of the classes that are drawn from train, one as often as the other.

    Args:
        shots: galaxies drawn of each class.
        hits: whether each answer of each draw is right.
        label: class of each test galaxy.
        drawn: the classes of train.
    """
    n, success = len(label), hits.mean(axis=0)
    guess = np.isin(label, drawn)[None] / len(drawn)
    members = np.unique(label, return_counts=True)[1]
    error = math.hypot(*(_error(success[label == index]) for index in np.unique(label))) / len(members)
    balanced, chance = balanced_mean(hits, label), float(balanced_mean(guess, label)[0])
    mean, plain = float(balanced.mean()), _error(success)
    yield Score("few-shot", f"balanced_accuracy_{shots}", mean, True, n, chance, error)
    yield Score("few-shot", f"balanced_accuracy_{shots}_spread", float(balanced.std(ddof=1)), False, n)
    yield Score("few-shot", f"accuracy_{shots}", float(success.mean()), True, n, float(guess.mean()), plain)


def _error(success: Float[np.ndarray, " galaxy"]) -> float:
    """Return the standard error of a mean over galaxies of how often each was right, a share's where all agree."""
    mean, n = float(success.mean()), len(success)
    return float(success.std()) / math.sqrt(n) if np.ptp(success) > 0 else binomial_se(mean, n)


def _shortages(shots: int, label: Int[np.ndarray, " galaxy"]) -> Iterator[str]:
    members = np.unique(label, return_counts=True)[1]
    if (members < shots).any():
        yield (
            f"{(members < shots).sum()} of {len(members)} classes have fewer than {shots} labelled train galaxies "
            f"(as few as {members.min()}); all of them were drawn"
        )
