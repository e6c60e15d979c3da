"""Two entries compared, as an object: effect, interval, verdict, and the words of `leaderboard compare`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import pandas as pd

from astrojepa_bench.api.cards import card
from astrojepa_bench.board.compare import Compared

LINE = 100


@dataclass(frozen=True, repr=False)
class ComparedEntries(Sequence[Compared]):
    """What is known of two entries, section by section, the headline metric first.

    `effect`, `interval` and `verdict` are those of the first, the headline of the first section.

    Attributes:
        found: every comparison.
    """

    found: tuple[Compared, ...]

    @overload
    def __getitem__(self, at: int) -> Compared: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Compared, ...]: ...
    def __getitem__(self, at: int | slice) -> Compared | tuple[Compared, ...]:
        return self.found[at]

    def __len__(self) -> int:
        return len(self.found)

    @property
    def effect(self) -> float:
        """The first entry minus the second [points]."""
        return self.found[0].effect

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval [points], which holds for the whole family of comparisons."""
        return self.found[0].low, self.found[0].high

    @property
    def verdict(self) -> str:
        """Of the first entry: `better`, `worse`, `equivalent`, `undecided` or `exploratory`."""
        return self.found[0].verdict

    @property
    def text(self) -> str:
        """All of it in plain English, a paragraph a section and metric."""
        return "\n\n".join(textwrap.fill(each.sentence, LINE) for each in self.found)

    @property
    def table(self) -> pd.DataFrame:
        """One row a section and metric: effect, interval, verdict, what would decide, and cost."""
        frame = pd.DataFrame([each.facts() for each in self.found])
        bounds = pd.DataFrame(frame.pop("interval").tolist(), columns=["low", "high"])
        return pd.concat([frame, bounds], axis=1)

    def __repr__(self) -> str:
        first, more = self.found[0], len(self) - 1
        others = f" (+ {more} more)" if more else ""
        return (
            f"<{first.a} is {self.verdict} against {first.b} in {first.metric}: {self.effect:+.1f} points "
            f"[{first.low:+.1f}, {first.high:+.1f}]{others}; print(….text) tells all>"
        )

    def _repr_html_(self) -> str:
        headings = ("section", "metric", "points", "95 % interval", "verdict")
        rows = [
            (each.section, each.metric, f"{each.effect:+.1f}", f"[{each.low:+.1f}, {each.high:+.1f}]", each.verdict)
            for each in self.found
        ]  # fmt: skip
        return card(
            f"{self.found[0].a} against {self.found[0].b}", (), [(headings, rows)], [self.found[0].sentence]
        )
