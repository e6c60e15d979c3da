"""Checkpoints inside a training run: written whole or not at all, read back exactly."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from astrojepa_bench.errors import DataError
from astrojepa_bench.files import replacing


@dataclass
class Checkpointer:
    """Keeps the newest state of one run.

    Attributes:
        path: where; a torch file that holds tensors and plain numbers only.
        every_s: least time between two checkpoints [s]; resuming is exact, so the moment does not matter.
    """

    path: Path
    every_s: float = 15.0
    _last: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._last >= self.every_s

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint in one step, so that a kill leaves the old one or the new one."""
        with replacing(self.path) as draft, draft.open("wb") as file:
            torch.save(dict(state), file)
        self._last = time.monotonic()

    def read(self, device: torch.device) -> dict[str, Any] | None:
        """Read the newest state; None where there is none. Never executes pickled code.

        Raises:
            DataError: the file is damaged.
        """
        if not self.path.exists():
            return None
        try:
            state: object = torch.load(self.path, map_location=device, weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise DataError(f"it cannot be read ({type(error).__name__})") from None
        if not isinstance(state, dict):
            raise DataError(f"it holds a {type(state).__name__}; expected a dictionary")
        return state

    def remove(self) -> None:
        """Remove the run's checkpoint."""
        self.path.unlink(missing_ok=True)


def misfit(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """Return why a state dict cannot be loaded, or None where every name, shape and type fits.

    A state dict that is loaded without this check may be copied in part before the first misfit is met.

    Args:
        found: what was kept.
        expected: the state dict of what it is to be loaded into.
    """
    strange = next((name for name in found if name not in expected), None)
    if strange is not None:
        return f"unexpected '{strange}'"
    for name, value in expected.items():
        if name not in found:
            return f"'{name}' is missing"
        kinds = [(tuple(each.shape), each.dtype) for each in (found[name], value) if torch.is_tensor(each)]
        if len(kinds) == 1 or len(set(kinds)) > 1:
            (shape, dtype), *_ = kinds
            return f"'{name}' is {dtype} of shape {shape}"
    return None
