"""A check: a claim about a component, a test of it, and how to mend what fails."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from astrojepa_bench.errors import PluginError, Unsuitable
from astrojepa_bench.options import Kind
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.testing.watching import generators_kept, settings_kept

Verdict: TypeAlias = Literal["passed", "failed", "skipped"]
Finder: TypeAlias = Callable[[Subject], str | None]


class NotApplicable(Exception):  # noqa: N818 not an error: the claim has no meaning for this component
    """Raised by a check that does not apply to a component; carries the reason."""


@dataclass(frozen=True)
class Outcome:
    """Result of one check.

    Attributes:
        id: id of the check.
        verdict: `passed`, `failed`, or `skipped` where the claim has no meaning.
        claim: the rule, in one sentence.
        found: the fault, or the reason for skipping; empty if it passed.
        fix: how to mend the fault; empty unless it failed.
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
        claim: one sentence that holds for every correct component.
        fix: how to mend a component that breaks it.
        find: returns the fault of a component, or None.
        after: rules that must hold before this one means anything; where one of them failed, this one is skipped.
    """

    id: str
    claim: str
    fix: str
    find: Finder
    after: tuple[str, ...] = ()

    def run(self, piece: Subject) -> Outcome:
        """Apply the rule; an error raised by the component is a fault too, and one error is one fault.

        What the component prints goes to stderr, and the settings of the process are put back.
        """
        broken = piece.once("broken", dict[str, str])  # id: what was found
        idle = piece.once("idle", dict[str, str])
        for name in self.after:
            if name in broken or name in idle:
                return Outcome(self.id, "skipped", self.claim, idle.get(name, f"rule '{name}' comes first"))
        try:
            with generators_kept(), settings_kept(), redirect_stdout(sys.stderr):
                found = self.find(piece)
        except (NotApplicable, Unsuitable) as reason:
            idle[self.id] = said(reason)
            return Outcome(self.id, "skipped", self.claim, idle[self.id])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a component may raise anything, sys.exit among it
            found = raised(error, piece)
            same = next((name for name, known in broken.items() if known == found), None)
            if same is not None:
                return Outcome(self.id, "skipped", self.claim, f"it raises what rule '{same}' met")
        if found is None:
            return Outcome(self.id, "passed", self.claim)
        broken[self.id] = found
        return Outcome(self.id, "failed", self.claim, found, self.fix)


def raised(error: BaseException, piece: Subject) -> str:
    """Describe an error and the component's own line that raised it: a report shows no traceback."""
    inner = error.__cause__ if isinstance(error, PluginError) and error.__cause__ else error
    frames = traceback.extract_tb(inner.__traceback__)
    lines = [frame.lineno for frame in frames if piece.file and Path(frame.filename) == piece.file.absolute()]
    where = f" ({piece.file.name}, line {lines[-1]})" if piece.file and lines else ""
    return f"raised {type(inner).__name__}: {said(inner)}{where}"


def said(error: BaseException, most: int = 300) -> str:
    """Return what an exception says, in one line; its own text may raise as well."""
    try:
        return " ".join(str(error).split())[:most]
    except Exception:
        return "an exception that cannot be put into words"


class RuleSet:
    """The checks of one kind of component, in the order of their definition.

    Args:
        kind: prefix of their ids; None for rules of every kind.
        after: rules that come before each of them.
    """

    def __init__(self, kind: Kind | None = None, after: tuple[str, ...] = ()) -> None:
        self.after = after
        self.prefix = f"{kind}-" if kind else ""
        self.checks: list[Check] = []

    def __call__(
        self, name: str, claim: str, fix: str, after: tuple[str, ...] = ()
    ) -> Callable[[Finder], Finder]:
        """Make a check from a function that returns the fault, or None; it runs once the rules `after` hold."""

        def keep(find: Finder) -> Finder:
            self.checks.append(Check(f"{self.prefix}{name}", claim, fix, find, (*self.after, *after)))
            return find

        return keep
