"""Run a record again from what it says of itself: its options, seed, budget and galaxies, in a scratch folder."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.options import Kind, Settings, check_all_used, settings_for
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.galaxy_places import Places
from astrojepa_bench.results.identity import RunIdentity, canonical_json
from astrojepa_bench.results.record import Reproduction, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.cell import run_cell
from astrojepa_bench.runs.component import Cell, Component, RunContext
from astrojepa_bench.runs.open_run import difference, recorded_dataset
from astrojepa_bench.runs.plan import flop_matched
from astrojepa_bench.training.budgets import BUDGETS, Budget, is_flop_matched, other_images
from astrojepa_bench.versions import version_text

_ASKED = ("names", "options", "seed", "budget", "pretraining", "labels", "columns", "mirror_safe")
"""What must be the same in a rerun; where the code or the machine differs, its numbers may."""


@dataclass(frozen=True)
class Rerun:
    """A run that was run again.

    Attributes:
        record: what was there.
        again: what came out now.
        notes: in what the rerun differs from the run, besides its numbers.
    """

    record: RunRecord
    again: RunRecord
    notes: tuple[str, ...]


def rerun(
    record: RunRecord,
    registry: Registry,
    settings: Settings,
    cache: Path,
    device: torch.device,
    command: str,
    *,
    dataset: str | None = None,
    places: Places | None = None,
) -> Rerun:
    """Train and score a run again; nothing of its own folder is read or changed.

    Args:
        record: a scored run.
        registry: offers the components that it names.
        settings: paths of its files, since records keep no folders.
        cache: folder of converted galaxies.
        device: where to train.
        command: the command line or call that asked for it.
        dataset: name of the dataset, where another one holds the same galaxies by now.
        places: where its output folder says that they lie.

    Raises:
        ConfigError: a component is not installed, an option is unknown, a file was not given, or the run was
            not made here.
        DataError: the galaxies, or a file that an option names, are not those of the run.
    """
    budget = _budget_of(record)
    if is_flop_matched(record.identity.get("budget")):
        budget = flop_matched(budget, registry)
    cell = Cell(
        _component(record, "objective", registry, settings, budget),
        _component(record, "masker", registry, settings, budget),
        _component(record, "encoder", registry, settings, budget),
        record.seed,
    )
    evaluators = tuple(
        Component.of(registry.get("evaluator", name), {"evaluator": known.get("options") or {}})
        for name, known in record.evaluators.items()
    )
    parts = [part.offer for part in cell.components.values()]
    check_all_used(settings, [registry.get("dataset", dataset or record.dataset), *parts])
    try:
        component, left_out = recorded_dataset(record, registry, settings, dataset, places)
    except ConfigError as error:  # only its own galaxies will do here
        raise ConfigError(str(error).replace(", or name other galaxies with -d DATASET", "")) from None
    galaxies = load_galaxies(component, budget.size_px, cache, device)
    differing = difference(record, galaxies, left_out) if record.identity.get("fingerprint") else None
    if differing is not None:
        raise DataError(f"{differing}; its files are given with --set dataset.path=FILE and the like")
    identity = RunIdentity.of(cell, galaxies, budget)
    _refuse_another_run(record, identity)
    with tempfile.TemporaryDirectory(prefix="astrojepa-reproduce-") as scratch, _threads_of(record, device):
        context = RunContext(galaxies, budget, evaluators, Store(Path(scratch)), command)
        again = run_cell(cell, context).record
    return Rerun(record, again, tuple([*_code(record, identity), *_machine(record, again)]))


def reproduction(rerun: Rerun, verdict: str) -> Reproduction:
    """Return what a record keeps of a rerun: by which code, when, where, and how it went."""
    origin = rerun.again.provenance
    commit = f"{origin.git_commit}-dirty" if origin.git_dirty else origin.git_commit
    facts = {"commit": commit, "date": origin.created_utc[:10], "environment": rerun.again.environment}
    return Reproduction.model_validate({**facts, "verdict": verdict})


# --- the run, as its record has it ----------------------------------------------------------------------------


def _budget_of(record: RunRecord) -> Budget:
    """Look up the budget of a run.

    Raises:
        ConfigError: there is no such budget, as for models that were trained elsewhere.
    """
    if record.budget not in BUDGETS:
        raise ConfigError(
            f"run {record.run_id} has the budget '{record.budget}', which is none of this bench's: it was trained "
            "elsewhere, so there is nothing to run again; reproduce a run that was trained here"
        )
    usual = BUDGETS[record.budget]
    return dataclasses.replace(
        usual,
        seen=other_images(record.budget, record.identity.get("budget")) or usual.seen,
        galaxies=record.pretraining,
        labels=record.labels,
        precision=record.identity.get("precision", "auto"),
    )


def _component(
    record: RunRecord, kind: Kind, registry: Registry, settings: Settings, budget: Budget
) -> Component:
    """Resolve a component with its recorded options; files lie where the user says, or in the current folder."""
    offer = registry.get(kind, getattr(record, kind))
    recorded, given = record.options.get(kind, {}), settings_for(settings, offer)
    for option in offer.options:
        name, file = option.name, recorded.get(option.name)
        if "Path" in option.type and file is not None and name not in given and not Path(file).exists():
            raise ConfigError(
                f"run {record.run_id} was made with {kind}.{name}={file} and records keep no folders; give its "
                f"path with --set {kind}.{name}=FILE"
            )
    return Component.of(offer, {kind: {**recorded, **given}}, {"patch": budget.patch_px})


def _refuse_another_run(record: RunRecord, identity: RunIdentity) -> None:
    """Compare what is asked for now with what was asked for then, as far as the record knows it.

    Raises:
        DataError: an option, or the content of a file that one names, is another.
    """
    now = identity.facts()
    asked = [key for key in _ASKED if not (key == "options" and record.is_edition_1)]
    for key in asked:
        was, found = record.identity.get(key), now.get(key)
        if canonical_json(was) != canonical_json(found):
            raise DataError(
                f"run {record.run_id} had {key} {canonical_json(was)}, found {canonical_json(found)}; give its "
                "options and files as they were"
            )


# --- what else is not the same --------------------------------------------------------------------------------


def _code(record: RunRecord, identity: RunIdentity) -> Iterator[str]:
    """Name the components whose code is another by now."""
    if record.is_edition_1:
        yield "its record is of edition 1, which did not keep all code behind a run: its code is unknown"
        return
    now = identity.facts()["chain"]
    for kind, was in record.identity["chain"].items():
        if was != now.get(kind):
            yield f"{kind} is {version_text(now[kind])} now, was {version_text(was)}"
    if record.identity.get("protocol") != identity.protocol:
        yield f"the protocol is {identity.protocol} now, was {record.identity.get('protocol')}"


def _machine(record: RunRecord, again: RunRecord) -> Iterator[str]:
    """Name what bit-equality needs besides the code: device, precision, torch, threads, ranks."""
    for key in ("device_class", "precision"):
        if record.identity.get(key) != again.identity.get(key):
            yield f"{key} is {again.identity.get(key)} now, was {record.identity.get(key)}"
    for key in ("torch", "threads", "world_size"):  # records that lack the last are of one process
        was, now = (getattr(each.environment, key, 1) for each in (record, again))
        if was != now:
            yield f"{key} is {now} now, was {was}"


@contextmanager
def _threads_of(record: RunRecord, device: torch.device) -> Iterator[None]:
    """Use as many threads as the run did: sums on a CPU depend on how they are split."""
    before, wanted = torch.get_num_threads(), record.environment.threads
    if wanted and device.type == "cpu":
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
