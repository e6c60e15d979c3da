"""Which block is read: chosen on validation, by the probes that read the last one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.layers import Layers
from astrojepa_bench.evaluators.linear import Linear

SPREADS = (3.0, 0.7, 2.0)  # of the clouds after each block: the classes lie clearest after the second


@pytest.fixture
def answers(make_answers, clouds):
    """Three blocks of which the middle one tells the classes best; tap `last` is the last block."""
    parts, layers = [], []
    for seed, count in enumerate((240, 120, 240)):
        label = np.arange(count) % 4
        blocks = [
            clouds(count, spread=spread, seed=10 * seed + block, label=label)[0]
            for block, spread in enumerate(SPREADS)
        ]
        parts.append((blocks[-1], label))
        layers.append(tuple(torch.as_tensor(block).float() for block in blocks))
    found = make_answers(*parts)
    splits = {
        name: replace(found.split(name), layers=own)
        for name, own in zip(("train", "val", "test"), layers, strict=True)
    }
    return replace(found, **splits)


def of_block(answers, block):
    """Let the features be those of one block."""
    splits = {
        name: replace(answers.split(name), features={"last": answers.split(name).layers[block - 1]})
        for name in ("train", "val", "test")
    }
    return replace(answers, **splits)


def test_middle_block_is_chosen_and_every_block_scored_as_linear_and_knn_do(answers):
    """The curve over blocks is what the shipped probes give for each; its best on validation is reported."""
    found = Layers().evaluate(answers)
    scores = {score.metric: score.value for score in found}
    blocks = {block: of_block(answers, block) for block in (1, 2, 3)}
    linear = {block: Linear().evaluate(one) for block, one in blocks.items()}
    knn = {block: KNN().evaluate(one) for block, one in blocks.items()}

    assert (found.selection["block"], found.selection["knn_block"], found.selection["blocks"]) == (2, 2, 3)
    for block in blocks:
        assert scores[f"linear_block_{block}"] == linear[block].scores[0].value
        assert scores[f"knn_block_{block}"] == knn[block].scores[0].value
    assert scores["accuracy"] == scores["linear_block_2"] > scores["linear_block_3"] + 0.1
    assert scores["knn_accuracy"] == scores["knn_block_2"]
    assert np.array_equal(found.predictions["class"], linear[2].predictions["class"])


def test_the_chosen_block_has_the_least_log_loss_of_scikit_learns_classifiers(answers):
    """The same blocks, fitted by another library at the penalty that was chosen for each."""
    losses = {}
    for block in (1, 2, 3):
        one = of_block(answers, block)
        scaler = StandardScaler().fit(one.train.features["last"].numpy())
        c = Linear().evaluate(one).selection["C"]
        theirs = LogisticRegression(C=c, max_iter=5000).fit(
            scaler.transform(one.train.features["last"].numpy()), one.train.label
        )
        stated = theirs.predict_log_proba(scaler.transform(one.val.features["last"].numpy()))
        losses[block] = -stated[np.arange(len(stated)), one.val.label].mean()
    found = Layers().evaluate(answers)

    assert min(losses, key=losses.get) == found.selection["block"]
    assert found.selection["val_log_loss"] == pytest.approx(losses[2], abs=1e-3)


def test_an_encoder_of_one_block_is_scored_with_that_one(answers):
    """Encoders that say nothing of their blocks have one."""
    splits = {
        name: replace(answers.split(name), layers=answers.split(name).layers[2:])
        for name in ("train", "val", "test")
    }
    found = Layers().evaluate(replace(answers, **splits))

    assert found.selection["block"] == found.selection["knn_block"] == 1
    assert found.scores[0].value == Linear().evaluate(answers).scores[0].value


def test_features_without_layers_are_refused(make_answers, clouds):
    """The message names the request."""
    part = clouds(40, spread=0.3)
    with pytest.raises(DataError, match="name `layers` in `requests`"):
        Layers().evaluate(make_answers(part, part, part))
