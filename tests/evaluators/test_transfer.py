"""The probe of one survey on the galaxies of another, in groups of classes that both have."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluation.other_survey import grouped
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.transfer import Transfer
from astrojepa_bench.features import OtherSurvey

GROUP_OF_CLASS = np.array([0, 0, 1, 1, -1])  # five classes here: two and two in a group, the last in none
HERE = ("Round", "In-between", "Spiral", "Barred", "Artefact")
THERE = ("Elliptical", "Clockwise", "Anticlockwise", "Unknown")


def surveys(make_answers, clouds, shift=0.0):
    """Draw two surveys of one population; the second one's features are moved by `shift`."""
    here = [clouds(count, spread=0.8, classes=5, seed=seed) for seed, count in enumerate((500, 200, 500))]
    there = [
        clouds(count, spread=0.8, classes=5, seed=9 + seed) for seed, count in enumerate((500, 200, 500))
    ]
    moved = make_answers(*[(features + shift, label) for features, label in there])
    parts = {
        name: replace(moved.split(name), label=GROUP_OF_CLASS[moved.split(name).label])
        for name in ("train", "val", "test")
    }
    asked = []

    def other_survey(data, grouping):
        asked.append((data, grouping))
        return OtherSurvey(**parts, groups=("smooth", "spiral"), group_of_class=GROUP_OF_CLASS, left_out=3)

    return replace(make_answers(*here), other_survey=other_survey), parts, asked


def values_of(found):
    """Index values by metric."""
    return {score.metric: score.value for score in found}


def test_a_second_survey_like_the_first_costs_nothing(make_answers, clouds, tmp_path):
    """The drop is that of two samples of one population; the probe is that of this survey's groups."""
    features, parts, asked = surveys(make_answers, clouds)
    found = Transfer(data=tmp_path, grouping=("Round=smooth",)).evaluate(features)
    scores = {score.metric: score for score in found}

    assert asked == [(tmp_path, ("Round=smooth",))]
    assert abs(scores["balanced_accuracy_drop"].value) < 3 * scores["balanced_accuracy_drop"].item_se
    assert scores["balanced_accuracy"].value > 0.85
    assert scores["balanced_accuracy"].chance == 0.5
    assert scores["accuracy"].n == int((parts["test"].label >= 0).sum())
    assert found.selection["left_out"] == 3
    assert "3 test galaxies there are left out" in found.warnings[0]


def test_numbers_are_those_of_the_linear_probe_on_each_survey(make_answers, clouds):
    """Fitted here and counted there, by hand; and fitted there."""
    features, parts, _ = surveys(make_answers, clouds, shift=0.5)
    scores = values_of(Transfer().evaluate(features))
    here = {
        name: replace(features.split(name), label=GROUP_OF_CLASS[features.split(name).label])
        for name in ("train", "val", "test")
    }
    there = Linear().evaluate(replace(features, **{**here, "test": parts["test"]}))
    truth = parts["test"].label[parts["test"].label >= 0]

    assert scores["accuracy"] == pytest.approx((there.predictions["class"] == truth).mean())
    assert scores["accuracy_here"] == values_of(Linear().evaluate(replace(features, **here)))["accuracy"]
    assert scores["accuracy_native"] == values_of(Linear().evaluate(replace(features, **parts)))["accuracy"]
    drop = scores["balanced_accuracy_here"] - scores["balanced_accuracy"]
    assert scores["balanced_accuracy_drop"] == pytest.approx(drop)


def test_a_survey_seen_through_other_eyes_drops_and_its_own_probe_does_not(make_answers, clouds):
    """A common offset of all features is what another stretch does: the boundary then lies elsewhere."""
    features, _, _ = surveys(make_answers, clouds, shift=1.5)
    scores = values_of(Transfer().evaluate(features))

    assert scores["balanced_accuracy_drop"] > 0.15
    assert scores["balanced_accuracy_native"] > scores["balanced_accuracy"] + 0.15


def test_a_drop_is_of_the_groups_that_both_have(make_answers, clouds):
    """Where the other survey has none of a group among its test galaxies, it does not count here either."""
    features, parts, _ = surveys(make_answers, clouds)
    kept = np.where(parts["test"].label == 0, 0, -1)
    lacking = replace(features.other_survey(None, ()), test=replace(parts["test"], label=kept))
    found = Transfer().evaluate(replace(features, other_survey=lambda data, grouping: lacking))
    scores = {score.metric: score for score in found}
    here = GROUP_OF_CLASS[features.test.label]
    probe = Linear().evaluate(
        replace(
            features,
            **{
                name: replace(features.split(name), label=GROUP_OF_CLASS[features.split(name).label])
                for name in ("train", "val", "test")
            },
        )
    )
    recall = (probe.predictions["class"] == 0)[here[here >= 0] == 0].mean()

    assert scores["balanced_accuracy_drop"].value == pytest.approx(recall - scores["balanced_accuracy"].value)
    assert "not among the test galaxies of both: spiral" in found.warnings


def test_classes_are_grouped_by_what_is_said_of_either_survey():
    """Each class of both has the number of its group; what only one survey has is no group."""
    entries = (
        "Round=smooth", "In-between=smooth", "elliptical=smooth", "Spiral=disc", "Barred=disc", "Clockwise=disc",
        "Anticlockwise=disc", "Artefact=odd",
    )  # fmt: skip
    groups, here, there = grouped(entries, HERE, THERE)

    assert groups == ("disc", "smooth")
    assert here.tolist() == [1, 1, 0, 0, -1]
    assert there.tolist() == [1, 0, 0, -1]


@pytest.mark.parametrize(
    ("entries", "kind", "told"),
    [
        (("Round",), ConfigError, "'Round' is no class=group"),
        (("Round=",), ConfigError, "is no class=group"),
        (("Rond=smooth",), ConfigError, "did you mean 'round'"),
        (("Round=smooth", "Elliptical=smooth"), DataError, "share 1 groups"),
        ((), DataError, "share 0 groups"),
    ],
)
def test_groupings_that_say_nothing_are_refused(entries, kind, told):
    """With what was found and how to write it."""
    with pytest.raises(kind, match=told):
        grouped(entries, HERE, THERE)


def test_without_a_probe_of_its_own_the_rest_is_scored(make_answers, clouds):
    """A survey that is all test set says how far the probe carries, and that it has no other."""
    features, parts, _ = surveys(make_answers, clouds)
    bare = {name: replace(parts[name], label=np.full(len(parts[name].ids), -1)) for name in ("train", "val")}
    other = OtherSurvey(**bare, test=parts["test"], groups=("a", "b"), group_of_class=GROUP_OF_CLASS)
    found = Transfer().evaluate(replace(features, other_survey=lambda data, grouping: other))

    assert "accuracy_native" not in values_of(found)
    assert "no probe of the other survey's own" in found.warnings[0]
