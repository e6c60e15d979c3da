"""Verdicts as plain facts, for `board.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from astrojepa_bench.board.certificate import SimulatorCertificate
from astrojepa_bench.board.verdicts import Comparison, FactorEffect, Verdicts

_DIGITS = 9
_TAILS = 6
"""Digits of what rests on tails of distributions, where releases of the library differ sooner."""


def verdict_facts(verdicts: Verdicts) -> dict[str, Any]:
    """Write all verdicts on a section; intervals are those that hold for a whole family at once."""
    return {
        "metric": verdicts.metric,
        "ranks": {entry: list(ranks) for entry, ranks in verdicts.ranks.items()},
        "letters": dict(verdicts.letters),
        "lifts": {entry: _comparison(each) for entry, each in verdicts.lifts.items()},
        "comparisons": [_comparison(each) for each in verdicts.comparisons if each.family != "lift"],
        "factors": [factor_facts(each) for each in verdicts.factors],
        "track_record": verdicts.track_record.facts(),
        "notes": list(verdicts.notes),
    }


def factor_facts(effect: FactorEffect) -> dict[str, Any]:
    """Write the effect of one level of a factor."""
    numbers = ("effect", "low", "high", "low_family", "high_family", "p_holm", "p_interaction")
    return {**asdict(effect), **{name: rounded(getattr(effect, name), _TAILS) for name in numbers}}


def certificate_facts(found: SimulatorCertificate) -> dict[str, Any]:
    """Write how simulated and real galaxies order contestants, metric by metric."""
    lines = [
        {
            "metric": line.metric,
            **{name: rounded(value) for name, value in asdict(line.found).items()},
            "objectives": [rounded(end) for end in line.objectives],
        }
        for line in found.lines
    ]
    return {**asdict(found), "lines": lines}


def rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    """Drop the last digits, where libraries of two machines may differ."""
    return None if value is None else float(f"{value:.{digits}g}")


def _comparison(each: Comparison) -> dict[str, Any]:
    found = each.difference
    return {
        "a": each.a, "b": each.b, "family": each.family, "verdict": each.verdict,
        "effect": rounded(found.difference),
        "interval": [rounded(found.low_family, _TAILS), rounded(found.high_family, _TAILS)],
        "p_holm": rounded(found.p_holm, _TAILS), "seeds_needed": each.seeds_needed,
        "galaxies_needed": each.galaxies_needed, "is_borrowed": each.is_borrowed,
        "covers_galaxies": each.covers_galaxies,
    }  # fmt: skip
