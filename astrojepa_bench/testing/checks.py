"""What a check is: a claim about a piece, a way to find out, and what to do if it does not hold."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from astrojepa_bench.errors import PluginError
from astrojepa_bench.options import Kind
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.testing.watching import generators_kept

Verdict: TypeAlias = Literal["passed", "failed", "skipped"]
Finder: TypeAlias = Callable[[Subject], str | None]


class NotApplicable(Exception):  # noqa: N818 not an error: the claim has no meaning for this piece
    """Raised by a check that says nothing about a piece; carries the reason."""


@dataclass(frozen=True)
class Outcome:
    """What one check found.

    Attributes:
        id: which check.
        verdict: `passed`, `failed`, or `skipped` where the claim has no meaning.
        claim: what ought to hold, in one sentence.
        found: what was found instead, or why it was skipped; empty if it holds.
        fix: how to mend it; empty unless it failed.
    """

    id: str
    verdict: Verdict
    claim: str
    found: str = ""
    fix: str = ""

    def __str__(self) -> str:
        fix = f"; {self.fix}" if self.fix else ""
        return f"{self.id}: {self.found or self.claim}{fix}"


@dataclass(frozen=True)
class Check:
    """One rule.

    Attributes:
        id: unique among the checks.
        claim: one sentence that is true of every piece in order.
        fix: how to mend a piece of which it is not.
        find: says what is wrong with a piece, or None.
    """

    id: str
    claim: str
    fix: str
    find: Finder

    def run(self, piece: Subject) -> Outcome:
        """Apply the rule; whatever the piece raises is a finding too."""
        try:
            with generators_kept():
                found = self.find(piece)
        except NotApplicable as reason:
            return Outcome(self.id, "skipped", self.claim, str(reason))
        except Exception as error:  # a piece may raise anything
            found = _raised(error, piece)
        if found is None:
            return Outcome(self.id, "passed", self.claim)
        return Outcome(self.id, "failed", self.claim, found, self.fix)


def _raised(error: Exception, piece: Subject) -> str:
    """Say what a piece raised, and on which of its own lines: a report without a traceback needs them."""
    inner = error.__cause__ if isinstance(error, PluginError) and error.__cause__ else error
    frames = traceback.extract_tb(inner.__traceback__)
    lines = [frame.lineno for frame in frames if piece.file and Path(frame.filename) == piece.file.absolute()]
    where = f" ({piece.file.name}, line {lines[-1]})" if piece.file and lines else ""
    return f"raised {type(inner).__name__}: {' '.join(str(inner).split())[:300]}{where}"


class Rules:
    """The checks of one kind of piece, in the order in which they are written.

    Args:
        kind: prefix of their ids; None for rules that hold of every piece.
    """

    def __init__(self, kind: Kind | None = None) -> None:
        self.prefix = f"{kind}-" if kind else ""
        self.checks: list[Check] = []

    def __call__(self, name: str, claim: str, fix: str) -> Callable[[Finder], Finder]:
        """Make a check of a function that says what is wrong."""

        def keep(find: Finder) -> Finder:
            self.checks.append(Check(f"{self.prefix}{name}", claim, fix, find))
            return find

        return keep
