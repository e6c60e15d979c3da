"""From a checkpoint back to the state of a run: what does not fit is refused before anything of it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from astrojepa_bench.border import blamed_on
from astrojepa_bench.errors import DataError, named
from astrojepa_bench.events import emit
from astrojepa_bench.roles import Objective
from astrojepa_bench.training.checkpoint import (
    Checkpointer,
    growing_buffers,
    misfit,
    optimiser_misfit,
    stretch,
)
from astrojepa_bench.training.hidden import hidden_misfit, load_hidden


def check_fit(
    saved: Mapping[str, Any], fresh: Mapping[str, Any], objective: Objective, optimiser: Optimizer
) -> None:
    """Refuse a checkpoint before anything of it is loaded.

    Args:
        saved: what was kept.
        fresh: what this run would keep before its first step.
        objective: takes the weights.
        optimiser: takes the moments.

    Raises:
        DataError: it is of another run or was written by another version.
    """
    another, steps = "it was written by another version of the bench", fresh["steps"]
    if saved.keys() != fresh.keys():
        raise DataError(another)
    if saved["steps"] != steps or not 0 < saved["step"] < steps:
        raise DataError(f"it is at step {saved['step']} of {saved['steps']}, and this run has {steps}")
    try:
        reason = (
            misfit(saved["objective"], fresh["objective"], growing_buffers(objective).keys())
            or hidden_misfit(saved["hidden"], objective)
            or optimiser_misfit(saved["optimiser"], optimiser)
        )
    except (KeyError, IndexError, TypeError, AttributeError):  # parts of it are of other types
        raise DataError(another) from None
    if reason is not None:
        raise DataError(f"it does not fit the objective ({reason}); its code has changed since")


def load_state(
    saved: Mapping[str, Any], objective: Objective, optimiser: Optimizer, checkpoint: Checkpointer | None
) -> None:
    """Load what fits; a file that does not load all the same is removed, so that nobody tries it again."""
    try:
        with blamed_on(objective):
            stretch(objective, saved["objective"])
            objective.load_state_dict(saved["objective"])
            load_hidden(objective, saved["hidden"])
            for name, gradient in saved["gradients"].items():
                objective.get_parameter(name).grad = gradient
        optimiser.load_state_dict(saved["optimiser"])
    except (MemoryError, torch.OutOfMemoryError):
        raise  # no fault of the file
    except Exception as error:
        # what is half loaded must not be trained: without the file another objective starts anew
        if checkpoint is not None:
            checkpoint.remove()
            text = f"the checkpoint of this run does not load and was removed ({named(error)[:200]})"
            emit("note", text=text)
        raise
