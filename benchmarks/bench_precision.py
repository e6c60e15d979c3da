"""The training step of I-JEPA in bfloat16 and with all blocks in one sequence, against itself as it comes.

A step is what the loop does: batch, masks, loss, gradient, optimiser, teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from astrojepa_ijepa import IJEPA
from astrojepa_multiblock import Multiblock
from ours import Size, trainer_of
from table import Row, paired

from astrojepa_bench.training import loop
from astrojepa_bench.training.loop import Trainer

SIZES = (Size(64, 8, 192, 6, 3, 64), Size(64, 8, 96, 4, 4, 128))
APART = 0.02  # how far losses in bfloat16 may be from those in float32


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Compare arithmetic at two widths, and the forms of the predictor at one."""
    repeats = 1 if quick else 7
    for size in SIZES[1:] if quick else SIZES:
        plain = {"predictor_width": size.width, "predictor_heads": size.heads}
        float32, bf16 = (trainer_of(IJEPA, Multiblock, size, bf16=each, **plain) for each in (False, True))
        full, half = (each.loss_of(each.objective, 0).total.item() for each in (float32, bf16))
        assert abs(full - half) < APART * full, f"losses are {full:.5g} and {half:.5g}"
        where = f"{size.width} wide, {size.depth} deep"
        yield row(f"step of `ijepa` in bf16 against float32, {where}", size, bf16, float32, repeats)
        yield row(
            f"step of `ijepa` in bf16 against plain autocast, {where}",
            size,
            bf16,
            with_plain_autocast(trainer_of(IJEPA, Multiblock, size, bf16=True, **plain)),
            repeats,
        )
    joint, apart = (trainer_of(IJEPA, Multiblock, size, joint=each) for each in (True, False))
    note = "not the same numbers: targets see one another's places"
    yield row(f"step of `ijepa`, joint against as published, {where}", size, joint, apart, repeats, note)


def row(
    what: str, size: Size, ours: Trainer, peer: Trainer, repeats: int, note: str = "losses agree within 2 %"
) -> Row:
    """Time two trainers in turn."""
    measured = paired(stepper(ours), stepper(peer), repeats)
    rates = (size.batch / each for each in (measured.ours_s, measured.peer_s))
    return Row(what, *rates, measured.ratio, "images/s", "", note, measured.spread, "arithmetic")


def stepper(trainer: Trainer) -> Callable[[], object]:
    """Return what takes the next step."""
    numbers = iter(range(10**6))
    return lambda: trainer._step(next(numbers))


def with_plain_autocast(trainer: Trainer) -> Trainer:
    """Let a trainer compute its losses as torch's autocast alone would."""
    loss_of = trainer.loss_of

    def plainly(*asked: object) -> object:
        ours = loop.autocast_to
        loop.autocast_to = lambda _precision, device: torch.autocast(device, torch.bfloat16)
        try:
            return loss_of(*asked)
        finally:
            loop.autocast_to = ours

    trainer.loss_of = plainly
    return trainer
