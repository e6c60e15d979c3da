"""How different a pool looks from the labelled galaxies: "pool or labelled?" asked of untrained features."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.evaluation.extract import encode_rows
from astrojepa_bench.streams import numpy_stream, scoped_global
from astrojepa_bench.types import GalaxyTable, Split

MOST = 1000  # galaxies of each sort: enough to tell an AUROC of .5 from .55
FOLDS = 5
PATCH_PX = 8


@dataclass(frozen=True)
class PoolGap:
    """How well a logistic regression tells pool images from labelled ones; 0.5 where they look alike.

    Attributes:
        auroc, balanced_accuracy: over galaxies left out of the fit in turn.
        n: galaxies of each sort.
    """

    auroc: float
    balanced_accuracy: float
    n: int


def pool_gap(table: GalaxyTable) -> PoolGap | None:
    """Compare the pool with the labelled train galaxies; None without a pool.

    Features are those of an untrained vision transformer of fixed seed: they see compression, sky level and
    cut-out as well as galaxies, and no training has taught them to look away.
    """
    sorts: tuple[Split, ...] = ("pool", "train")
    rows = [numpy_stream(0, f"pool gap {sort}").permutation(table.rows(sort))[:MOST] for sort in sorts]
    n = min(map(len, rows))
    if n < FOLDS:
        return None
    features = _features(table, np.concatenate([part[:n] for part in rows]))
    return tell_apart(features[:n], features[n:])


def tell_apart(a: Float[np.ndarray, "galaxy dim"], b: Float[np.ndarray, "galaxy dim"]) -> PoolGap:
    """Measure how well a cross-validated logistic regression tells two equal numbers of galaxies apart."""
    is_b = np.repeat([0, 1], [len(a), len(b)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    score = cross_val_predict(model, np.concatenate([a, b]), is_b, cv=folds, method="decision_function")
    return PoolGap(
        float(roc_auc_score(is_b, score)),
        float(balanced_accuracy_score(is_b, score > 0)),
        min(len(a), len(b)),
    )


def _features(table: GalaxyTable, rows: np.ndarray) -> Float[np.ndarray, "galaxy dim"]:
    with scoped_global(0, "encoder"):
        encoder = ViTMicro(table.spec, patch=math.gcd(PATCH_PX, table.spec.size_px)).eval()
    images = DeviceImages(table.images, torch.device("cpu"), resident_bytes=0)
    return encode_rows(encoder, images, rows)["last"].numpy()
