"""How many directions features use, and how far they have shrunk onto one another."""

from __future__ import annotations

from astrojepa_bench.evaluators.metrics.geometry import (
    alpha_req,
    effective_rank,
    lidar,
    mean_cosine,
    normalised_std,
    participation_ratio,
    rankme,
    stable_rank,
    uniformity,
)
from astrojepa_bench.evaluators.probes.reading import read_ordinary
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score


class Collapse(Evaluator):
    """Geometry of the features of ordinary test galaxies (tap `last`); no labels, nothing fitted.

    Measures collapse from several sides. Directions around the mean: `effective_rank` counts all of them,
    `participation_ratio` and `stable_rank` the strong ones, `alpha_req` is how steeply they fall off; `rankme`
    counts them with the mean. One common vector: `mean_cosine`, `normalised_std`, `uniformity`. Directions in
    which galaxies differ more than augmented views of one galaxy do: `lidar`, where views were made. All ranks
    saturate at min(N, D), so N and D stand in the selection.

    Chance: none has one; compare with the untrained encoder. Golden numbers: covariance eigenvalues i^-1 in
    384 dimensions have effective rank 309.7, participation ratio 26.0 and stable rank 6.53; unit noise around
    a common offset of 3 per dimension has mean cosine .900, normalised std .316, effective rank 374 and RankMe
    248; uniform directions have uniformity -3.979; 16 signal dimensions under isotropic noise between views
    have LiDAR 16.2. Do not rank encoders by these: all but `lidar` count noise as rank, which direction is good
    holds within one family of models at best, and an `alpha_req` is neither good nor bad by its sign (near 1 is
    said to be best; lower is flatter).

    Source:
        Effective rank: Roy & Vetterli 2007 (EUSIPCO); RankMe: Garrido et al. 2023 (arXiv 2210.02885); LiDAR: Thilak
        et al. 2024 (arXiv 2312.04000); uniformity: Wang & Isola 2020 (arXiv 2005.10242); the others, and where we
        deviate, at each function.
    """

    requests = ("augmented_views",)
    metrics = SHOWN["collapse"]
    version = 3

    def evaluate(self, features: Features) -> Evaluation:
        """Describe the features.

        Raises:
            ContractError: a feature is not finite.
            DataError: test holds fewer than two ordinary galaxies.
        """
        tap, views = features.taps[0], features.augmented_views
        ordinary = read_ordinary(features, "test", tap)
        n, dim = ordinary.shape
        selection: dict[str, float | str] = {"tap": tap, "N": float(n), "D": float(dim)}
        scores = [
            Score("collapse", "effective_rank", effective_rank(ordinary), True, n),
            Score("collapse", "rankme", rankme(ordinary), True, n),
            Score("collapse", "stable_rank", stable_rank(ordinary), True, n),
            Score("collapse", "participation_ratio", participation_ratio(ordinary), True, n),
            Score("collapse", "mean_cosine", mean_cosine(ordinary), False, n),
            Score("collapse", "normalised_std", normalised_std(ordinary), True, n),
            Score("collapse", "uniformity", uniformity(ordinary), False, n),
        ]
        slope = alpha_req(ordinary)
        if slope is not None:
            scores.append(Score("collapse", "alpha_req", slope, False, n))
        if views is not None:
            scores.append(Score("collapse", "lidar", lidar(views), True, len(views)))
            selection |= {"lidar_N": float(len(views)), "lidar_views": float(views.shape[1])}
        return Evaluation(tuple(scores), selection=selection)
