"""What the metrics of the ruler's own evaluators say, in one line each, for readers of a report.

Without torch, as `shown`. Evaluators of plugins say it themselves, in `Metric.meaning`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from astrojepa_bench.metric import Metric, description_of

_RIGHT = "share of labelled test galaxies whose class is told right"
_BALANCED = (
    "the same with each class counted alike: the mean of the shares of its galaxies that are told right"
)
_NLL = "log-loss: how surprised the classifier is by the true classes; 0 if it is always sure and right"
_SPREAD = "how much the number varies between draws of the labelled galaxies (standard deviation)"
_AUROC = "chance that an anomaly is ranked above an ordinary galaxy: 1 if always, 0.5 by luck"
_PRECISION = "share of anomalies among the galaxies ranked highest, averaged over all depths of the ranking"
_FOUND = "share of the anomalies that stand among the first k of the ranking, k being their number"
_FIRST = "share of anomalies among the first 50 of the ranking (fewer where there are fewer anomalies)"
_RANKING = (
    (r"(.*_)?auroc.*", _AUROC),
    (r"(.*_)?average_precision.*", _PRECISION),
    (r"(.*_)?recall_at_k.*", _FOUND),
    (r"(.*_)?precision_at_.*", _FIRST),
)
_CLASSES = (("accuracy", _RIGHT), ("balanced_accuracy", _BALANCED), ("nll", _NLL))

MEANINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "linear": (
        *_CLASSES,
        ("macro_f1", "mean over classes of the harmonic mean of precision and recall"),
        (r"recall_\d+", "share of the galaxies of this class that are taken for it"),
        ("ece", "how far stated probabilities lie from the shares that come true (calibration error)"),
    ),
    "mlp": _CLASSES,
    "few-shot": (
        (r".*_spread", _SPREAD),
        (r"balanced_accuracy_.*", f"{_BALANCED}, with so many labelled galaxies a class"),
        (r"accuracy_.*", f"{_RIGHT}, with so many labelled galaxies a class"),
    ),
    "layers": (
        ("accuracy", f"{_RIGHT}, read after the best block of the encoder"),
        ("knn_accuracy", f"{_RIGHT} by its neighbours, read after the block that is best for them"),
        (r"(knn_)?balanced_accuracy", _BALANCED),
        ("nll", _NLL),
        (r"(linear|knn)_block_\d+", f"{_RIGHT}, read after this block"),
    ),
    "attentive": _CLASSES,
    "finetune": (
        (r".*_spread", _SPREAD),
        (r"balanced_accuracy_\d+", f"{_BALANCED}, with so many labelled galaxies a class"),
        (r"accuracy_\d+", f"{_RIGHT} after training on so many labelled galaxies a class"),
        *_CLASSES,
    ),
    "knn": (("accuracy", f"{_RIGHT} by a vote of the most similar training galaxies"), *_CLASSES),
    "kmeans": (
        ("purity", "share of galaxies that belong to the most frequent class of their cluster"),
        ("ami", "how much clusters and classes tell of each other, less what luck would: 0 by luck, 1 at most"),
        ("nmi", "how much clusters and classes tell of each other; grows with the number of clusters"),
        ("ari", "share of pairs of galaxies that clusters and classes treat alike, less what luck would"),
        ("hungarian_accuracy", "share of galaxies told right if each cluster is given one class, each class once"),
    ),
    "anomaly": _RANKING,
    "anomaly-scorers": _RANKING,
    "redshift": (
        (r"(knn_|class_only_)?sigma_nmad", "typical error of the number (redshifts: divided by 1 + z)"),
        (r"(knn_|class_only_)?absolute_bias", "how far the median error lies from 0"),
        (r"(knn_|class_only_)?outliers_05", "share of galaxies whose error exceeds 0.05 (1 + z)"),
        (r"(knn_|class_only_)?outliers_15", "share of galaxies whose error exceeds 0.15 (1 + z)"),
        (r"(knn_|class_only_)?r2", "share of the variance of the number that is explained: 1 is all of it"),
    ),
    "factors": (
        ("mean_r2_nuisance", "mean over what has to do with the observation of the explained share of variance"),
        ("mean_r2", "mean over what the galaxy itself is like of the explained share of variance"),
        (r"r2_.*", "share of the variance of this number that a linear map of the features explains"),
    ),
    "nuisance": (
        (r"r2_.*", "share of the variance of this measurement that a linear map of the features explains"),
        (r"accuracy_(size|brightness)_\d", f"{_RIGHT}, among this quarter of them"),
        (r"accuracy_given_.*", f"{_RIGHT}, beside the chance of who knows their quarter alone"),
    ),
    "transfer": (
        (r".*_drop", "how much better the probe is at home than on the other survey"),
        (r"(balanced_)?accuracy_native", "what a probe fitted on the other survey reaches there"),
        (r"(balanced_)?accuracy_here", "what the probe reaches on the survey that it was fitted on"),
        ("accuracy", "share of the other survey's test galaxies whose group of classes is told right"),
        ("balanced_accuracy", "the same with each group counted alike"),
    ),
    "robustness": (
        ("displacement", "how far a galaxy moves between two instruments, in units of how far galaxies differ"),
        (r".*_drop", "how much worse the score is on the same galaxies seen by another instrument"),
        (r".*", "the score on the same galaxies seen by another instrument"),
    ),
    "collapse": (
        ("effective_rank", "how many directions the features use, counting weak ones"),
        ("rankme", "how many directions the features use, their common vector included"),
        ("stable_rank|participation_ratio", "how many strong directions the features use"),
        ("mean_cosine", "how alike the features of two galaxies are; near 1, all lie around one vector"),
        ("normalised_std", "how far features spread once each is scaled to length 1; near 0 all are alike"),
        ("uniformity", "how evenly features fill the sphere; lower is more even"),
        ("alpha_req", "how steeply the strength of the directions falls off; near 1 is said to be best"),
        ("lidar", "how many directions tell galaxies apart beyond what two views of one galaxy differ by"),
    ),
}  # fmt: skip


def meaning_of(evaluator: str, metric: str, described: Iterable[Metric] = ()) -> str:
    """Return in one line what a metric tells; empty where nobody has said it.

    Args:
        evaluator: its name.
        metric: its name.
        described: the metrics as the evaluator itself describes them.
    """
    own = description_of(metric, described)
    if own is not None and own.meaning:
        return own.meaning
    known = MEANINGS.get(evaluator, ())
    return next((text for pattern, text in known if re.fullmatch(pattern, metric)), "")
