"""What a row of the page opens to: all scores, the training, and the commands that make the entry again."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from astrojepa_bench.board.columns import mean_cost
from astrojepa_bench.board.composite import Composite
from astrojepa_bench.board.drawings import Curves, curves
from astrojepa_bench.board.entries import Row
from astrojepa_bench.board.metrics import MetricGroup
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.training.budgets import is_flop_matched, other_images

CURVE_PX = (300.0, 120.0)
COSTS = (  # field of the cost, what a reader calls it, scale, unit
    ("train_seconds", "training", 1 / 60, "min"),
    ("eval_seconds", "scoring", 1 / 60, "min"),
    ("flops", "compute", 1e-12, "TFLOP"),
    ("tokens", "tokens seen", 1e-6, "million"),
    ("parameters", "parameters", 1e-6, "million"),
    ("images_per_second", "speed", 1.0, "images/s"),
    ("peak_memory_bytes", "peak memory", 1e-9, "GB"),
)


@dataclass(frozen=True)
class ScoreLine:
    """One metric of an entry: its name, direction, mean and spread over seeds, and what knowing nothing scores."""

    metric: str
    arrow: str
    text: str
    chance: str


@dataclass(frozen=True)
class ScoreTable:
    """The scores of one evaluator, and how many more it has in the long table."""

    evaluator: str
    lines: tuple[ScoreLine, ...]
    more: int


@dataclass(frozen=True)
class PageDetails:
    """What a row opens to.

    Attributes:
        remarks: why it is not ranked, how its runs ended.
        comparisons: what may be said of it and its neighbours, in words, with the verdict first.
        scores: all of them, by evaluator.
        curves: of its training, one line a seed.
        health: numbers about its masks and its features, over seeds.
        costs: what a run took, over seeds.
        runs: seed, run id and status of each.
        commands: what each of them does, and the command.
    """

    remarks: tuple[str, ...]
    comparisons: tuple[tuple[str, str], ...]
    scores: tuple[ScoreTable, ...]
    curves: tuple[Curves, ...]
    health: tuple[tuple[str, str], ...]
    costs: tuple[tuple[str, str], ...]
    runs: tuple[tuple[int, str, str], ...]
    commands: tuple[tuple[str, str], ...]


def details_of(
    row: Row,
    runs: Sequence[RunRecord],
    scores: Sequence[tuple[MetricGroup, int]],
    comparisons: Iterable[tuple[str, str]],
    points: int,
) -> PageDetails:
    """Gather what a row opens to.

    Args:
        row: the row.
        runs: its records.
        scores: all scores of the section, and the place of the row among them.
        comparisons: what may be said of the entry and others: verdict and difference.
        points: most points of a training curve; 0 for none.
    """
    scored = [run for run in runs if run.status in SCORED]
    tables = (_score_table(group, at) for group, at in scores)
    drawn = (
        curves("loss", [run.training.loss_curve for run in scored], CURVE_PX, points),
        curves("effective rank", [run.training.rank_curve for run in scored], CURVE_PX, points),
    )
    names = sorted({name for run in scored for name in run.health})
    health = ((name, [run.health[name] for run in scored if name in run.health]) for name in names)
    costs = ((word, mean_cost(runs, field), scale, unit) for field, word, scale, unit in COSTS)
    remarks = [f"Not ranked: {row.unranked}."] if row.unranked and row.standing == "contestant" else []
    remarks += [f"Runs: {row.status}."] if row.status != "ok" else []
    remarks += [_composite_text(row.composite)] if row.composite else []
    return PageDetails(
        tuple(remarks), tuple(comparisons),
        scores=tuple(table for table in tables if table.lines),
        curves=tuple(drawing for drawing in drawn if drawing and points),
        health=tuple((name.replace("_", " "), f"{statistics.fmean(each):.3g}") for name, each in health),
        costs=tuple((word, quantity(v * scale, unit)) for word, v, scale, unit in costs if v),
        runs=tuple((run.seed, run.run_id, run.status) for run in runs),
        commands=tuple(_commands(runs)),
    )  # fmt: skip


def _composite_text(found: Composite) -> str:
    """Describe how far an entry is on the way from its untrained encoder to one with labels; no verdict."""
    share = f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
    return (
        f"On the way from its untrained encoder (0) to one trained with labels (1), by the mean of "
        f"{len(found.parts)} metrics: {share}. A description, no verdict."
    )


def quantity(value: float, unit: str) -> str:
    """Write a number with three digits and its unit."""
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.2g} {unit}"


def _score_table(group: MetricGroup, at: int) -> ScoreTable:
    """Write what the row at a place has of an evaluator's scores."""
    lines = list[ScoreLine]()
    for line in group.lines:
        found = line.cells[at]
        if found is None:
            continue
        spread = f" ± {_number(found.sd)}" if found.sd is not None else ""
        chance = "–".join(dict.fromkeys(_number(level) for level in line.chance or ()))
        arrow = "↑" if line.higher_is_better else "↓"
        lines.append(ScoreLine(line.metric.replace("_", " "), arrow, _number(found.mean) + spread, chance))
    return ScoreTable(group.evaluator, tuple(lines), group.details)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


# --- the commands that make an entry again ------------------------------------------------------------------


def _commands(runs: Sequence[RunRecord]) -> list[tuple[str, str]]:
    again = "\n".join(f"astrojepa-bench reproduce {run.run_id}" for run in runs if run.status in SCORED)
    once_more = [("Run one seed again, and compare; --out names this folder:", again)] if again else []
    if other_images(runs[0].budget, runs[0].identity.get("budget")):
        return once_more  # no command asks for other images than a budget's own
    all_over = "Train and score all seeds, every option as recorded; files are named without their folder:"
    return [*once_more, (all_over, run_command(runs))]


def run_command(runs: Sequence[RunRecord]) -> str:
    """Write the command that trains an entry as its records say, every option that they hold in full."""
    first = runs[0]
    parts = ["astrojepa-bench", "run"]
    for flag, value in (
        ("-o", first.objective),
        ("-m", first.masker),
        ("-e", first.encoder),
        ("-d", first.dataset),
    ):
        parts += [flag, value]
    parts += ["-E", ",".join(sorted(first.evaluators))] if first.evaluators else []
    seeds = sorted(run.seed for run in runs)
    seeds *= 2 if len(seeds) == 1 else 1  # a number alone would tell how many seeds; a list tells which
    parts += ["--budget", first.budget, "--seeds", ",".join(map(str, seeds)), "--no-floors"]
    parts += ["--match", "flops"] if is_flop_matched(first.identity.get("budget")) else []
    parts += ["--pretraining", str(first.pretraining)] if first.pretraining else []
    parts += ["--labels", f"{first.labels:g}"] if first.labels else []
    device = first.identity.get("device_class")
    parts += ["--device", str(device)] if device else []
    for kind, options in sorted(first.options.items()):
        altered = first.altered.get(kind, {})
        for name, value in sorted(options.items()):
            if value is not None or name in altered:
                text = "none" if value is None else value if isinstance(value, str) else canonical_json(value)
                parts += ["--set", f"{kind}.{name}={text}"]
    return shlex.join(parts)
