"""Rules for evaluators: the truth scores best, ignorance scores chance, and test labels change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import numpy as np

from astrojepa_bench.errors import BenchError, ContractError
from astrojepa_bench.evaluation.answers import contradiction, examined
from astrojepa_bench.evaluation.score import TAP
from astrojepa_bench.features import Extra, Features
from astrojepa_bench.metric import description_of
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.streams import numpy_stream
from astrojepa_bench.testing.checks import NotApplicable, RuleSet
from astrojepa_bench.testing.features import (
    ROWS,
    features_of,
    hint,
    ignorance,
    in_another_order,
    truth,
    unlabelled,
)
from astrojepa_bench.testing.rehearsal import build
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.types import Evaluation, Score

DRAWS = 6
BEST = 0.01  # how far from the best possible value the truth may score
ALLOWED = 0.03  # excess over chance that no statistics of six draws can exclude
rules = RuleSet("evaluator", after=("acts",))


def evaluation(evaluator: Evaluator, features: Features) -> Evaluation:
    """Evaluate, which must give an evaluation."""
    found = evaluator.evaluate(features)
    if not isinstance(found, Evaluation):
        raise TypeError(f"evaluate returned {type(found).__name__}; expected Evaluation")
    return found


def with_chance(found: Evaluation) -> dict[str, Score]:
    """Return the scores by metric that say what chance is."""
    return {score.metric: score for score in found if score.chance is not None}


def excess(score: Score) -> float:
    """Return how much better than chance a score is, in its own direction."""
    above = score.value - (score.chance or 0.0)
    return above if score.higher_is_better else -above


@rules(
    "scores",
    "It gives at least one score, each metric once, counted over test galaxies.",
    "return Evaluation((Score(evaluator, metric, value, higher_is_better, n), ...))",
)
def find_scores(piece: Subject) -> str | None:
    """Look at what it says."""
    features, evaluator = features_of(hint), build(piece)
    found = evaluation(evaluator, features)
    missing = unmet(evaluator)
    if not found.scores and (missing or found.warnings):
        reason = found.warnings[0] if found.warnings else f"invented galaxies have no {', '.join(missing)}"
        raise NotApplicable(f"it has nothing to score: {reason}")
    try:
        examined(found, len(features.test.ids))
    except ContractError as error:
        return str(error)
    names = [score.metric for score in found]
    if not names or len(set(names)) < len(names):
        return f"metrics {', '.join(names) or 'none'}"
    counts = [score.n for score in found if not 0 < score.n <= len(features.test.ids)]
    return f"a score over {counts[0]} of {len(features.test.ids)} test galaxies" if counts else None


def unmet(evaluator: Evaluator) -> list[str]:
    """List what an evaluator requires and invented galaxies have not."""
    features = features_of(hint)
    known = {"label", "anomaly", "factors", *get_args(Extra), *features.test.columns}
    known |= {f"{TAP}{tap}" for tap in features.taps}
    return [name for name in evaluator.requires if name not in known]


@rules(
    "input",
    "The features that it is given stay as they are: every evaluator of a run reads the same.",
    "write `values = values - mean` and not `values -= mean`; copy before you sort, fill or normalise",
)
def find_input(piece: Subject) -> str | None:
    """Compare every column before and after."""
    features = features_of(hint)
    before = {name: values.copy() for name, values in columns_of(features)}
    evaluation(build(piece), features)
    for name, values in columns_of(features):
        if not np.array_equal(before.get(name, np.empty(0)), values, equal_nan=values.dtype.kind == "f"):
            return f"evaluate changed {name} in place"
    return None


def columns_of(features: Features) -> Iterator[tuple[str, np.ndarray]]:
    """Yield everything that an evaluator can see, by name, as arrays that share its memory."""
    for name in ROWS:
        part = features.split(name)
        facts = {**part.features, **part.factors, **part.prediction_errors, **part.measurements}
        facts |= {f"block {block + 1}": values for block, values in enumerate(part.layers)}
        facts |= {key: getattr(part, key) for key in ("ids", "label", "anomaly", "redshift", "band_fluxes")}
        for key, values in facts.items():
            if values is not None:
                yield f"'{key}' of {name}", np.asarray(values)
    if features.augmented_views is not None:
        yield "the augmented views", np.asarray(features.augmented_views)


@rules(
    "metrics",
    "The metrics that it describes have the direction of its scores, and at least one of them is scored.",
    "correct `higher_is_better` or the name in `metrics`; of several that match, the first counts",
)
def find_metrics(piece: Subject) -> str | None:
    """Compare the description of each metric with its scores."""
    evaluator = build(piece)
    if not evaluator.metrics:
        raise NotApplicable("it describes no metric")
    described = 0
    for score in evaluation(evaluator, features_of(hint)):
        metric = description_of(score.metric, evaluator.metrics)
        described += metric is not None
        if metric is not None and metric.higher_is_better != score.higher_is_better:
            return f"'{score.metric}' is described with higher_is_better={metric.higher_is_better}, scored without"
    return None if described else "none of the metrics that it describes is scored"


@rules(
    "truth",
    "Features that hold the truth come within 1 % of the best value of at least one score that has a chance.",
    "check that features and labels are paired row by row",
)
def find_truth(piece: Subject) -> str | None:
    """Evaluate the truth."""
    scores = with_chance(evaluation(build(piece), features_of(truth)))
    if not scores:
        raise NotApplicable("none of its scores says what chance is")
    for score in scores.values():
        best = 1.0 if score.higher_is_better else 0.0
        allowed = BEST if score.higher_is_better else 0.1 * abs(score.chance or 0.0)
        if abs(score.value - best) <= allowed:
            return None
    return "; ".join(f"{metric} = {score.value:.3f}" for metric, score in scores.items())


@rules(
    "direction",
    "No metric prefers features that know nothing to the truth.",
    "set higher_is_better to the direction of the metric",
)
def find_direction(piece: Subject) -> str | None:
    """Compare the truth with noise, metric by metric."""
    best = with_chance(evaluation(build(piece), features_of(truth)))
    runs = blind_runs(piece)
    for metric, good in best.items():  # one that is the same for both is a null and has no preference
        bad = np.array([run[metric].value for run in runs if metric in run] or [good.value])
        better = bad - good.value if good.higher_is_better else good.value - bad
        if good.value not in bad and better.mean() > max(
            0.5 * max(abs(good.value), abs(bad.mean())), _noise(bad)
        ):
            return f"{metric} is {good.value:.3f} for the truth and {bad.mean():.3f} for noise"
    return None


def blind_runs(piece: Subject) -> list[dict[str, Score]]:
    """Evaluate a few draws of ignorance, once for all checks."""
    evaluator = build(piece)
    draws = range(DRAWS)
    return piece.once(
        "blind", lambda: [with_chance(evaluation(evaluator, ignorance(seed))) for seed in draws]
    )


def _noise(values: np.ndarray) -> float:
    """Return how far the mean of a few draws may lie off: four standard errors."""
    return float(4 * values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


@rules(
    "chance",
    "Features that know nothing do not score above chance.",
    "fit on train only, and state the chance that a guess has",
)
def find_chance(piece: Subject) -> str | None:
    """Average the excess over chance over a few draws of noise."""
    runs = blind_runs(piece)
    if not runs[0]:
        raise NotApplicable("none of its scores says what chance is")
    for metric in runs[0]:
        above = np.array([excess(run[metric]) for run in runs if metric in run])
        if above.mean() > max(ALLOWED, _noise(above)):
            return f"{metric} is {above.mean():.3f} better than its chance on noise"
    return None


@rules(
    "test-labels",
    "Test labels change no fit, no choice and no prediction.",
    "use labels of test in the last line only, where answers are counted",
)
def find_test_labels(piece: Subject) -> str | None:
    """Exchange the labels of test galaxies."""
    evaluator, features = build(piece), features_of(hint)
    before, after = (evaluation(evaluator, each) for each in (features, _relabelled(features, evaluator)))
    if before.selection != after.selection:
        return f"chosen {dict(before.selection)} with one set of test labels, {dict(after.selection)} with another"
    seen = set(_from_features(evaluator, features, before))
    changed = [name for name in seen if _by_id(before, name) != _by_id(after, name)]
    return f"prediction '{changed[0]}' depends on test labels" if changed else None


def _relabelled(features: Features, evaluator: Evaluator) -> Features:
    test, stream = features.test, numpy_stream(0, "test labels")
    label, anomaly = test.label.copy(), test.anomaly
    label[label >= 0] = stream.permutation(label[label >= 0])
    if "anomaly" in evaluator.requires:
        order = stream.permutation(len(label))
        label, anomaly = label[order], anomaly[order]
    test = replace(test, label=label, anomaly=anomaly)
    return replace(features, test=test, shifted_test=test)


def _from_features(evaluator: Evaluator, features: Features, found: Evaluation) -> Iterator[str]:
    """Name the predictions that come from features: a null, such as the mean of the true class, does not."""
    blind = evaluation(evaluator, ignorance(features.seed))
    known = [name for name in found.predictions if name not in blind.predictions]
    yield from known
    yield from (
        name
        for name in found.predictions
        if name in blind.predictions and _by_id(found, name) != _by_id(blind, name)
    )


def _by_id(found: Evaluation, name: str) -> dict[str, object]:
    return dict(zip(found.ids.tolist(), found.predictions[name].tolist(), strict=True))


@rules(
    "order",
    "The order of the galaxies changes no score.",
    "pair rows by id, and sort by id before anything random or sequential",
)
def find_order(piece: Subject) -> str | None:
    """Evaluate the same galaxies in another order."""
    evaluator, features = build(piece), features_of(hint)
    mixed = in_another_order(features, numpy_stream(0, "another order"))
    before, after = (evaluation(evaluator, each).scores for each in (features, mixed))
    for one, other in zip(before, after, strict=True):
        if not np.isclose(one.value, other.value, rtol=1e-5, atol=1e-6):
            return f"{one.metric} is {one.value:.6g} in one order and {other.value:.6g} in another"
    return None


@rules(
    "predictions",
    "Its predictions carry the ids of test galaxies, each once.",
    "return Evaluation(scores, {name: values}, ids) with the ids of the rows predicted",
)
def find_predictions(piece: Subject) -> str | None:
    """Look the ids up."""
    features = features_of(hint)
    found = evaluation(build(piece), features)
    if not found.predictions:
        raise NotApplicable("it predicts nothing galaxy by galaxy")
    if len(np.unique(found.ids)) < len(found.ids):
        return "a galaxy is predicted twice"
    strange = sorted(set(found.ids.tolist()) - set(features.test.ids.tolist()))
    return f"'{strange[0]}' is no test galaxy" if strange else None


@rules(
    "correct",
    "Where it says which galaxies were right, their share is the score.",
    "give `correct` in the order of the evaluation's ids, and only to scores that are the share of right answers",
)
def find_correct(piece: Subject) -> str | None:
    """Compare scores with what is said of single galaxies."""
    found = evaluation(build(piece), features_of(hint))
    if all(score.correct is None for score in found):
        raise NotApplicable("none of its scores says which galaxies were right")
    return next((fault for score in found if (fault := contradiction(score, len(found.ids)))), None)


@rules(
    "one-class",
    "Galaxies of a single class are scored, or refused with a reason.",
    "raise DataError where there is nothing to tell apart",
)
def find_one_class(piece: Subject) -> str | None:
    """Evaluate galaxies of one class."""
    try:
        evaluation(build(piece), unlabelled(features_of(hint), 0))
    except BenchError:
        return None
    return None


@rules(
    "declares",
    "It works without what it does not require.",
    "name what it cannot do without in `requires`, and what the ruler is to compute in `requests`",
)
def find_declares(piece: Subject) -> str | None:
    """Take away labels, anomalies and requests that it does not require."""
    evaluator: Evaluator = build(piece)
    unknown = set(evaluator.requests) - set(get_args(Extra))
    if unknown:
        return f"requests {', '.join(sorted(unknown))}; known are {', '.join(get_args(Extra))}"
    for name, features in _without(features_of(hint)).items():
        if name not in evaluator.requires:
            try:
                evaluation(evaluator, features)
            except Exception as error:  # a piece may raise anything
                return f"without '{name}': {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None


def _without(features: Features) -> dict[str, Features]:
    ordinary = replace(features.test, anomaly=np.zeros_like(features.test.anomaly))

    def blank(**nothing: object) -> Features:
        train, val, test = (replace(features.split(name), **nothing) for name in ROWS)  # type: ignore[arg-type]
        return replace(features, train=train, val=val, test=test)

    return {
        "label": unlabelled(features),
        "anomaly": replace(features, test=ordinary),
        "augmented_views": replace(features, augmented_views=None),
        "shifted_test": replace(features, shifted_test=None),
        "prediction_errors": replace(features, test=replace(features.test, prediction_errors={})),
        "band_fluxes": blank(band_fluxes=None),
        "tokens": replace(features, encode_tokens=None),
        "trainable": replace(features, trainable=None),
        "other_survey": replace(features, other_survey=None),
        "layers": blank(layers=()),
        "measurements": blank(measurements={}),
    }
