"""The probes of a finished run, fitted again from what was kept of it: on train, chosen on val, as when scored.

Fits are deterministic, so what is fitted here is what the evaluators fitted; test galaxies only show that it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from astrojepa_bench import events
from astrojepa_bench.errors import BenchError, ConfigError, DataError
from astrojepa_bench.evaluation.extract import extract, kept_features
from astrojepa_bench.evaluation.score import unmet_requirement
from astrojepa_bench.evaluators.linear import C_GRID, Linear, LinearProbe
from astrojepa_bench.evaluators.redshift import NumberProbe, Redshift
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.runs.open_run import OpenRun, Reopened
from astrojepa_bench.types import Evaluation, Score, class_name

COVERAGE = math.erf(math.sqrt(0.5))  # of an interval of one standard deviation of a normal scatter, 68.27 %
EQUAL = 1e-6  # scores that differ by less are the same
Values = Float[np.ndarray, " galaxy"]
Probe = TypeVar("Probe")
Scores = Mapping[str, Score]


@dataclass(frozen=True)
class RedshiftScatter:
    """How far predicted redshifts are from true ones, relative to 1 + z.

    Attributes:
        relative: |z_true - z| is at most this times 1 + z for the share `COVERAGE` of galaxies.
        galaxies: validation galaxies that it is measured on.
    """

    relative: float
    galaxies: int

    @classmethod
    def of(cls, predicted: Values, truth: Values) -> RedshiftScatter:
        """Measure it on galaxies that the regression was not fitted to.

        The interval predicted ± scatter holds the true redshift of a further galaxy of the same kind with a chance
        of `COVERAGE` or a little more, whatever the distribution of the errors.

        Source:
            Split conformal prediction: Lei et al. 2018 (J. Am. Stat. Assoc. 113, 1094), with errors relative to
            1 + z as for photometric redshifts. Deviation: the penalty of the regression was chosen on the same
            galaxies, one number among nine (times the taps).
        """
        errors = np.sort(np.abs(truth - predicted) / _stretch(predicted))
        place = min(len(errors), math.ceil(COVERAGE * (len(errors) + 1)))
        return cls(float(errors[place - 1]), len(errors))

    def around(self, predicted: Values) -> Values:
        """Return the half width of the interval about each predicted redshift."""
        found: Values = self.relative * _stretch(predicted)
        return found


def _stretch(redshift: Values) -> Values:
    """Return 1 + z; a regression may leave the redshifts that exist, and an interval has a width all the same."""
    found: Values = np.maximum(1 + redshift, 0.1)
    return found


@dataclass(frozen=True)
class RunProbes:
    """What was learnt from the labels and redshifts of a run's own galaxies; None where there was too little.

    Attributes:
        linear: tells the class.
        ridge: tells the redshift.
        scatter: of these redshifts.
        fitted_ids: ids of the galaxies that they were fitted to or chosen on.
        told: a line for each: what it is, how it scores, and whether it is the one that was scored.
    """

    linear: LinearProbe | None
    ridge: NumberProbe | None
    scatter: RedshiftScatter | None
    fitted_ids: np.ndarray
    told: tuple[str, ...]


def fit_probes(run: OpenRun, own_galaxies: Callable[[], Reopened]) -> RunProbes:
    """Fit the probes of a run to the features that were kept of its train galaxies.

    Args:
        run: a finished run.
        own_galaxies: loads the run's own galaxies; asked only where features, or their labels, were not kept.

    Raises:
        ConfigError: its galaxies have neither labels nor redshifts; tells what to do.
        DataError: features were not kept, and the galaxies are others by now.
    """
    features = _features(run, own_galaxies)
    chosen = run.record.evaluators.get("linear", {}).get("options", {})
    linear, redshift = Linear(c_grid=tuple(chosen.get("c_grid", C_GRID))), Redshift()
    classifier = _fitted(linear, linear.fit, features, "class")
    ridge = _fitted(redshift, redshift.fit, features, "redshift")
    if classifier is None and ridge is None:
        raise ConfigError(
            f"the galaxies of run {run.record.run_id} have too few labels and redshifts to predict any; give some "
            "a class (folders, or a column label) or a column redshift and run again, or look without: "
            "`anomalies`, `neighbours`, `clusters`, `map`"
        )
    told, scatter = list[str](), None
    if classifier is not None:
        met = np.unique(np.concatenate([features.val.label, features.test.label]))
        never = [class_names(run)[label] for label in met[met >= 0] if label not in classifier.classes]
        told.append(_told_linear(run, classifier, never, _scores(linear.report, classifier, features)))
    if ridge is not None:
        scatter = RedshiftScatter.of(ridge.validated, ridge.truth)
        told.append(_told_ridge(run, ridge, scatter, _scores(redshift.report, ridge, features)))
    seen = np.concatenate([features.train.ids, features.val.ids])
    return RunProbes(classifier, ridge, scatter, seen, tuple(told))


def _features(run: OpenRun, own_galaxies: Callable[[], Reopened]) -> Features:
    record = run.record
    if not run.has_galaxies:
        raise ConfigError(
            f"run {record.run_id} was imported without galaxies, so no probe was fitted; score it on labelled ones "
            f"first: `score {record.run_id[:8]} -E linear -d DATA`"
        )
    path, fingerprint = run.store.features_path(record.run_id), str(record.identity["fingerprint"])
    kept = kept_features(path, fingerprint, record.seed)
    if kept is not None:
        return kept
    found = own_galaxies()
    if found.differing is not None:
        raise DataError(f"the probes of the run cannot be fitted again: {found.differing}")
    return extract(run.encoder, found.galaxies.table, found.galaxies.images, record.seed, path)


def _fitted(
    evaluator: Evaluator, fit: Callable[[Features], Probe], features: Features, what: str
) -> Probe | None:
    """Fit a probe; emit a note with the reason where the galaxies do not suffice."""
    reason = unmet_requirement(features, evaluator, {})
    if reason is None:
        try:
            return fit(features)
        except BenchError as error:
            reason = str(error)
    events.emit("note", text=f"no {what} is predicted: {reason}")
    return None


def class_names(run: OpenRun) -> list[str]:
    """Name the classes of a run, by number where nobody named them."""
    return [class_name(run.facts.class_names, number) for number in range(run.classes)]


# --- what is told of them -----------------------------------------------------------------------------------


def _scores(
    report: Callable[[Probe, Features], Evaluation], probe: Probe, features: Features
) -> dict[str, Score]:
    """Score a probe on the run's test galaxies; nothing where these do not suffice."""
    try:
        return {score.metric: score for score in report(probe, features)}
    except DataError:
        return {}


def _told_linear(run: OpenRun, probe: LinearProbe, never: list[str], scores: Scores) -> str:
    parts = [
        f"class: linear probe of tap {probe.tap}, C = {probe.c:g}",
        *(f"never {name}, of which train has none" for name in never),
        *_measured(scores, "accuracy"),
        _compared(run, "linear", scores, ("accuracy", "nll")),
    ]
    return "; ".join(parts)


def _told_ridge(run: OpenRun, probe: NumberProbe, scatter: RedshiftScatter, scores: Scores) -> str:
    parts = [
        f"redshift: ridge regression of tap {probe.tap}, alpha = {float(probe.ridge.alpha):g}",
        f"its scatter is {scatter.relative:.4f} (1 + z), within which {COVERAGE:.1%} of {scatter.galaxies:,} "
        "validation galaxies lie",
        *_measured(scores, "sigma_nmad"),
        _compared(run, "redshift", scores, ("sigma_nmad", "r2")),
    ]
    return "; ".join(parts)


def _measured(scores: Scores, metric: str) -> list[str]:
    """Tell the score of a probe on the run's test galaxies, where there is one."""
    found = scores.get(metric)
    if found is None:
        return []
    chance = "" if found.chance is None else f" (chance {found.chance:.4f})"
    return [f"{metric} {found.value:.4f} on {found.n:,} test galaxies of the run{chance}"]


def _compared(run: OpenRun, evaluator: str, scores: Scores, metrics: tuple[str, ...]) -> str:
    """Tell whether a probe scores what the record says of the one that was scored."""
    was = {metric: run.record.value(evaluator, metric) for metric in metrics if metric in scores}
    recorded = {metric: value for metric, value in was.items() if value is not None}
    if not recorded:
        return f"the record has no such score (`score RUN -E {evaluator}` adds it)"
    other = [
        f"{metric} {scores[metric].value:.6f} and not {value:.6f}"
        for metric, value in recorded.items()
        if abs(scores[metric].value - value) > EQUAL
    ]
    if other:
        told = ", ".join(other)
        return (
            f"NOT the very probe that was scored ({told}): `{evaluator}`, a library or the machine is another"
        )
    return "as recorded"
