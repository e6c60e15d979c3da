"""How much of the classes a small network finds in frozen features."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import Tensor

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.metrics.calibration import nll_score
from astrojepa_bench.evaluators.metrics.classification import accuracy_score, balanced_accuracy_score
from astrojepa_bench.evaluators.probes.reading import LabelledGalaxies, read_labelled
from astrojepa_bench.evaluators.probes.standardise import Standardisation
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.events import track
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
STEPS = 100
LEAST_PROBABILITY = 1e-12  # of a class: a network that is sure and wrong must still have a finite log-loss


class MLP(Evaluator):
    """A network with one hidden layer of 64 units on standardised frozen features.

    Measures what of the classes is in the features though no straight boundary shows it, and so what a probe that
    may bend gains over `linear`. Under it the encoder `profile` is the floor of whoever is told those measurements:
    a network that merely learnt to repeat them is worth no more. Fitted on train only; penalty and tap are those
    with the least validation log-loss of the first start, from the strongest penalty on until it no longer falls.
    Three starts are then averaged in probability, so that no score hangs on the luck of one.

    Chance: accuracy, the test share of the most frequent train class; balanced accuracy, 1 / classes; `nll`, the
    log-loss of the class shares of train. Golden number: equal to the mean of three of scikit-learn's
    `MLPClassifier`, seeds 0, 1, 2, on z-scores.
    Do not trust it to rank encoders that were meant for a linear reader: it repairs what they left tangled. Nor
    differences below two standard errors of one test set; nor on fewer than some hundred labels, where it overfits.

    Args:
        hidden: units of the hidden layer.
        penalties: weights of the squared weights to choose from, in scikit-learn's sense (`alpha`).
        starts: how many networks are averaged.

    Source:
        Rumelhart, Hinton & Williams 1986 (Nature 323, 533); L-BFGS for at most 100 steps (Liu & Nocedal 1989,
        Math. Program. 45, 503). Stopping there is part of the definition.
    """

    requires = ("label",)
    metrics = SHOWN["mlp"]
    version = 1

    def __init__(
        self, *, hidden: int = 64, penalties: tuple[float, ...] = PENALTIES, starts: int = 3
    ) -> None:
        if hidden < 1 or starts < 1 or not penalties or min(penalties) <= 0:
            raise ConfigError(
                f"mlp.hidden={hidden}, mlp.starts={starts} and mlp.penalties={penalties} must be positive; 64, 3 "
                "and 0.3 to 100 are usual"
            )
        self.hidden, self.starts = hidden, starts
        self.penalties = tuple(sorted(penalties, reverse=True))

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on train, choose penalty and tap on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: a split has no labelled galaxy.
        """
        taps = track(features.taps, task="small networks", total=len(features.taps), unit="taps")
        reader = min(
            (self._read(features, tap) for tap in taps), key=lambda one: one.log_loss
        )  # first of equals
        reader = reader.with_starts(self.hidden, self.starts)
        test = read_labelled(features, "test", reader.tap)
        p = reader.probability(test.features)
        predicted = reader.classes[p.argmax(axis=1)]
        scores = (
            accuracy_score("mlp", test.label, predicted, reader.train.label),
            balanced_accuracy_score("mlp", test.label, predicted),
            *reader.nll(test),
        )
        selection: dict[str, float | str] = {
            "penalty": reader.penalty,
            "tap": reader.tap,
            "val_log_loss": reader.log_loss,
        }
        return Evaluation(scores, {"class": predicted}, test.ids, selection)

    def _read(self, features: Features, tap: str) -> _Networks:
        """Find the penalty that validation prefers on one tap, with the first start."""
        train, val = read_labelled(features, "train", tap), read_labelled(features, "val", tap)
        scaling, best = Standardisation.fit(train.features), None
        for penalty in self.penalties:
            reader = _Networks(tap, train, scaling, penalty, ()).with_starts(self.hidden, 1)
            reader = replace(reader, log_loss=sum(score.value for score in reader.nll(val)))
            if best is not None and reader.log_loss >= best.log_loss:
                break  # beyond its minimum the log-loss rises
            best = reader
        assert best is not None  # there is a penalty
        return best


@dataclass(frozen=True)
class _Networks:
    """Networks on one tap under one penalty.

    Attributes:
        tap: what they read.
        train: what they are fitted on.
        scaling: of the tap.
        penalty: weight of the squared weights.
        networks: one a start.
        log_loss: of validation.
    """

    tap: str
    train: LabelledGalaxies
    scaling: Standardisation
    penalty: float
    networks: tuple[MLPClassifier, ...]
    log_loss: float = math.inf

    @property
    def classes(self) -> Int[np.ndarray, " class"]:
        """Those of the train labels."""
        return np.unique(self.train.label)

    def with_starts(self, hidden: int, starts: int) -> _Networks:
        """Fit the starts that are missing."""
        rows = _rows(self.scaling(self.train.features))
        made = list(self.networks)
        for start in range(len(made), starts):
            network = MLPClassifier(
                (hidden,), solver="lbfgs", alpha=self.penalty, max_iter=STEPS, random_state=start
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is meant
                made.append(network.fit(rows, self.train.label))
        return replace(self, networks=tuple(made))

    def probability(self, features: Float[Tensor, "galaxy dim"]) -> Float[np.ndarray, "galaxy class"]:
        """Average what the networks state; of one class scikit-learn states its opposite too."""
        rows, count = _rows(self.scaling(features)), len(self.classes)
        stated = [network.predict_proba(rows)[:, :count] for network in self.networks]
        mean: Float[np.ndarray, "galaxy class"] = np.mean(stated, axis=0)
        return mean

    def nll(self, galaxies: LabelledGalaxies) -> tuple[Score, ...]:
        """Score the stated probabilities; a class that train lacks has none, and is left out."""
        known = np.isin(galaxies.label, self.classes)
        if not known.any():
            return ()
        log_p = np.log(self.probability(galaxies.features)[known].clip(min=LEAST_PROBABILITY))
        truth, train = (
            np.searchsorted(self.classes, each) for each in (galaxies.label[known], self.train.label)
        )
        return (nll_score("mlp", truth, log_p, train),)


def _rows(features: Float[Tensor, "galaxy dim"]) -> Float[np.ndarray, "galaxy dim"]:
    found: Float[np.ndarray, "galaxy dim"] = features.double().cpu().numpy()
    return found
