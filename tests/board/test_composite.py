"""The composite is what the formula gives by hand, has the coverage it claims, and knows when to be silent."""

import json
from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.board.composite import METRICS, composite_of
from astrojepa_bench.board.render import data
from astrojepa_bench.board.table import build_board

VERSIONS = dict.fromkeys(("linear", "knn", "kmeans", "anomaly"), "v1")
FLOOR = {"objective": "untrained", "masker": "none", "standing": "floor"}
CEILING = {"objective": "supervised", "masker": "none", "standing": "ceiling"}


@pytest.fixture
def entry(make_run):
    """Make an entry with the given values, one list of seeds a metric."""

    def make(values, error=None, **names):
        def scores(seed):
            return [
                dict(zip(("evaluator", "metric"), metric.split("."), strict=True))
                | dict(value=each[seed], higher_is_better=True, n=1000, item_se=error)
                for metric, each in values.items()
            ]

        seeds = range(len(next(iter(values.values()))))
        return [make_run(seed=seed, scores=scores(seed), **names) for seed in seeds]

    return make


def test_composite_is_the_mean_of_the_shares_by_hand(entry):
    """Half of the way in one metric and four fifths of it in another are 65 % of the way; AMI is no way at all."""
    floor = entry({METRICS[0]: [0.60, 0.60], METRICS[1]: [0.50, 0.50], METRICS[2]: [0.2, 0.3]}, **FLOOR)
    top = entry({METRICS[0]: [0.80, 0.80], METRICS[1]: [0.60, 0.60], METRICS[2]: [0.3, 0.2]}, **CEILING)
    mine = entry({METRICS[0]: [0.69, 0.71], METRICS[1]: [0.58, 0.58], METRICS[2]: [0.4, 0.4]})
    found = composite_of(mine, [mine, floor, top], VERSIONS)

    assert found.parts == pytest.approx({METRICS[0]: 0.5, METRICS[1]: 0.8})
    assert found.value == pytest.approx(0.65)
    assert found.seeds == 2
    # Anchors without spread: the interval is that of a mean of .625 and .675, t(.975; 1) = 12.706.
    assert (found.low, found.high) == pytest.approx(
        (0.65 - 12.7062 * 0.025, 0.65 + 12.7062 * 0.025), abs=1e-4
    )


def test_one_metric_gives_fiellers_interval(entry):
    """Three seeds by hand: quantile 4.3027, means .075 over .15, and the quadratic in the ratio."""
    floor = entry({METRICS[0]: [0.60, 0.61, 0.62]}, **FLOOR)
    top = entry({METRICS[0]: [0.76, 0.75, 0.77]}, **CEILING)
    mine = entry({METRICS[0]: [0.68, 0.68, 0.695]})
    gain, way = np.array([0.08, 0.07, 0.075]), np.array([0.16, 0.14, 0.15])
    cov, q = np.cov(gain, way) / 3, 4.302653**2
    a = way.mean() ** 2 - q * cov[1, 1]
    b = gain.mean() * way.mean() - q * cov[0, 1]
    c = gain.mean() ** 2 - q * cov[0, 0]
    root = np.sqrt(b**2 - a * c)
    found = composite_of(mine, [floor, top], VERSIONS)

    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx(((b - root) / a, (b + root) / a), rel=1e-5)


@pytest.mark.slow
def test_interval_holds_the_truth_as_often_as_it_says(entry):
    """Ten seeds, two metrics on ways of different length: 95 % of 400 intervals hold the true .45."""
    stream, held = np.random.default_rng(5), 0
    truth = {"floor": (0.60, 0.40), "own": (0.66, 0.55), "top": (0.80, 0.65)}
    for _ in range(400):
        drawn = {
            name: {
                metric: (level + 0.02 * stream.normal(size=10)).tolist()
                for metric, level in zip(METRICS[:2], levels, strict=True)
            }
            for name, levels in truth.items()
        }
        floor, top = entry(drawn["floor"], **FLOOR), entry(drawn["top"], **CEILING)
        found = composite_of(entry(drawn["own"]), [floor, top], VERSIONS)
        held += found.low <= 0.45 <= found.high

    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize(("error", "enters"), [(0.0, True), (0.01, True), (0.04, False)])
def test_metric_enters_where_its_anchors_are_three_errors_apart(entry, error, enters):
    """Anchors 10 points apart: a test set worth 1.4 points of error each way lets them in, one of 5.7 does not."""
    floor = entry({METRICS[0]: [0.60, 0.60]}, error, **FLOOR)
    top = entry({METRICS[0]: [0.70, 0.70]}, error, **CEILING)
    found = composite_of(entry({METRICS[0]: [0.65, 0.66]}), [floor, top], VERSIONS)

    assert bool(found) == enters


def test_anchors_that_seeds_cannot_tell_apart_say_nothing(entry):
    """A ceiling below its floor, or a way that changes sign from seed to seed, has no half-way."""
    mine, floor = entry({METRICS[0]: [0.65] * 3}), entry({METRICS[0]: [0.60] * 3}, **FLOOR)
    below = entry({METRICS[0]: [0.5] * 3}, **CEILING)
    wild = entry({METRICS[0]: [0.9, 0.5, 0.7]}, **CEILING)

    assert composite_of(mine, [floor, below], VERSIONS) is None
    assert composite_of(mine, [floor, wild], VERSIONS) is None


def test_anchors_are_those_of_the_same_encoder_and_seeds(entry):
    """Another encoder's ceiling is no anchor; one shared seed has no spread; anchors have no composite."""
    values = {METRICS[0]: [0.6, 0.61]}
    mine, floor = entry({METRICS[0]: [0.65, 0.66]}), entry(values, **FLOOR)
    other = entry({METRICS[0]: [0.8, 0.81]}, encoder="pca", **CEILING)
    top = entry({METRICS[0]: [0.8, 0.81]}, **CEILING)

    assert composite_of(mine, [floor, other], VERSIONS) is None
    assert composite_of(mine[:1], [floor, top], VERSIONS) is None
    assert composite_of(floor, [floor, top], VERSIONS) is None
    assert composite_of(mine, [floor, top], VERSIONS).value == pytest.approx(0.25)
    assert composite_of(top, [floor, top], VERSIONS) is None


def test_of_several_anchors_the_best_counts(entry):
    """A weak floor that was scored too brings no entry further."""
    mine, top = entry({METRICS[0]: [0.65, 0.66]}), entry({METRICS[0]: [0.8, 0.81]}, **CEILING)
    weak = entry({METRICS[0]: [0.3, 0.31]}, options={"objective": {"weight": 1}}, **FLOOR)
    floor = entry({METRICS[0]: [0.6, 0.61]}, **FLOOR)

    assert composite_of(mine, [weak, floor, top], VERSIONS).value == pytest.approx(0.25)
    assert composite_of(mine, [floor, weak, top], VERSIONS).value == pytest.approx(0.25)


def test_other_versions_of_an_evaluator_do_not_count(entry):
    """Scores of an older evaluator are no anchors of newer ones."""
    mine, floor, top = (
        entry({METRICS[0]: [value, value + 0.01]}, **names)
        for value, names in ((0.65, {}), (0.6, FLOOR), (0.8, CEILING))
    )
    assert composite_of(mine, [floor, top], VERSIONS | {"linear": "v2"}) is None


def test_board_holds_the_composite_of_each_row(six_entries):
    """Where rows have anchors of their encoder; rounded, so that two machines write one file."""
    board = build_board(six_entries)
    facts = {row["label"]: row["composite"] for row in json.loads(data(board))["sections"][0]["rows"]}

    assert facts["alpha + brightness + vit-micro"]["parts"].keys() <= {*METRICS}
    assert 0.5 < facts["alpha + brightness + vit-micro"]["value"] < 1
    assert facts["untrained + none + pca"] is None
    rows = {row.label: row for row in board.sections[0].rows}
    assert (
        replace(rows["alpha + brightness + vit-micro"], composite=None)
        != rows["alpha + brightness + vit-micro"]
    )
