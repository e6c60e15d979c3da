"""Each rule for evaluators is broken once, by an evaluator that breaks it."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.metric import Metric
from astrojepa_bench.testing import checks_of
from astrojepa_bench.testing.templates.evaluator import TemplateEvaluator
from astrojepa_bench.types import Evaluation


def with_score(found, **changes):
    """Change the score of an evaluation."""
    return replace(found, scores=(replace(found.scores[0], **changes),))


class Wordless(TemplateEvaluator):
    def evaluate(self, answers):
        return replace(super().evaluate(answers), scores=())


class Mispaired(TemplateEvaluator):
    def _predict(self, answers, tap, features):
        return super()._predict(answers, tap, features.flip(0))


class Upsidedown(TemplateEvaluator):
    def evaluate(self, answers):
        return with_score(super().evaluate(answers), higher_is_better=False)


class Boasting(TemplateEvaluator):
    def evaluate(self, answers):
        return with_score(super().evaluate(answers), chance=0.0)


class FitsOnTest(TemplateEvaluator):
    def evaluate(self, answers):
        return super().evaluate(replace(answers, train=answers.test))


class FirstRows(TemplateEvaluator):
    def evaluate(self, answers):
        found = super().evaluate(answers)
        right = found.predictions["class"] == answers.test.labelled("last")[1]
        return with_score(found, value=float(right[:50].mean()))


class Renaming(TemplateEvaluator):
    def evaluate(self, answers):
        found = super().evaluate(answers)
        return replace(found, ids=np.char.add("row ", found.ids))


class Contradicting(TemplateEvaluator):
    def evaluate(self, answers):
        found = super().evaluate(answers)
        return with_score(found, correct=~found.scores[0].correct)


class NeedsTwo(TemplateEvaluator):
    def evaluate(self, answers):
        if len(np.unique(answers.test.labelled("last")[1])) < 2:
            raise ValueError("needs two classes")
        return super().evaluate(answers)


class Undeclared(TemplateEvaluator):
    requires = ()


class Misdescribed(TemplateEvaluator):
    metrics = (Metric("accuracy", higher_is_better=False),)


class Whitening(TemplateEvaluator):
    def evaluate(self, answers):
        values = answers.test.features["last"]
        values -= values.mean(dim=0)
        return super().evaluate(answers)


BROKEN = {
    "evaluator-input": (Whitening, "evaluate changed 'last' of test in place"),
    "evaluator-scores": (Wordless, "metrics none"),
    "evaluator-truth": (Mispaired, "accuracy = "),
    "evaluator-direction": (Upsidedown, "accuracy is 1.000 for the truth"),
    "evaluator-chance": (Boasting, "better than its chance on noise"),
    "evaluator-test-labels": (FitsOnTest, "with one set of test labels"),
    "evaluator-order": (FirstRows, "in another"),
    "evaluator-predictions": (Renaming, "is no test galaxy"),
    "evaluator-correct": (Contradicting, "of the galaxies are right in `correct`"),
    "evaluator-one-class": (NeedsTwo, "needs two classes"),
    "evaluator-metrics": (Misdescribed, "'accuracy' is described with higher_is_better=False"),
    "evaluator-declares": (Undeclared, "without 'label': DataError"),
}


def test_template_keeps_every_rule(outcomes):
    """What `new evaluator` writes passes before anything is changed."""
    assert [
        str(outcome) for outcome in outcomes("evaluator", TemplateEvaluator).values() if outcome.fix
    ] == []


@pytest.mark.parametrize("check", BROKEN)
def test_check_finds_the_evaluator_that_breaks_it(fault, check):
    """A rule that nothing can break is no rule."""
    factory, words = BROKEN[check]

    assert words in fault("evaluator", check, factory)


class ZeroesLabels(TemplateEvaluator):
    def evaluate(self, answers):
        found = super().evaluate(answers)
        answers.train.label[:] = 0
        return found


class FillsFactors(TemplateEvaluator):
    def evaluate(self, answers):
        answers.test.factors["axis_ratio"].sort()
        return super().evaluate(answers)


@pytest.mark.parametrize(
    ("factory", "column"),
    [(ZeroesLabels, "'label' of train"), (FillsFactors, "'axis_ratio' of test")],
    ids=["labels", "factors"],
)
def test_no_column_may_be_changed_in_place(fault, factory, column):
    """What one evaluator changes is read by those after it."""
    assert column in fault("evaluator", "evaluator-input", factory)


UNSOUND = {
    "chance": ({"chance": float("nan")}, "nan; expected a finite number"),
    "item error": ({"item_se": float("inf")}, "inf; expected a finite number"),
    "name": ({"metric": "two\nlines"}, "expected one line of text"),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_scores_that_no_record_can_hold_are_found(fault, case):
    """The bench would refuse them after hours of training."""
    changes, words = UNSOUND[case]

    class Unsound(TemplateEvaluator):
        def evaluate(self, answers):
            return with_score(super().evaluate(answers), **changes)

    assert words in fault("evaluator", "evaluator-scores", Unsound)


class ChoosesNothing(TemplateEvaluator):
    def evaluate(self, answers):
        return replace(super().evaluate(answers), selection={"C": float("nan")})


def test_choices_that_no_record_can_hold_are_found(fault):
    """A log-loss over nothing is the likeliest."""
    assert "nan; expected a finite number" in fault("evaluator", "evaluator-scores", ChoosesNothing)


class NeedsBulges(TemplateEvaluator):
    requires = ("bulge_fraction",)

    def evaluate(self, answers):
        return super().evaluate(replace(answers, seed=int(answers.test.factors["bulge_fraction"].sum())))


class FindsNothing(TemplateEvaluator):
    def evaluate(self, answers):
        return Evaluation((), warnings=("no galaxy is blue",))


def test_an_evaluator_with_nothing_to_score_breaks_no_rule(outcomes):
    """Invented galaxies have not every column, and a reason is an answer."""
    bulges = outcomes("evaluator", NeedsBulges, "acts")["acts"]
    nothing = outcomes("evaluator", FindsNothing, "evaluator-scores")["evaluator-scores"]

    assert (bulges.verdict, bulges.found) == ("skipped", "invented galaxies have no bulge_fraction")
    assert (nothing.verdict, nothing.found) == ("skipped", "it has nothing to score: no galaxy is blue")


def test_every_evaluator_check_has_a_control():
    """A new check comes with an evaluator that it finds."""
    assert {check.id for check in checks_of("evaluator") if check.id.startswith("evaluator-")} == set(BROKEN)
