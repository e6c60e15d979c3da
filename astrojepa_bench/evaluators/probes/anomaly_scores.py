"""How far each galaxy lies from ordinary ones, by three scorers; larger is more anomalous."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from torch import Tensor

from astrojepa_bench.evaluators.probes.neighbours import nearest_distances
from astrojepa_bench.evaluators.probes.standardise import Standardisation
from astrojepa_bench.streams import stream_seed

version = 1  # raise it whenever a number changes

AnomalyScores = Float[np.ndarray, " galaxy"]


def neighbour_scores(
    train: Float[Tensor, "voter dim"], features: Float[Tensor, "galaxy dim"], k: int
) -> AnomalyScores:
    """Return the mean standardised distance of each galaxy to its k nearest of `train` (all, if fewer).

    Source: Angiulli & Pizzuti 2002 (PKDD).
    """
    scaling = Standardisation.fit(train)
    distances = nearest_distances(scaling(train), scaling(features), k)
    scores: AnomalyScores = distances.mean(dim=1).double().cpu().numpy()
    return scores


def mahalanobis_scores(
    train: Float[Tensor, "voter dim"], features: Float[Tensor, "galaxy dim"]
) -> AnomalyScores:
    """Return the distance of each galaxy from the mean of `train`, in units of their shrunk covariance.

    Source: Ledoit & Wolf 2004 (J. Multivariate Analysis 88, 365), as in scikit-learn; on standardised features,
    so that the shrinkage target (equal variances, no correlation) suits features of any unit.
    """
    scaling = Standardisation.fit(train)
    fitted = LedoitWolf(assume_centered=True).fit(_numpy(scaling(train)))
    scores: AnomalyScores = np.sqrt(fitted.mahalanobis(_numpy(scaling(features))))
    return scores


def forest_scores(
    train: Float[Tensor, "voter dim"], features: Float[Tensor, "galaxy dim"], trees: int, seed: int
) -> AnomalyScores:
    """Return how few random cuts separate each galaxy from 256 of `train`, averaged over trees.

    Source: Liu, Ting & Zhou 2008 (ICDM), as in scikit-learn.
    """
    state = stream_seed(seed, "isolation forest") % 2**32
    forest = IsolationForest(n_estimators=trees, random_state=state).fit(_numpy(train))
    scores: AnomalyScores = -forest.score_samples(_numpy(features))
    return scores


def _numpy(features: Float[Tensor, "galaxy dim"]) -> Float[np.ndarray, "galaxy dim"]:
    values: Float[np.ndarray, "galaxy dim"] = features.double().cpu().numpy()
    return values
