"""What makes two runs the same run: canonical JSON, its hash, and the versions of the code behind it.

A run's id is the hash of everything that can move its numbers; its entry's id is the same without the seed.
Evaluators stand outside: a score carries the version of its evaluator, so a new one never retrains.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from astrojepa_bench.errors import ContractError, PluginError

PROTOCOL: int = 1
"""Raised whenever the training or scoring of equal requests starts to give other numbers."""

_ROLES = "astrojepa_bench.roles"


def canonical_json(value: object) -> str:
    """Write a value as the one JSON text that stands for it: keys sorted, no spaces, floats by `repr`.

    Raises:
        ContractError: the value holds NaN, an infinity, or something JSON has no word for.

    Example:
        >>> canonical_json({"b": (1, 2.0), "a": None})
        '{"a":null,"b":[1,2.0]}'
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"a value cannot be written as JSON ({error}); use finite numbers, strings, lists and mappings"
        ) from None


def digest(value: object) -> str:
    """Hash a value's canonical JSON: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def identity_block(
    *,
    names: Mapping[str, str],
    options: Mapping[str, Mapping[str, object]],
    versions: Mapping[str, str],
    seed: int,
    fingerprint: str,
    splits: str,
    mirror_safe: bool,
    budget: str,
    precision: str,
    device_class: str,
    pretraining: int | None = None,
) -> dict[str, object]:
    """Gather everything that can move a run's numbers, under the keys that the board reads.

    Args:
        names: the name of each piece by kind (`objective`, `masker`, `encoder`, `dataset`).
        options: resolved options by kind; paths, and all options of the dataset, left out (the fingerprint
            stands for them, so that a dataset may gain an option without orphaning what was run before).
        versions: `source_version` by kind.
        seed: the pretraining seed.
        fingerprint: of the galaxies.
        splits: hash of who is in which split.
        mirror_safe: whether galaxies are mirrored while training.
        budget: its name, or the numbers of one that was made for the occasion.
        precision: of the arithmetic ("float32", "bf16").
        device_class: "cpu" or "cuda".
        pretraining: most galaxies to pretrain on. A key only where it was limited: a run on all galaxies keeps
            the id that it had before there was a limit.
    """
    limited = {} if pretraining is None else {"pretraining": pretraining}
    return {
        "protocol": PROTOCOL,
        "names": dict(names),
        "options": {kind: dict(chosen) for kind, chosen in options.items()},
        "versions": dict(versions),
        "seed": seed,
        "fingerprint": fingerprint,
        "splits": splits,
        "mirror_safe": mirror_safe,
        "budget": budget,
        "precision": precision,
        "device_class": device_class,
        **limited,
    }


def split_hash(ids: np.ndarray, split: np.ndarray) -> str:
    """Hash which galaxy is in which split, both in table order."""
    return digest([ids.tolist(), split.tolist()])


def entry_digest(identity: Mapping[str, object]) -> str:
    """Hash an identity without its seed: what the seeds of one entry share."""
    return digest({key: value for key, value in identity.items() if key != "seed"})


def source_version(factory: Callable[..., object]) -> str:
    """Say which version of a piece this is: the integer that it declares, or else a hash of its source.

    The hash is taken over the syntax tree of the defining module without comments, docstrings or layout, so
    that a wheel and a checkout agree, and over the modules of the pieces it inherits from. An integer that
    is inherited counts within one module; one from elsewhere would not notice what the subclass changed.

    Raises:
        PluginError: no version is declared and the source cannot be read.

    Example:
        >>> class Component:
        ...     version = 3
        >>> source_version(Component)
        'v3'
    """
    piece = _unwrapped(factory)
    declared = _declared(piece)
    if declared is not None:
        return f"v{declared}"
    parts = sorted({_module_hash(piece), *(source_version(parent) for parent in _parents(piece))})
    return parts[0] if len(parts) == 1 else digest(parts)


def _unwrapped(factory: Callable[..., object]) -> Callable[..., object]:
    while isinstance(factory, functools.partial):
        factory = factory.func
    piece: Callable[..., object] = inspect.unwrap(factory)
    return piece


def _declared(piece: Callable[..., object]) -> object:
    family = piece.__mro__ if isinstance(piece, type) else (piece,)
    versions = [vars(member).get("version") for member in family if member.__module__ == piece.__module__]
    return next((version for version in versions if version is not None), None)


def _parents(piece: Callable[..., object]) -> list[Callable[..., object]]:
    """Give the pieces a piece directly inherits from; the roles themselves are the protocol's business."""
    bases = piece.__bases__ if isinstance(piece, type) else ()
    return [base for base in bases if hasattr(base, "version") and base.__module__ != _ROLES]


def _module_hash(piece: Callable[..., object]) -> str:
    file = getattr(sys.modules.get(piece.__module__), "__file__", None)
    try:
        tree = ast.parse(Path(file or "").read_bytes())
    except (OSError, SyntaxError):
        name = getattr(piece, "__qualname__", piece)
        raise PluginError(
            f"the source of '{name}' (module {piece.__module__}) cannot be read; "
            "declare an integer `version` on it"
        ) from None
    return digest(_shape(tree))


def _shape(node: object) -> object:
    """Reduce a syntax tree to nested lists that are the same on every Python that parses it.

    `ast.dump` is not: it has changed how it writes empty fields. Strings that stand alone as statements
    are docstrings or comments in all but name, and go.
    """
    if isinstance(node, list):
        return [_shape(item) for item in node if not _is_bare_string(item)]
    if isinstance(node, ast.Constant):
        return ["Constant", repr(node.value)]
    if isinstance(node, ast.AST):
        fields = {name: _shape(value) for name, value in ast.iter_fields(node)}
        return [type(node).__name__, {name: kept for name, kept in fields.items() if kept not in (None, [])}]
    return None if node is None else str(node)


def _is_bare_string(node: object) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
