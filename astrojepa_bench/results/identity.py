"""What makes two runs the same run: everything that can move its numbers, as canonical JSON, and its hash.

A run's id is the hash of its identity; its entry's id is the same without the seed. Evaluators stand outside: a
score carries the version of its evaluator, so a new one never retrains.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from astrojepa_bench.errors import ContractError
from astrojepa_bench.options import jsonable
from astrojepa_bench.training.precision import precision_on

if TYPE_CHECKING:
    from astrojepa_bench.data.galaxies import Galaxies
    from astrojepa_bench.runs.component import Cell, Component
    from astrojepa_bench.training.budgets import Budget
    from astrojepa_bench.types import GalaxyTable

PROTOCOL: int = 2
"""Raised whenever the training or scoring of equal requests starts to give other numbers."""

EDITION_1: str = "unknown (edition 1)"
"""The chain of runs that were recorded before identities knew all code behind a run; no new run has it."""


@dataclass(frozen=True)
class RunIdentity:
    """Everything that can move a run's numbers.

    Attributes:
        names: the name of each component by kind (`objective`, `masker`, `encoder`, `dataset`).
        options: by kind, the options that are not the defaults of their signatures, files by their content; none
            of the dataset, for which the fingerprint stands. So a component gains an option without orphaning its
            records, and a changed default raises its version.
        chain: by kind, the versions of all code behind a component (`versions.chain_of`); `EDITION_1` where
            they are not known.
        seed: of pretraining.
        fingerprint: of the galaxies; empty where none were looked at.
        splits: hash of which galaxy is in which split.
        mirror_safe: whether galaxies are mirrored while training.
        budget: its name and its numbers: images seen, or operations where arithmetic is matched.
        precision: of the arithmetic in training ("float32", "bf16").
        device_class: "cpu" or "cuda".
        pretraining: most galaxies to pretrain on; None: all.
        labels: most labels that the objective is told; None: all, or it reads none.
        columns: hash of what the objective is told beyond labels and what the fingerprint covers; None: nothing.
        protocol: of training and scoring.
        versions: of runs of edition 1, in place of the chain: what each component said of itself.
        world_size: how many ranks trained it, where its numbers depend on that; None: they do not, or one did.
    """

    names: Mapping[str, str]
    options: Mapping[str, Mapping[str, object]]
    chain: Mapping[str, Mapping[str, str]] | str
    seed: int
    budget: str
    pretraining: int | None = None
    labels: int | float | None = None
    columns: str | None = None
    fingerprint: str = ""
    splits: str = ""
    mirror_safe: bool = True
    precision: str = "float32"
    device_class: str = "cpu"
    protocol: int = PROTOCOL
    versions: Mapping[str, str] | None = None
    world_size: int | None = None

    @classmethod
    def of(cls, cell: Cell, galaxies: Galaxies | None, budget: Budget) -> Self:
        """Assemble the identity of a run.

        Args:
            cell: what is run.
            galaxies: on what; None for a model from elsewhere that has seen none here.
            budget: for how long.

        Raises:
            ConfigError: a file that an option names cannot be read.
            PluginError: the version of a component cannot be told.
        """
        parts = {"objective": cell.objective, "masker": cell.masker, "encoder": cell.encoder}
        identity = cls(
            names={kind: part.name for kind, part in parts.items()},
            options={kind: _set_options(part) for kind, part in parts.items()},
            chain={kind: part.chain for kind, part in parts.items()},
            seed=cell.seed,
            budget=budget.effort,
            pretraining=budget.galaxies,
            labels=budget.labels if cell.reads_labels else None,
        )
        if galaxies is None:
            return identity
        columns = columns_hash(galaxies.table, cell.reads)
        return replace(identity.on(galaxies, budget.precision), columns=columns)

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self:
        """Read the identity of a record."""
        return cls(**{"chain": EDITION_1, **facts})

    def on(self, galaxies: Galaxies, precision: str = "auto") -> Self:
        """Return the identity of the same run on these galaxies, trained in that precision where they lie."""
        table, device = galaxies.table, galaxies.device.type
        return replace(
            self,
            names={**self.names, "dataset": galaxies.name},
            chain=self.chain if isinstance(self.chain, str) else {**self.chain, "dataset": galaxies.chain},
            fingerprint=table.fingerprint,
            splits=split_hash(table.ids, table.split),
            mirror_safe=table.spec.mirror_safe,
            precision=precision_on(precision, device),
            device_class=device,
        )

    @property
    def run_id(self) -> str:
        """The hash of all of it."""
        return digest(self.facts())

    @property
    def entry_id(self) -> str:
        """The hash of all but the seed: what the seeds of one entry share."""
        return entry_digest(self.facts())

    def facts(self) -> dict[str, Any]:
        """Return it as a record holds it; what may be None is a key only where there is one."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def _set_options(component: Component) -> dict[str, object]:
    """Choose the options that are not the defaults of the signature, whoever set them: the user or the budget."""
    usual = jsonable(
        {option.name: option.default for option in component.offer.options if not option.required}
    )
    found = component.identifying()
    return {name: value for name, value in found.items() if name not in usual or value != usual[name]}


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


def entry_digest(identity: Mapping[str, object]) -> str:
    """Hash the facts of an identity without the seed."""
    return digest({key: value for key, value in identity.items() if key != "seed"})


def columns_hash(table: GalaxyTable, names: Iterable[str]) -> str | None:
    """Hash the columns of these names that were given beside the galaxies; None where none of them was."""
    given = {name: table.columns[name] for name in names if name in table.columns}
    hashed = {name: hashlib.sha256(column.tobytes()).hexdigest()[:16] for name, column in given.items()}
    return digest(hashed) if hashed else None


_SPLITS: dict[tuple[int, int], tuple[weakref.ref[np.ndarray], weakref.ref[np.ndarray], str]] = {}


def split_hash(ids: np.ndarray, split: np.ndarray) -> str:
    """Hash which galaxy is in which split, both in table order; once for each table in memory."""
    place = (id(ids), id(split))
    known = _SPLITS.get(place)
    if known is None or known[0]() is not ids or known[1]() is not split:
        known = (weakref.ref(ids), weakref.ref(split), digest([ids.tolist(), split.tolist()]))
        _SPLITS[place] = known
    return known[2]
