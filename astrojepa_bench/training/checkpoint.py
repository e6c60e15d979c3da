"""Checkpoints inside a training run: written whole or not at all, read back exactly."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)
        self._last = time.monotonic()

    def read(self, device: torch.device) -> dict[str, Any] | None:
        """Give the newest state, or None where there is none; never executes pickled code."""
        if not self.path.exists():
            return None
        state: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
        return state

    def remove(self) -> None:
        """Forget the run's checkpoint, and what earlier kills left half-written."""
        self.path.unlink(missing_ok=True)
        for partial in self.path.parent.glob(f"{self.path.stem}.*.partial"):
            partial.unlink(missing_ok=True)
