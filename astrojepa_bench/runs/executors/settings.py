"""The settings of a process that a plugin may move, each with how it is read and how it is put back.

A setting that this platform or this torch does not have is left out. What cannot be put back is listed too, so that
a reader is told.
"""

from __future__ import annotations

import gc
import importlib
import locale
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Setting:
    """Something global.

    Attributes:
        name: for a reader.
        read: returns its value; later changes must not reach what was returned.
        put: sets it to a value that was read earlier.
        worth_telling: whether a reader is told of it; who only drew random numbers did nothing odd.
    """

    name: str
    read: Callable[[], Any]
    put: Callable[[Any], object]
    worth_telling: bool = True


def read_settings(settings: tuple[Setting, ...]) -> dict[Setting, object]:
    """Read all settings that can be read here."""
    found: dict[Setting, object] = {}
    for setting in settings:
        with suppress(Exception):  # this platform or this torch does not have it
            found[setting] = setting.read()
    return found


def is_same(a: object, b: object) -> bool:
    """Whether two values of a setting are the same; objects that cannot be compared are so by identity."""
    if isinstance(a, torch.Tensor | np.ndarray):
        return isinstance(b, type(a)) and bool(np.array_equal(a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(is_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(is_same(x, y) for x, y in zip(a, b, strict=True))
    return a is b or bool(a == b)


# --- torch --------------------------------------------------------------------------------------------------


def _attribute(owner: object, name: str, title: str) -> Setting:
    """Return the setting that an attribute holds."""
    return Setting(title, partial(attrgetter(name), owner), partial(setattr, owner, name))


def put_default_device(device: torch.device) -> None:
    """Set the default device; the CPU by setting none, as a default that is set costs time at each call."""
    torch.set_default_device(None if device.type == "cpu" else device)


def read_hooks() -> dict[str, list[tuple[object, object]]]:
    """Return what is registered with each of them."""
    return {name: list(hooks.items()) for name, hooks in _hooks()}


def put_hooks(kept: Mapping[str, list[tuple[object, object]]]) -> None:
    """Register what was registered."""
    for name, hooks in _hooks():
        if list(hooks.items()) != kept.get(name, []):
            hooks.clear()
            hooks.update(kept.get(name, []))


def _hooks() -> Iterator[tuple[str, dict[object, object]]]:
    """Yield torch's registers of hooks that every module or optimiser calls."""
    for module in ("torch.nn.modules.module", "torch.optim.optimizer"):
        for name, value in vars(importlib.import_module(module)).items():
            if name.startswith("_global_") and isinstance(value, dict):
                yield f"{module}.{name}", value


def flushes_denormals() -> bool:
    """Whether numbers below the smallest normal one are taken for zero in this thread."""
    smallest, half = sys.float_info.min, 0.5
    return smallest * half == 0.0


def read_cuda_random() -> list[torch.Tensor]:
    """Return the state of every GPU; none where no GPU was used yet."""
    return torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []


def put_cuda_random(states: list[torch.Tensor]) -> None:
    """Set the state of every GPU."""
    if states:
        torch.cuda.set_rng_state_all(states)


def _autocast(device: str) -> Iterator[Setting]:
    yield Setting(
        f"torch's autocast on {device}",
        partial(torch.is_autocast_enabled, device),
        partial(torch.set_autocast_enabled, device),
    )
    yield Setting(
        f"torch's autocast type on {device}",
        partial(torch.get_autocast_dtype, device),
        partial(torch.set_autocast_dtype, device),
    )


_BACKENDS = (
    ("cudnn", ("enabled", "benchmark", "deterministic", "allow_tf32")),
    (
        "cuda.matmul",
        ("allow_tf32", "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction"),
    ),
    ("mkldnn", ("enabled", "deterministic", "allow_tf32")),
    ("opt_einsum", ("enabled", "strategy")),
)

THREADS = "torch's threads"
ARITHMETIC: tuple[Setting, ...] = (
    Setting("torch's gradients", torch.is_grad_enabled, torch.set_grad_enabled),
    Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Setting("torch's default device", torch.get_default_device, put_default_device),
    Setting(THREADS, torch.get_num_threads, torch.set_num_threads),
    Setting(
        "torch's deterministic algorithms",
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
    ),
    Setting(
        "torch's anomaly detection",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda kept: torch.autograd.set_detect_anomaly(*kept),
    ),
    Setting(
        "torch's precision of matrix products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    Setting("torch's denormal numbers", flushes_denormals, torch.set_flush_denormal),
    *_autocast("cpu"),
    *_autocast("cuda"),
    *(
        _attribute(attrgetter(backend)(torch.backends), name, f"torch.backends.{backend}.{name}")
        for backend, names in _BACKENDS
        for name in names
    ),
)
"""What torch computes with: the settings that a process of its own is given too."""


def read_arithmetic(threads: int | None = None) -> dict[str, object]:
    """Read what torch computes with here, by name of the setting.

    Args:
        threads: of the process that is to compute with the rest of it; None: as many as this one.
    """
    found = {setting.name: value for setting, value in read_settings(ARITHMETIC).items()}
    return found if threads is None else {**found, THREADS: threads}


def compute_with(arithmetic: Mapping[str, object]) -> None:
    """Let torch compute with what another process read."""
    for setting in ARITHMETIC:
        wanted = arithmetic.get(setting.name)
        if setting.name in arithmetic and not is_same(setting.read(), wanted):
            setting.put(wanted)


_TORCH = (
    Setting("torch's random state", torch.get_rng_state, torch.set_rng_state, worth_telling=False),
    Setting("torch's random state on the GPU", read_cuda_random, put_cuda_random, worth_telling=False),
    Setting("torch's global hooks", read_hooks, put_hooks),
)

# --- NumPy and Python ---------------------------------------------------------------------------------------


def put_filters(kept: list[Any]) -> None:
    """Set the filters of warnings."""
    warnings.filters[:] = kept  # type: ignore[index]
    with warnings.catch_warnings():  # entering it tells the module that its filters are others
        pass


def read_list(owner: object, name: str) -> tuple[object, list[Any]]:
    """Return a list that must stay the same object, and what is in it."""
    found = getattr(owner, name)
    return _Identity(found), list(found)


def put_list(owner: object, name: str, kept: tuple[_Identity, list[Any]]) -> None:
    """Put a list back in its place, with what was in it."""
    same, content = kept
    same.it[:] = content
    setattr(owner, name, same.it)


@dataclass(frozen=True, eq=False)
class _Identity:
    """An object that equals only itself."""

    it: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.it is self.it

    def __hash__(self) -> int:
        return id(self.it)


def _held(owner: object, name: str, title: str) -> Setting:
    """Return the setting that an attribute holds and that is the same only if it is the same object."""
    return Setting(
        title,
        lambda: _Identity(getattr(owner, name)),
        lambda kept: setattr(owner, name, kept.it),
    )


def _listed(owner: object, name: str, title: str) -> Setting:
    return Setting(title, partial(read_list, owner, name), partial(put_list, owner, name))


def generators() -> Iterator[Setting]:
    """Yield the global generators, whose states are kept here and not drawn from."""
    python, numpy = importlib.import_module("random"), importlib.import_module("numpy.random")
    yield Setting("Python's random state", python.getstate, python.setstate, worth_telling=False)
    yield Setting("NumPy's random state", numpy.get_state, numpy.set_state, worth_telling=False)


_PYTHON = (
    Setting("NumPy's error handling", np.geterr, lambda kept: np.seterr(**kept)),
    *generators(),
    Setting("warnings filters", lambda: list(warnings.filters), put_filters),
    _held(warnings, "showwarning", "warnings.showwarning"),
    _listed(sys, "path", "sys.path"),
    _listed(sys, "argv", "sys.argv"),
    _listed(sys, "meta_path", "sys.meta_path"),
    _listed(sys, "path_hooks", "sys.path_hooks"),
    *(
        _held(sys, name, f"sys.{name}")
        for name in ("stdin", "stdout", "stderr", "excepthook", "displayhook", "unraisablehook")
    ),
    _held(threading, "excepthook", "threading.excepthook"),
    Setting("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("switch interval", sys.getswitchinterval, sys.setswitchinterval),
    Setting("garbage collection", gc.isenabled, lambda kept: gc.enable() if kept else gc.disable()),
    _attribute(logging.root, "level", "logging level"),
    _attribute(logging.root.manager, "disable", "logging.disable"),
    _listed(logging.root, "handlers", "logging handlers"),
)

# --- the process --------------------------------------------------------------------------------------------


def read_umask() -> int:
    """Return the mask of new files; it can only be read by being set."""
    found = os.umask(0o077)
    os.umask(found)
    return found


def put_environment(kept: Mapping[str, str]) -> None:
    """Set the environment variables."""
    for name in set(os.environ) - set(kept):
        del os.environ[name]
    os.environ.update(kept)


def read_handlers() -> dict[int, Any]:
    """Return the handler of every signal."""
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def put_handlers(kept: Mapping[int, Any]) -> None:
    """Set the handlers of signals that differ."""
    for number, handler in kept.items():
        if handler is not None and signal.getsignal(number) is not handler:  # None: none of Python's
            signal.signal(number, handler)


def timer() -> Setting:
    """Return the setting of the alarm clock; one that is set cannot be set again to the second."""
    return Setting(
        "alarm clock",
        lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        lambda kept: None if kept else signal.setitimer(signal.ITIMER_REAL, 0),
    )


def blocked() -> Setting:
    """Return the setting of the signals that this thread does not receive."""
    return Setting(
        "blocked signals",
        lambda: set(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        partial(signal.pthread_sigmask, signal.SIG_SETMASK),
    )


def limits() -> Iterator[Setting]:
    """Yield the limits that the operating system keeps to."""
    resource = importlib.import_module("resource")
    for name in (each for each in dir(resource) if each.startswith("RLIMIT_")):
        which = getattr(resource, name)
        yield Setting(name, partial(resource.getrlimit, which), partial(resource.setrlimit, which))


_PROCESS = (
    Setting("working directory", os.getcwd, os.chdir),
    Setting("environment variables", lambda: dict(os.environ), put_environment),
    Setting("umask", read_umask, os.umask),
    Setting("locale", lambda: locale.setlocale(locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL)),
    Setting("signal handlers", read_handlers, put_handlers),
    Setting("time limit of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
)

_POSIX: tuple[Setting, ...] = ()
if sys.platform != "win32":
    _POSIX = (timer(), blocked(), *limits())
if sys.platform == "linux":
    _POSIX += (
        Setting("CPUs", partial(os.sched_getaffinity, 0), partial(os.sched_setaffinity, 0)),
        Setting(
            "priority",
            partial(os.getpriority, os.PRIO_PROCESS, 0),
            partial(os.setpriority, os.PRIO_PROCESS, 0),
        ),
    )

SETTINGS: tuple[Setting, ...] = (*ARITHMETIC, *_TORCH, *_PYTHON, *_PROCESS, *_POSIX)
