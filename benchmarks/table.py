"""Every ratio that this project states about its speed, measured in one run and written as one table.

    python benchmarks/table.py [--only PATTERN] [--quick] [--out FILE]

Each file `bench_*.py` beside this one that has a function `rows` contributes rows of the table. A row holds ours
and a peer's figure, measured in pairs, and has checked that both give the same result. A peer that is not
installed leaves a row that says so. A goal that is missed, or results that differ, end with exit code 1.

What is timed is CPU seconds of one thread, so that neighbours on the machine disturb it little; scripts that start
processes of their own say what they time. A whole run takes about half an hour and writes `benchmarks/README.md`;
`--quick` measures less, trusts nothing and writes nothing unless told where.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
HEAD = ("what", "ours", "peer", "ratio", "quartiles", "goal", "", "limited by", "how")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what is compared, with whom.
        ours, peer: figures of both; None where there is none.
        ratio: what the goal speaks of; None where it could not be measured.
        unit: of the figures.
        goal: a bound of the ratio, such as `>= 6` or `<= 0.2`; empty: none.
        note: how both were made equal, or why there is no ratio.
        spread: quartiles of the ratio.
        limit: what keeps it from being faster: arithmetic, memory bandwidth, Python.
    """

    what: str
    ours: float | None
    peer: float | None
    ratio: float | None
    unit: str
    goal: str = ""
    note: str = ""
    spread: tuple[float, float] | None = None
    limit: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where there is none, or nothing was measured."""
        if not self.goal or self.ratio is None:
            return None
        sense, bound = self.goal.split()
        return self.ratio >= float(bound) if sense == ">=" else self.ratio <= float(bound)

    def cells(self) -> tuple[str, ...]:
        """Return its cells as they are printed."""
        spread = "" if self.spread is None else f"{self.spread[0]:.2f} to {self.spread[1]:.2f}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        met = {None: "", True: "met", False: "**missed**"}[self.is_met]
        figures = (
            "" if value is None else f"{value:,.3g} {self.unit}".strip() for value in (self.ours, self.peer)
        )
        return (self.what, *figures, ratio, spread, self.goal, met, self.limit, self.note)


class Paired(NamedTuple):
    """Two ways to do the same, timed in turn.

    Attributes:
        ratio: median over the pairs of the peer's seconds by ours.
        spread: its quartiles.
        ours_s, peer_s: median seconds of each.
    """

    ratio: float
    spread: tuple[float, float]
    ours_s: float
    peer_s: float


def paired(
    ours: Callable[[], object],
    peer: Callable[[], object],
    repeats: int = 7,
    *,
    clock: Callable[[], float] = time.process_time,
) -> Paired:
    """Time both in turn, ours first in every other pair, after one of each that does not count."""
    taken = dict[Callable[[], object], list[float]]({ours: [], peer: []})
    for turn in range(-1, repeats):
        for act in (ours, peer) if turn % 2 else (peer, ours):
            began = clock()
            act()
            if turn >= 0:
                taken[act].append(clock() - began)
    ratios = [theirs / own for own, theirs in zip(taken[ours], taken[peer], strict=True)]
    spread = (ratios[0], ratios[0])
    if repeats > 1:
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        spread = (low, high)
    middle = statistics.median(ratios)
    return Paired(middle, spread, statistics.median(taken[ours]), statistics.median(taken[peer]))


def absent(what: str, package: str, goal: str = "") -> Row:
    """Return the row of a peer that is not installed."""
    return Row(what, None, None, None, "", goal, f"not measured: {package} is not installed")


def scripts(only: str = "*") -> list[str]:
    """Name the scripts that have rows, found by their text so that none is imported for it."""
    found = sorted(HERE.glob("bench_*.py"))
    return [
        path.stem
        for path in found
        if "\ndef rows(" in path.read_text() and fnmatch(path.stem.removeprefix("bench_"), only)
    ]


def rows_of(script: str, *, quick: bool) -> Iterator[Row]:
    """Yield the rows of a script as they are measured; whatever stops it becomes its last row.

    Results that differ are a failure (`is_met` is False); a package that is missing is not.
    """
    try:
        rows = importlib.import_module(script).rows
        wants = inspect.signature(rows).parameters
        yield from rows(quick=quick) if "quick" in wants else rows()
    except ImportError as error:
        yield Row(script, None, None, None, "", "", f"not measured: {error}")
    except Exception as error:  # one script that fails leaves the others their rows
        traceback.print_exc()
        told = (str(error) or type(error).__name__).splitlines()[0]
        kind = "the results differ" if isinstance(error, AssertionError) else "it failed"
        yield Row(script, None, None, 0.0, "", ">= 1", f"{kind}: {told}")


def measured(names: Iterable[str], *, quick: bool) -> list[tuple[str, Row]]:
    """Measure the rows of some scripts, printing each as it comes."""
    found = []
    for script in names:
        began = time.perf_counter()
        for row in rows_of(script, quick=quick):
            print(" | ".join(cell for cell in row.cells() if cell), flush=True)
            found.append((script, row))
        print(f"    {script}: {time.perf_counter() - began:.0f} s", flush=True)
    return found


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def page(found: Sequence[tuple[str, Row]], machine: str) -> str:
    """Return the whole of `benchmarks/README.md`; every number in it comes from this run."""
    about = {script: inspect.getdoc(importlib.import_module(script)) or "" for script in scripts()}
    told = [(f"`{script}.py`", text.splitlines()[0]) for script, text in about.items()]
    return PAGE.format(
        table=markdown(HEAD, [row.cells() for _, row in found]),
        machine=machine,
        scripts=markdown(("script", "what it measures"), told),
        missed=len([row for _, row in found if row.is_met is False]),
        goals=len([row for _, row in found if row.is_met is not None]),
    )


PAGE = """# Benchmarks

Written by `python benchmarks/table.py`; every number below comes from one run of it.

Figures are CPU seconds of one thread, or made of them, unless "how" says otherwise. Ours and the peer's turn take
turns, and each row has checked that both give the same result. Ratio: the median over the pairs, larger is better
for us unless the goal is an upper bound. Goals missed: {missed} of {goals}.

{table}

## The machine, and what it can do

{machine}

Limits in the table: *arithmetic*: matrix products take most of the time, and the share of the peak says how well
they run; *memory*: each number is read for so few operations that the bandwidth decides; *Python*: calls cost more
than what they compute.

Peers: AstroJEPA's step is written again from its description (`peers/astrojepa.py`); lightly and stable-pretraining
are called as they come from PyPI, where they are installed:

    pip install --no-deps "lightly>=1.6,<2"
    pip install stable-pretraining

## The scripts

{scripts}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="scripts, without `bench_`: mask*")
    parser.add_argument("--quick", action="store_true", help="small and few: to see that it runs")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"where to write (default: {README.name})")
    asked = parser.parse_args(arguments)
    sys.path[:0] = [str(HERE)]
    import torch
    from machine import described

    torch.set_num_threads(1)
    found = measured(scripts(asked.only), quick=asked.quick)
    target = asked.out or (None if asked.quick or asked.only != "*" else README)
    if target is not None:
        target.write_text(page(found, described()))
    missed = [row for _, row in found if row.is_met is False]
    for row in missed:
        print("missed:", " | ".join(cell for cell in row.cells() if cell))
    return int(bool(missed))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
