"""What a plugin may replace in code that everybody uses: `torch.Tensor.mean = …`.

Kept are the names and objects of those modules and classes, shallowly, and compared by identity. What a module
gained is left alone, since libraries import parts of themselves late; what a class gained is removed where it
hides what the class inherits.
"""

from __future__ import annotations

import builtins
import inspect
import io
import json
import math
import os
import pathlib
import pickle
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch

_MODULES: tuple[ModuleType, ...] = (
    torch, torch.nn, torch.nn.functional, torch.nn.init, torch.optim, torch.linalg, torch.fft, torch.special,
    torch.autograd, torch.random, torch.cuda, np, np.linalg, np.random, np.fft, json, pickle, math, os, os.path,
    time, io, builtins,
)  # fmt: skip
_CLASSES: tuple[type, ...] = (
    torch.Tensor, torch.nn.Module, torch.nn.Parameter, torch.optim.Optimizer, torch.Generator,
    torch.autograd.Function, json.JSONEncoder, json.JSONDecoder, pathlib.Path,
)  # fmt: skip
_OWN = "astrojepa_bench"
_MISSING = object()


@dataclass(frozen=True)
class Namespaces:
    """The names of the modules and classes that everybody uses, as they were.

    Attributes:
        kept: what each held, by name.
    """

    kept: tuple[tuple[ModuleType | type, Mapping[str, Any]], ...]

    @classmethod
    def read(cls) -> Namespaces:
        """Keep them as they are now."""
        return cls(tuple((owner, dict(vars(owner))) for owner in _owners(len(sys.modules))))

    def put_back(self) -> list[str]:
        """Put back what was replaced, and return its names."""
        return [f"{_title(owner)}.{name}" for owner, kept in self.kept for name in _mended(owner, kept)]


@lru_cache(maxsize=1)
def _owners(modules: int) -> tuple[ModuleType | type, ...]:
    """Collect the modules and classes that are watched: torch, NumPy, Python's own, and this bench.

    Args:
        modules: how many are imported; with more of them it is looked again.
    """
    layers = [each for each in vars(torch.nn).values() if inspect.isclass(each)]
    found: list[ModuleType | type] = [*_MODULES, *_CLASSES]
    found += [each for each in layers if issubclass(each, torch.nn.Module) and each is not torch.nn.Module]
    for module in [each for name, each in sys.modules.items() if name.partition(".")[0] == _OWN]:
        own = [each for each in vars(module).values() if inspect.isclass(each)]
        found += [module, *(each for each in own if each.__module__ == module.__name__)]
    return tuple(found)


def _mended(owner: ModuleType | type, kept: Mapping[str, Any]) -> Iterator[str]:
    now = vars(owner)
    for name, value in kept.items():
        if now.get(name, _MISSING) is not value and _is_code(owner, name, value):
            setattr(owner, name, value)
            yield name
    if isinstance(owner, type) and len(now) != len(kept):
        for name in set(now) - set(kept):
            inherited = [vars(base)[name] for base in owner.__mro__[1:] if name in vars(base)]
            if inherited and _is_code(owner, name, inherited[0]):
                delattr(owner, name)
                yield name


def _is_code(owner: ModuleType | type, name: str, value: object) -> bool:
    """Whether something is a function, class or constant of its owner, and no state that its own code moves."""
    if owner is torch and name == "Storage":  # follows the default dtype
        return False
    if name.startswith("_"):  # Python or a library keeps it for itself: registries, caches, slots of a class
        return inspect.isroutine(value) and name.endswith("__")
    return isinstance(owner, type) or owner.__name__.partition(".")[0] != _OWN or callable(value)


def _title(owner: ModuleType | type) -> str:
    if isinstance(owner, ModuleType):
        return owner.__name__
    module = owner.__module__.replace(f"torch.nn.modules.{owner.__module__.rpartition('.')[2]}", "torch.nn")
    return owner.__name__ if module == "builtins" else f"{module}.{owner.__name__}"
