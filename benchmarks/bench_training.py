"""Training steps against AstroJEPA's, lightly's and stable-pretraining's, at equal sizes and equal losses.

I-JEPA at AstroJEPA's own configuration (224 px, patches of 16, 192 wide, three heads, 6 + 6 layers); LeJEPA, MAE
and VICReg at `small` (64 px, patches of 8, 96 wide, four heads, four layers). Ours is the loop's whole step: images
as bytes, base augmentation, masks, loss, gradient, AdamW, teacher. Peers are given masks and views unless said.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from astrojepa_ijepa import IJEPA
from astrojepa_lejepa import LeJEPA
from astrojepa_mae import MAE
from astrojepa_multiblock import Multiblock
from astrojepa_random import NoMasks, RandomPatches
from astrojepa_sigreg import random_slices
from astrojepa_vicreg import VICReg
from machine import flops_of, has_bf16, share_of_peak
from ours import Size, drawn, encoder_of, knows_precision, trainer_of
from peers.astrojepa import TRAINED, AstroJEPA
from PIL import Image
from table import Row, absent, paired
from torch import Tensor
from torchvision import transforms

from astrojepa_bench.streams import Streams
from astrojepa_bench.training.loop import Trainer

SEED_SIZE = Size(224, 16, 192, 6, 3, 16)
SMALL = Size(64, 8, 96, 4, 4, 128)
PREDICTOR = {"predictor_width": 192, "predictor_depth": 6, "predictor_heads": 3}
EQUAL = 1e-4  # relative, of two losses that are the same formula


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Measure each objective against each peer."""
    seed_size = Size(224, 16, 192, 6, 3, 2) if quick else SEED_SIZE
    small = Size(64, 8, 96, 4, 4, 8) if quick else SMALL
    few, many = (1, 1) if quick else (5, 11)
    yield from against_astrojepa(seed_size, few)
    if find_spec("lightly") is None:
        yield absent("steps of I-JEPA, MAE, LeJEPA, VICReg", "lightly")
    else:
        yield from against_lightly(seed_size, small, few, many)
    yield from against_stable_pretraining(seed_size, few)


def stepper(trainer: Trainer) -> Callable[[], float]:
    """Return what takes the next step of a trainer, and returns its loss."""
    steps = iter(range(10**9))
    return lambda: float(trainer._step(next(steps)).values[0])


def batch_of(trainer: Trainer) -> Tensor:
    """Return the images of its first step."""
    return trainer.batch_of(0, Streams(0, 0, torch.device("cpu"), progress=0.0)).images


def cost(trainer: Trainer, seconds: float, kind: str = "float32") -> str:
    """Say how large a step is, and how near to the peak it runs."""
    return share_of_peak(
        flops_of(lambda: trainer.loss_of(trainer.objective, 0).total.backward()), seconds, kind
    )


def ijepa_of(size: Size, *, bf16: bool = False, **options: object) -> Trainer:
    """Our I-JEPA with a predictor as wide and deep as AstroJEPA's: 49 context patches, four targets of 35."""
    return trainer_of(IJEPA, Multiblock, size, bf16=bf16, crop=None, **PREDICTOR, **options)


def has_joint() -> bool:
    """Whether our I-JEPA can predict all blocks in one sequence."""
    return "joint" in inspect.signature(IJEPA).parameters


def rate(batch: int, seconds: float) -> float:
    """Return images a second."""
    return batch / seconds


# --- AstroJEPA ------------------------------------------------------------------------------------------------


def against_astrojepa(size: Size, repeats: int) -> Iterator[Row]:
    """AstroJEPA's step: as published, ours in float32, and ours in bfloat16 where the processor has it."""
    torch.manual_seed(0)
    peer = AstroJEPA()
    trained = sum(each.numel() for each in peer.parameters() if each.requires_grad)
    assert trained == TRAINED, f"AstroJEPA has {TRAINED} trained parameters, this copy {trained}"
    images = 2 * batch_of(ijepa_of(size)) - 1
    learns("AstroJEPA", lambda: float(peer.step(images)))
    options: list[tuple[str, dict[str, object]]] = [("", {})]
    options += [(", joint", {"joint": True})] if has_joint() else []
    for title, chosen in options:
        for kind in ("float32", "bf16"):
            what = f"step of I-JEPA{title}, {kind}, against AstroJEPA's"
            goal = ">= 6" if kind == "bf16" and not title and repeats > 1 else ""
            if kind == "bf16" and not (has_bf16() and knows_precision()):
                yield Row(
                    what, None, None, None, "", goal, "not measured: no AVX-512-BF16, or no --precision"
                )
                continue
            ours = ijepa_of(size, bf16=kind == "bf16", **chosen)
            learns(what, stepper(ours))
            found = paired(stepper(ours), lambda: peer.step(images), repeats)
            yield Row(
                what, rate(size.batch, found.ours_s), rate(size.batch, found.peer_s), found.ratio, "images/s",
                goal, "its masks drawn image by image, its data path left out; both losses fall",
                found.spread, f"arithmetic: {cost(ours, found.ours_s, kind)}",
            )  # fmt: skip


def learns(what: str, step: Callable[[], float], steps: int = 6) -> None:
    """Check that a loss is finite and falls: the last of a few steps lies below the first."""
    losses = [step() for _ in range(steps)]
    assert np.isfinite(losses).all(), f"{what}: losses {losses}"
    assert losses[-1] < losses[0], f"{what}: the loss rises, {losses}"


# --- lightly --------------------------------------------------------------------------------------------------


def against_lightly(seed_size: Size, small: Size, few: int, many: int) -> Iterator[Row]:
    """Each with the weights, masks and views of ours, so that the losses must be equal."""
    from peers import by_lightly

    ours = ijepa_of(seed_size)
    images = batch_of(ours)
    masks = drawn(ours, images)
    peer = by_lightly.LightlyIJEPA(ours.objective)
    equal("I-JEPA", ours.loss_of(ours.objective, 0).total, peer.loss(images, masks))
    yield compared(
        "I-JEPA", ours, lambda: peer.step(images, masks), few, "the same masks, drawn in ours only"
    )

    ours = trainer_of(MAE, RandomPatches, small, norm="none", visible=0.25)
    images = batch_of(ours)
    masks = drawn(ours, images)
    painter, hidden = by_lightly.LightlyMAE(ours.objective), ours.objective.hidden(masks)
    equal("MAE", ours.loss_of(ours.objective, 0).total, painter.loss(images, masks.context, hidden))
    given = (images, masks.context, hidden)
    yield compared("MAE", ours, lambda: painter.step(*given), many, "the same masks, drawn in ours only")

    yield from lejepa_against_lightly(small, many)

    ours = trainer_of(VICReg, None, small)
    seen = captured(ours, "vicreg")
    looker = by_lightly.LightlyVICReg(ours.objective)
    equal("VICReg", ours.loss_of(ours.objective, 0).total, looker.loss(seen[0]))
    yield compared(
        "VICReg", ours, lambda: looker.step(seen[0]), many, "ours draws and augments two views, its are given"
    )


def lejepa_against_lightly(size: Size, repeats: int) -> Iterator[Row]:
    """LeJEPA's whole step against lightly's model alone, and with torchvision's views."""
    from peers import by_lightly

    ours = trainer_of(LeJEPA, NoMasks, size)
    objective, batch = ours.objective, size.batch
    whole, local = captured(ours, "lejepa")
    peer = by_lightly.LightlyLeJEPA(objective)
    streams = Streams(0, 0, torch.device("cpu"), progress=0.0)
    directions = random_slices(64, objective.slices, streams.shared("slices"))
    sketch = peer.criterion.sigreg
    drawing, sketch._generate_unit_vectors = sketch._generate_unit_vectors, by_lightly.slices_as(directions)
    equal("LeJEPA", ours.loss_of(objective, 0).total, peer.loss(whole, local, batch))
    sketch._generate_unit_vectors = drawing
    yield compared(
        "LeJEPA", ours, lambda: peer.step(whole, local, batch), repeats,
        "ours augments 2 + 4 views, its are given", whole=True,
    )  # fmt: skip

    pictures = [
        Image.fromarray(np.ascontiguousarray(each))
        for each in (255 * batch_of(ours)).byte().permute(0, 2, 3, 1).numpy()
    ]
    turned = [transforms.RandomRotation(180, transforms.InterpolationMode.BILINEAR)]
    turned += [transforms.RandomHorizontalFlip()]
    views = [
        (2, transforms.Compose([*turned, _crop(size.image_px, objective.scale), transforms.ToTensor()])),
        (4, transforms.Compose([*turned, _crop(size.image_px // 2, (0.3, 0.55)), transforms.ToTensor()])),
    ]

    def with_torchvision() -> None:
        seen, small = (
            torch.stack([view(each) for _ in range(count) for each in pictures]) for count, view in views
        )
        peer.step(seen, small, batch)

    yield compared(
        "LeJEPA", ours, with_torchvision, max(1, repeats // 2),
        "both turn, mirror and crop 2 + 4 views; torchvision on decoded PIL images, without noise",
        peer="lightly's with torchvision's views", whole=True,
    )  # fmt: skip


def _crop(size_px: int, sides: tuple[float, float]) -> transforms.RandomResizedCrop:
    low, high = (side**2 for side in sides)
    return transforms.RandomResizedCrop(size_px, scale=(low, high), ratio=(1.0, 1.0))


def captured(trainer: Trainer, kind: str) -> list[Tensor]:
    """Return the views that the encoder sees in the first step."""
    seen: list[Tensor] = []
    handle = trainer.objective.encoder.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    trainer.loss_of(trainer.objective, 0)
    handle.remove()
    assert len(seen) == {"vicreg": 1, "lejepa": 2}[kind], f"{kind} encodes {len(seen)} times"
    return seen


def equal(what: str, ours: Tensor, peer: Tensor) -> None:
    """Check that two losses are the same number."""
    a, b = float(ours.detach()), float(peer.detach())
    assert abs(a - b) <= EQUAL * abs(a), f"{what}: our loss is {a}, the peer's {b}"


def compared(
    name: str,
    ours: Trainer,
    step: Callable[[], object],
    repeats: int,
    how: str,
    *,
    peer: str = "lightly's",
    whole: bool = False,
) -> Row:
    """Time our step against a peer's."""
    found, batch = paired(stepper(ours), step, repeats), ours.batch_size
    title = f"{'whole ' if whole else ''}step of {name} against {peer}"
    return Row(
        title, rate(batch, found.ours_s), rate(batch, found.peer_s), found.ratio, "images/s", "",
        f"equal weights, equal loss; {how}", found.spread, f"arithmetic: {cost(ours, found.ours_s)}",
    )  # fmt: skip


# --- stable-pretraining ---------------------------------------------------------------------------------------


def against_stable_pretraining(size: Size, repeats: int) -> Iterator[Row]:
    """Its I-JEPA attends over all targets in one sequence: ours as published, and ours `joint`."""
    kinds = [("step of I-JEPA against stable-pretraining's", "", {})]
    goal = ">= 1.2" if repeats > 1 else ""
    kinds += [("step of I-JEPA, joint, against stable-pretraining's", goal, {"joint": True})]
    try:
        from peers.by_stable_pretraining import StablePretrainingIJEPA
    except ImportError as error:
        for what, goal, _ in kinds:
            yield absent(what, f"stable-pretraining ({error})", goal)
        return
    peer = StablePretrainingIJEPA(encoder_of(size), width=192, depth=6)
    for what, goal, chosen in kinds:
        if chosen and not has_joint():
            yield Row(what, None, None, None, "", goal, "not measured: `ijepa` has no option `joint`")
            continue
        ours = ijepa_of(size, **chosen)
        images = batch_of(ours)
        step = partial(peer.step, images, drawn(ours, images))
        learns("stable-pretraining's I-JEPA", lambda step=step: float(step()))
        learns(what, stepper(ours))
        found = paired(stepper(ours), step, repeats)
        yield Row(
            what, rate(size.batch, found.ours_s), rate(size.batch, found.peer_s), found.ratio, "images/s", goal,
            "equal widths; the same masks, drawn in ours only; both losses fall", found.spread,
            f"arithmetic: {cost(ours, found.ours_s)}",
        )  # fmt: skip
