"""What a masker or an objective does on average: effects of factors, from complete grids alone.

The entries of one encoder that stand with their usual options form a grid of objectives and maskers. The largest
part of it without a gap is judged: an average over what happens to have been run would compare unlike with unlike.
Over several data sets the grid must be complete in each.

Source: two-way analysis of variance with one residual variance a data set (e.g. Searle, Casella & McCulloch 1992).
Deviation: the galaxies' own part of a contrast is added, with degrees of freedom by Satterthwaite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from typing import TypeAlias

import numpy as np
from scipy.stats import f as fisher
from scipy.stats import t as student_t

from astrojepa_bench.board.evidence import Evidence
from astrojepa_bench.board.families import at_recipe
from astrojepa_bench.board.inference import SeedScores, TestSet, holm
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.statistics import added
from astrojepa_bench.board.verdicts import FactorEffect

AVERAGE = "the average"
"""The reference of a factor for which the suite names none."""
MOST_SECTIONS = 8
"""Of more data sets than that no subsets are tried: a grid must be complete in all of them."""
Cells: TypeAlias = Mapping[tuple[str, str], str]
"""Entry ids by objective and masker."""


@dataclass(frozen=True)
class Layer:
    """One data set's part of a grid.

    Attributes:
        title: what the galaxies are called; empty where there is but one data set.
        evidence: of its section.
        cells: its entries, by objective and masker.
    """

    title: str
    evidence: Evidence
    cells: Cells

    @cached_property
    def df(self) -> int:
        """Degrees of freedom of `variance`."""
        return sum(score.n - 1 for score in self._scores)

    @cached_property
    def variance(self) -> float:
        """Variance of one seed, pooled over the cells and never below what the test galaxies make."""
        squares = math.fsum((score.n - 1) * (score.sd or 0.0) ** 2 for score in self._scores)
        floors = [self.evidence.preferences.floor(entry) for entry in self.cells.values()]
        return max(squares / self.df, float(np.mean(floors)))

    @property
    def _scores(self) -> list[SeedScores]:
        return [self.evidence.scores[entry] for entry in self.cells.values()]


@dataclass(frozen=True)
class Grid:
    """A grid without a gap: every objective with every masker in every layer."""

    layers: tuple[Layer, ...]
    objectives: tuple[str, ...]
    maskers: tuple[str, ...]


def factor_effects(sections: Sequence[tuple[str, Evidence]], rules: Rules) -> tuple[FactorEffect, ...]:
    """Compute what maskers and objectives do on average in one or several sections.

    Args:
        sections: titles of the galaxies, and the evidence on one metric.
        rules: which name the references.

    Returns:
        The effects of maskers, then of objectives; none where there is no complete grid of two and two.
    """
    grid = complete_grid(sections, rules.references.get("masker"))
    if grid is None:
        return ()
    return (*_effects(grid, "masker", rules), *_effects(grid, "objective", rules))


def complete_grid(sections: Sequence[tuple[str, Evidence]], reference: str | None) -> Grid | None:
    """Find the largest grid without a gap that has the reference masker, or else any.

    Of several data sets at least two must hold it.
    """
    grids = [grid for grid in _grids(sections) if all(layer.df and layer.variance for layer in grid.layers)]
    return max(
        grids,
        default=None,
        key=lambda grid: (
            reference in grid.maskers,
            len(grid.layers) * len(grid.objectives) * len(grid.maskers),
            len(grid.objectives),
        ),
    )


def _grids(sections: Sequence[tuple[str, Evidence]]) -> Iterable[Grid]:
    """List the complete grids of each encoder in each choice of data sets."""
    stand = [(title, evidence, _cells_by_encoder(evidence)) for title, evidence in sections]
    least = 1 + (len(stand) > 1) if len(stand) <= MOST_SECTIONS else len(stand)
    for size in range(least, len(stand) + 1):
        for chosen in combinations(stand, size):
            for encoder in sorted(set.intersection(*(set(cells) for _, _, cells in chosen))):
                common = set.intersection(*(set(cells[encoder]) for _, _, cells in chosen))
                for objectives, maskers in _rectangles(common):
                    layers = (
                        Layer(
                            title,
                            evidence,
                            {key: cells[encoder][key] for key in product(objectives, maskers)},
                        )
                        for title, evidence, cells in chosen
                    )
                    yield Grid(tuple(layers), objectives, maskers)


def _cells_by_encoder(evidence: Evidence) -> dict[str, dict[tuple[str, str], str]]:
    """Lay the ranked entries at their recipe out by encoder, objective and masker."""
    firsts = {evidence.entries[entry][0].run_id: entry for entry in sorted(evidence.ranked)}
    found: dict[str, dict[tuple[str, str], str]] = {}
    for record in at_recipe(evidence.entries[entry][0] for entry in firsts.values()):
        cells = found.setdefault(record.encoder, {})
        cells.setdefault((record.objective, record.masker), firsts[record.run_id])
    return found


def _rectangles(cells: Iterable[tuple[str, str]]) -> Iterable[tuple[tuple[str, ...], tuple[str, ...]]]:
    """List the complete grids of at least two objectives and two maskers that no row can be added to."""
    rows: dict[str, frozenset[str]] = {}
    for objective, masker in cells:
        rows[objective] = rows.get(objective, frozenset()) | {masker}
    common: set[frozenset[str]] = set()
    for own in rows.values():  # what several rows share is an intersection of theirs
        common |= {own, *(own & other for other in common)}
    for maskers in sorted(common, key=sorted):
        objectives = sorted(objective for objective, own in rows.items() if maskers <= own)
        if len(maskers) > 1 and len(objectives) > 1:
            yield tuple(objectives), tuple(sorted(maskers))


def _effects(grid: Grid, factor: str, rules: Rules) -> list[FactorEffect]:
    """Compare each level of a factor with the reference, averaged over the blocks; Holm within the factor."""
    levels, blocks = (
        (grid.maskers, grid.objectives) if factor == "masker" else (grid.objectives, grid.maskers)
    )
    wanted = rules.references.get(factor)
    reference = wanted if wanted in levels else AVERAGE
    named = tuple(": ".join(filter(None, (layer.title, block))) for layer in grid.layers for block in blocks)
    interaction = _interaction(grid, factor == "masker")
    compared = [level for level in levels if level != reference]
    alphas = (rules.alpha, rules.alpha / len(compared))
    found = [
        _effect(grid, factor, level, reference or AVERAGE, alphas, named, interaction) for level in compared
    ]
    adjusted = holm([each.p_holm for each in found])
    return [replace(each, p_holm=p) for each, p in zip(found, adjusted, strict=True)]


def _effect(
    grid: Grid, factor: str, level: str, reference: str, alphas: tuple[float, float], blocks: tuple[str, ...],
    interaction: float | None,
) -> FactorEffect:  # fmt: skip
    """Compare one level with the reference; `alphas` are those of its own interval and of the factor's."""
    effect, parts, borrowed = 0.0, list[tuple[float, float]](), False
    for layer in grid.layers:
        weights = _contrast(grid, factor, level, reference, layer)
        scores = {entry: layer.evidence.scores[entry] for entry in weights}
        effect += math.fsum(weight * scores[entry].mean for entry, weight in weights.items())
        seeds = layer.variance * math.fsum(w**2 / scores[entry].n for entry, w in weights.items())
        test_set: TestSet = layer.evidence.preferences.of(weights)
        parts += [(seeds, layer.df), (test_set.part, test_set.df)]
        borrowed |= layer.evidence.preferences.is_borrowed(weights)
    variance, df = added(parts)
    half, half_family = (float(student_t.ppf(1 - alpha / 2, df)) * math.sqrt(variance) for alpha in alphas)
    p = float(2 * student_t.sf(abs(effect) / math.sqrt(variance), df))
    metric = grid.layers[0].evidence.metric
    return FactorEffect(
        factor, level, reference, metric, effect, low=effect - half, high=effect + half,
        low_family=effect - half_family, high_family=effect + half_family, p_holm=p, blocks=blocks,
        p_interaction=interaction, is_borrowed=borrowed,
    )  # fmt: skip


def _contrast(grid: Grid, factor: str, level: str, reference: str, layer: Layer) -> dict[str, float]:
    """Weigh the cells of a layer: the level's own up, the reference's down, all blocks and layers alike."""
    levels = grid.maskers if factor == "masker" else grid.objectives
    share = len(levels) / (len(layer.cells) * len(grid.layers))  # of one block
    found: dict[str, float] = {}
    for (objective, masker), entry in layer.cells.items():
        here = masker if factor == "masker" else objective
        down = 1 / len(levels) if reference == AVERAGE else float(here == reference)
        weight = share * (float(here == level) - down)
        if weight:
            found[entry] = weight
    return found


def _interaction(grid: Grid, of_maskers: bool) -> float | None:
    """Test whether a factor does the same in every block, on these galaxies; None where nothing can tell.

    The additive model is fitted to the cells' means, weighted by their seeds. What it leaves is compared with the
    spread of the seeds.
    """
    blocks, levels, means, weights = list[str](), list[str](), list[float](), list[float]()
    for layer in grid.layers:
        for (objective, masker), entry in layer.cells.items():
            block, level = (objective, masker) if of_maskers else (masker, objective)
            blocks.append(f"{layer.title}\n{block}")
            levels.append(level)
            means.append(layer.evidence.scores[entry].mean)
            weights.append(layer.evidence.scores[entry].n / layer.variance)
    design = np.hstack([_indicators(blocks), _indicators(levels)[:, 1:]])
    root = np.sqrt(weights)
    fitted = design @ np.linalg.lstsq(design * root[:, None], np.array(means) * root, rcond=None)[0]
    df = (len(set(blocks)) - 1) * (len(set(levels)) - 1)
    ratio = float((np.array(weights) * (np.array(means) - fitted) ** 2).sum()) / df
    return float(fisher.sf(ratio, df, sum(layer.df for layer in grid.layers)))


def _indicators(labels: Sequence[str]) -> np.ndarray:
    known = sorted(set(labels))
    return np.array([[float(label == each) for each in known] for label in labels])
