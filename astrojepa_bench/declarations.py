"""What a plugin may call what it offers, and what a class may declare: asked where it is offered.

A fact of another kind than expected would otherwise be found out when a record is written, after hours. What
breaks a rule here is named, is never built, and harms nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from astrojepa_bench.groups import GROUPS
from astrojepa_bench.metric import Metric

LONGEST_NAME = 80  # bytes: two of them, a sign and an ending make the name of a folder, which may have 255
LONGEST_TEXT = 100  # letters of a metric, a tap, a prediction: each heads a column somewhere
_NAME = re.compile(r"[A-Za-z0-9][\w.:-]*(:<name>)?")


def name_fault(name: object) -> str | None:
    """Return why nothing can be offered under a name, or None."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"the name {shown(name)}; use letters, digits and - _ . only"
    if len(name.encode()) > LONGEST_NAME:
        return f"a name of {len(name)} letters, {shown(name)}; use {LONGEST_NAME} at most"
    return None


def is_text(value: object, most: int = LONGEST_TEXT) -> bool:
    r"""Return whether a value can head a column: printable text of one line, not empty and not too long.

    Example:
        >>> is_text("accuracy"), is_text("two\nlines"), is_text(" "), is_text(b"bytes")
        (True, False, False, False)
    """
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= len(value) <= most


def shown(value: object, most: int = 60) -> str:
    """Return a value as Python writes it, on one line and cut; its kind alone where it cannot be written."""
    try:
        text = " ".join(ascii(value).split())
    except Exception:  # a plugin's value may refuse
        return f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass(frozen=True)
class _Rule:
    holds: Callable[[object], bool]
    use: str


def _one_of(allowed: Iterable[str]) -> _Rule:
    names = tuple(allowed)
    return _Rule(lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}")


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number from 1 on; a truth value is none, though Python counts it as one."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_extras(value: object) -> bool:
    if value == ():
        return True
    from astrojepa_bench.features import Extra  # whoever requests one has torch in memory already

    return isinstance(value, tuple | list) and all(each in get_args(Extra) for each in value)


_TRUTH = _Rule(lambda value: isinstance(value, bool), "True or False")
_VERSION = _Rule(lambda value: value is None or is_whole(value), "a whole number from 1 on")
_STANDING = _one_of(("contestant", "floor", "ceiling"))
_GROUP = _one_of(GROUPS)
_NAMES = _Rule(
    lambda value: (
        isinstance(value, property)  # an option may decide it
        or (isinstance(value, tuple | list) and all(map(is_text, value)))
    ),
    "a tuple of names",
)
_COLUMNS = _Rule(
    lambda value: (
        isinstance(value, tuple | list | Mapping)
        and all(map(is_text, value))
        and (not isinstance(value, Mapping) or all(map(is_whole, value.values())))
    ),
    "a tuple of names, or how many numbers a galaxy has by name",
)
_RULES: Mapping[str, Mapping[str, _Rule]] = {
    "dataset": {},
    "encoder": {"standing": _STANDING, "group": _GROUP},
    "masker": {"hides": _TRUTH},
    "objective": {
        "standing": _STANDING,
        "group": _GROUP,
        "masks": _one_of(("required", "optional", "ignored")),
        "labels": _one_of(("none", "some", "all")),
        "columns": _COLUMNS,
        "needs_labels": _Rule(lambda value: False, 'labels = "all" or "some" in its place'),
        "trains": _TRUTH,
    },
    "evaluator": {
        "requires": _NAMES,
        "requests": _Rule(_is_extras, "a tuple of the extras that the role Evaluator names"),
        "metrics": _Rule(lambda value: metrics_fault(value) is None, "a tuple of sound Metric"),
        "costly": _TRUTH,
    },
}


def fact_fault(kind: str, made: object) -> str | None:
    """Return which declared fact of a class, function or instance is of the wrong kind, or None.

    Args:
        kind: of the component.
        made: the class that is offered, or the function where its class is not known; or what was built.
    """
    for fact in ("version", *_RULES[kind]):
        value = getattr(made, fact, _MISSING)
        if value is not _MISSING and not is_sound(kind, fact, value):
            told = metrics_fault(value) if fact == "metrics" else None
            use = _rule(kind, fact).use
            return f"declares the {fact} {shown(value)}; use {use}" + (f" ({told})" if told else "")
    return None


def is_sound(kind: str, fact: str, value: object) -> bool:
    """Return whether a class of some kind may declare a fact so; of facts without a rule any value will do."""
    return _rule(kind, fact).holds(value)


def _rule(kind: str, fact: str) -> _Rule:
    return _VERSION if fact == "version" else _RULES[kind].get(fact, _ANY)


_ANY = _Rule(lambda value: True, "anything")
_MISSING = object()


def metrics_fault(metrics: object) -> str | None:
    """Return what is wrong with an evaluator's descriptions of its metrics, or None."""
    if not isinstance(metrics, tuple | list):
        return f"`metrics` is {shown(metrics)}; expected a tuple of Metric"
    for metric in metrics:
        if not isinstance(metric, Metric):
            return f"`metrics` holds {shown(metric)}; expected Metric"
        wrong = next(
            (name for name, is_sound in _METRIC.items() if not is_sound(getattr(metric, name))), None
        )
        if wrong is not None:
            return f"Metric {shown(metric.name)}: `{wrong}` is {shown(getattr(metric, wrong))}"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_METRIC: Mapping[str, Callable[[object], bool]] = {
    "name": is_text,
    "title": lambda value: value == "" or is_text(value),
    "higher_is_better": lambda value: isinstance(value, bool),
    "scale": lambda value: _is_number(value) and value != 0,
    "digits": lambda value: value == 0 or (is_whole(value) and str(value) in "123456789"),
    "level": lambda value: value in ("headline", "usual", "detail"),
    "priority": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "role": lambda value: value in ("", "ranks", "lifts"),
    "meaning": lambda value: value == "" or is_text(value),
}
