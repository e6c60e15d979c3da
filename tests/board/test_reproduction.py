"""What a rerun says of a record: equal, inside, outside, and on what ground."""

import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from astrojepa_bench.board.inference import fit_prior
from astrojepa_bench.board.reproduction import judge_rerun
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.metric import binomial_se
from astrojepa_bench.results.correct import encode_bits

RULES = Rules()
RIGHT = encode_bits(np.arange(608) < 426)
OTHERS = encode_bits(np.arange(608) >= 182)


def runs_of(make_run, spread, seeds=3, **changed):
    """Make the seeds of one entry, evenly spread around 0.70."""
    return [make_run(seed=k, linear=0.70 + spread * (k - (seeds - 1) / 2), **changed) for k in range(seeds)]


def with_linear(record, value):
    """Return a record whose headline is another; every other score stays."""
    scores = [
        score.model_copy(update={"value": value}) if (score.evaluator, score.metric) == ("linear", "accuracy")
        else score
        for score in record.scores
    ]  # fmt: skip
    return record.model_copy(update={"scores": scores})


def test_equal_scores_and_curves_are_equal(make_run):
    """Times, dates and places may differ."""
    record = make_run(training={"loss_curve": [(1, 2.0)]})
    again = record.model_copy(update={"provenance": make_run().provenance, "cost": make_run().cost})
    assert judge_rerun(record, again, [record], RULES).verdict == "equal"


@pytest.mark.parametrize(
    "changed", [{"training": {"loss_curve": [(1, 2.5)]}}, {"correct": {"linear.accuracy": OTHERS}}]
)
def test_another_curve_or_other_answers_are_not_equal(make_run, changed):
    """The same accuracy may be reached another way; then it is only inside."""
    usual = {"training": {"loss_curve": [(1, 2.0)]}, "correct": {"linear.accuracy": RIGHT}}
    runs = runs_of(make_run, 0.01, **usual)
    again = make_run(seed=1, linear=0.70, **{**usual, **changed})
    assert judge_rerun(runs[1], again, runs, RULES).verdict == "inside"


def test_interval_is_that_of_the_next_seed(make_run):
    """By hand, for four entries of three seeds: moderated variance, t of all degrees of freedom, one more draw."""
    spreads = {"alpha": 0.01, "beta": 0.02, "gamma": 0.004, "delta": 0.013}
    groups = {name: runs_of(make_run, spread, objective=name) for name, spread in spreads.items()}
    records = [run for runs in groups.values() for run in runs]
    record = groups["alpha"][0]
    found = judge_rerun(record, with_linear(record, 0.701), records, RULES)
    prior = fit_prior([spread**2 for spread in spreads.values()], [2, 2, 2, 2])
    var = (2 * 0.01**2 + prior.d0 * prior.s0**2) / (2 + prior.d0)
    half = float(student_t.ppf(0.975, 2 + prior.d0)) * math.sqrt(var * (1 + 1 / 3))
    first = found.scores[0]
    assert (first.evaluator, first.metric, first.was, first.now) == ("linear", "accuracy", 0.69, 0.701)
    assert first.interval == pytest.approx((0.70 - half, 0.70 + half))
    assert (found.verdict, found.notes) == ("inside", ())
    edge = with_linear(record, 0.70 + 1.001 * half)
    assert judge_rerun(record, edge, records, RULES).verdict == "outside"
    assert judge_rerun(record, with_linear(record, 0.70 + 0.999 * half), records, RULES).verdict == "inside"


def test_seeds_that_are_all_right_forecast_no_certainty(make_run):
    """Three seeds found all 608 galaxies: a fourth may miss one, and 40 it may not."""
    runs = [make_run(seed=seed, linear=1.0) for seed in range(3)]
    error = binomial_se(1.0, 608)
    runs = [
        run.model_copy(update={"scores": [s.model_copy(update={"item_se": error}) for s in run.scores]})
        for run in runs
    ]
    verdicts = [
        judge_rerun(runs[0], with_linear(runs[0], 1 - missed / 608), runs, RULES).verdict
        for missed in (1, 40)
    ]

    assert verdicts == ["inside", "outside"]


def test_a_score_beside_the_headline_can_fall_outside(make_run):
    """The others are judged together, at wider intervals, but they are judged."""
    runs = runs_of(make_run, 0.01)
    again = make_run(seed=1, linear=0.70)
    far = [s.model_copy(update={"value": 0.1}) if s.evaluator == "knn" else s for s in again.scores]
    found = judge_rerun(runs[1], again.model_copy(update={"scores": far}), runs, RULES)
    assert found.verdict == "outside"
    assert [(s.evaluator, s.is_inside) for s in found.scores if not s.is_inside] == [("knn", False)]


@pytest.mark.parametrize(
    ("own", "others", "said", "verdict"),
    [
        (1, 0, "nothing tells how far seeds spread", "outside"),
        (
            1,
            3,
            "one seed of its entry is here: the interval rests on the spread of 3 other entries",
            "inside",
        ),
        (2, 0, "the interval rests on them alone", "inside"),
        (2, 3, "2 seeds of its entry are here: the interval rests on the spread of 3", "inside"),
    ],
)
def test_few_seeds_are_told(make_run, own, others, said, verdict):
    """With one or two seeds the forecast borrows the spread, or there is none."""
    mine = runs_of(make_run, 0.01, seeds=own)
    rest = [r for k in range(others) for r in runs_of(make_run, 0.01 + k / 1000, objective=f"other{k}")]
    found = judge_rerun(mine[0], with_linear(mine[0], mine[0].scores[0].value + 1e-4), mine + rest, RULES)
    assert said in " ".join(found.notes)
    assert found.verdict == verdict


def test_seeds_of_another_device_or_version_tell_nothing(make_run):
    """A section never mixes them."""
    record = make_run()
    others = [make_run(seed=k, linear=0.6 + k / 100, precision="bf16") for k in range(3)]
    found = judge_rerun(record, with_linear(record, 0.71), [record, *others], RULES)
    assert found.scores[0].interval is None
    assert found.verdict == "outside"


def test_a_rerun_that_ended_otherwise_is_outside(make_run):
    """A collapse is not a score."""
    record = make_run()
    found = judge_rerun(record, record.model_copy(update={"status": "collapsed"}), [record], RULES)
    assert found.verdict == "outside"
    assert "it ended as collapsed, was ok" in found.notes[0]


def test_a_score_that_is_gone_is_outside_unless_its_evaluator_is_another(make_run):
    """What the same version no longer finds was not reproduced; what a newer one renamed cannot be judged."""
    runs = runs_of(make_run, 0.01)
    again = make_run(seed=1, linear=0.70)
    kept = [s for s in again.scores if s.evaluator != "kmeans" or s.metric == "purity"]
    gone = again.model_copy(update={"scores": kept})
    assert judge_rerun(runs[1], gone, runs, RULES).verdict == "outside"
    newer = [s.model_copy(update={"evaluator_version": "v2"}) if s.evaluator == "kmeans" else s for s in kept]
    found = judge_rerun(runs[1], again.model_copy(update={"scores": newer}), runs, RULES)
    assert "kmeans is v2 now, was v1" in found.notes
    assert found.verdict == "inside"


@pytest.mark.slow
def test_a_new_draw_falls_outside_as_often_as_it_may():
    """Simulated: reruns that are new seeds, of entries with unequal spreads; the headline alone errs in 5 %."""
    from astrojepa_bench.board.inference import forecast, moderated

    stream = np.random.default_rng(3)
    outside = total = 0
    for _ in range(400):
        sds = 0.01 * np.sqrt(8 / stream.chisquare(8, 12))
        values = stream.normal(0.7, sds[:, None], (12, 3))
        prior = fit_prior(values.var(axis=1, ddof=1).tolist(), [2] * 12)
        for row, sd in zip(values, sds, strict=True):
            low, high = forecast(moderated(row.tolist(), prior), prior)
            outside += not low <= stream.normal(0.7, sd) <= high
            total += 1
    assert outside / total == pytest.approx(0.05, abs=0.012)
