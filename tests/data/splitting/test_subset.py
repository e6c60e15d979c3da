"""Fewer galaxies to learn from, chosen by lot and by nothing else."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import hypergeom, kstest

from astrojepa_bench.data.splitting.subset import nested_subset

IDS = np.array([f"galaxy-{number:05d}" for number in range(8000)])


def test_the_fewer_are_always_among_the_more():
    """500 galaxies are among the 2,000, and these among the 8,000: a curve over N adds galaxies, no luck."""
    rows = np.arange(8000)
    chosen = [set(nested_subset(IDS, rows, most)) for most in (1, 500, 2000, 7999, 8000)]

    assert [len(part) for part in chosen] == [1, 500, 2000, 7999, 8000]
    assert all(fewer < more for fewer, more in pairwise(chosen))


def test_a_limit_that_limits_nothing_changes_no_row():
    """All rows come back, in their order."""
    rows = np.array([3, 5, 8])
    for most in (None, 3, 4):
        np.testing.assert_array_equal(nested_subset(IDS, rows, most), rows)


def test_lots_follow_the_galaxy_and_not_its_place():
    """A table in another order, or with other galaxies in between, keeps the same galaxies."""
    order = np.random.default_rng(0).permutation(8000)
    straight = IDS[nested_subset(IDS, np.arange(8000), 100)]
    shuffled = IDS[order][nested_subset(IDS[order], np.arange(8000), 100)]

    assert set(straight) == set(shuffled)
    some = np.flatnonzero(np.isin(IDS, straight) | (np.arange(8000) % 2 == 0))
    assert set(IDS[nested_subset(IDS, some, 100)]) == set(straight)


def test_rows_stay_in_table_order():
    """Sorted rows read a memory map from its start to its end."""
    rows = nested_subset(IDS, np.arange(8000), 100)

    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_the_subset_is_a_fair_sample(share):
    """The members of a class among the chosen follow the hypergeometric law, and places are uniform."""
    members = np.arange(8000) < 8000 * share  # the first so many, as a file sorted by class has them
    rows = nested_subset(IDS, np.arange(8000), 1000)
    found = int(members[rows].sum())
    law = hypergeom(8000, int(members.sum()), 1000)

    assert law.ppf(0.001) <= found <= law.ppf(0.999)
    assert kstest(rows / 8000, "uniform").pvalue > 0.001
