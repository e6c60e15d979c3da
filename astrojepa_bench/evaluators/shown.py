"""How the scores of the ruler's own evaluators are shown, in the order of the board.

Without torch, so that a board can be rendered and checked where torch is too heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from astrojepa_bench.metric import Metric

_per_cent = partial(Metric, scale=100, digits=1, level="headline")

SHOWN: Mapping[str, tuple[Metric, ...]] = {
    "linear": (
        _per_cent("accuracy", "linear %", priority=0, role="ranks"),
        _per_cent("balanced_accuracy", "linear balanced %", priority=1),
        Metric("nll|ece", higher_is_better=False),
        Metric(r"recall_\d+", level="detail"),
    ),
    "mlp": (
        _per_cent("accuracy", "MLP %", priority=8),
        Metric("nll", higher_is_better=False),
    ),
    "few-shot": (
        Metric(r".*_spread", higher_is_better=False, level="detail"),
        Metric(r"accuracy_.*", level="detail"),
    ),
    "layers": (
        _per_cent("accuracy", "best block, linear %", priority=10),
        Metric("nll", higher_is_better=False),
        Metric(r"(linear|knn)_block_\d+", level="detail"),
    ),
    "attentive": (
        _per_cent("accuracy", "attentive %", priority=9),
        Metric("nll", higher_is_better=False),
    ),
    "finetune": (
        _per_cent("accuracy", "fine-tuned %", priority=9),
        _per_cent(r"accuracy_\d+", "fine-tuned, few labels %", priority=10),
        Metric(r".*_spread", higher_is_better=False, level="detail"),
    ),
    "knn": (_per_cent("accuracy", "k-NN %", priority=3),),
    "kmeans": (
        _per_cent("purity", "purity %", priority=7),
        _per_cent("ami", "AMI %", priority=5),
    ),
    "anomaly": (  # the physical ones: artefacts are easy
        _per_cent("auroc_physical", "anomaly AUROC %", priority=4),
        _per_cent("average_precision_physical", "anomaly AP %", priority=6),
        _per_cent("auroc_held_out", "held-out class AUROC %", priority=4),
        Metric(r"precision_.*|(?!.*_(physical|artefact|held_out)$).*", level="detail"),
    ),
    "anomaly-scorers": (Metric(r"(?!.*_auroc_(physical|artefact)$).*", level="detail"),),
    "redshift": (
        Metric("knn_r2", level="detail"),
        Metric("(class_only_)?r2"),
        Metric("knn_.*|class_only_(absolute_bias|outliers_.*)", higher_is_better=False, level="detail"),
        Metric(".*", higher_is_better=False),
    ),
    "factors": (
        Metric(r"mean_r2_nuisance|r2_(psf_|noise_|position_angle).*", higher_is_better=False),
        Metric(".*"),
    ),
    "nuisance": (
        Metric("r2_.*", higher_is_better=False),
        Metric(r"accuracy_(size|brightness)_\d", level="detail"),
    ),
    "transfer": (
        _per_cent("balanced_accuracy", "other survey, balanced %", priority=10),
        Metric(".*_drop", higher_is_better=False),
    ),
    "robustness": (Metric(".*_drop|displacement|redshift_.*", higher_is_better=False),),
    "collapse": (
        Metric("effective_rank", "effective rank", digits=1, level="headline", priority=8),
        Metric("mean_cosine|uniformity|alpha_req", higher_is_better=False),
    ),
}
