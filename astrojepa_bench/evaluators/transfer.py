"""Whether what was learnt on one survey holds on another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.metrics.classification import accuracy_score, balanced_accuracy_score
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features, OtherSurvey, SplitFeatures
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score

OTHER = "@other"  # behind the ids of the other survey's galaxies


class Transfer(Evaluator):
    """The linear probe fitted on this survey and tested on another one, in groups of classes that both have.

    Measures what is left of a score where telescope, depth, stretch and selection differ, with the same encoder
    and the same probe. Name the other labelled set as `--set evaluator.data=PATH`: any file or folder that the
    bench reads, divided into train, val and test by its own rules, at the size of the run's images. The classes
    of both surveys are put into groups (`grouping`); those in no group are left out. Probe, penalty and tap are
    fitted and chosen on this survey alone. Metrics: `accuracy` and `balanced_accuracy` on the other survey's
    test galaxies; with `_here`, the same probe on this survey's test galaxies; `balanced_accuracy_drop`, the
    one less the other; and with `_native`, a probe fitted on the other survey's train galaxies, which says what
    the features could do there. Test galaxies of the other survey that are also among this one's train, val or
    pool are left out and counted: known by their pixels, their place on the sky, or their appearance in another
    crop.

    Chance: accuracy, the test share, there, of the group that is most frequent in train; balanced accuracy,
    1 / groups; the drop 0. Golden number: a second survey drawn as the first one was drops 0 within its error.
    Do not read the drop without the native score: another survey may be harder for any probe. Nor trust groups that
    were formed after looking at the answers.

    Args:
        data: the other labelled set: a file or folder.
        grouping: class=group for each class of either survey that is in a group, for example
            "Elliptical=smooth,Completely Round Smooth=smooth,Spiral=spiral"; without any, classes of equal names
            meet.

    Source:
        Linear probes across surveys: Walmsley et al. 2022 (MNRAS 509, 3966) and Domínguez Sánchez et al. 2019
        (MNRAS 484, 93), who transfer networks between surveys. Deviation: nothing is fitted again there.
    """

    requires = ("label", "other_survey")
    requests = ("other_survey",)
    metrics = SHOWN["transfer"]
    version = 1

    def __init__(self, *, data: Path | None = None, grouping: tuple[str, ...] = ()) -> None:
        self.data, self.grouping = data, grouping

    def evaluate(self, features: Features) -> Evaluation:
        """Fit and choose here, report there and here.

        Raises:
            ContractError: a feature is not finite.
            DataError: no other survey is named, or it cannot be read, or shares fewer than two groups.
            ConfigError: the grouping names no class of either survey.
        """
        if features.other_survey is None:
            raise DataError("the features hold no other survey; name `other_survey` in `requests`")
        other = features.other_survey(self.data, self.grouping)
        here = _in_groups(features, other)
        if not (other.test.label >= 0).any():
            raise DataError(
                f"no test galaxy of the other survey is in a group and new to this one ({other.left_out} were left "
                "out for being known here)"
            )
        if not (here.test.label >= 0).any():
            raise DataError("no test galaxy of this survey is in a group; name the groups of its classes")
        probe = Linear().evaluate(replace(here, test=_joined(here.test, other.test)))
        count = int((here.test.label >= 0).sum())
        answers = np.split(probe.predictions["class"], [count])
        train = here.train.label[here.train.label >= 0]
        truth = [part.label[part.label >= 0] for part in (here.test, other.test)]
        native, warnings = _native(here, other)
        scores = [*_scores("", truth[1], answers[1], train), *_scores("_here", truth[0], answers[0], train)]
        # a mean over other groups is another quantity, not a drop
        both = np.intersect1d(truth[0], truth[1])
        at_home, there = (
            balanced_accuracy_score("transfer", each[np.isin(each, both)], told[np.isin(each, both)])
            for each, told in zip(truth, answers, strict=True)
        )
        error = float(np.hypot(there.item_se or 0.0, at_home.item_se or 0.0))
        lost = at_home.value - there.value
        scores += [*native, Score("transfer", "balanced_accuracy_drop", lost, False, there.n, 0.0, error)]
        absent = [name for place, name in enumerate(other.groups) if place not in both]
        if absent:
            warnings = (f"not among the test galaxies of both: {', '.join(absent)[:100]}", *warnings)
        selection = {
            **{name: probe.selection[name] for name in ("tap", "C", "val_log_loss")},
            "groups": ", ".join(other.groups)[:100],
            "left_out": other.left_out,
        }
        if other.left_out:
            told = f"{other.left_out} test galaxies there are left out: known here from train, val or pool"
            warnings = (told, *warnings)
        return Evaluation(tuple(scores), selection=selection, warnings=warnings)


def _native(here: Features, other: OtherSurvey) -> tuple[list[Score], tuple[str, ...]]:
    """Score a probe of the other survey's own; where that has too few labels there is a warning instead."""
    try:
        found = Linear().evaluate(replace(here, train=other.train, val=other.val, test=other.test))
    except DataError as error:
        return [], (f"no probe of the other survey's own: {error}",)
    wanted = [score for score in found if score.metric in ("accuracy", "balanced_accuracy")]
    return [
        replace(score, evaluator="transfer", metric=f"{score.metric}_native", correct=None)
        for score in wanted
    ], ()


def _in_groups(features: Features, other: OtherSurvey) -> Features:
    """Return features whose labels are groups instead of classes."""

    def regrouped(part: SplitFeatures) -> SplitFeatures:
        return replace(part, label=np.where(part.label >= 0, other.group_of_class[part.label], -1))

    train, val, test = map(regrouped, (features.train, features.val, features.test))
    return replace(features, train=train, val=val, test=test, classes=len(other.groups))


def _joined(here: SplitFeatures, there: SplitFeatures) -> SplitFeatures:
    """Put both sets of test galaxies into one split, this survey's first."""
    return SplitFeatures(
        np.concatenate([here.ids.astype(str), np.char.add(there.ids.astype(str), OTHER)]),
        {tap: torch.cat([values, there.features[tap]]) for tap, values in here.features.items()},
        np.concatenate([here.label, there.label]),
        np.concatenate([here.anomaly, there.anomaly]),
    )


def _scores(suffix: str, truth: np.ndarray, predicted: np.ndarray, train: np.ndarray) -> list[Score]:
    """Score groups; which galaxies were right is not kept, since they are of two surveys."""
    found = [
        accuracy_score("transfer", truth, predicted, train),
        balanced_accuracy_score("transfer", truth, predicted),
    ]
    return [replace(score, metric=f"{score.metric}{suffix}", correct=None) for score in found]
