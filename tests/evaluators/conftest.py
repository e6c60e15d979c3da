"""Features about invented galaxies whose truth is known."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from astrojepa_bench.features import Features, SplitFeatures


def _split(name, taps, label, anomaly=None):
    taps = taps if isinstance(taps, Mapping) else {"last": taps}
    label = np.asarray(label, dtype=np.int64)
    anomaly = np.zeros_like(label) if anomaly is None else np.asarray(anomaly, dtype=np.int64)
    ids = np.array([f"{name}-{row:05d}" for row in range(len(label))])
    return SplitFeatures(ids, {tap: torch.as_tensor(x).float() for tap, x in taps.items()}, label, anomaly)


@pytest.fixture
def make_answers():
    """Build answers from (features or taps, labels[, anomaly kinds]) of the three splits."""

    def make(train, val, test, *, classes=None, seed=0):
        classes = 1 + max(int(np.max(part[1])) for part in (train, val, test)) if classes is None else classes
        splits = {
            name: _split(name, *part)
            for name, part in zip(("train", "val", "test"), (train, val, test), strict=True)
        }
        return Features(**splits, classes=classes, seed=seed)

    return make


@pytest.fixture
def clouds():
    """Draw a labelled cloud around one centre per class; `spread` is the noise in units of the separation."""

    def draw(count, *, spread, classes=4, dim=12, seed=0, label=None):
        centres = np.random.default_rng(99).normal(size=(classes, dim))
        stream = np.random.default_rng(seed)
        label = stream.integers(0, classes, count) if label is None else np.asarray(label)
        return centres[label] + spread * stream.normal(size=(len(label), dim)), label

    return draw
