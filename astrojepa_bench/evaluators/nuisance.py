"""Whether a representation reads morphology, or the size, the brightness and the noise of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.factors import Factors
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.metric import binomial_se
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score

BINS = 4
BINNED = {"size": "half_light_radius", "brightness": "magnitude"}


class Nuisance(Evaluator):
    """How well features tell size, brightness, sky noise and pixel scale, and what is left of the classes without.

    Measures what an astronomer asks first of a representation: does it read morphology, or what goes with it?
    The ruler measures half-light radius, magnitude and sky noise on each image, and takes the pixel scale from
    the table where that knows it. `r2_NAME` is the share of the variance of each over the ordinary test
    galaxies that ridge regression on tap `last` explains (penalty chosen on val). Then the linear probe's
    answers are counted within bins of equal size or brightness, whose edges are the quartiles of train:
    `accuracy_size_1` (the smallest quarter) to `accuracy_size_4`, `accuracy_brightness_1` (the faintest) to
    `_4`, each with the galaxies in it as n. `accuracy_given_size` and `accuracy_given_brightness` are the
    accuracy over all bins beside the null that names the most frequent train class of each bin: what knowing
    the quarter alone is worth.

    Chance: R² 0; accuracies within bins the test share, in the bin, of its most frequent train class, and so
    for the accuracies over all bins. Golden numbers: features that are a measurement have R² 1 for it; features
    that hold the size alone, of classes that differ by nothing else, reach the null and no more. Do not read a
    high R² as a fault by itself: galaxies of one class share sizes and magnitudes, and a representation of
    morphology must tell those too. It is a fault where the accuracy given size is near its null.
    Display-stretched images have relative magnitudes.

    Source:
        Half-light radius and aperture as in the encoder `profile` (Conselice 2003, ApJS 147, 1); the sky by a
        clipped median (Stetson 1987, PASP 99, 191); stratified accuracy against a null after the controls of
        Galaxy-JEPA.
    """

    requires = ("label", "measurements")
    requests = ("measurements",)
    metrics = SHOWN["nuisance"]
    version = 1

    def evaluate(self, features: Features) -> Evaluation:
        """Regress measurements and count the linear probe's answers in bins; nothing is chosen on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: there are no measurements, or a split has no labelled galaxy.
        """
        if not features.test.measurements:
            raise DataError("the features hold no measurements; name `measurements` in `requests`")
        tap = features.taps[0]
        only = replace(
            features, train=_last(features.train, tap), val=_last(features.val, tap), test=_last(features.test, tap)
        )  # fmt: skip
        probe = Linear().evaluate(only)
        scores = [*_regressed(features), *_binned(features, probe)]
        selection: dict[str, float | str] = {"tap": tap, "C": probe.selection["C"]}
        return Evaluation(tuple(scores), dict(probe.predictions), probe.ids, selection, probe.warnings)


def _last(part: SplitFeatures, tap: str) -> SplitFeatures:
    """Leave the first tap alone: measurements and classes are read from the same features."""
    return replace(part, features={tap: part.features[tap]})


def _regressed(features: Features) -> Iterator[Score]:
    """Regress each measurement as `factors` does; one that is constant, or known for few galaxies, is left out."""

    def measured(part: SplitFeatures) -> SplitFeatures:
        return replace(part, factors=part.measurements, redshift=None)

    train, val, test = map(measured, (features.train, features.val, features.test))
    try:
        found = Factors().evaluate(replace(features, train=train, val=val, test=test))
    except DataError:
        return
    for score in found:
        if score.metric.startswith("r2_"):
            yield replace(score, evaluator="nuisance", higher_is_better=False)


def _binned(features: Features, probe: Evaluation) -> Iterator[Score]:
    """Count the probe's answers within quarters of size and of brightness."""
    train, test = features.train, features.test
    row = {name: index for index, name in enumerate(test.ids.tolist())}
    tested = np.array([row[name] for name in probe.ids.tolist()])
    learnt = np.flatnonzero(train.label >= 0)
    right = probe.predictions["class"] == test.label[tested]
    for name, column in BINNED.items():
        sign = -1.0 if column == "magnitude" else 1.0  # the faintest first, as the smallest
        known, shown = (sign * part.measurements[column] for part in (train, test))
        edges = np.nanquantile(known[learnt], np.arange(1, BINS) / BINS)
        bins, train_bins = np.digitize(shown[tested], edges), np.digitize(known[learnt], edges)
        guess = _usual_class(train.label[learnt], train_bins)
        guessed = guess[bins] == test.label[tested]
        n, value = len(right), float(right.mean())
        chance, error = float(guessed.mean()), binomial_se(value, n)
        yield Score("nuisance", f"accuracy_given_{name}", value, True, n, chance, error, right)
        for number in np.unique(bins).tolist():
            here = bins == number
            share, count, null = float(right[here].mean()), int(here.sum()), float(guessed[here].mean())
            metric = f"accuracy_{name}_{number + 1}"
            yield Score("nuisance", metric, share, True, count, null, binomial_se(share, count))


def _usual_class(
    label: Int[np.ndarray, " galaxy"], bins: Int[np.ndarray, " galaxy"]
) -> Int[np.ndarray, " bin"]:
    """Return the most frequent class of each bin (the lowest of equals); of all galaxies, where a bin is empty."""
    everywhere = int(np.bincount(label).argmax())
    found: list[int] = []
    for number in range(BINS):
        here = label[bins == number]
        found.append(int(np.bincount(here).argmax()) if len(here) else everywhere)
    return np.array(found)
