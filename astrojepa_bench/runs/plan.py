"""From a request to cells: the grid, merged where maskers do not matter, with the floors beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.options import Kind, Offer, Settings, check_all_used, settings_for
from astrojepa_bench.registry import Registry
from astrojepa_bench.runs.component import Cell, Component
from astrojepa_bench.runs.lookup import Found, find_blocks, find_evaluators
from astrojepa_bench.runs.request import RunRequest
from astrojepa_bench.training.budgets import Budget, find_budget

Item = TypeVar("Item")


@dataclass(frozen=True)
class Plan:
    """Everything that will be done, known before anything is.

    Attributes:
        cells: the runs, floors last.
        dataset: where the galaxies come from.
        evaluators: who judges.
        budget: what every entry is given.
        notes: what was merged, and why.
    """

    cells: tuple[Cell, ...]
    dataset: Component
    evaluators: tuple[Component, ...]
    budget: Budget
    notes: tuple[str, ...] = ()


def make_plan(request: RunRequest, registry: Registry) -> Plan:
    """Look every name up, resolve every option, and lay out the grid.

    Raises:
        ConfigError: a name or option is unknown, a value is wrong, a file that an option names cannot be read,
            or a patch does not tile the image.
    """
    budget = dataclasses.replace(find_budget(request.budget), galaxies=request.pretraining)
    blocks = find_blocks(request, registry, budget.encoder)
    dataset = registry.get("dataset", request.dataset)
    evaluators = find_evaluators(request, registry)
    check_all_used(
        request.settings, [dataset, *evaluators, *(offer for block in blocks for offer in block.offers)]
    )
    pieces = _Pieces(request.settings, budget)
    cells = _cells(request, registry, pieces, blocks)
    judges = tuple(pieces(evaluator) for evaluator in evaluators)
    return Plan(tuple(cells), pieces(dataset), judges, budget, tuple(_notes(blocks)))


@dataclass(frozen=True)
class _Pieces:
    """Resolves offers under one request and budget."""

    settings: Settings
    budget: Budget

    def __call__(self, offer: Offer, options: Settings | None = None) -> Component:
        asked, fixed = settings_for(self.settings, offer), settings_for(options or {}, offer)
        for name in asked.keys() & fixed.keys():
            raise ConfigError(
                f"the suite itself sets {offer.kind}.{name}={fixed[name]} on '{offer.name}'; leave out that --set"
            )
        chosen = {f"{offer.kind}:{offer.name}": {**asked, **fixed}}
        piece = Component.of(offer, chosen, {"patch": self.budget.patch_px})
        patch = piece.options.get("patch")
        if offer.kind == "encoder" and isinstance(patch, int):
            PatchGrid.tiling(self.budget.size_px, patch)
        if offer.kind in ("objective", "masker", "encoder"):
            piece.identifying()  # a file that is not there is said now, before anything trains
        return piece


def _cells(request: RunRequest, registry: Registry, pieces: _Pieces, blocks: Sequence[Found]) -> list[Cell]:
    blind = _without_masks(registry)
    cells = [cell for block in blocks for cell in _block_cells(block, pieces, blind, request.seeds)]
    if request.floors:
        cells += _floors(registry, pieces, blind, request.seeds, _once(cell.encoder for cell in cells))
    return _once(cells)


def _once(items: Iterable[Item]) -> list[Item]:
    """Drop what stands there already; options cannot be hashed, so a set would not do."""
    kept: list[Item] = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return kept


def _block_cells(block: Found, pieces: _Pieces, blind: Offer, seeds: Iterable[int]) -> Iterator[Cell]:
    maskers = {offer.name: pieces(offer, block.options) for offer in block.maskers}  # all are checked
    for encoder in block.encoders:
        for objective in block.objectives:
            merged = patchless(encoder) or objective.declares("masks") == "ignored"
            for masker in [pieces(blind)] if merged else maskers.values():
                skip = _reason_to_skip(objective, masker.offer, encoder)
                parts = (pieces(objective, block.options), masker, pieces(encoder, block.options))
                yield from (Cell(*parts, seed, skip) for seed in seeds)


def _floors(
    registry: Registry, pieces: _Pieces, blind: Offer, seeds: tuple[int, ...], trained: Sequence[Component]
) -> Iterator[Cell]:
    """Score each trained encoder untrained at every seed, and encoders without weights once."""
    named = [piece.offer for piece in trained]
    fixed = [pieces(offer) for offer in _floors_on_offer(registry, "encoder") if offer not in named]
    wanted = [*((encoder, seeds) for encoder in trained), *((encoder, seeds[:1]) for encoder in fixed)]
    for objective in _floors_on_offer(registry, "objective"):
        for encoder, own_seeds in wanted:
            yield from (Cell(pieces(objective), pieces(blind), encoder, seed) for seed in own_seeds)


def _floors_on_offer(registry: Registry, kind: Kind) -> list[Offer]:
    return [offer for offer in registry.offers(kind) if offer.declares("standing") == "floor"]


def _without_masks(registry: Registry) -> Offer:
    """Find the masker that hands out no masks: what an objective that ignores masks is recorded with."""
    blind = [offer for offer in registry.offers("masker") if not offer.declares("hides")]
    if not blind:
        raise ConfigError("no installed masker declares hides = False; reinstall astrojepa-bench")
    return blind[0]


def patchless(encoder: Offer) -> bool:
    """Whether an encoder says on its class that it has no patches, so that no masker can mean anything."""
    return getattr(encoder.cls, "grid", "patches") is None


def _reason_to_skip(objective: Offer, masker: Offer, encoder: Offer) -> str | None:
    if objective.declares("masks") != "required":
        return None
    if patchless(encoder):
        return f"objective '{objective.name}' needs patches to mask and encoder '{encoder.name}' has none"
    if not masker.declares("hides"):
        return f"objective '{objective.name}' needs masks and masker '{masker.name}' hands out none"
    return None


def _notes(blocks: Sequence[Found]) -> list[str]:
    """Say where maskers were asked for that an encoder cannot follow."""
    asked = [block for block in blocks if any(masker.declares("hides") for masker in block.maskers)]
    names = [encoder.name for block in asked for encoder in block.encoders if patchless(encoder)]
    return [
        f"encoder '{name}' has no patches to mask: each objective runs once with it, without masks"
        for name in dict.fromkeys(names)
    ]
