"""Invented answers for evaluators: features that are the truth, that know nothing of it, or something between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float

from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.streams import numpy_stream
from astrojepa_bench.types import Split

CLASSES, DIM, VIEWED, VIEWS = 4, 12, 40, 4
ROWS: dict[Split, tuple[int, int]] = {"train": (160, 0), "val": (80, 0), "test": (160, 48)}
Draw: TypeAlias = Callable[[SplitFeatures, np.random.Generator], Float[np.ndarray, "galaxy dim"]]


def answers_of(draw: Draw, seed: int = 0) -> Features:
    """Invent galaxies of four balanced classes, with anomalies in test, and draw two taps for them.

    Redshift, the factor and the prediction error are independent of class; the twin is the same galaxies.
    """
    stream, drawing = numpy_stream(seed, "invented answers"), numpy_stream(seed, "invented features")
    splits = {name: _with_features(_facts(name, stream), draw, drawing) for name in ROWS}
    test = splits["test"]
    last = test.features["last"]
    spread = torch.from_numpy(drawing.normal(size=(VIEWED, VIEWS, last.shape[1]))).float()
    views = last[:VIEWED, None] + 1e-3 * spread
    return Features(**splits, classes=CLASSES, seed=seed, views=views, twin=test)


def _facts(name: Split, stream: np.random.Generator) -> SplitFeatures:
    count, odd = ROWS[name]
    rows = count + odd
    label = np.concatenate([stream.permutation(np.arange(count) % CLASSES), np.full(odd, -1)])
    anomaly = np.concatenate([np.zeros(count, dtype=np.int64), 1 + np.arange(odd) % 2])
    return SplitFeatures(
        np.array([f"{name}-{row:04d}" for row in stream.permutation(rows)]),
        {},
        label,
        anomaly,
        redshift=stream.uniform(0.0, 0.2, rows),
        factors={"axis_ratio": stream.uniform(0.1, 1.0, rows)},
        fluxes=stream.uniform(0.1, 0.3, (rows, 3)).astype(np.float32),
        errors=_errors(anomaly, stream) if name == "test" else {},
    )


def _errors(anomaly: np.ndarray, stream: np.random.Generator) -> dict[str, Float[np.ndarray, " galaxy"]]:
    names = ("mean_squared", "max_squared", "mean_cosine", "min_cosine")
    return {name: (anomaly > 0) + 1e-3 * stream.uniform(size=len(anomaly)) for name in names}


def _with_features(facts: SplitFeatures, draw: Draw, stream: np.random.Generator) -> SplitFeatures:
    features = {tap: torch.from_numpy(draw(facts, stream)).float() for tap in ("last", "last4")}
    return replace(facts, features=features)


def truth(facts: SplitFeatures, stream: np.random.Generator) -> Float[np.ndarray, "galaxy dim"]:
    """One column per class, one for anomalies, and the numbers; with hardly any noise."""
    kind = np.where(facts.label < 0, CLASSES, facts.label)
    columns = [np.eye(CLASSES + 1)[kind], *(values[:, None] for values in facts.columns.values())]
    known = np.concatenate(columns, axis=1)
    return known + 1e-3 * stream.normal(size=known.shape)


def hint(facts: SplitFeatures, stream: np.random.Generator) -> Float[np.ndarray, "galaxy dim"]:
    """The truth under noise, so that no score is perfect and none is chance."""
    known = truth(facts, stream)
    return known + 0.6 * stream.normal(size=known.shape)


def nothing(facts: SplitFeatures, stream: np.random.Generator) -> Float[np.ndarray, "galaxy dim"]:
    """Noise that knows nothing of any galaxy."""
    return stream.normal(size=(len(facts.ids), DIM))


def ignorance(seed: int = 0) -> Features:
    """The galaxies of `answers_of(hint, seed)` under features, twins and prediction errors that know nothing."""
    answers, stream = answers_of(nothing, seed), numpy_stream(seed, "ignorance")
    errors = {name: stream.permutation(values) for name, values in answers.test.errors.items()}
    test = replace(answers.test, errors=errors)
    return replace(answers, test=test, twin=_with_features(test, nothing, stream))


def shuffled(facts: SplitFeatures, stream: np.random.Generator) -> SplitFeatures:
    """The same galaxies in another order."""
    return rearranged(facts, stream.permutation(len(facts.ids)))


def rearranged(facts: SplitFeatures, order: np.ndarray) -> SplitFeatures:
    """Rows of every column, in the given order."""
    return SplitFeatures(
        facts.ids[order],
        {tap: values[torch.from_numpy(order)] for tap, values in facts.features.items()},
        facts.label[order],
        facts.anomaly[order],
        None if facts.redshift is None else facts.redshift[order],
        {name: values[order] for name, values in facts.factors.items()},
        None if facts.fluxes is None else facts.fluxes[order],
        {name: values[order] for name, values in facts.errors.items()},
    )


def in_another_order(answers: Features, stream: np.random.Generator) -> Features:
    """The same answers, each split in another order, the twin in that of the test galaxies."""
    order = stream.permutation(len(answers.test.ids))
    test = rearranged(answers.test, order)
    train, val = (shuffled(answers.split(name), stream) for name in ("train", "val"))
    return replace(answers, train=train, val=val, test=test, twin=test)


def unlabelled(answers: Features, label: int = -1) -> Features:
    """Give every ordinary galaxy the same label, or none."""

    def put(facts: SplitFeatures) -> SplitFeatures:
        return replace(facts, label=np.where(facts.label < 0, -1, label))

    train, val, test = (put(answers.split(name)) for name in ROWS)
    return replace(answers, train=train, val=val, test=test, twin=test)
