"""How far each galaxy lies from ordinary ones, by three scorers; larger is odder."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from torch import Tensor

from astrojepa_bench.evaluators.probes.standardise import Standardisation
from astrojepa_bench.streams import stream_seed

version = 1  # raise it whenever a number changes
Oddness = Float[np.ndarray, " galaxy"]
CHUNK = 1024


def knn_oddness(train: Float[Tensor, "voter dim"], features: Float[Tensor, "galaxy dim"], k: int) -> Oddness:
    """Give the mean standardised distance of each galaxy to its k nearest of `train` (all, if fewer).

    Source: Angiulli & Pizzuti 2002 (PKDD).
    """
    scaling = Standardisation.fit(train)
    reference = scaling(train)
    parts = [torch.cdist(scaling(part), reference) for part in features.split(CHUNK)]
    nearest = [part.topk(min(k, len(train)), largest=False).values.mean(dim=1) for part in parts]
    oddness: Oddness = torch.cat(nearest).double().cpu().numpy()
    return oddness


def mahalanobis_oddness(train: Float[Tensor, "voter dim"], features: Float[Tensor, "galaxy dim"]) -> Oddness:
    """Give the distance of each galaxy from the mean of `train`, in units of their shrunk covariance.

    Source: Ledoit & Wolf 2004 (J. Multivariate Analysis 88, 365), as in scikit-learn; on standardised features,
    so that the shrinkage target (equal variances, no correlation) suits features of any unit.
    """
    scaling = Standardisation.fit(train)
    fitted = LedoitWolf(assume_centered=True).fit(_numpy(scaling(train)))
    oddness: Oddness = np.sqrt(fitted.mahalanobis(_numpy(scaling(features))))
    return oddness


def forest_oddness(
    train: Float[Tensor, "voter dim"], features: Float[Tensor, "galaxy dim"], trees: int, seed: int
) -> Oddness:
    """Give how few random cuts separate each galaxy from 256 of `train`, averaged over trees.

    Source: Liu, Ting & Zhou 2008 (ICDM), as in scikit-learn.
    """
    state = stream_seed(seed, "isolation forest") % 2**32
    forest = IsolationForest(n_estimators=trees, random_state=state).fit(_numpy(train))
    oddness: Oddness = -forest.score_samples(_numpy(features))
    return oddness


def _numpy(features: Float[Tensor, "galaxy dim"]) -> Float[np.ndarray, "galaxy dim"]:
    values: Float[np.ndarray, "galaxy dim"] = features.double().cpu().numpy()
    return values
