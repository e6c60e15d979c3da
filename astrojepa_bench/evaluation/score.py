"""From features to scores: evaluators score one by one, and where there is no score there is a reason."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np
import torch

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on, owner_of
from astrojepa_bench.data.memory import give_back, let_go
from astrojepa_bench.declarations import fact_fault, metrics_fault
from astrojepa_bench.errors import BenchError, ContractError, named, said_by
from astrojepa_bench.evaluation.answers import examined
from astrojepa_bench.evaluation.extract import extract
from astrojepa_bench.evaluation.extras_on_offer import requested, with_extras
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.evaluation.store import FeatureFile
from astrojepa_bench.features import Extra, Features
from astrojepa_bench.interrupts import interrupted
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation

Row: TypeAlias = Mapping[str, object]
TAP = "tap:"  # before the name of a tap that an evaluator requires


@dataclass(frozen=True)
class ReadyEvaluator:
    """An evaluator with resolved options, ready to score.

    Attributes:
        name: under which it is offered and its scores are recorded.
        title: its name, kind and plugin, for messages.
        evaluator: built.
        version: what its version is made of, by name.
        score_version: the same in short, for each of its scores.
        options: as recorded.
        package: the package or file that it came with.
    """

    name: str
    title: str
    evaluator: Evaluator
    version: Mapping[str, str]
    score_version: str
    options: Mapping[str, object]
    package: str = ""

    def evaluate(self, features: Features) -> Evaluation:
        """Evaluate a copy of frozen features: whatever is done to it in place, no other evaluator sees.

        Raises:
            BenchError: there is nothing to score.
            ContractError: the answer is no sound evaluation.
        """
        with blamed_on(self.evaluator):
            fault = fact_fault(
                "evaluator", self.evaluator
            )  # an option may have changed what its class declares
            if fault is not None:
                raise ContractError(f"{self.title} {fault}")
            found = self.evaluator.evaluate(features.private())
            # How many galaxies another survey has, no features of this one tell.
            elsewhere = "other_survey" in self.evaluator.requests
            try:
                return examined(found, sys.maxsize if elsewhere else len(features.test.ids))
            except ContractError as error:
                raise ContractError(f"{self.title}: {error}") from None

    def described(self) -> Row:
        """Describe it for a record: what makes its scores other scores, and how the board shows them."""
        is_sound = metrics_fault(self.evaluator.metrics) is None
        metrics = [metric.described() for metric in self.evaluator.metrics] if is_sound else []
        return {
            "version": self.version,
            "options": self.options,
            "plugin": self.package,
            **({"metrics": metrics} if metrics else {}),
        }

    def correct(self, found: Evaluation, features: Features) -> dict[str, dict[str, bool]]:
        """Return by metric, then by id, which galaxies were right; nothing unless all labelled ones are known."""
        ids = [str(name) for name in found.ids.tolist()]
        labelled = features.test.ids[features.test.label >= 0].tolist()
        if sorted(ids) != sorted(map(str, labelled)):
            return {}
        return {
            f"{self.name}.{score.metric}": dict(zip(ids, score.correct.tolist(), strict=True))
            for score in found
            if score.correct is not None
        }

    def rows(self, found: Evaluation) -> tuple[Row, ...]:
        """Return its scores as recorded."""
        return tuple(
            {
                "evaluator": self.name,
                "evaluator_version": self.score_version,
                "metric": score.metric,
                "value": score.value,
                "higher_is_better": score.higher_is_better,
                "n": score.n,
                "chance": score.chance,
                "item_se": score.item_se,
            }
            for score in found
        )


@dataclass(frozen=True)
class Scored:
    """What evaluators found, field by field as a record holds it.

    Attributes:
        scores: one row a number, with its evaluator and its version.
        selection: what each evaluator chose on validation.
        evaluators: version, options and description of the metrics of each evaluator.
        not_scored: evaluators that had nothing to score, and why.
        warnings: what a reader should know, each behind the name of its evaluator.
        correct: by `evaluator.metric`, which test galaxies were right: by id, or packed as in the record it is of.
        seconds: how long each evaluator and each extra took [s].
        eval_seconds: how long scoring took in all [s].
    """

    scores: tuple[Row, ...] = ()
    selection: Mapping[str, Row] = field(default_factory=dict)
    evaluators: Mapping[str, Row] = field(default_factory=dict)
    not_scored: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    correct: Mapping[str, Mapping[str, bool] | str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    eval_seconds: float = 0.0

    @classmethod
    def of_record(cls, facts: Mapping[str, Any]) -> Scored:
        """Read what evaluators found earlier from the facts of a record."""
        cost = facts["cost"]
        return cls(
            tuple(facts["scores"]), facts["selection"], facts["evaluators"], facts["not_scored"],
            tuple(facts["warnings"]), facts["correct"], cost.get("evaluation") or {},
            cost.get("eval_seconds") or 0.0,
        )  # fmt: skip

    def in_record(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts of a record with this in them."""
        found = {
            "scores": list(self.scores), "selection": dict(self.selection), "evaluators": dict(self.evaluators),
            "not_scored": dict(self.not_scored), "warnings": list(self.warnings),
            "correct": dict(self.correct),
        }  # fmt: skip
        spent = {"eval_seconds": round(self.eval_seconds, 3), "evaluation": dict(self.seconds)}
        return {**facts, **found, "cost": {**facts["cost"], **spent}}

    def holds(self, name: str, version: Mapping[str, str], options: Mapping[str, object]) -> bool:
        """Whether an evaluator was evaluated already, in this version and with these options."""
        known = self.evaluators.get(name)
        return known is not None and (known.get("version"), known.get("options")) == (version, options)

    def without(self, names: Collection[str]) -> Scored:
        """Return this without what some evaluators found, since they score again; the time they took stays."""
        known = {*names, *self.evaluators}

        def author(warning: str) -> str:  # the longest name that fits: names may hold colons
            return max((name for name in known if warning.startswith(f"{name}: ")), key=len, default="")

        kept = tuple(row for row in self.scores if row["evaluator"] not in names)
        standing = {f"{row['evaluator']}.{row['metric']}" for row in kept}
        return replace(
            self,
            scores=kept,
            correct={metric: right for metric, right in self.correct.items() if metric in standing},
            selection={name: chosen for name, chosen in self.selection.items() if name not in names},
            evaluators={name: facts for name, facts in self.evaluators.items() if name not in names},
            not_scored={name: why for name, why in self.not_scored.items() if name not in names},
            warnings=tuple(text for text in self.warnings if author(text) not in names),
        )

    def plus(self, more: Scored) -> Scored:
        """Add what other evaluators found later."""
        names = dict.fromkeys([*self.seconds, *more.seconds])
        spent = {name: round(self.seconds.get(name, 0.0) + more.seconds.get(name, 0.0), 3) for name in names}
        return Scored(
            (*self.scores, *more.scores),
            {**self.selection, **more.selection},
            {**self.evaluators, **more.evaluators},
            {**self.not_scored, **more.not_scored},
            (*self.warnings, *more.warnings),
            {**self.correct, **more.correct},
            spent,
            self.eval_seconds + more.eval_seconds,
        )


def score(context: ExtrasContext, seed: int, evaluators: Sequence[ReadyEvaluator], path: Path) -> Scored:
    """Score a trained objective; what was computed for it before is read and not computed again.

    Args:
        context: objective, masker and galaxies.
        seed: of the run; names the evaluators' random streams.
        evaluators: which score it.
        path: the file of the run's features.

    Raises:
        ContractError: a feature is not finite.
    """
    began = time.perf_counter()
    galaxies = context.galaxies
    features = extract(context.encoder, galaxies.table, galaxies.images, seed, path)
    seconds = {"features": time.perf_counter() - began}
    let_go(galaxies.table.images)
    give_back()
    # Extras can take longer than training: none is made for evaluators that will have nothing to score.
    able = [each.evaluator for each in evaluators if _is_able(each, features)]
    found = with_extras(features, requested(able), context, path)
    give_back()
    scored, predictions = evaluate(found.features, evaluators, found.missing)
    if predictions:
        FeatureFile(path, galaxies.table.fingerprint).write(
            {
                f"predictions/{name}": {**each.predictions, "ids": each.ids}
                for name, each in predictions.items()
            }
        )
    timed = {**seconds, **found.seconds, **scored.seconds}
    return replace(scored, seconds=timed, eval_seconds=sum(timed.values()))


def _is_able(ready: ReadyEvaluator, features: Features) -> bool:
    try:
        with blamed_on(ready.evaluator):
            return unmet_requirement(features, ready.evaluator, {}) is None and bool(
                requested([ready.evaluator])
            )
    except Exception:  # it raises again, and is blamed, where it is evaluated
        return False


def evaluate(
    features: Features, evaluators: Sequence[ReadyEvaluator], missing: Mapping[Extra, str]
) -> tuple[Scored, dict[str, Evaluation]]:
    """Evaluate frozen features. An evaluator that cannot score leaves the others standing, and is named.

    Args:
        features: with the extras that could be had.
        evaluators: which score it.
        missing: why an extra could not be had.

    Returns:
        What all of them found, and the evaluations that predict something of each galaxy.
    """
    scored, predictions = Scored(), dict[str, Evaluation]()
    for ready in events.track(evaluators, task="scoring", total=len(evaluators), unit="evaluators"):
        began = time.perf_counter()
        try:
            with blamed_on(ready.evaluator):
                found, more = _evaluated(ready, features, missing)
                if found.predictions:
                    predictions[ready.name] = found
        except BaseException as error:
            facts = {"version": ready.version, "options": ready.options, "plugin": ready.package}
            more = without_score(ready.name, facts, error, ready.title)
        give_back()
        scored = scored.plus(replace(more, seconds={ready.name: time.perf_counter() - began}))
    return scored, predictions


def _evaluated(
    ready: ReadyEvaluator, features: Features, missing: Mapping[Extra, str]
) -> tuple[Evaluation, Scored]:
    """Evaluate frozen features, and return the answer both as it was given and as a record holds it.

    Raises:
        Exception: whatever a plugin raises; it leaves nothing behind.
    """
    name, found = ready.name, Evaluation(())
    reason = unmet_requirement(features, ready.evaluator, missing)
    if reason is None:
        try:
            found = ready.evaluate(features)
        except BenchError as error:
            reason = why_not_scored(error, ready.title)
    optional = [extra for extra in ready.evaluator.requests if extra not in ready.evaluator.requires]
    left_out = [f"without {extra}: {missing[extra]}" for extra in optional if extra in missing]
    return found, Scored(
        scores=ready.rows(found),
        selection={name: dict(found.selection)} if reason is None else {},
        evaluators={name: ready.described()},
        not_scored={} if reason is None else {name: reason},
        warnings=tuple(f"{name}: {text}" for text in [*found.warnings, *left_out]),
        correct=ready.correct(found, features),
    )


def without_score(name: str, facts: Row, error: BaseException, title: str) -> Scored:
    """Return what a record holds of an evaluator whose code failed: the reason, and nothing of what it had found.

    It counts as evaluated, so that the same code is not asked again; but not where memory or a disk was full or
    it was interrupted, since the next command may have better luck.

    Args:
        name: of the evaluator.
        facts: its version and options, as recorded.
        error: what it raised.
        title: its kind, name and plugin, for an error that bears no name.

    Raises:
        BaseException: the error itself, where a person interrupted.
    """
    if interrupted():
        raise error
    reason = why_not_scored(error, title)
    events.emit("note", text=f"{name} is not scored: {reason}")
    may_pass = isinstance(error, MemoryError | OSError | KeyboardInterrupt | torch.OutOfMemoryError)
    return Scored(evaluators={} if may_pass else {name: facts}, not_scored={name: reason})


def why_not_scored(error: BaseException, title: str) -> str:
    """Phrase why an evaluator has no score, with the plugin's name wherever the plugin is at fault."""
    owner, said = owner_of(error), said_by(error)
    title = title if owner is None else owner.title
    if not isinstance(error, BenchError):
        return f"{title} raised {named(error)}"
    return f"{title}: {said}" if isinstance(error, ContractError) and title not in said else said


def unmet_requirement(features: Features, evaluator: Evaluator, missing: Mapping[Extra, str]) -> str | None:
    """Return why an evaluator cannot score, for the first thing that it requires and that is not there.

    Args:
        features: what it is given.
        evaluator: which declares what it requires.
        missing: why an extra could not be had.
    """
    test = features.test
    kinds = [len(np.unique(part.label[part.label >= 0])) for part in (features.train, features.val, test)]
    known: dict[str, tuple[bool, str]] = {
        "label": (
            kinds[0] >= 2 and min(kinds) >= 1,
            f"too few labels: found {' / '.join(str(n or 'none') for n in kinds)} classes (train / val / test); "
            "needed: two in train, one in val and test",
        ),
        "anomaly": (bool((test.anomaly > 0).any()), "no known anomalies among the test galaxies"),
        "factors": (bool(test.factors), "the galaxies carry no physical truth"),
    }
    columns = ", ".join(test.columns) or "none"
    for required in evaluator.requires:
        if required in get_args(Extra):
            reason = next((why for extra, why in missing.items() if extra == required), None)
            if reason is not None:
                return reason
            continue
        tap = required.removeprefix(TAP)
        if tap != required:
            if tap not in features.taps:
                return f"the encoder has no tap '{tap}' (taps: {', '.join(features.taps)})"
            continue
        there, reason = known.get(
            required,
            (
                required in test.columns,
                f"the galaxies carry no column '{required}' (numeric columns: {columns})",
            ),
        )
        if not there:
            return reason
    return None
