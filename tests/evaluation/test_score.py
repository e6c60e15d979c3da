"""Scores through the real pipeline: reasons where there are none, warnings, what is kept, tokens on demand."""

import numpy as np
import pytest

from astrojepa_bench.evaluation.answers import contradiction
from astrojepa_bench.evaluation.score import Scored
from astrojepa_bench.evaluation.store import FeatureFile, read_predictions
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.correct import decode_bits
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.types import Score

CURIOUS = '''
import numpy as np

from astrojepa_bench.plugin import Evaluation, Evaluator, Score, hookimpl


class Curious(Evaluator):
    """Says how much it was given."""

    requires = {requires}
    requests = {requests}
    version = {version}

    def evaluate(self, features):
        """Count."""
        test = features.test
        given = [features.augmented_views, features.shifted_test, test.prediction_errors or None, test.band_fluxes]
        found = sum(each is not None for each in given)
        ids = features.test.ids
        return Evaluation(
            (Score("curious", "given", float(found), True, len(ids)),), {{"row": np.arange(len(ids))}}, ids
        )


@hookimpl
def astrojepa_evaluators():
    """Offer it."""
    return {{"curious": Curious}}
'''

PROBE = '''
import numpy as np
import torch

from astrojepa_bench.plugin import Evaluation, Evaluator, Metric, Score, hookimpl


class TokenProbe(Evaluator):
    """Accuracy of the nearest class mean of brightest patches: the token of largest norm stands for a galaxy."""

    requires = ("label", "tokens")
    requests = ("tokens",)
    metrics = (Metric("accuracy", "brightest token %", scale=100, digits=1, level="headline"),)

    def evaluate(self, features):
        """Stream train, then test; nothing is kept but one vector a galaxy."""
        train, label = self._read(features, "train")
        means = torch.stack([train[label == each].mean(dim=0) for each in np.unique(label)])
        test, truth = self._read(features, "test")
        predicted = torch.cdist(test, means).argmin(dim=1).numpy()
        value = float((predicted == truth).mean())
        return Evaluation((Score("token:probe", "accuracy", value, True, len(truth)),), warnings=("it: warns",))

    def _read(self, features, split):
        labelled = np.flatnonzero(features.split(split).label >= 0)
        vectors, labels = [], []
        for batch in features.tokens(split, labelled, batch_size=32):
            assert batch.values.shape[:2] == batch.positions.shape and len(batch.values) <= 32
            assert (features.split(split).ids[batch.rows] == batch.ids).all()
            best = batch.values.norm(dim=2).argmax(dim=1)
            vectors.append(batch.values[torch.arange(len(best)), best])
            labels.append(batch.label)
        return torch.cat(vectors), np.concatenate(labels)


@hookimpl
def astrojepa_evaluators():
    """Offer it."""
    return {"token:probe": TokenProbe}
'''


@pytest.fixture
def run_scored(tmp_path, galaxies, tiny):
    """Run `untrained` on the tiny galaxies with an evaluator of a plugin file."""

    def run(name, plugin, **more):
        file = tmp_path / "plugin.py"
        file.write_text(plugin)
        fields = {
            "objectives": "untrained", "evaluators": name, "floors": False, "dataset": "hdf5", "budget": "tiny",
            "device": "cpu", "settings": {"dataset": {"path": str(galaxies)}}, "out": tmp_path / "out",
            "cache": tmp_path / "cache", "plugins": (file,), **more,
        }  # fmt: skip
        return run_grid(make_request(fields), load_registry([file]), "tests").records[0]

    return run


@pytest.fixture
def curious(run_scored):
    """Run with an evaluator that counts what it was given."""

    def run(requests, requires=(), version=1):
        return run_scored("curious", CURIOUS.format(requests=requests, requires=requires, version=version))

    return run


def test_required_and_not_to_be_had_is_not_scored_with_the_reason(curious):
    """A file has no shift twin, and a floor predicts nothing: each evaluator is told why."""
    assert "no shift twin" in curious(("shifted_test",), ("shifted_test",)).not_scored["curious"]
    assert (
        "predicts nothing"
        in curious(("prediction_errors",), ("prediction_errors",), version=2).not_scored["curious"]
    )
    assert "no column 'redshift'" in curious((), ("redshift",), version=3).not_scored["curious"]


def test_nothing_is_computed_for_an_evaluator_that_cannot_answer(curious):
    """Sixteen draws of predictions take longer than some trainings; without a redshift they would be in vain."""
    record = curious(("augmented_views",), ("redshift",))

    assert "augmented_views" not in record.cost.evaluation
    assert "no column 'redshift'" in record.not_scored["curious"]


def test_requested_and_not_to_be_had_is_a_warning(curious):
    """What is only welcome may be missing: the evaluator scores what it has, and the reader is told."""
    record = curious(("shifted_test", "band_fluxes", "augmented_views"))

    assert record.value("curious", "given") == 2
    assert any(
        "curious: without shifted_test: the dataset has no shift twin" in text for text in record.warnings
    )
    assert {"features", "band_fluxes", "augmented_views", "curious"} <= set(record.cost.evaluation)
    assert record.cost.eval_seconds == pytest.approx(sum(record.cost.evaluation.values()), abs=0.01)


def test_predictions_are_kept_beside_the_features(curious, tmp_path):
    """Paired tests read what each galaxy got; a later evaluation leaves the features as they were."""
    record = curious(())
    path = Store(tmp_path / "out").features_path(record.run_id)
    file = FeatureFile(path, record.identity["fingerprint"])
    before = file.read("test")["last"]
    curious(("band_fluxes",), version=2)
    kept = read_predictions(path, "curious")

    assert kept["row"].tolist() == list(range(len(kept["ids"])))
    assert kept["ids"].dtype.kind == "U"
    assert np.array_equal(file.read("test")["last"], before)
    assert read_predictions(path, "nobody") is None


# --- token-level taps ---------------------------------------------------------------------------------------


def test_a_probe_of_tokens_is_an_ordinary_plugin(run_scored):
    """It streams batches of tokens of the scored encoder, and the planted classes are in them."""
    record = run_scored("token:probe", PROBE)

    assert record.not_scored == {}
    assert record.value("token:probe", "accuracy") > 0.5
    assert record.evaluators["token:probe"]["metrics"] == [
        {"name": "accuracy", "title": "brightest token %", "scale": 100, "digits": 1, "level": "headline"}
    ]


@pytest.mark.slow
def test_without_patches_there_are_no_tokens_and_the_reader_learns_why(run_scored):
    """Principal components of pixels have no patches; the run is scored by the others all the same."""
    record = run_scored("token:probe", PROBE, encoders="pca")

    assert record.status == "ok"
    assert record.not_scored["token:probe"] == "the encoder has no patch tokens"


# --- what a record holds already ------------------------------------------------------------------------------

EARLIER = {
    "scores": [{"evaluator": name, "metric": "m", "value": 1.0, "kept": True} for name in ("a", "a:b")],
    "selection": {"a": {"tap": "last"}, "a:b": {"tap": "last4"}},
    "evaluators": {
        "a": {"version": {"own": "v1"}, "options": {}},
        "a:b": {"version": {"own": "v1"}, "options": {"k": 2}},
    },
    "not_scored": {},
    "warnings": ["a: short", "a:b: long", "the run itself: was odd"],
    "correct": {"a.m": "gA==", "a:b.m": "AA=="},
    "cost": {"train_seconds": 5.0, "eval_seconds": 3.0, "evaluation": {"a": 1.0, "a:b": 2.0}},
}


@pytest.mark.parametrize(
    ("stale", "left"),
    [("a", ["a:b: long", "the run itself: was odd"]), ("a:b", ["a: short", "the run itself: was odd"])],
)
def test_warnings_belong_to_evaluators_whose_names_hold_colons(stale, left):
    """Scoring `a:b` again must not leave its old warning standing, nor take the one of `a` away."""
    kept = Scored.of_record(EARLIER).without({stale})

    assert list(kept.warnings) == left
    assert [row["evaluator"] for row in kept.scores] == ["a:b" if stale == "a" else "a"]
    assert list(kept.correct) == ["a:b.m" if stale == "a" else "a.m"]


def test_a_later_scoring_adds_to_what_a_record_holds():
    """Scores stand side by side, times add up, and what this version does not know of a score is kept."""
    more = Scored(
        scores=({"evaluator": "c", "metric": "m"},),
        correct={"c.m": {"x": True}},
        seconds={"a": 0.5, "c": 1.0},
        eval_seconds=1.5,
    )
    facts = Scored.of_record(EARLIER).plus(more).in_record({**EARLIER, "other": 1})

    assert facts["scores"] == [*EARLIER["scores"], {"evaluator": "c", "metric": "m"}]
    assert facts["correct"] == {**EARLIER["correct"], "c.m": {"x": True}}
    assert facts["cost"] == {
        "train_seconds": 5.0, "eval_seconds": 4.5, "evaluation": {"a": 1.5, "a:b": 2.0, "c": 1.0},
    }  # fmt: skip
    assert facts["other"] == 1


def test_another_version_or_option_is_another_score():
    """An evaluator that changed has not scored yet; how its metrics are shown is no part of that."""
    kept = Scored(
        evaluators={"a": {"version": {"own": "v1"}, "options": {"k": 1}, "metrics": [{"name": "m"}]}}
    )

    assert kept.holds("a", {"own": "v1"}, {"k": 1})
    assert not kept.holds("a", {"own": "v2"}, {"k": 1})
    assert not kept.holds("a", {"own": "v1"}, {"k": 2})
    assert not kept.holds("b", {"own": "v1"}, {})


# --- which galaxies were right --------------------------------------------------------------------------------

CLAIMS = '''
import numpy as np

from astrojepa_bench.plugin import Evaluation, Evaluator, Score, hookimpl


class Claims(Evaluator):
    """Says of every other galaxy that it was right."""

    requires = ("label",)
    version = {version}

    def evaluate(self, features):
        """Claim it."""
        _, label, ids = features.test.labelled("last")
        right = np.arange(len(ids)) % 2 == 0
        value = float(right.mean())
        return Evaluation(({score},), ids=ids{listed})


@hookimpl
def astrojepa_evaluators():
    """Offer it."""
    return {{"claims": Claims}}
'''
HONEST = 'Score("claims", "share", value, True, len(ids), correct=right)'


@pytest.fixture
def claim(run_scored):
    """Run with an evaluator that claims something of each galaxy."""

    def run(score=HONEST, listed="", version=1):
        return run_scored("claims", CLAIMS.format(score=score, listed=listed, version=version))

    return run


def test_bits_are_recorded_in_the_order_of_the_listed_galaxies(claim, tmp_path):
    """Whatever the evaluator's order, bit i is that of the i-th line of the list of galaxies."""
    record = claim()
    store = Store(tmp_path / "out")
    path = store.galaxies_path(record.identity["fingerprint"])
    lines = [line.split(",") for line in path.read_text().splitlines()]
    features = FeatureFile(store.features_path(record.run_id), record.identity["fingerprint"])
    ids = [name.decode() for name in features.read("test")["ids"]]
    by_id = dict(zip(ids, (np.arange(len(ids)) % 2 == 0).tolist(), strict=True))

    assert lines[0] == ["position", "id", "class"]
    assert [line[1] for line in lines[1:]] == sorted(ids)
    bits = decode_bits(record.correct["claims.share"], len(ids))
    assert bits.tolist() == [by_id[name] for name in sorted(ids)]
    assert list(store.out.rglob("galaxies/*.json")) == []


def test_a_list_of_galaxies_is_written_once(claim, tmp_path):
    """A later run finds it and leaves it alone."""
    first = claim()
    path = Store(tmp_path / "out").galaxies_path(first.identity["fingerprint"])
    before = path.stat()
    claim(version=2)

    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_later_scoring_replaces_the_bits_with_the_scores(claim):
    """Bits of an older version must not stand beside a newer score."""
    first = claim()
    again = claim(score=HONEST.replace("value", "1 - value").replace("=right", "=~right"), version=2)

    assert again.run_id == first.run_id
    assert again.correct["claims.share"] != first.correct["claims.share"]
    assert claim(score='Score("claims", "share", value, True, len(ids))', version=3).correct == {}


def test_bits_of_some_galaxies_only_are_not_recorded(claim):
    """Without the others nobody can tell which galaxies the bits are of."""
    some = 'Score("claims", "share", float(right[:9].mean()), True, 9, correct=right[:9])'
    record = claim(score=some, listed="[:9]")

    assert record.not_scored == {}
    assert record.correct == {}


def test_claims_that_contradict_the_score_are_refused_with_their_author(claim):
    """A share that is not that of its galaxies is a fault of the plugin, found before it travels."""
    reason = claim(score=HONEST.replace("value", "value + 1e-4")).not_scored["claims"]

    assert reason.startswith("evaluator 'claims' (plugin")
    assert "of the galaxies are right in `correct`" in reason


RIGHT = np.array([True, False, True, True])


@pytest.mark.parametrize(
    ("value", "n", "right", "words"),
    [
        (0.75, 4, None, None),
        (0.75, 4, RIGHT, None),
        (0.7501, 4, RIGHT, "x.m is 0.7501, but 0.75 of the galaxies are right"),
        (0.75, 8, RIGHT, "x.m is of 8 galaxies, with 4 in `correct` and 4 in `ids`"),
        (2 / 3, 3, RIGHT[:3], "x.m is of 3 galaxies, with 3 in `correct` and 4 in `ids`"),
        (0.75, 4, RIGHT.astype(float), "no vector of booleans"),
        (0.75, 4, RIGHT[:, None], "no vector of booleans"),
    ],
)
def test_what_is_said_of_galaxies_must_fit_the_score(value, n, right, words):
    """One boolean for each galaxy of the evaluation, and their share is the value."""
    found = contradiction(Score("x", "m", value, True, n, correct=right), 4)

    assert (found is None) if words is None else (words in found)
