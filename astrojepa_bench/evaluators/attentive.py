"""How much of the classes a probe finds that may choose which patches to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError, ContractError, DataError
from astrojepa_bench.evaluators.metrics.calibration import nll_score
from astrojepa_bench.evaluators.metrics.classification import accuracy_score, balanced_accuracy_score
from astrojepa_bench.evaluators.probes.attention import (
    AttentionPool,
    TokenScaling,
    TokenValues,
    fit_attention,
)
from astrojepa_bench.evaluators.probes.reading import by_id
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.events import track
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score, Split

RATES = (1e-3, 3e-3)
DECAYS = (0.01, 0.1)
HELD_BYTES = 2 * 2**30  # of train tokens that are kept in memory; more are encoded again in every epoch


class Attentive(Evaluator):
    """One learned query attends to the frozen patch tokens; LayerNorm and a linear layer read what it found.

    Measures what of the classes is in the tokens though their mean hides it. Objectives that never train a
    pooled vector say little in the mean of their tokens, and a probe that may look at a galaxy's arms and away
    from the sky is the fairer one for them. Fitted on the labelled train galaxies with AdamW for a fixed number
    of epochs, tokens standardised on train; rate and weight decay are those with the least validation log-loss
    (the first of equals). Tokens of train are kept in memory up to 2 GB, otherwise encoded again in every
    epoch.

    Chance: accuracy, the test share of the most frequent train class; balanced accuracy, 1 / classes; `nll`, the
    log-loss of the class shares of train. Golden numbers: where one token of 16, at any place, is marked and bears
    the class and the others bear noise, it finds nearly all and a linear probe of the mean a fraction; where all
    tokens of a galaxy are equal it equals the linear probe within error.
    Do not rank a reader of `linear` against it: it has more weights, and says of the tokens what no pooled feature
    need say. Nor trust it on fewer than some hundred labels.

    Args:
        heads: of the attention.
        epochs: passes over the labelled train galaxies.

    Source:
        Attentive probing: Bardes et al. 2024 (V-JEPA, arXiv 2404.08471), Chen et al. 2024 (CAE, IJCV 132, 208).
        Deviations: no feed-forward block after the attention; key and query weights are merged, which one query
        allows; rates and decays chosen on val.
    """

    requires = ("label", "tokens")
    requests = ("tokens",)
    metrics = SHOWN["attentive"]
    version = 1

    def __init__(self, *, heads: int = 4, epochs: int = 30) -> None:
        if heads < 1 or epochs < 1:
            raise ConfigError(
                f"attentive.heads={heads} and attentive.epochs={epochs} must be at least 1; 4 and 30 are usual"
            )
        self.heads, self.epochs = heads, epochs

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on train, choose rate and decay on val, report on test.

        Raises:
            ContractError: a token is not finite.
            DataError: a split has no labelled galaxy, or there are no tokens.
        """
        rows = {split: _labelled(features, split) for split in ("train", "val", "test")}
        classes, target = np.unique(features.train.label[rows["train"]], return_inverse=True)
        scaling = TokenScaling.fit(_streamed(features, "train", rows["train"]))
        train = _TrainTokens.of(features, rows["train"], scaling)
        settings, fitted = list(product(RATES, DECAYS)), list[tuple[float, AttentionPool]]()
        for rate, decay in track(settings, task="attentive probe", total=len(settings), unit="fits"):
            pool = fit_attention(
                train.read, torch.as_tensor(target), dim=len(scaling.mean), heads=self.heads, epochs=self.epochs,
                rate=rate, decay=decay, seed=features.seed,
            )  # fmt: skip
            stated = _stated(pool, features, "val", rows["val"], scaling)
            fitted.append((_log_loss(stated, classes, features.val.label[rows["val"]]), pool))
        best = min(range(len(fitted)), key=lambda at: fitted[at][0])
        loss, pool = fitted[best]
        log_p = _stated(pool, features, "test", rows["test"], scaling)
        truth, labels = features.test.label[rows["test"]], features.train.label[rows["train"]]
        predicted = classes[log_p.argmax(axis=1)]
        scores = [
            accuracy_score("attentive", truth, predicted, labels),
            balanced_accuracy_score("attentive", truth, predicted),
            *_nll(log_p, classes, truth, target),
        ]
        selection: dict[str, float | str] = {
            "learning_rate": settings[best][0], "weight_decay": settings[best][1], "val_log_loss": loss,
        }  # fmt: skip
        return Evaluation(tuple(scores), {"class": predicted}, features.test.ids[rows["test"]], selection)


def _labelled(features: Features, split: Split) -> Int[np.ndarray, " row"]:
    """Return the labelled rows of a split; train and val sorted by id, so that no order of a table counts."""
    part = features.split(split)
    rows = np.flatnonzero(part.label >= 0)
    if not len(rows):
        raise DataError(f"split '{split}' has no labelled galaxy; label some or leave this evaluator out")
    return rows if split == "test" else by_id(part, rows)


def _streamed(features: Features, split: Split, rows: Int[np.ndarray, " row"]) -> Iterator[TokenValues]:
    for batch in features.tokens(split, rows):
        if not bool(batch.values.isfinite().all()):
            raise ContractError(f"tokens of {split} are not finite; an encoder must give finite ones")
        yield batch.values.float()


@dataclass(frozen=True)
class _TrainTokens:
    """The tokens of train, kept or encoded again.

    Attributes:
        features: to encode them with.
        rows: of the labelled galaxies.
        scaling: of the tokens.
        kept: standardised tokens, None where they would take too much memory.
    """

    features: Features
    rows: Int[np.ndarray, " row"]
    scaling: TokenScaling
    kept: TokenValues | None

    @classmethod
    def of(cls, features: Features, rows: Int[np.ndarray, " row"], scaling: TokenScaling) -> _TrainTokens:
        first = next(_streamed(features, "train", rows[:1]))
        if first.nbytes * len(rows) > HELD_BYTES:
            return cls(features, rows, scaling, None)
        kept = [scaling(tokens) for tokens in _streamed(features, "train", rows)]
        return cls(features, rows, scaling, torch.cat(kept))

    def read(self, wanted: Int[Tensor, " batch"]) -> TokenValues:
        if self.kept is not None:
            return self.kept[wanted]
        return self.scaling(torch.cat(list(_streamed(self.features, "train", self.rows[wanted.numpy()]))))


@torch.no_grad()
def _stated(
    pool: AttentionPool,
    features: Features,
    split: Split,
    rows: Int[np.ndarray, " row"],
    scaling: TokenScaling,
) -> Float[np.ndarray, "galaxy class"]:
    """Return the log-probability of each class of train, batch by batch."""
    parts = [pool(scaling(tokens)).double().log_softmax(dim=1) for tokens in _streamed(features, split, rows)]
    found: Float[np.ndarray, "galaxy class"] = torch.cat(parts).numpy()
    return found


def _log_loss(
    log_p: Float[np.ndarray, "galaxy class"],
    classes: Int[np.ndarray, " class"],
    label: Int[np.ndarray, " galaxy"],
) -> float:
    """Return the mean log-loss; a class that train lacks says nothing of the fit and is left out."""
    known = np.flatnonzero(np.isin(label, classes))
    target = torch.as_tensor(np.searchsorted(classes, label[known]))
    return float(F.nll_loss(torch.as_tensor(log_p[known]), target)) if len(known) else 0.0


def _nll(
    log_p: Float[np.ndarray, "galaxy class"],
    classes: Int[np.ndarray, " class"],
    truth: Int[np.ndarray, " galaxy"],
    train: Int[np.ndarray, " train_galaxy"],
) -> tuple[Score, ...]:
    known = np.isin(truth, classes)
    if not known.any():
        return ()
    return (nll_score("attentive", np.searchsorted(classes, truth[known]), log_p[known], train),)
