"""Budgets: how much each shows, counted against the published number of images."""

import pytest

from astrojepa_bench.data.synthetic.population import GALAXY10_COUNTS
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.training.budgets import BUDGETS, Budget, find_budget


def test_published_scale_is_in_epochs_of_galaxy10():
    """The class counts of Galaxy10 DECaLS add up to its images; standard shows each 100 times, long 300 times."""
    images = sum(GALAXY10_COUNTS)

    assert find_budget("standard").seen == 100 * images
    assert find_budget("long").seen == 300 * images
    assert [each.seen for each in BUDGETS.values()] == sorted(each.seen for each in BUDGETS.values())


@pytest.mark.parametrize(("seen", "batch", "steps"), [(64, 32, 2), (65, 32, 3), (1, 32, 1), (0, 32, 1)])
def test_steps_show_at_least_what_is_asked(seen, batch, steps):
    """A batch that is not full is a step as well, and there is one step at least."""
    assert Budget("x", 32, 8, seen, "vit-micro", "tests").steps(batch) == steps


def test_an_unknown_budget_names_a_near_one():
    """A typing error is told with what was probably meant."""
    with pytest.raises(ConfigError, match=r"unknown budget 'smal'; .*small"):
        find_budget("smal")
