"""State of an objective that is neither parameter nor buffer: kept in checkpoints, so that resuming stays exact.

Found without being declared, on the objective and on every module in it, are attributes that hold an optimiser, a
schedule of one, or a random generator of torch, NumPy or Python. Everything else is what `Objective.extra_state`
returns: objects with `state_dict` and `load_state_dict`, or plain values, which are attributes of the objective.

A checkpoint is read without executing anything, so state is written as tensors, numbers, text, lists, tuples and
dicts of these; NumPy's arrays stand in it as tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random, SystemRandom
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from astrojepa_bench.checked import described, misnamed
from astrojepa_bench.errors import ContractError
from astrojepa_bench.roles import Objective
from astrojepa_bench.training.checkpoint import misfit, optimiser_misfit

_FOUND = (Optimizer, LRScheduler, torch.Generator, np.random.Generator, Random)
_ARRAY = "numpy array"
_PLAIN = (type(None), bool, int, float, str, bytes)
_Written: TypeAlias = Any  # tensors and plain values


def hidden_state(objective: Objective) -> dict[str, _Written]:
    """Return the state of everything that is kept beside parameters and buffers, by name.

    Raises:
        ContractError: something that was declared as state cannot be kept.
    """
    return {name: _written(f"state '{name}'", _state_of(held)) for name, held in _held(objective).items()}


def hidden_misfit(found: Mapping[str, Any], objective: Objective) -> str | None:
    """Return why kept state cannot be loaded, or None where it fits; nothing is changed."""
    held = _held(objective)
    if found.keys() != held.keys():
        strange = sorted(found.keys() ^ held.keys())
        return f"state '{strange[0]}' is only in one of them"
    for name, value in held.items():
        if isinstance(value, Optimizer) and optimiser_misfit(found[name], value) is not None:
            return f"optimiser '{name}' kept other parameters"
        if isinstance(value, nn.Module):
            reason = misfit(found[name], value.state_dict())
            if reason is not None:
                return f"{reason} in '{name}'"
    return None


def load_hidden(objective: Objective, found: Mapping[str, Any]) -> None:
    """Put kept state back: into the objects that held it, plain values under the name of their attribute."""
    held: Any
    for name, held in _held(objective).items():
        state = _read(found[name])
        if isinstance(held, torch.Generator):
            held.set_state(state.cpu())
        elif isinstance(held, np.random.Generator):
            held.bit_generator.state = state
        elif isinstance(held, Random):
            held.setstate(state)
        elif _is_holder(held):
            held.load_state_dict(state)
        else:
            setattr(objective, name, state)


def _held(objective: Objective) -> dict[str, object]:
    """Collect what holds state, by name; what is declared keeps the name that it was given."""
    declared: object = objective.extra_state()
    if not isinstance(declared, Mapping):
        raise ContractError(
            f"extra_state() returned {described(declared)}; expected a mapping of names to state"
        )
    for name, value in declared.items():
        reason = misnamed(name)
        if reason is None and not _is_holder(value) and not hasattr(objective, name):
            reason = f"'{name}' is no attribute of the objective, so nothing says where its value goes back"
        if reason is not None:
            raise ContractError(f"extra_state(): {reason}")
    known = {id(value) for value in declared.values()}
    held = dict(declared)
    for path, module in objective.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, _FOUND) and type(value) is not SystemRandom and id(value) not in known:
                known.add(id(value))
                held[f"{path}.{name}".lstrip(".")] = value
    return held


def _is_holder(value: object) -> bool:
    return isinstance(value, _FOUND) or (hasattr(value, "state_dict") and hasattr(value, "load_state_dict"))


def _state_of(held: Any) -> object:  # noqa: ANN401 whatever a plugin keeps
    if isinstance(held, torch.Generator):
        return held.get_state()
    if isinstance(held, np.random.Generator):
        return held.bit_generator.state
    if isinstance(held, Random):
        return held.getstate()
    return held.state_dict() if _is_holder(held) else held


def _written(what: str, value: object) -> _Written:
    """Turn state into what a checkpoint holds.

    Raises:
        ContractError: a checkpoint cannot hold it.
    """
    kind = type(value)
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return {_ARRAY: torch.from_numpy(np.array(value)), "scalar": isinstance(value, np.generic)}
    if kind in _PLAIN:
        return value
    if isinstance(value, list | tuple) and kind in (list, tuple):
        return kind(_written(f"{what}[{place}]", each) for place, each in enumerate(value))
    if isinstance(value, Mapping) and all(type(key) in _PLAIN for key in value):
        return {key: _written(f"{what}[{key!r}]", each) for key, each in value.items()}
    raise ContractError(
        f"{what} is {described(value)}, which a checkpoint cannot hold; return tensors, numbers, text, lists, "
        "tuples and dicts of these, or an object with state_dict() and load_state_dict()"
    )


def _read(value: _Written) -> Any:  # noqa: ANN401 the inverse
    if isinstance(value, dict) and _ARRAY in value:
        array = value[_ARRAY].cpu().numpy()
        return array[()] if value["scalar"] else array
    if isinstance(value, dict):
        return {key: _read(each) for key, each in value.items()}
    return type(value)(_read(each) for each in value) if isinstance(value, list | tuple) else value
