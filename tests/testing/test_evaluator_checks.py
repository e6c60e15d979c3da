"""Each rule for evaluators is broken once, by an evaluator that breaks it."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.metric import Metric
from astrojepa_bench.testing import checks_of
from astrojepa_bench.testing.templates.evaluator import TemplateEvaluator


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


BROKEN = {
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


def test_every_evaluator_check_has_a_control():
    """A new check comes with an evaluator that it finds."""
    assert {check.id for check in checks_of("evaluator") if check.id.startswith("evaluator-")} == set(BROKEN)
