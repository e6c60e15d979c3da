"""Ties versions to numbers: the loss of every shipped objective under every masker that it can use.

`losses.json` holds the loss after eight steps, and the versions of all code that gave it. A number that changes
while its versions stay is a fault of whoever changed it: raise the integer of the class, or of the module of
helpers, that gives other numbers now. Then write the file anew:

    python tests/golden/test_losses.py
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
import torch

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.assemble import assemble, load_galaxies
from astrojepa_bench.runs.component import Cell, Component
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.training.budgets import BUDGETS, Budget
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.versions import chain_of

FILE = Path(__file__).with_name("losses.json")
TOLERANCE = 5e-4  # relative: other processors and releases of torch differ in the last digits
STEPS, BATCH, GALAXIES = 8, 8, 32
RATE = 1e-4  # larger ones, and BatchNorm over fewer galaxies, make hundredths of the last digits within eight steps
BUDGET = Budget("golden", 32, 4, STEPS * BATCH, "vit-micro", "losses after eight steps")


def cells() -> list[Cell]:
    """Plan every objective that trains, with every masker that it can use."""
    registry = load_registry()
    objectives = [
        offer.name for offer in registry.offers("objective") if offer.factory.trains and not offer.is_family
    ]
    maskers = [offer.name for offer in registry.offers("masker")]
    BUDGETS[BUDGET.name] = BUDGET
    try:
        plan = make_plan(
            make_request(
                {
                    "objectives": objectives,
                    "maskers": maskers,
                    "budget": BUDGET.name,
                    "seeds": 1,
                    "floors": False,
                    "settings": {"objective": {"batch_size": BATCH, "learning_rate": RATE}},
                }
            ),
            registry,
        )
    finally:
        del BUDGETS[BUDGET.name]
    return [cell for cell in plan.cells if cell.skip is None]


def load() -> Galaxies:
    """Invent a few galaxies."""
    dataset = Component.of(load_registry().get("dataset", "synthetic"), {"dataset": {"galaxies": GALAXIES}})
    with tempfile.TemporaryDirectory() as cache_dir:
        return load_galaxies(dataset, BUDGET.size_px, Path(cache_dir), torch.device("cpu"))


def title(cell: Cell) -> str:
    """Name a cell."""
    return f"{cell.objective.name}+{cell.masker.name}"


def versions(cell: Cell) -> dict[str, Mapping[str, str]]:
    """Collect the versions of its parts."""
    parts = {"objective": cell.objective, "masker": cell.masker, "encoder": cell.encoder}
    return {f"{kind} {part.name}": chain_of(part.offer.factory) for kind, part in parts.items()}


def loss_of(cell: Cell, galaxies: Galaxies) -> float:
    """Train for eight steps on one thread and return the last loss."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = assemble(cell, galaxies, None)
        result = Trainer(run.objective, run.masker, galaxies.table, galaxies.images, BUDGET, cell.seed).run()
    finally:
        torch.set_num_threads(threads)
    assert result.steps == STEPS
    return float(result.state.curve[-1][1]["total"])


def _is_close(found: float, kept: float) -> bool:
    return abs(found - kept) <= TOLERANCE * abs(kept)


def fault(kept: float, found: float, then: Mapping[str, object], now: Mapping[str, object]) -> str | None:
    """Phrase what is wrong where a loss moved although no version did."""
    if _is_close(found, kept) or then != now:
        return None
    return (
        f"the loss after {STEPS} steps is {found!r}, was {kept!r}, and no version of {', '.join(now)} says so: "
        "raise that of the piece or helper whose numbers changed, then run python tests/golden/test_losses.py"
    )


def write() -> None:
    """Measure everything and write the file."""
    galaxies, chains, losses = load(), {}, {}
    for cell in cells():
        losses[title(cell)] = loss_of(cell, galaxies)
        chains |= versions(cell)
    content = {"losses": losses, "versions": chains}
    FILE.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


# --- tests --------------------------------------------------------------------------------------------------

KEPT = json.loads(FILE.read_text()) if FILE.is_file() else {"losses": {}, "versions": {}}


@cache
def planned() -> dict[str, Cell]:
    return {title(cell): cell for cell in cells()}


@pytest.fixture(scope="module")
def galaxies() -> Galaxies:
    return load()


def kept_versions(names: Iterable[str]) -> dict[str, Mapping[str, str]]:
    return {name: KEPT["versions"].get(name, {}) for name in names}


def test_every_shipped_objective_stands_there_with_every_masker_that_it_can_use():
    """What is added gets a number, and what is gone loses it."""
    assert sorted(KEPT["losses"]) == sorted(planned())


def parametrised() -> Iterator[object]:
    """Mark as slow all but one of each objective."""
    seen: set[str] = set()
    for name in sorted(KEPT["losses"]):
        objective = name.partition("+")[0]
        yield pytest.param(name, marks=[pytest.mark.slow] if objective in seen else [])
        seen.add(objective)


@pytest.mark.parametrize("name", [*parametrised()])
def test_a_number_changes_only_with_a_version(name, galaxies):
    """A board whose numbers move under one version compares what cannot be compared."""
    cell = planned()[name]
    now, kept = versions(cell), KEPT["losses"][name]
    found = loss_of(cell, galaxies)
    assert fault(kept, found, kept_versions(now), now) is None
    if not _is_close(found, kept):
        pytest.skip(f"a version of {name} was raised; write its new loss: python tests/golden/test_losses.py")


@pytest.mark.parametrize(
    ("found", "version", "is_fault"),
    [
        (1.00005, "v1", False),
        (1.001, "v1", True),
        (1.001, "v2", False),
        (1.0, "v2", False),
        (float("nan"), "v1", True),
    ],
)
def test_only_a_changed_number_under_unchanged_versions_is_a_fault(found, version, is_fault):
    """A raised version needs no changed number, and a changed number needs a raised version."""
    said = fault(1.0, found, {"objective mae": {"own": "v1"}}, {"objective mae": {"own": version}})
    assert (said is not None) == is_fault
    assert said is None or "objective mae" in said


if __name__ == "__main__":
    write()
