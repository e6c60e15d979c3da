"""What an evaluator hands over, examined while its owner is known: what no record can hold goes no further."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import TypeVar

import numpy as np

from astrojepa_bench.declarations import is_text, shown
from astrojepa_bench.errors import ContractError
from astrojepa_bench.types import Evaluation, Score

TOLERANCE = 1e-6  # between a share and the galaxies that it is of
KEPT = "biufU"  # kinds of arrays that the file of a run keeps
Item = TypeVar("Item")


def examined(found: object, galaxies: int) -> Evaluation:
    """Return an evaluation in plain Python values: NumPy's numbers become Python's, lists become tuples.

    Args:
        found: what an evaluator returned.
        galaxies: how many test galaxies it was given.

    Raises:
        ContractError: it is no evaluation, or a part of it is of another kind than `Evaluation` and `Score` name.
    """
    if not isinstance(found, Evaluation):
        raise ContractError(f"it returned {type(found).__name__}; expected an Evaluation")
    ids: object = found.ids
    if not isinstance(ids, np.ndarray) or ids.ndim != 1 or ids.dtype.kind != "U":
        raise ContractError(
            f"`ids` is {shown(ids)}; expected a vector of text, one for each galaxy predicted"
        )
    scores = [_score(each, galaxies, len(ids)) for each in _items(found.scores, "scores", Score)]
    twice = [metric for metric, times in Counter(score.metric for score in scores).items() if times > 1]
    if twice:
        raise ContractError(f"metric '{twice[0]}' is scored twice; score each once, under names of their own")
    predictions = {
        _text(name, "a prediction's name"): _prediction(name, values, len(ids))
        for name, values in _mapping(found.predictions, "predictions")
    }
    selection = {
        _text(name, "a name in `selection`"): _choice(name, value)
        for name, value in _mapping(found.selection, "selection")
    }
    warnings = tuple(_items(found.warnings, "warnings", str))
    return Evaluation(tuple(scores), predictions, ids, selection, warnings)


def contradiction(score: Score, galaxies: int) -> str | None:
    """Return how a score contradicts what it says of single galaxies, or None.

    Args:
        score: with or without `correct`.
        galaxies: how many the evaluation names.
    """
    right: object = score.correct
    if right is None:
        return None
    name = f"{score.evaluator}.{score.metric}"
    if not isinstance(right, np.ndarray) or right.dtype != bool or right.ndim != 1:
        return f"`correct` of {name} is no vector of booleans; give one for each of `ids`"
    if not len(right) == score.n == galaxies:
        return f"{name} is of {score.n} galaxies, with {len(right)} in `correct` and {galaxies} in `ids`"
    share = float(right.mean())
    if abs(share - score.value) > TOLERANCE:
        return f"{name} is {score.value:.6g}, but {share:.6g} of the galaxies are right in `correct`"
    return None


def _score(score: Score, galaxies: int, named: int) -> Score:
    evaluator, metric = (
        _text(score.evaluator, "`evaluator` of a score"),
        _text(score.metric, "a metric's name"),
    )
    better: object = score.higher_is_better
    n: object = score.n
    if not isinstance(better, bool | np.bool_):
        raise ContractError(f"`higher_is_better` of '{metric}' is {shown(better)}; expected True or False")
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= galaxies:
        raise ContractError(f"`n` of '{metric}' is {shown(n)}; expected 1 to the {galaxies} test galaxies")
    chance, error = (
        None if value is None else _finite(value, f"`{name}` of '{metric}'")
        for name, value in (("chance", score.chance), ("item_se", score.item_se))
    )
    if error is not None and error < 0:
        raise ContractError(f"`item_se` of '{metric}' is {error}; a standard error is not negative")
    value = _finite(score.value, f"`value` of '{metric}'")
    fault = contradiction(score, named)
    if fault is not None:
        raise ContractError(fault)
    return Score(evaluator, metric, value, bool(better), int(n), chance, error, score.correct)


def _finite(value: object, what: str) -> float:
    number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    if not math.isfinite(number):
        raise ContractError(f"{what} is {shown(value)}; expected a finite number")
    return number


def _choice(name: object, value: object) -> float | str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return float(value)
    number = _finite(value, f"selection {shown(name)}")
    return int(number) if isinstance(value, Integral) and int(number) == value else number


def _prediction(name: object, values: object, rows: int) -> np.ndarray:
    if name == "ids" or "/" in str(name):
        raise ContractError(f"a prediction is called {shown(name)}; use another name, without '/'")
    if not isinstance(values, np.ndarray) or values.dtype.kind not in KEPT or not values.ndim:
        raise ContractError(
            f"prediction {shown(name)} is {shown(values)}; expected an array, a row for each id"
        )
    if len(values) != rows:
        raise ContractError(f"prediction {shown(name)} has {len(values)} rows for {rows} ids")
    return values


def _text(value: object, what: str) -> str:
    if not is_text(value):
        raise ContractError(f"{what} is {shown(value)}; expected one line of text, of 100 letters at most")
    return str(value)


def _items(values: object, what: str, kind: type[Item]) -> list[Item]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):  # a text is not its letters
        raise ContractError(f"`{what}` is {shown(values)}; expected a tuple of {kind.__name__}")
    items = list(values)
    for item in items:
        if not isinstance(item, kind):
            raise ContractError(f"`{what}` holds {shown(item)}; expected {kind.__name__}")
    return items


def _mapping(values: object, what: str) -> Iterable[tuple[object, object]]:
    if not isinstance(values, Mapping):
        raise ContractError(f"`{what}` is {shown(values)}; expected a mapping by name")
    return values.items()
