"""From a request to cells: the grid, merged where maskers do not matter, with the floors beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.options import Kind, Offer, check_all_used
from astrojepa_bench.registry import Registry
from astrojepa_bench.roles import Encoder, Masker, Objective
from astrojepa_bench.runs.pieces import Cell, Piece, fact
from astrojepa_bench.runs.request import EVALUATOR_SETS, RunRequest
from astrojepa_bench.training.budgets import Budget, find_budget
from astrojepa_bench.types import PatchGrid


@dataclass(frozen=True)
class Plan:
    """Everything that will be done, known before anything is.

    Attributes:
        cells: the runs, floors last.
        dataset: where the galaxies come from.
        evaluators: who judges.
        budget: what every entry is given.
    """

    cells: tuple[Cell, ...]
    dataset: Piece
    evaluators: tuple[Piece, ...]
    budget: Budget


def make_plan(request: RunRequest, registry: Registry) -> Plan:
    """Look every name up, resolve every option, and lay out the grid.

    Raises:
        ConfigError: a name or option is unknown, a value is wrong, or a patch does not tile the image.
    """
    budget = find_budget(request.budget)
    offers = {
        "objective": [registry.get("objective", name) for name in request.objectives],
        "masker": [registry.get("masker", name) for name in request.maskers],
        "encoder": [registry.get("encoder", name) for name in request.encoders or (budget.encoder,)],
    }
    dataset = registry.get("dataset", request.dataset)
    evaluators = [registry.get("evaluator", name) for name in _evaluator_names(request, registry)]
    selected = [dataset, *evaluators, *(offer for group in offers.values() for offer in group)]
    check_all_used(request.settings, selected)
    _Pieces(request, budget).check_values(selected)
    cells = tuple(_cells(request, registry, budget, offers))
    return Plan(
        cells,
        Piece.of(dataset, request.settings),
        tuple(Piece.of(offer, request.settings) for offer in evaluators),
        budget,
    )


@dataclass(frozen=True)
class _Pieces:
    """Resolves offers under one request and budget."""

    request: RunRequest
    budget: Budget

    def __call__(self, offer: Offer) -> Piece:
        piece = Piece.of(offer, self.request.settings, {"patch": self.budget.patch_px})
        patch = piece.options.get("patch")
        if offer.kind == "encoder" and isinstance(patch, int):
            PatchGrid.tiling(self.budget.size_px, patch)
        return piece

    def check_values(self, offers: list[Offer]) -> None:
        for offer in offers:
            self(offer)


def _evaluator_names(request: RunRequest, registry: Registry) -> tuple[str, ...]:
    names: list[str] = []
    for name in request.evaluators:
        if name == "full":
            names += [offer.name for offer in registry.offers("evaluator")]
        else:
            names += EVALUATOR_SETS.get(name, (name,))
    return tuple(dict.fromkeys(names))


def _cells(
    request: RunRequest, registry: Registry, budget: Budget, offers: dict[str, list[Offer]]
) -> Iterator[Cell]:
    pieces = _Pieces(request, budget)
    blind = _without_masks(registry)
    seen = set()
    for encoder in offers["encoder"]:
        for objective in offers["objective"]:
            ignores = fact(objective, Objective, "masks") == "ignored"
            for masker in [blind] if ignores else offers["masker"]:
                seen.add((objective.name, encoder.name))
                for seed in request.seeds:
                    skip = _reason_to_skip(objective, masker)
                    yield Cell(pieces(objective), pieces(masker), pieces(encoder), seed, skip)
    if request.floors:
        yield from _floors(request, registry, pieces, offers["encoder"], seen)


def _floors(
    request: RunRequest,
    registry: Registry,
    pieces: _Pieces,
    encoders: list[Offer],
    seen: set[tuple[str, str]],
) -> Iterator[Cell]:
    """Score each trained encoder untrained at every seed, and encoders without weights once."""
    blind = _without_masks(registry)
    fixed = _declared(registry, "encoder", Encoder)
    for objective in _declared(registry, "objective", Objective):
        wanted = [(encoder, request.seeds) for encoder in encoders]
        wanted += [(encoder, request.seeds[:1]) for encoder in fixed if encoder not in encoders]
        for encoder, seeds in wanted:
            if (objective.name, encoder.name) not in seen:
                for seed in seeds:
                    yield Cell(pieces(objective), pieces(blind), pieces(encoder), seed)


def _declared(registry: Registry, kind: Kind, role: type[Objective | Encoder]) -> list[Offer]:
    return [offer for offer in registry.offers(kind) if fact(offer, role, "standing") == "floor"]


def _without_masks(registry: Registry) -> Offer:
    """Find the masker that hands out no masks: what an objective that ignores masks is recorded with."""
    blind = [offer for offer in registry.offers("masker") if not fact(offer, Masker, "hides")]
    if not blind:
        raise ConfigError("no installed masker declares hides = False; reinstall astrojepa-bench")
    return blind[0]


def _reason_to_skip(objective: Offer, masker: Offer) -> str | None:
    needs = fact(objective, Objective, "masks") == "required"
    if needs and not fact(masker, Masker, "hides"):
        return f"objective '{objective.name}' needs masks and masker '{masker.name}' hands out none"
    return None
