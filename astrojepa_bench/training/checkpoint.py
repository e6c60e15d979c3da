"""Checkpoints inside a training run: written whole or not at all, read back exactly."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.serialization import default_restore_location

from astrojepa_bench.checked import described
from astrojepa_bench.errors import DataError, StorageError
from astrojepa_bench.events import emit
from astrojepa_bench.files import replacing
from astrojepa_bench.seals import append_seal, seal_holds

_KEPT = {"betas": frozenset({"step", "exp_avg", "exp_avg_sq"}), "momentum": frozenset({"momentum_buffer"})}
"""What an optimiser keeps of each parameter, by the setting of its group that asks for it."""
_KNOWN = frozenset({"AdamW", "SGD", "Lars", "Muon", "TwoOptimisers"})  # of which that is so


@dataclass
class Checkpointer:
    """Keeps the newest state of one run.

    Attributes:
        path: where; a torch file that holds tensors and plain numbers only, with a seal behind it.
        every_s: least time between two checkpoints [s]; resuming is exact, so the moment does not matter.
    """

    path: Path
    every_s: float = 15.0
    _last: float = field(default_factory=time.monotonic)
    _is_unwritable: bool = False

    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._last >= self.every_s

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint in one step, so that a kill leaves the old one or the new one.

        A run that cannot keep its state goes on without, and says so once.
        """
        try:
            with replacing(self.path) as draft:
                with draft.open("wb") as file:
                    torch.save(dict(state), file)
                append_seal(draft)
        except StorageError as error:
            if not self._is_unwritable:
                emit(
                    "note",
                    text=f"the run goes on without a checkpoint, and starts anew if it is killed: {error}",
                )
            self._is_unwritable = True
        self._last = time.monotonic()

    def read(self, device: torch.device) -> dict[str, Any] | None:
        """Read the newest state; None where there is none. Never executes pickled code.

        Raises:
            DataError: the file is damaged.
        """
        if not self.path.exists():
            return None
        try:
            holds = seal_holds(self.path)
            if not holds:
                raise DataError(
                    f"its checksum is {'missing' if holds is None else 'not that of what was written'}"
                )
            state: object = torch.load(self.path, map_location=placed_on(device), weights_only=True)
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise DataError(f"it cannot be read ({type(error).__name__})") from None
        if not isinstance(state, dict):
            raise DataError(f"it holds a {type(state).__name__}; expected a dictionary")
        return state

    def remove(self) -> None:
        """Remove the run's checkpoint."""
        self.path.unlink(missing_ok=True)


def placed_on(device: torch.device) -> Callable[[Any, str], Any]:
    """Move what was on an accelerator to a device and leave the rest on the CPU, as it was when it was written."""

    def place(storage: Any, location: str) -> Any:  # noqa: ANN401 torch's storages
        return storage if location == "cpu" else default_restore_location(storage, str(device))

    return place


def misfit(
    found: Mapping[str, Any], expected: Mapping[str, Any], growing: Collection[str] = ()
) -> str | None:
    """Return why a state dict cannot be loaded, or None where every name, shape and type fits.

    A state dict that is loaded without this check may be copied in part before the first misfit is met.

    Args:
        found: what was kept.
        expected: the state dict of what it is to be loaded into.
        growing: names that may be missing there, or be of another length.
    """
    strange = next((name for name in found if name not in expected and name not in growing), None)
    if strange is not None:
        return f"unexpected '{strange}'"
    for name, value in expected.items():
        if name not in found:
            return f"'{name}' is missing"
        fixed = slice(1 if name in growing else 0, None)  # of the dimensions
        kinds = [
            (each.ndim, tuple(each.shape)[fixed], each.dtype)
            for each in (found[name], value)
            if torch.is_tensor(each)
        ]
        if len(kinds) == 1 or len(set(kinds)) > 1:
            return f"'{name}' is {described(found[name])}, not {described(value)}"
    return None


def optimiser_misfit(found: Mapping[str, Any], optimiser: torch.optim.Optimizer) -> str | None:
    """Return why an optimiser's state cannot be loaded, or None where its groups and every entry fit.

    Of the groups, the schedule's own settings may differ; an entry must be complete and of its parameter's shape.
    """
    kept, groups = found["param_groups"], optimiser.state_dict()["param_groups"]
    if [(len(group["params"]), group.keys()) for group in kept] != [
        (len(group["params"]), group.keys()) for group in groups
    ]:
        return "the optimiser kept other parameters"
    trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    is_known = bool(_KNOWN & {each.__name__ for each in type(optimiser).__mro__})
    needed = [_needed(group) for group in optimiser.param_groups for _ in group["params"]]
    for place, entry in found["state"].items():
        if not 0 <= place < len(trained):
            return f"the optimiser kept parameter {place} of {len(trained)}"
        shapes = {tuple(value.shape) for value in entry.values() if torch.is_tensor(value) and value.ndim}
        if is_known and not needed[place] <= {name for name, value in entry.items() if value is not None}:
            return f"the optimiser lacks moments of parameter {place}"
        if (is_known or isinstance(optimiser, torch.optim.Adam)) and shapes - {tuple(trained[place].shape)}:
            return f"the optimiser kept moments of another shape for parameter {place}"
    return None


def _needed(group: Mapping[str, Any]) -> frozenset[str]:
    return next((kept for setting, kept in _KEPT.items() if group.get(setting)), frozenset())


# --- buffers that grow ----------------------------------------------------------------------------------------


def growing_buffers(module: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Find the buffers of a state dict, which may be longer when they are kept than when they are made.

    A memory of one row a galaxy grows while it meets them; a centre may be None until it is first measured.

    Returns:
        The module that holds each and its name there, by its name in the state dict.
    """
    return {
        f"{path}.{name}".lstrip("."): (each, name)
        for path, each in module.named_modules(remove_duplicate=False)
        for name in each._buffers
        if name not in each._non_persistent_buffers_set
    }


def stretch(module: nn.Module, found: Mapping[str, Any]) -> None:
    """Make room for a state dict that fits but for the length of buffers: each takes the shape that was kept."""
    for name, (holder, own) in growing_buffers(module).items():
        buffer, kept = holder._buffers[own], found.get(name)
        if torch.is_tensor(kept) and (buffer is None or buffer.shape != kept.shape):
            like = next(iter(module.parameters()), kept) if buffer is None else buffer
            setattr(holder, own, torch.empty_like(kept, device=like.device))
