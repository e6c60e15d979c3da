"""After which block of the encoder the classes are read best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.events import track
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score


class Layers(Evaluator):
    """Linear probe and neighbour vote after every block of the encoder, the best block chosen on validation.

    Measures where in the encoder the classes lie. Objectives that predict pixels or latents often say most of
    them before the last block, whose output serves the prediction; a score of the last block alone then blames
    the objective for the choice of layer. The features of each block are its patch tokens, pooled as the
    encoder pools its last ones. The probes are `linear` and `knn` with their defaults, so that only the block
    differs. For the linear probe the block with the least validation log-loss is chosen, for neighbours that
    with the best validation accuracy (the first block of equals). An encoder of one block is scored with that
    one.

    Metrics: `accuracy`, `balanced_accuracy` and `nll` of the linear probe on the block chosen for it;
    `knn_accuracy` and `knn_balanced_accuracy`; and of every block `linear_block_N` and `knn_block_N`, the
    accuracies on test, N counted from 1: a curve to look at, of which nothing may be chosen.

    Chance: as for `linear` and `knn`. Golden number: a last block of `linear` on tap `last`, where that is
    pooled from the last block's tokens alone. Do not compare the chosen block's score with `linear` of another
    entry: choosing among twelve blocks is worth some tenths of a point by itself.

    Source:
        Alain & Bengio 2016 (arXiv 1610.01644) for probes of every layer; middle blocks above the last: Chen et al.
        2020 (iGPT, ICML), Xie et al. 2022 (arXiv 2111.09886). Deviation: batched L-BFGS on standardised features.
    """

    requires = ("label", "layers")
    requests = ("layers",)
    metrics = SHOWN["layers"]
    version = 1

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on train after every block, choose the block on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: a split has no labelled galaxy, or there are no layers.
        """
        blocks = range(1, len(features.train.layers) + 1)
        if not blocks:
            raise DataError("the features hold no layers; name `layers` in `requests`")
        watched = track(blocks, task="probing layers", total=len(blocks), unit="blocks")
        probes = [(_after_block(features, block), block) for block in watched]
        linear = {block: Linear().evaluate(of_block) for of_block, block in probes}
        knn = {block: KNN().evaluate(of_block) for of_block, block in probes}
        best = min(blocks, key=lambda block: _chosen(linear[block], "val_log_loss"))  # the first of equals
        nearest = max(blocks, key=lambda block: _chosen(knn[block], "val_accuracy"))
        scores = [
            *_renamed(linear[best], {name: name for name in ("accuracy", "balanced_accuracy", "nll")}),
            *_renamed(knn[nearest], {name: f"knn_{name}" for name in ("accuracy", "balanced_accuracy")}),
        ]
        for block in blocks:
            scores += _renamed(linear[block], {"accuracy": f"linear_block_{block}"})
            scores += _renamed(knn[block], {"accuracy": f"knn_block_{block}"})
        selection: dict[str, float | str] = {
            "blocks": len(blocks),
            "block": best,
            "C": linear[best].selection["C"],
            "val_log_loss": linear[best].selection["val_log_loss"],
            "knn_block": nearest,
            "knn_val_accuracy": knn[nearest].selection["val_accuracy"],
        }
        answers = {"class": linear[best].predictions["class"], "knn_class": knn[nearest].predictions["class"]}
        warnings = dict.fromkeys([*linear[best].warnings, *knn[nearest].warnings])
        return Evaluation(tuple(scores), answers, linear[best].ids, selection, tuple(warnings))


def _after_block(features: Features, block: int) -> Features:
    """Return features whose only tap is a block."""

    def at(part: SplitFeatures) -> SplitFeatures:
        return replace(part, features={f"block {block}": part.layers[block - 1]})

    return replace(features, train=at(features.train), val=at(features.val), test=at(features.test))


def _chosen(found: Evaluation, name: str) -> float:
    return float(found.selection[name])


def _renamed(found: Evaluation, names: Mapping[str, str]) -> list[Score]:
    """Take some scores of a probe under names of this evaluator's own."""
    return [
        replace(score, evaluator="layers", metric=names[score.metric])
        for score in found
        if score.metric in names
    ]
