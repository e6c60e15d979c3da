"""Read the answer off the runs and tables of `experiment.py`, by the rule of `experiment.toml`.

    python benchmarks/ijepa/verdict.py OUT [--list TOML] [--tables FOLDER]

OUT is a folder of records that holds B's section: where they were made, or a board that they joined. Prints what
was trained (means over seeds), the points on the way of B, the lifts, one sentence, and the claim that binds it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

sys.path.append(str(Path(__file__).parents[1] / "tuning"))

import tune
from experiment import CURVES, HERE, TRIALS
from tabulate import tabulate

from astrojepa_bench.board.compare import entries_of, newest_of
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import gather
from astrojepa_bench.board.render import read_board
from astrojepa_bench.board.statistics import POINTS
from astrojepa_bench.errors import BenchError, DataError
from astrojepa_bench.results.naming import short, titled

CLAIM = """[places.{place}]
title = "{title}"
fingerprint = "{fingerprint}"
budget = "{budget}"
device_class = "{device_class}"

[[chapters.claims]]
id = "{place}"
says = "{says}"
on = "{place}"
compare = ["{entry}", "{floor}"]
{asserts}"""
ASIDE = (
    "{{effect}} points [{{low}}, {{high}}] of {metric} after {images:,} images, over the same encoder untrained "
    "({title})."
)
SAYS = {
    "learns": "I-JEPA learns on galaxies:",
    "less": "I-JEPA learns on galaxies, less than the {least:g} points that were asked for:",
    "worse": "I-JEPA makes its encoder worse:",
    "not": "I-JEPA does not gain the {least:g} points that were asked for:",
    "open": "Whether I-JEPA learns on galaxies these seeds cannot say:",
}
ASSERTS = {
    "learns": 'asserts = "better"\nat_least = 0\neffect_at_least = {least:g}',
    "less": 'asserts = "better"\nat_least = 0\neffect_at_most = {least:g}',
    "worse": 'asserts = "worse"\nat_most = 0',
    "not": "at_most = {least:g}",
    "open": 'asserts = "undecided"',
}


@dataclass(frozen=True)
class Lift:
    """One entry of B against its own encoder untrained, in points, as the board has it.

    Attributes:
        entry, floor: names, as claims have them.
        options: of the objective, where they are not the defaults.
        seeds: of the entry.
        value, untrained: mean score of each.
        lift, low, high: with the interval for all lifts of the section at once, over seeds and galaxies.
    """

    entry: str
    floor: str
    options: Mapping[str, object]
    seeds: tuple[int, ...]
    value: float
    untrained: float
    lift: float
    low: float
    high: float

    def verdict(self, least):
        """Say what the rule says: it learns if the mean reaches `least` points and the interval excludes 0."""
        if self.low > 0:
            return "learns" if self.lift >= least else "less"
        if self.high < 0:
            return "worse"
        return "not" if self.high < least else "open"


def main(arguments=None):
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of records")
    parser.add_argument("--list", type=Path, default=HERE / "experiment.toml")
    parser.add_argument("--tables", type=Path, default=HERE)
    asked = parser.parse_args(arguments)
    try:
        print("\n\n".join(told(tomllib.loads(asked.list.read_text()), asked.out, asked.tables)))
    except BenchError as error:
        sys.exit(f"error: {error}")


def told(wanted, out, tables):
    """Tell what was found, a block a part.

    Raises:
        DataError: A is not done, or the folder holds no section of B, or one that cannot be judged.
    """
    trials, least, metric = tune.read_rows(tables / TRIALS), wanted["least_lift"], wanted["metric"]
    board = read_board(out)
    section = section_of(board, wanted)
    found = lifts(board, section, metric)
    winner = winner_of(trials, found)
    yield summary(trials, ("arm", "entry"))
    yield summary(tune.read_rows(tables / CURVES), ("entry", "seen"))
    heads = ["entry", "seeds", metric, "untrained", "lift", "95 %", "by the rule"]
    lines = [
        [
            each.entry,
            str(each.seeds),
            each.value,
            each.untrained,
            each.lift,
            interval(each),
            each.verdict(least),
        ]
        for each in found
    ]
    yield tabulate(lines, heads, floatfmt=".1f")
    verdict, about = (
        winner.verdict(least),
        {"least": least, "images": wanted["B"]["seen"], "title": section.title},
    )
    words = metric.removeprefix("linear.") if metric != "linear.accuracy" else "linear accuracy"
    says = f"{SAYS[verdict]} {ASIDE}".format(**about, metric=words)
    yield says.format(effect=f"{winner.lift:+.1f}", low=f"{winner.low:+.1f}", high=f"{winner.high:+.1f}")
    yield CLAIM.format(
        place="ijepa-long", title="{title}, {images:,} images".format(**about), says=says,
        fingerprint=section.fingerprint[:6], budget=section.budget, device_class=section.device_class,
        entry=winner.entry, floor=winner.floor,
        asserts=ASSERTS[verdict].format(least=least),
    )  # fmt: skip


def summary(rows, keys):
    """Average a table of the experiment over seeds."""
    groups = {}
    for row in rows:
        facts = {**row, "entry": titled_row(row)}
        groups.setdefault(tuple(facts[key] for key in keys), []).append(row)
    columns = ("cv_log_loss", "cv_accuracy", "effective_rank", "seconds", "flops")
    columns = [column for column in columns if rows and column in rows[0]]
    lines = [
        [*group, len(found), *(mean_of([row[column] for row in found]) for column in columns)]
        for group, found in groups.items()
    ]
    return tabulate(lines, [*keys, "seeds", *columns], floatfmt=".4g", disable_numparse=[*range(len(keys))])


def titled_row(row):
    """Name the objective and the masker of a row of a table, with the options that are not the defaults."""
    altered = json.loads(row["options"])
    return " + ".join(titled(row[kind], altered.get(kind, {})) for kind in ("objective", "masker"))


def mean_of(values):
    """Average what is there; None where nothing is."""
    numbers = [float(value) for value in values if value]
    return fmean(numbers) if numbers else None


def interval(lift):
    """Write the interval of a lift."""
    return f"[{lift.low:+.1f}, {lift.high:+.1f}]"


def section_of(board, wanted):
    """Find the section of B: the one whose runs were given as many images.

    Raises:
        DataError: there is none, or several.
    """
    given = f" {wanted['B']['seen']} seen"
    found = [
        section
        for section in board.sections
        if section.effort.startswith(f"{wanted['budget']} ")
        and section.effort.endswith(given)
        and section.device_class == wanted["device"]
    ]
    if len(found) != 1:
        raise DataError(
            f"{len(found)} sections of the board have runs of{given}; expected one, so score B first"
        )
    return found[0]


def lifts(board, section, metric):
    """Compare the contestants of a section with their encoders untrained, best first.

    Raises:
        DataError: nothing tells a difference from chance.
    """
    entries = entries_of(section, by_entry(board.records))
    evidence = gather(entries, newest_of(entries), board.rules, metric)
    if evidence is None:
        raise DataError(f"no entry of {section.heading} has two seeds that differ in {metric}; score more")
    found = []
    for entry in evidence.ranked:
        comparison, runs = evidence.lift(entry), entries[entry]
        if comparison is not None:
            each = comparison.difference
            scores = (evidence.scores[entry].mean, evidence.scores[each.b].mean)
            numbers = (
                POINTS * number for number in (*scores, each.difference, each.low_family, each.high_family)
            )
            names = (name_of(runs[0]), name_of(entries[each.b][0]))
            altered, seeds = runs[0].altered.get("objective", {}), tuple(sorted(run.seed for run in runs))
            found.append(Lift(*names, altered, seeds, *numbers))
    return found


def name_of(record):
    """Name an entry as claims do, with its encoder and every option that is not the default."""
    parts = []
    for kind in ("objective", "masker", "encoder"):
        altered = record.altered.get(kind, {})
        options = ", ".join(f"{name}={short(value)}" for name, value in altered.items())
        parts.append(getattr(record, kind) + (f"({options})" if options else ""))
    return "+".join(parts)


def winner_of(trials, found):
    """Find the lift of A's winner: the trial with the least cross-validated log-loss.

    Raises:
        DataError: A is not done, or its winner was not scored.
    """
    rows = [row for row in trials if row["arm"] == "A" and row["objective"] != "untrained"]
    if not rows:
        raise DataError("the table of trials has no row of A; do arm A first")
    best = json.loads(min(rows, key=lambda row: float(row["cv_log_loss"]))["options"]).get("objective", {})
    lift = next((each for each in found if each.options == best), None)
    if lift is None:
        raise DataError(f"A's winner {best} has no scored runs in this section; do arm B, then score")
    return lift


if __name__ == "__main__":
    main()
