"""Means, intervals and resolutions against SciPy, hand values and published golden numbers."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from astrojepa_bench.board.statistics import (
    resolvable_difference,
    summarise,
    wilson,
)
from astrojepa_bench.metric import binomial_se
from astrojepa_bench.streams import numpy_stream

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8)


@given(values)
def test_the_interval_is_scipys_t_interval(sample):
    """Mean, spread and interval agree with an independent implementation."""
    found = summarise(sample)
    low, high = stats.t.interval(0.95, len(sample) - 1, np.mean(sample), max(stats.sem(sample), 1e-300))
    assert found.mean == pytest.approx(np.mean(sample), abs=1e-9)
    assert found.sd == pytest.approx(np.std(sample, ddof=1), abs=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


def test_a_summary_computed_by_hand():
    """1, 2, 3 have mean 2, spread 1 and interval 2 ± 4.3027 / sqrt(3), with t from printed tables."""
    found = summarise([1.0, 2.0, 3.0])
    assert (found.n, found.mean, found.sd) == (3, 2.0, 1.0)
    assert found.high - 2 == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)


def test_one_seed_has_no_spread():
    """One value says nothing about its spread, and no interval is invented."""
    found = summarise([0.7])
    assert (found.sd, found.low, found.high) == (None, None, None)


def test_seeds_that_agree_are_no_certainty():
    """Three seeds right of all 28 galaxies leave room for 88 %; what has no error has none; counts are exact."""
    error = binomial_se(1.0, 28)
    right, wrong = summarise([1.0] * 3, [error] * 3), summarise([0.0] * 3, [error] * 3)

    assert (right.low, right.high) == pytest.approx(wilson(1.0, 28))
    assert (wrong.low, wrong.high) == pytest.approx(wilson(0.0, 28))
    assert summarise([0.6] * 3, [0.05] * 3).low == pytest.approx(0.6 - 1.96 * 0.05, abs=1e-4)
    assert summarise([1.0] * 3, [None] * 3).low is None
    assert summarise([0.6, 0.7], [0.05] * 2) == summarise([0.6, 0.7])
    assert summarise([400.0] * 3).low == 400


def test_the_order_of_seeds_changes_no_bit():
    """Sums are exactly rounded."""
    sample = [0.1, 0.7, 1e-9, 0.3]
    assert len({summarise(order) for order in permutations(sample)}) == 1


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Over 2,000 simulated triples of seeds, 95 % intervals hold the true mean in 95 ± 1.5 %."""
    draws = numpy_stream(0, "coverage").normal(3.0, 2.0, size=(2000, 3)).tolist()
    covered = np.mean([found.low <= 3.0 <= found.high for found in map(summarise, draws)])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_the_standard_error_of_an_accuracy_is_the_one_measured_on_galaxy_zoo():
    """608 test galaxies at 74 % give the 1.8 points that were quoted with those measurements."""
    assert binomial_se(0.74, 608) == pytest.approx(0.018, abs=5e-4)


def test_simulated_test_sets_scatter_by_the_standard_error():
    """Drawing test sets anew scatters an accuracy by its binomial standard error."""
    drawn = numpy_stream(0, "test sets").binomial(300, 0.7, size=4000) / 300
    assert drawn.std() == pytest.approx(binomial_se(0.7, 300), rel=0.04)


def test_two_equal_entries_seldom_differ_by_what_is_resolved():
    """Equal entries that err independently differ by more than is resolvable 5 % of the time."""
    pairs = numpy_stream(0, "pairs").binomial(600, 0.7, size=(4000, 2)) / 600
    exceed = np.abs(pairs[:, 0] - pairs[:, 1]) > resolvable_difference(0.7, 600)
    assert exceed.mean() == pytest.approx(0.05, abs=0.012)


def test_nothing_is_resolved_for_certain_where_all_are_right():
    """Two entries that were right of 28 galaxies may differ by what Wilson's intervals leave room for."""
    low, high = wilson(1.0, 28)

    assert high == pytest.approx(1.0)
    assert resolvable_difference(1.0, 28) == pytest.approx(math.sqrt(2) * (1 - low), rel=1e-6)
