"""What would show a difference: the numbers that are told, against the power of Student's test."""

import math

import pytest
from scipy import stats

from astrojepa_bench.board.inference import SeedScores, TestSet, galaxies_needed, seeds_needed
from astrojepa_bench.board.power import MOST_SEEDS, Needed, needed

D0 = 2.8


def seeds_of(n, sd=0.012):
    """Make an entry of n seeds, its variance moderated by a prior of `D0`."""
    return SeedScores(n, 0.7, sd, sd**2, n - 1 + D0)


def power(effect, sd, n, part, comparisons):
    """Compute the power of the test with n seeds of each, by the noncentral t distribution."""
    seeds = 2 * sd**2 / n
    df = (seeds + part) ** 2 / (seeds**2 / (n - 1 + D0) + part**2 / 1053)
    least = stats.t.ppf(1 - 0.05 / (2 * comparisons), df)
    return stats.nct.sf(least, df, effect / math.sqrt(seeds + part))


@pytest.mark.parametrize(
    ("effect", "comparisons", "part"),
    [(0.049, 300, 0.0), (0.02, 6, 0.0), (0.02, 6, 2e-5), (0.03, 24, 1e-5), (0.012, 1, 0.0)],
)
def test_so_many_seeds_show_it_four_times_in_five(effect, comparisons, part):
    """And one seed less does not; `seeds_needed`, with its quantiles of many seeds, may say fewer."""
    test_set = TestSet(1054, 1054 * part)
    found = needed(seeds_of(3), seeds_of(3), test_set, effect, comparisons=comparisons, alpha=0.05)

    assert found.galaxies is None
    assert power(effect, 0.012, found.seeds, part, comparisons) > 0.79
    assert power(effect, 0.012, found.seeds - 1, part, comparisons) < 0.81
    normal = seeds_needed(effect, 0.012, comparisons=comparisons, galaxies_part=part)
    assert normal <= found.seeds


def test_where_galaxies_are_too_few_both_numbers_are_told():
    """So many galaxies alone do not show it with the seeds there are."""
    test_set = TestSet(200, 200 * 4e-4)
    found = needed(seeds_of(20), seeds_of(3), test_set, 0.02, comparisons=6, alpha=0.05)
    part = test_set.var_gal / found.galaxies

    assert found.galaxies == galaxies_needed(0.02, test_set.var_gal, comparisons=6)
    assert seeds_needed(0.02, 0.012, comparisons=6, galaxies_part=test_set.part) is None
    assert power(0.02, 0.012, found.seeds, part, 6) > 0.79 > power(0.02, 0.012, 3, part, 6)


def test_nothing_to_find_needs_nothing():
    """No difference and no margin; and a galaxies' part of which nothing is known."""
    assert needed(seeds_of(3), seeds_of(3), TestSet(), 0.0, comparisons=1, alpha=0.05) is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Needed(0.02, 12, held=20), "these seeds would show one of 2.0 points"),
        (Needed(0.0203, 12, held=3), "about 12 seeds of each would show one of 2.0 points"),
        (Needed(0.004, MOST_SEEDS + 1), "more than 50 seeds of each would show one of 0.4 points"),
        (
            Needed(0.02, 19, 2456),
            "about 2,456 test galaxies and 19 seeds of each would show one of 2.0 points",
        ),
    ],
)
def test_in_words(found, words):
    """Beyond fifty seeds an estimate is none."""
    assert found.in_words() == words
