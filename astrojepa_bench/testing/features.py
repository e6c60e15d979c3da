"""Invented features for evaluators: the truth itself, features that know nothing of it, and some between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from astrojepa_bench.features import Features, OtherSurvey, SplitFeatures, Trainable
from astrojepa_bench.roles import Encoder
from astrojepa_bench.streams import numpy_stream
from astrojepa_bench.types import ImageSpec, Split, Tokens

CLASSES, DIM, VIEWED, VIEWS, TOKENS = 4, 12, 40, 4, 4
ROWS: dict[Split, tuple[int, int]] = {"train": (160, 0), "val": (80, 0), "test": (160, 48)}
MEASURED = ("half_light_radius", "magnitude", "sky_noise")
Draw: TypeAlias = Callable[[SplitFeatures, np.random.Generator], Float[np.ndarray, "galaxy dim"]]


def features_of(draw: Draw, seed: int = 0) -> Features:
    """Invent galaxies of four balanced classes, with anomalies in test, and draw two taps for them.

    Redshift, the factor, the measurements and the prediction error are independent of class; the shift twin is the
    same galaxies. Each galaxy has four patch tokens: its features (tap `last`), each hardly changed. The taps are
    the layers, and an image that shows the features, a band each, is what the encoder may be trained on. Another
    survey, drawn like this one, has the same classes.
    """
    stream, drawing = numpy_stream(seed, "invented answers"), numpy_stream(seed, "invented features")
    splits = {name: _with_features(_facts(name, stream), draw, drawing) for name in ROWS}
    test = splits["test"]
    last = test.features["last"]
    spread = torch.from_numpy(drawing.normal(size=(VIEWED, VIEWS, last.shape[1]))).float()
    views = last[:VIEWED, None] + 1e-3 * spread
    return Features(
        splits["train"], splits["val"], test, classes=CLASSES, seed=seed, augmented_views=views,
        shifted_test=test, encode_tokens=_tokens_around(splits.values(), drawing),
        trainable=trainable_over(splits.values()), other_survey=partial(_other_survey, draw, seed),
    )  # fmt: skip


def _other_survey(
    draw: Draw, seed: int, data: Path | None = None, grouping: tuple[str, ...] = ()
) -> OtherSurvey:
    """Draw the same kinds of galaxies once more, whatever is asked for."""
    stream, drawing = numpy_stream(seed, "other answers"), numpy_stream(seed, "other features")
    parts = {name: _with_features(_facts(name, stream), draw, drawing) for name in ROWS}
    classes = tuple(map(str, range(CLASSES)))
    return OtherSurvey(parts["train"], parts["val"], parts["test"], classes, np.arange(CLASSES))


class PlainEncoder(Encoder):
    """Averages each band over the image and maps the bands by a matrix: what galaxies show may be unlearnt.

    Args:
        bands: of the images, and width of its features.
    """

    grid = None
    version = 1

    def __init__(self, bands: int) -> None:
        names = tuple(f"band{number}" for number in range(bands))
        super().__init__(ImageSpec(names, 4, (0.0,) * bands, (1.0,) * bands))
        self.dim = bands
        self.matrix = nn.Parameter(torch.eye(bands))

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Return one token an image."""
        values = images.mean(dim=(2, 3)) @ self.matrix
        return Tokens(values[:, None], torch.zeros(len(images), 1, dtype=torch.long))


def trainable_over(splits: Iterable[SplitFeatures]) -> Trainable:
    """Show the features (tap `last`) of galaxies as images of 4 x 4 equal pixels, a band each."""
    known = _by_name(splits)

    def images(ids: np.ndarray) -> Float[Tensor, "galaxy band 4 4"]:
        values = torch.stack([known[name] for name in ids.tolist()])
        return values[:, :, None, None].expand(-1, -1, 4, 4)

    bands = len(next(iter(known.values())))
    return Trainable(
        lambda: PlainEncoder(bands).train(), images, lambda made, batch: made.taps(batch)["last"]
    )


def _by_name(splits: Iterable[SplitFeatures]) -> dict[str, Float[Tensor, " dim"]]:
    return {
        name: row
        for part in splits
        for name, row in zip(part.ids.tolist(), part.features["last"], strict=True)
    }


def _tokens_around(
    splits: Iterable[SplitFeatures], stream: np.random.Generator
) -> Callable[[np.ndarray], Tokens]:
    known = _by_name(splits)
    spread = torch.from_numpy(1e-3 * stream.normal(size=(TOKENS, 1))).float()

    def encode_tokens(ids: np.ndarray) -> Tokens:
        values = torch.stack([known[name] + spread for name in ids.tolist()])
        return Tokens(values, torch.arange(TOKENS).expand(len(ids), -1))

    return encode_tokens


def _facts(name: Split, stream: np.random.Generator) -> SplitFeatures:
    count, odd = ROWS[name]
    rows, measuring = count + odd, numpy_stream(0, f"invented measurements/{name}")
    label = np.concatenate([stream.permutation(np.arange(count) % CLASSES), np.full(odd, -1)])
    anomaly = np.concatenate([np.zeros(count, dtype=np.int64), 1 + np.arange(odd) % 2])
    return SplitFeatures(
        np.array([f"{name}-{row:04d}" for row in stream.permutation(rows)]),
        {},
        label,
        anomaly,
        redshift=stream.uniform(0.0, 0.2, rows),
        factors={"axis_ratio": stream.uniform(0.1, 1.0, rows)},
        band_fluxes=stream.uniform(0.1, 0.3, (rows, 3)).astype(np.float32),
        prediction_errors=_errors(anomaly, stream) if name == "test" else {},
        measurements={kind: measuring.permutation(np.linspace(1.0, 2.0, rows)) for kind in MEASURED},
    )


def _errors(anomaly: np.ndarray, stream: np.random.Generator) -> dict[str, Float[np.ndarray, " galaxy"]]:
    names = ("mean_squared", "max_squared", "mean_cosine", "min_cosine")
    return {name: (anomaly > 0) + 1e-3 * stream.uniform(size=len(anomaly)) for name in names}


def _with_features(facts: SplitFeatures, draw: Draw, stream: np.random.Generator) -> SplitFeatures:
    features = {tap: torch.from_numpy(draw(facts, stream)).float() for tap in ("last", "last4")}
    return replace(facts, features=features, layers=tuple(features.values()))


def truth(facts: SplitFeatures, stream: np.random.Generator) -> Float[np.ndarray, "galaxy dim"]:
    """Draw one column per class, one for anomalies, and the numbers; with hardly any noise."""
    kind = np.where(facts.label < 0, CLASSES, facts.label)
    columns = [np.eye(CLASSES + 1)[kind], *(values[:, None] for values in facts.columns.values())]
    known = np.concatenate(columns, axis=1)
    return known + 1e-3 * stream.normal(size=known.shape)


def hint(facts: SplitFeatures, stream: np.random.Generator) -> Float[np.ndarray, "galaxy dim"]:
    """Draw the truth under noise, so that no score is perfect and none is chance."""
    known = truth(facts, stream)
    return known + 0.6 * stream.normal(size=known.shape)


def nothing(facts: SplitFeatures, stream: np.random.Generator) -> Float[np.ndarray, "galaxy dim"]:
    """Draw noise that knows nothing of any galaxy."""
    return stream.normal(size=(len(facts.ids), DIM))


def ignorance(seed: int = 0) -> Features:
    """Invent the galaxies of `features_of(hint, seed)` with features and prediction errors that know nothing."""
    features, stream = features_of(nothing, seed), numpy_stream(seed, "ignorance")
    errors = {name: stream.permutation(values) for name, values in features.test.prediction_errors.items()}
    test = replace(features.test, prediction_errors=errors)
    return replace(features, test=test, shifted_test=_with_features(test, nothing, stream))


def rearranged(facts: SplitFeatures, order: np.ndarray) -> SplitFeatures:
    """Take rows of every column, in the given order."""
    return SplitFeatures(
        facts.ids[order],
        {tap: values[torch.from_numpy(order)] for tap, values in facts.features.items()},
        facts.label[order],
        facts.anomaly[order],
        None if facts.redshift is None else facts.redshift[order],
        {name: values[order] for name, values in facts.factors.items()},
        None if facts.band_fluxes is None else facts.band_fluxes[order],
        {name: values[order] for name, values in facts.prediction_errors.items()},
        tuple(values[torch.from_numpy(order)] for values in facts.layers),
        {name: values[order] for name, values in facts.measurements.items()},
    )


def in_another_order(features: Features, stream: np.random.Generator) -> Features:
    """Put each split into another order, the shift twin into that of the test galaxies."""

    def shuffled(facts: SplitFeatures) -> SplitFeatures:
        return rearranged(facts, stream.permutation(len(facts.ids)))

    test, train, val = map(shuffled, (features.test, features.train, features.val))
    return replace(features, train=train, val=val, test=test, shifted_test=test)


def unlabelled(features: Features, label: int = -1) -> Features:
    """Set the label of every ordinary galaxy to the same class, or to none."""

    def put(facts: SplitFeatures) -> SplitFeatures:
        return replace(facts, label=np.where(facts.label < 0, -1, label))

    train, val, test = (put(features.split(name)) for name in ROWS)
    return replace(features, train=train, val=val, test=test, shifted_test=test)
