"""What evaluators hand over is believed only where it can be true, and harms nobody else."""

import math
from fractions import Fraction

import h5py
import numpy as np
import pytest
import torch

from astrojepa_bench.board.table import build_board
from astrojepa_bench.border import owned, owner_of
from astrojepa_bench.cli.board_view import board_text
from astrojepa_bench.errors import ContractError
from astrojepa_bench.evaluation.answers import examined
from astrojepa_bench.evaluation.score import ReadyEvaluator, evaluate
from astrojepa_bench.metric import Metric
from astrojepa_bench.options import Offer
from astrojepa_bench.registry import load_registry
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.testing.features import features_of, hint
from astrojepa_bench.training.budgets import BUDGETS, Budget
from astrojepa_bench.types import Evaluation, Score
from tests.trust.conftest import bent

OFFER = Offer("evaluator", "theirs", Evaluator, "their_plugin", "their-package", "1.0", "", ())


def ready(evaluator, name="theirs"):
    """Make an evaluator ready as the bench does."""
    return ReadyEvaluator(name, OFFER.title, owned(evaluator, OFFER), {"own": "v1"}, "v1", {})


# --- one evaluator cannot spoil the next -----------------------------------------------------------------------


class Witness(Evaluator):
    """Adds up everything that it is given."""

    def evaluate(self, features):
        """Add up."""
        total, ids = 0.0, ""
        for part in (features.train, features.val, features.test, features.shifted_test):
            arrays = [*part.columns.values(), *part.prediction_errors.values(), part.label, part.anomaly]
            total += sum(float(np.nansum(array)) for array in arrays)
            total += sum(float(tap.double().square().sum()) for tap in part.features.values())
            ids += "".join(part.ids.tolist())
        total += float(features.augmented_views.double().sum()) + float(features.test.band_fluxes.sum())
        return Evaluation((Score("witness", "sum", total + hash(ids) % 1000, True, len(features.test.ids)),))


def whiten(features):
    """Standardise, as one easily writes."""
    for split in (features.train, features.val, features.test):
        values = split.features["last"]
        values -= values.mean(0)
        values /= values.norm(dim=1, keepdim=True)


def scale_view(features):
    """Write through NumPy, of which no tensor notices."""
    features.train.features["last"].numpy()[:] *= 3
    features.augmented_views.numpy()[:] = 0


def forget_labels(features):
    """Zero the labels and mark everything as odd."""
    features.train.label[:] = 0
    features.test.anomaly[:] = 1


def change_columns(features):
    """Overwrite measurements, names and errors."""
    features.test.factors["size"][:] = 0
    features.test.redshift[:] = 0
    features.test.band_fluxes[:] = 0
    features.val.ids[:] = "x"
    for errors in features.test.prediction_errors.values():
        errors[:] = 0


def change_mappings(features):
    """Take taps and columns away."""
    features.test.features.clear()
    features.shifted_test.features.pop("last")
    features.train.factors.clear()
    object.__setattr__(features, "test", features.train)
    object.__setattr__(features.val, "label", features.val.label[::-1])


@pytest.mark.parametrize("harm", [whiten, scale_view, forget_labels, change_columns, change_mappings])
def test_what_an_evaluator_does_in_place_no_other_sees(harm):
    """Each is given a copy; the harm is its own."""

    class Harmful(Evaluator):
        """Harms."""

        def evaluate(self, features):
            """Harm."""
            harm(features)
            return Evaluation((Score("harmful", "done", 1.0, True, 1),))

    features = features_of(hint)
    factors = {"size": np.arange(len(features.test.ids), dtype=float)}
    object.__setattr__(features.test, "factors", factors)
    alone, _ = evaluate(features, [ready(Witness(), "witness")], {})
    both, _ = evaluate(features, [ready(Harmful()), ready(Witness(), "witness")], {})

    assert both.not_scored == {}
    assert both.scores[1]["value"] == alone.scores[0]["value"]


def test_a_copy_holds_the_same_numbers():
    """No evaluator scores otherwise for it: values, types and order stay."""
    features = features_of(hint)
    copy = features.private()

    for name in ("train", "val", "test", "shifted_test"):
        mine, theirs = getattr(features, name), getattr(copy, name)
        assert list(theirs.features) == list(mine.features)
        assert all(torch.equal(theirs.features[tap], mine.features[tap]) for tap in mine.features)
        assert all(theirs.features[tap].data_ptr() != mine.features[tap].data_ptr() for tap in mine.features)
        assert np.array_equal(theirs.ids, mine.ids)
        assert theirs.ids.dtype == mine.ids.dtype
        assert np.array_equal(theirs.label, mine.label)
    assert copy.encode_tokens is features.encode_tokens
    assert (copy.classes, copy.seed) == (features.classes, features.seed)


# --- what an evaluator hands over ------------------------------------------------------------------------------


def answer(**fields):
    """Make an evaluation with one score, bent as asked."""
    return Evaluation((bent(Score("theirs", "share", 0.5, True, 10), **fields),))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, "returned NoneType; expected an Evaluation"),
        ({"share": 0.5}, "returned dict"),
        (answer(evaluator=""), "`evaluator` of a score is ''"),
        (answer(metric=None), "a metric's name is None"),
        (answer(metric="a" * 101), "of 100 letters at most"),
        (answer(metric="a\nb"), "expected one line of text"),
        (answer(metric="\x1b[31mred"), "expected one line of text"),
        (answer(value=math.nan), "`value` of 'share' is nan; expected a finite number"),
        (answer(value="0.5"), "`value` of 'share' is '0.5'"),
        (answer(value=True), "`value` of 'share' is True"),
        (answer(higher_is_better=None), "`higher_is_better` of 'share' is None"),
        (answer(higher_is_better=1), "`higher_is_better` of 'share' is 1"),
        (answer(n=0), "`n` of 'share' is 0; expected 1 to the 40 test galaxies"),
        (answer(n=-5), "is -5"),
        (answer(n=10**9), "is 1000000000"),
        (answer(n=10.5), "is 10.5"),
        (answer(n=True), "is True"),
        (answer(chance=math.inf), "`chance` of 'share' is inf"),
        (answer(item_se=math.nan), "`item_se` of 'share' is nan"),
        (answer(item_se=-0.1), "a standard error is not negative"),
        (answer(correct=[True]), "no vector of booleans"),
        (Evaluation((Score("a", "m", 0.5, True, 1), Score("b", "m", 0.6, True, 1))), "'m' is scored twice"),
        (bent(answer(), scores=0.5), "`scores` is 0.5; expected a tuple of Score"),
        (bent(answer(), scores=(0.5,)), "`scores` holds 0.5; expected Score"),
        (bent(answer(), warnings="text"), "`warnings` is 'text'; expected a tuple of str"),
        (bent(answer(), warnings=(1,)), "`warnings` holds 1"),
        (bent(answer(), selection={"C": math.nan}), "selection 'C' is nan"),
        (bent(answer(), selection={"C": [1]}), "selection 'C' is [1]"),
        (bent(answer(), selection={1: 1.0}), "a name in `selection` is 1"),
        (bent(answer(), selection=[("C", 1.0)]), "`selection` is [('C', 1.0)]; expected a mapping"),
        (bent(answer(), predictions={"p": np.zeros(3)}), "prediction 'p' has 3 rows for 0 ids"),
        (
            bent(answer(), predictions={"p": [0.5]}, ids=np.array(["a"])),
            "prediction 'p' is [0.5]; expected an",
        ),
        (bent(answer(), predictions={"ids": np.zeros(0)}), "a prediction is called 'ids'"),
        (bent(answer(), predictions={"a/b": np.zeros(0)}), "a prediction is called 'a/b'"),
        (bent(answer(), ids=[1, 2]), "`ids` is [1, 2]; expected a vector of text"),
    ],
)
def test_an_answer_that_no_record_can_hold_is_not_scored_with_its_plugins_name(found, told):
    """Found out when the record is written it would cost the training, and name nobody."""

    class Handing(Evaluator):
        """Hands it over."""

        def evaluate(self, features):
            """Hand over."""
            return found

    features = features_of(hint)
    with pytest.raises(ContractError) as refused:
        ready(Handing()).evaluate(features)
    assert told.replace("40", str(len(features.test.ids))) in str(refused.value)
    assert "evaluator 'theirs' (plugin their_plugin)" in str(refused.value)
    assert owner_of(refused.value) is OFFER

    scored, _ = evaluate(features, [ready(Handing()), ready(Witness(), "witness")], {})
    assert "their_plugin" in scored.not_scored["theirs"]
    assert [row["evaluator"] for row in scored.scores] == ["witness"]


def test_harmless_numbers_become_pythons():
    """NumPy's scalars mean what they say; a record holds plain ones."""
    score = bent(
        Score("theirs", "share", 0.5, True, 1),
        value=np.float32(0.5), higher_is_better=np.bool_(False), n=np.int64(7), chance=Fraction(1, 4), item_se=0,
    )  # fmt: skip
    found = examined(
        bent(
            Evaluation((score,)),
            scores=iter([score]),
            selection={"k": np.int64(5), "tap": "last"},
            warnings=["w"],
        ),
        10,
    )

    [plain] = found.scores
    assert (plain.value, plain.higher_is_better, plain.n, plain.chance) == (0.5, False, 7, 0.25)
    assert [type(each) for each in (plain.value, plain.higher_is_better, plain.n)] == [float, bool, int]
    assert (found.selection, found.warnings) == ({"k": 5, "tap": "last"}, ("w",))
    assert type(found.selection["k"]) is int


@pytest.mark.slow
def test_answers_of_installed_evaluators_are_sound_and_unchanged():
    """The rules are no stricter than what the ruler's own evaluators do, and move none of their numbers."""
    features = features_of(hint)
    for part in (features.train, features.val, features.test):
        object.__setattr__(part, "factors", {"size": np.linspace(0, 1, len(part.ids))})
    for offer in load_registry().offers("evaluator"):
        made = Component.of(offer, {}).ready()
        found, direct = made.evaluate(features), made.evaluator.evaluate(features)

        assert [(s.metric, s.value, s.n, s.chance, s.item_se) for s in found] == [
            (s.metric, s.value, s.n, s.chance, s.item_se) for s in direct
        ]
        assert found.selection == dict(direct.selection)


def test_descriptions_of_metrics_on_an_instance_are_judged_too():
    """An option may make them, and then no class declares them."""

    class Describing(Witness):
        """Describes oddly."""

        metrics = (bent(Metric("sum"), digits="two"),)

    scored, _ = evaluate(features_of(hint), [ready(Describing())], {})
    assert "`digits` is 'two'" in scored.not_scored["theirs"]


# --- through the whole pipeline --------------------------------------------------------------------------------

PLUGIN = '''
from astrojepa_bench.plugin import Evaluation, Evaluator, Loss, Objective, Score, hookimpl
import torch


class Whiten(Evaluator):
    """Standardises in place."""

    version = 1

    def evaluate(self, features):
        """Spoil what it is given."""
        for split in (features.train, features.val, features.test):
            split.features["last"].numpy()[:] = 0
            split.label[:] = 0
        return Evaluation((Score("whiten", "done", 1.0, True, 1),))


class FewLabels(Objective):
    """Learns from labels and says nothing of its standing."""

    masks = "ignored"
    labels = "all"
    version = 1

    def loss(self, batch, draw, streams):
        """Push the labels into the mean token."""
        value = (self.encoder(batch.images).values.mean((1, 2)) - batch.labels).square().mean()
        return Loss(value, {"few": value})


@hookimpl
def astrojepa_evaluators():
    """Offer it."""
    return {"a-whiten": Whiten}


@hookimpl
def astrojepa_objectives():
    """Offer it."""
    return {"few-labels": FewLabels}
'''


@pytest.fixture
def noise_file(tmp_path):
    """Write 120 noisy galaxies of two classes, of which one is brighter."""
    stream, label = np.random.default_rng(0), np.arange(120) % 2
    images = stream.integers(0, 120, (120, 64, 64, 3)) + 30 * label[:, None, None, None]
    with h5py.File(tmp_path / "noise.h5", "w") as file:
        file["images"], file["ans"] = images.astype(np.uint8), label
        file["ra"], file["dec"] = np.arange(len(label)) % 360.0, np.full(len(label), 10.0)
    return tmp_path / "noise.h5"


@pytest.mark.slow
def test_scores_and_board_stand_beside_a_spoiler_and_one_that_is_told_labels(
    tmp_path, noise_file, monkeypatch
):
    """The same linear and k-NN accuracy with and without it; no rank for who learns from labels."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 64, 16, 64, "vit-micro", "tests"))
    file = tmp_path / "spoiler.py"
    file.write_text(PLUGIN)
    registry = load_registry([file])
    fields = {
        "floors": False, "dataset": "hdf5", "budget": "tiny", "device": "cpu", "plugins": (file,),
        "settings": {"dataset": {"path": str(noise_file)}}, "cache": tmp_path / "cache",
    }  # fmt: skip

    def run(out, **more):
        [record] = run_grid(
            make_request({**fields, "out": tmp_path / out, **more}), registry, "tests"
        ).records
        return record

    alone = run("alone", objectives="untrained", evaluators="linear,knn")
    beside = run("beside", objectives="untrained", evaluators="a-whiten,linear,knn")
    assert len(alone.scores) > 5
    assert {(s.evaluator, s.metric, s.value) for s in alone.scores} <= {
        (s.evaluator, s.metric, s.value) for s in beside.scores
    }

    told = run("told", objectives="few-labels", evaluators="knn")
    [section] = build_board([told, alone]).sections
    [row] = [row for row in section.rows if row.objective == "few-labels"]
    assert (told.status in ("ok", "collapsed"), told.group) == (True, "uses labels")
    assert (row.standing, row.rank, row.unranked) == ("ceiling", None, "ceiling")
    assert "uses labels" in board_text(build_board([told, alone]), 120)
