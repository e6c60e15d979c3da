"""How evaluators describe their metrics, and the error of a share; without torch, so that a board loads fast."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

from astrojepa_bench.errors import ContractError

Z = 1.959963984540054
"""Standard deviations of a normal law that hold 95 % of it."""

ROUNDING = 1e-12
"""A share this near to 0 or to 1 is a sum that was rounded."""


@dataclass(frozen=True)
class Metric:
    r"""How a metric is shown: evaluators declare theirs in `metrics`, in the order of the board's columns.

    Attributes:
        name: of the metric, or a regular expression that matches the whole name of several (`recall_\d+`).
        title: heading of its column on the board, with its unit; empty for the evaluator's and metric's names.
        higher_is_better: its direction.
        scale: what values are multiplied with on the board (100 for per cent).
        digits: decimals on the board.
        level: `headline` metrics have a column on the board, `usual` ones stand in the table of all metrics,
            and `detail` ones (the same once more, or of a part) in the long table alone.
        priority: of its column; narrow terminals drop the highest first.
        role: of the ruler's own evaluators, one metric `ranks` the contestants on the board unless the suite names
            another; the lift over the untrained encoder is measured in it too. (`lifts` stands in older records.)
        meaning: what it tells, in one line, for readers of a report.
    """

    name: str
    title: str = ""
    higher_is_better: bool = True
    scale: float = 1.0
    digits: int = 3
    level: Literal["headline", "usual", "detail"] = "usual"
    priority: int = 11
    role: Literal["", "ranks", "lifts"] = ""
    meaning: str = ""

    def __post_init__(self) -> None:
        try:
            re.compile(self.name)
        except re.error as error:
            raise ContractError(
                f"metric '{self.name}' is neither a name nor a regular expression ({error}); correct it"
            ) from None

    def describes(self, metric: str) -> bool:
        """Whether it is about a metric of this name."""
        return re.fullmatch(self.name, metric) is not None

    def described(self) -> dict[str, object]:
        """Return the name and what differs from the defaults, for a record."""
        usual = Metric(self.name)
        facts = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: value for name, value in facts.items() if name == "name" or value != getattr(usual, name)
        }


def description_of(metric: str, described: Iterable[Metric]) -> Metric | None:
    """Find the first description that is about a metric of this name."""
    return next((each for each in described if each.describes(metric)), None)


def binomial_se(share: float, n: int) -> float:
    """Compute the standard error of a share measured on `n` independent galaxies.

    Between 0 and 1 it is Wald's. At 0 and at 1 Wald's vanishes, as if a handful of galaxies could prove certainty;
    there it is such that 1.96 of it reach to the far end of Wilson's 95 % interval: 28 of 28 leave room for 88 %.

    Source:
        Wilson 1927 (J. Am. Stat. Assoc. 22, 209).

    Example:
        >>> round(binomial_se(0.75, 300), 3), round(1 - 1.96 * binomial_se(1.0, 28), 2)
        (0.025, 0.88)
    """
    is_inside = min(share, 1 - share) > ROUNDING
    return math.sqrt(share * (1 - share) / n) if is_inside else Z / (n + Z**2)
