"""What the encoder reaches when it may learn from labels itself, from a few of them and from all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.few_shot import C_GRID, curve_point, draw_rows
from astrojepa_bench.evaluators.metrics.classification import accuracy_score, balanced_accuracy_score
from astrojepa_bench.evaluators.probes.logistic import LogisticFits, fit_logistic
from astrojepa_bench.evaluators.probes.reading import LabelledGalaxies, read_labelled
from astrojepa_bench.evaluators.probes.standardise import Standardisation
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.events import track
from astrojepa_bench.features import Features, Trainable
from astrojepa_bench.geometry.views import base_augment
from astrojepa_bench.roles import Encoder, Evaluator
from astrojepa_bench.streams import scoped_global, stream_seed
from astrojepa_bench.types import Evaluation

RATES = (1e-4, 1e-3)
HEAD_RATE = 1e-3
DECAY = 0.05
BATCH = 64
WARMUP = 0.1  # share of the steps
LOOKS = 5  # at validation in a fit
READ = 512  # images a batch, where nothing is learnt
CLIP = 1.0


class Finetune(Evaluator):
    """The whole encoder trained on labels, of ten galaxies a class and of all, from what pretraining left.

    Measures what pretraining is worth as a start, which frozen features may hide: what they do not say a few
    labels can bring back, or not. A copy of the scored encoder and a linear layer on its tap `last`, which
    starts as the linear probe of the frozen features, see a fixed number of images, turned by quarter turns,
    mirrored where that is allowed and shifted, and nothing else. The linear layer learns at a rate of its own.
    The encoder's rate, and which of five moments of each fit (or its start) counts, are those with the least
    validation log-loss: all of val is used for that, so few labels are few for fitting and not for choosing.
    Test galaxies are read once, at the end. Metrics: `accuracy` and `balanced_accuracy` with all labels of
    train; with `_10` (the option `shots`) means over draws of so many galaxies of each class, the first of
    those that `few-shot` draws, and the spread over draws. Costly: `full` leaves it out, ask for it as `-E
    finetune`.

    Chance: accuracy, the test share of the most frequent train class, or 1 / classes of train with few labels;
    balanced accuracy, 1 / classes. Golden number: features that have lost a class, of images that show it,
    score chance frozen and nearly 1 here. Do not compare it with `supervised`, which is trained from scratch
    with another budget; nor differences below two standard errors, which leave out what another start of the
    fit would change.

    Args:
        images: how many images each fit sees.
        shots: labelled galaxies of each class.
        draws: how many draws of these are averaged.

    Source:
        Fine-tuning: He et al. 2022 (MAE, arXiv 2111.06377, appendix A); from a linear probe: Kumar et al. 2022
        (arXiv 2202.10054). Deviations: one rate for all blocks, no drop path, no mixing of images, five looks at
        validation.
    """

    requires = ("label", "trainable")
    requests = ("trainable",)
    metrics = SHOWN["finetune"]
    costly = True
    version = 1

    def __init__(self, *, images: int = 10_000, shots: int = 10, draws: int = 3) -> None:
        if images < BATCH * LOOKS or shots < 1 or draws < 2:
            raise ConfigError(
                f"finetune.images={images} must be at least {BATCH * LOOKS}, finetune.shots={shots} at least 1, "
                f"finetune.draws={draws} at least 2; 10000, 10 and 3 are usual"
            )
        self.images, self.shots, self.draws = images, shots, draws

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on train, choose rate and moment on val, report on test.

        Raises:
            ContractError: what the copy returns is no feature of each image, or not finite.
            DataError: a split has no labelled galaxy, or the images are not there.
        """
        if features.trainable is None:
            raise DataError("the features hold no encoder to train; name `trainable` in `requests`")
        tap = features.taps[0]
        train, val, test = (read_labelled(features, split, tap) for split in ("train", "val", "test"))
        tuning = _Tuning(features.trainable, val, Standardisation.fit(train.features), self.images)
        few = draw_rows(train, self.shots, self.draws)
        parts = [*(_taken(train, rows) for rows in few), train]
        watched = track(range(len(parts)), task="finetuning", total=len(parts), unit="sets of labels")
        fitted = [tuning.best(parts[at], stream_seed(features.seed, "finetune", at)) for at in watched]
        answers = [tuning.answers(tuned, test) for tuned in fitted]
        drawn = curve_point(
            self.shots, np.stack(answers[:-1]) == test.label, test.label, np.unique(train.label)
        )
        scores = (
            accuracy_score("finetune", test.label, answers[-1], train.label),
            balanced_accuracy_score("finetune", test.label, answers[-1]),
            *(replace(score, evaluator="finetune") for score in drawn),
        )
        selection: dict[str, float | str] = {
            "learning_rate": fitted[-1].rate,
            "images_seen": fitted[-1].seen,
            "val_log_loss": fitted[-1].log_loss,
            **{f"learning_rate_{self.shots}_{draw}": tuned.rate for draw, tuned in enumerate(fitted[:-1])},
        }
        return Evaluation(scores, {"class": answers[-1]}, test.ids, selection)


def _taken(galaxies: LabelledGalaxies, rows: Int[np.ndarray, " row"]) -> LabelledGalaxies:
    """Take some galaxies, in the order of their ids."""
    rows = np.sort(rows)
    return LabelledGalaxies(galaxies.features[rows], galaxies.label[rows], galaxies.ids[rows])


@dataclass(frozen=True)
class _Tuned:
    """A network after the look at validation that it was best at.

    Attributes:
        encoder: trained.
        head: the linear layer.
        classes: those of the fit's labels.
        rate: peak learning rate of the encoder.
        seen: images seen until then.
        log_loss: of validation.
    """

    encoder: Encoder
    head: nn.Linear
    classes: Int[np.ndarray, " class"]
    rate: float
    seen: int
    log_loss: float


@dataclass(frozen=True)
class _Tuning:
    """What all fits share.

    Attributes:
        trainable: encoder and images.
        val: the galaxies to choose on.
        scaling: of the frozen features of train.
        images: how many a fit sees.
    """

    trainable: Trainable
    val: LabelledGalaxies
    scaling: Standardisation
    images: int

    def best(self, train: LabelledGalaxies, seed: int) -> _Tuned:
        """Fit at every rate; the least validation log-loss counts, of equals the lower rate's."""
        classes, target = np.unique(train.label, return_inverse=True)
        scaled, index = self.scaling(train.features), torch.as_tensor(target, device=train.features.device)
        probes, known = fit_logistic(scaled, index, C_GRID), np.isin(self.val.label, classes)
        truth = torch.as_tensor(np.searchsorted(classes, self.val.label[known]))
        stated = probes.logits(self.scaling(self.val.features))[:, known].cpu().double()
        losses = [float(F.cross_entropy(each, truth)) if known.any() else 0.0 for each in stated]
        chosen = int(np.argmin(losses))
        probe = probes.only(slice(chosen, chosen + 1))
        fitted = (self._fit(train, classes, target, probe, rate, seed) for rate in RATES)
        return min(fitted, key=lambda tuned: tuned.log_loss)

    @torch.no_grad()
    def answers(self, tuned: _Tuned, galaxies: LabelledGalaxies) -> Int[np.ndarray, " galaxy"]:
        """Predict the class of each galaxy."""
        found: Int[np.ndarray, " galaxy"]
        found = tuned.classes[self._logits(tuned.encoder, tuned.head, galaxies).argmax(dim=1).numpy()]
        return found

    def _fit(
        self,
        train: LabelledGalaxies,
        classes: Int[np.ndarray, " class"],
        target: Int[np.ndarray, " galaxy"],
        probe: LogisticFits,
        rate: float,
        seed: int,
    ) -> _Tuned:
        """Train a copy of the encoder and a linear layer; return them as they were at the best look."""
        encoder = self.trainable.encoder()
        with scoped_global(seed, "finetune"):  # what is drawn here is overwritten
            head = nn.Linear(len(self.scaling.mean), len(classes))
        with torch.no_grad():
            head.weight.copy_(probe.weights[0])
            head.bias.copy_(probe.bias[0])
        device = self.trainable.images(train.ids[:1]).device
        head.to(device)
        groups = [{"params": list(encoder.parameters()), "peak": rate}]
        groups += [{"params": list(head.parameters()), "peak": max(rate, HEAD_RATE)}]
        optimiser = torch.optim.AdamW(groups, lr=rate, weight_decay=DECAY)
        best = _Tuned(encoder, head, classes, rate, 0, self._log_loss(encoder, head, classes))
        kept, steps = (_state(encoder), _state(head)), self.images // BATCH
        looks = {math.ceil(steps * look / LOOKS) for look in range(1, LOOKS + 1)}
        for step, rows in enumerate(_batches(len(train.label), steps, seed), start=1):
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * _share(step, steps)
            self._learn(
                encoder, head, optimiser, train, torch.as_tensor(target, device=device), rows, seed + step
            )
            if step in looks:
                loss = self._log_loss(encoder, head, classes)
                if loss < best.log_loss:
                    best = replace(best, log_loss=loss, seen=step * BATCH)
                    kept = _state(encoder), _state(head)
        encoder.load_state_dict(kept[0])
        head.load_state_dict(kept[1])
        return best

    def _learn(
        self,
        encoder: Encoder,
        head: nn.Linear,
        optimiser: torch.optim.Optimizer,
        train: LabelledGalaxies,
        target: Int[Tensor, " galaxy"],
        rows: Int[np.ndarray, " batch"],
        seed: int,
    ) -> None:
        """Take one step."""
        images = self.trainable.images(train.ids[rows])
        generator = torch.Generator(images.device).manual_seed(seed % 2**63)
        seen = base_augment(images, generator, mirror=self.trainable.mirror_safe)
        with scoped_global(seed, "finetune dropout", device=images.device):
            features = self._scaled(self.trainable.read(encoder.train(), seen))
        loss = F.cross_entropy(head(features), target[torch.as_tensor(rows, device=target.device)])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*encoder.parameters(), *head.parameters()], CLIP)
        optimiser.step()

    def _scaled(self, features: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        mean, std = self.scaling.mean.to(features.device), self.scaling.std.to(features.device)
        return (features.float() - mean) / std

    def _logits(
        self, encoder: Encoder, head: nn.Linear, galaxies: LabelledGalaxies
    ) -> Float[Tensor, "galaxy class"]:
        """Return the logits, on the CPU."""
        parts = [galaxies.ids[start : start + READ] for start in range(0, len(galaxies.ids), READ)]
        encoder.eval()
        read = (self.trainable.read(encoder, self.trainable.images(ids)) for ids in parts)
        return torch.cat([head(self._scaled(features)).cpu() for features in read])

    @torch.no_grad()
    def _log_loss(self, encoder: Encoder, head: nn.Linear, classes: Int[np.ndarray, " class"]) -> float:
        """Return the validation log-loss; a class that the fit lacks says nothing of it and is left out."""
        known = np.flatnonzero(np.isin(self.val.label, classes))
        if not len(known):
            return 0.0
        logits = self._logits(encoder, head, _taken(self.val, known)).double()
        found = float(
            F.cross_entropy(logits, torch.as_tensor(np.searchsorted(classes, self.val.label[known])))
        )
        return found if math.isfinite(found) else math.inf


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _batches(count: int, steps: int, seed: int) -> Iterator[Int[np.ndarray, " batch"]]:
    """Yield rows of galaxies, pass after pass, each in an order of its own."""
    waiting, number = np.empty(0, dtype=np.int64), 0
    for _ in range(steps):
        while len(waiting) < BATCH:
            order = np.random.default_rng(stream_seed(seed, "finetune order", number)).permutation(count)
            waiting, number = np.concatenate([waiting, order]), number + 1
        rows, waiting = waiting[:BATCH], waiting[BATCH:]
        yield rows


def _share(step: int, steps: int) -> float:
    """Return the share of the peak rate at a step: a warm-up, then a cosine."""
    warm = max(1.0, WARMUP * steps)
    return min(step / warm, 0.5 * (1 + math.cos(math.pi * (step - 1) / steps)))
