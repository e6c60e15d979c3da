"""From a request to cells: names looked up, the grid laid out, merged where maskers do not matter, floors last."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.options import Kind, Offer, Settings, check_all_used, settings_for
from astrojepa_bench.registry import Registry
from astrojepa_bench.runs.component import Cell, Component, reason_to_skip
from astrojepa_bench.runs.request import EVALUATOR_SETS, RunRequest
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.suites import Block
from astrojepa_bench.training.budgets import Budget, find_budget
from astrojepa_bench.training.cost import count_image
from astrojepa_bench.types import ImageSpec

Item = TypeVar("Item")


@dataclass(frozen=True)
class Plan:
    """Everything that will be done, known before anything is.

    Attributes:
        cells: the runs, floors last.
        dataset: where the galaxies come from.
        evaluators: what scores them.
        budget: what every entry is given.
        notes: what was merged, and why.
        fingerprint: that the galaxies must have; empty where any will do.
    """

    cells: tuple[Cell, ...]
    dataset: Component
    evaluators: tuple[Component, ...]
    budget: Budget
    notes: tuple[str, ...] = ()
    fingerprint: str = ""


def make_plan(request: RunRequest, registry: Registry) -> Plan:
    """Look every name up, resolve every option, and lay out the grid.

    Raises:
        ConfigError: a name or option is unknown, a value is wrong, a file that an option names cannot be read,
            or a patch does not tile the image.
    """
    budget = dataclasses.replace(
        find_budget(request.budget),
        galaxies=request.pretraining,
        labels=request.labels,
        precision=request.precision,
    )
    blocks = _find_blocks(request, registry, budget.encoder)
    dataset = registry.get("dataset", request.dataset)
    evaluators = _find_evaluators(request, registry)
    offers = [offer for block in blocks for offer in block.offers]
    check_all_used(request.settings, [dataset, *evaluators, *offers])
    resolve = _Resolver(request.settings, budget)
    blind = _masker_without_masks(registry)
    cells = [cell for block in blocks for cell in _block_cells(block, resolve, blind)]
    if request.floors:
        cells += _floor_cells(registry, resolve, blind, cells)
    scored_by = tuple(resolve(evaluator) for evaluator in evaluators)
    given = flop_matched(budget, registry) if request.match == "flops" else budget
    return Plan(tuple(_once(cells)), resolve(dataset), scored_by, given, tuple(_notes(blocks)))


def flop_matched(budget: Budget, registry: Registry) -> Budget:
    """Return a budget that gives every entry equal arithmetic instead of equal images.

    It is that of the budget's own encoder, as it comes, on all of the budget's images of three bands: forward and
    backward on every patch. So it depends on no entry, no galaxies and no machine.
    """
    encoder = Component.of(registry.get("encoder", budget.encoder), {}, {"patch": budget.patch_px})
    spec = ImageSpec(("z", "r", "g"), budget.size_px, (0.5,) * 3, (0.25,) * 3)
    with scoped_global(0, "yardstick"):
        return dataclasses.replace(budget, flops=count_image(encoder.build(spec)) * budget.seen)


def dealt(plans: Sequence[Plan], shard: tuple[int, int] | None) -> tuple[Plan, ...]:
    """Return one machine's part of some plans: their cells are dealt out like cards, one plan after the other.

    Seeds of one entry, which take equally long, come to different machines; who gets which follows from the
    request alone. Plans of which nothing is left are left out.

    Args:
        plans: of a request.
        shard: which part of how many, from 1; None: all of it.

    Raises:
        ConfigError: the part is empty.
    """
    if shard is None:
        return tuple(plans)
    (index, count), before, mine = shard, 0, list[Plan]()
    for plan in plans:
        mine.append(dataclasses.replace(plan, cells=plan.cells[(index - 1 - before) % count :: count]))
        before += len(plan.cells)
    if index > before:
        raise ConfigError(
            f"--shard {index}/{count} is empty: the grid has {before} cells; ask for as many shards at most"
        )
    return tuple(plan for plan in mine if plan.cells)


# --- names ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _FoundBlock:
    """A block whose names were looked up.

    Attributes:
        objectives, maskers, encoders: what meets what.
        options: what the block itself sets on them.
        seeds: pretraining seeds of all of them.
    """

    objectives: tuple[Offer, ...]
    maskers: tuple[Offer, ...]
    encoders: tuple[Offer, ...]
    options: Settings
    seeds: tuple[int, ...]

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Everything in it."""
        return (*self.objectives, *self.maskers, *self.encoders)


def _find_blocks(request: RunRequest, registry: Registry, default_encoder: str) -> list[_FoundBlock]:
    """Look up the objectives, maskers and encoders of a request; without a suite it is one block."""
    if request.suite is None:
        names = Block(objectives=request.objectives, maskers=request.maskers, encoders=request.encoders)
        return [_find_block(names, registry, (default_encoder,), request.seed_list)]
    suite = registry.suite(request.suite).suite
    if request.grid and request.grid not in suite.grids:
        raise ConfigError(
            f"suite '{request.suite}' has no grid '{request.grid}'; {nearest(request.grid, suite.grids)}"
        )
    blocks = suite.grid(request.grid)
    if request.encoders and all(block.encoders for block in blocks):
        raise ConfigError(f"suite '{request.suite}' names its own encoders; leave out --encoder")
    encoders = request.encoders or (default_encoder,)
    with _blaming_suite(request.suite, registry):
        return [
            _find_block(block, registry, encoders, suite.seeds_of(block, request.seed_list))
            for block in blocks
        ]


def _find_block(
    block: Block, registry: Registry, encoders: tuple[str, ...], seeds: tuple[int, ...]
) -> _FoundBlock:
    found = _FoundBlock(
        tuple(registry.get("objective", name) for name in block.objectives),
        tuple(registry.get("masker", name) for name in block.maskers),
        tuple(registry.get("encoder", name) for name in block.encoders or encoders),
        block.options,
        seeds,
    )
    check_all_used(block.options, found.offers)
    return found


def _find_evaluators(request: RunRequest, registry: Registry) -> list[Offer]:
    """Look up the evaluators asked for, or else the suite's, or else `core`."""
    if request.evaluators or request.suite is None:
        return evaluators_named(request.evaluators or ("core",), registry)
    with _blaming_suite(request.suite, registry):
        return evaluators_named(registry.suite(request.suite).suite.evaluators, registry)


def evaluators_named(names: tuple[str, ...], registry: Registry) -> list[Offer]:
    """Look evaluators up by name, or by the name of a set: `core`, or `full` for all on offer that are not costly.

    Raises:
        ConfigError: a name is unknown.
    """
    wanted: list[str] = []
    for name in names:
        if name == "full":
            wanted += [offer.name for offer in registry.offers("evaluator") if not offer.declares("costly")]
        else:
            wanted += EVALUATOR_SETS.get(name, (name,))
    return [registry.get("evaluator", name) for name in dict.fromkeys(wanted)]


@contextmanager
def _blaming_suite(suite: str, registry: Registry) -> Iterator[None]:
    """Name the suite in an error that it caused: the user typed none of the names in it."""
    title = registry.suite(suite).title
    try:
        yield
    except ConfigError as error:
        raise ConfigError(
            f"{title}: {error}; install what it names, or choose entries by --objective"
        ) from None


# --- options --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Resolver:
    """Resolves the options of offers under one request and budget."""

    settings: Settings
    budget: Budget

    def __call__(self, offer: Offer, options: Settings | None = None) -> Component:
        asked, fixed = settings_for(self.settings, offer), settings_for(options or {}, offer)
        for name in asked.keys() & fixed.keys():
            raise ConfigError(
                f"the suite itself sets {offer.kind}.{name}={fixed[name]} on '{offer.name}'; leave out "
                f"--set {offer.kind}.{name}=…"
            )
        chosen = {f"{offer.kind}:{offer.name}": {**asked, **fixed}}
        component = Component.of(offer, chosen, {"patch": self.budget.patch_px})
        patch = component.options.get("patch")
        if offer.kind == "encoder" and isinstance(patch, int):
            PatchGrid.tiling(self.budget.size_px, patch)
        if offer.kind in ("objective", "masker", "encoder"):
            component.identifying()  # a file that is not there is an error now, before anything trains
        return component


# --- cells ----------------------------------------------------------------------------------------------------


def _block_cells(block: _FoundBlock, resolve: _Resolver, blind: Offer) -> Iterator[Cell]:
    maskers = {offer.name: resolve(offer, block.options) for offer in block.maskers}  # all are checked
    for encoder in block.encoders:
        for objective in block.objectives:
            merged = patchless(encoder) or objective.declares("masks") == "ignored"
            for masker in [resolve(blind)] if merged else maskers.values():
                parts = (resolve(objective, block.options), masker, resolve(encoder, block.options))
                reason = _declared_reason(objective, masker.offer, encoder)
                yield from (Cell(*parts, seed, reason) for seed in block.seeds)


def _declared_reason(objective: Offer, masker: Offer, encoder: Offer) -> str | None:
    try:
        return reason_to_skip(objective, masker, encoder)
    except (Exception, SystemExit):  # a plugin's; it is raised again, and recorded, where the cell is built
        return None


def _floor_cells(
    registry: Registry, resolve: _Resolver, blind: Offer, cells: Sequence[Cell]
) -> Iterator[Cell]:
    """Score each trained encoder untrained at every seed it is trained with, and encoders without weights once."""
    trained = _once(cell.encoder for cell in cells)
    named = [component.offer for component in trained]
    fixed = [resolve(offer) for offer in _floors_on_offer(registry, "encoder") if offer not in named]
    seeds = [_once(cell.seed for cell in cells if cell.encoder == encoder) for encoder in trained]
    wanted = [
        *zip(trained, seeds, strict=True),
        *((encoder, own[:1]) for encoder in fixed for own in seeds[:1]),
    ]
    for objective in _floors_on_offer(registry, "objective"):
        for encoder, own_seeds in wanted:
            yield from (Cell(resolve(objective), resolve(blind), encoder, seed) for seed in own_seeds)


def _floors_on_offer(registry: Registry, kind: Kind) -> list[Offer]:
    return [offer for offer in registry.offers(kind) if offer.declares("standing") == "floor"]


def _masker_without_masks(registry: Registry) -> Offer:
    """Find the masker that hands out no masks: what an objective that ignores masks is recorded with."""
    blind = [offer for offer in registry.offers("masker") if not offer.declares("hides")]
    if not blind:
        raise ConfigError("no installed masker declares hides = False; reinstall astrojepa-bench")
    return blind[0]


def patchless(encoder: Offer) -> bool:
    """Whether an encoder declares on its class that it has no patches, so that no masker can mean anything."""
    return getattr(encoder.cls, "grid", "patches") is None


def _once(items: Iterable[Item]) -> list[Item]:
    """Drop what stands there already; options cannot be hashed, so a set would not do."""
    kept: list[Item] = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return kept


def _notes(blocks: Sequence[_FoundBlock]) -> list[str]:
    """Name the encoders that cannot follow the maskers asked for."""
    asked = [block for block in blocks if any(masker.declares("hides") for masker in block.maskers)]
    names = [encoder.name for block in asked for encoder in block.encoders if patchless(encoder)]
    return [
        f"encoder '{name}' has no patches to mask: each objective runs once with it, without masks"
        for name in dict.fromkeys(names)
    ]
