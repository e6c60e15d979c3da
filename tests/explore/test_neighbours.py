"""Similarity search finds the twin, and its cosines are scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore.figures import picture_bytes
from astrojepa_bench.explore.neighbours import find_neighbours, neighbours_figure
from astrojepa_bench.explore.sample import own_split


@pytest.fixture
def latents():
    """Thirty galaxies, of which numbers 2 and 17 are twins."""
    values = np.random.default_rng(0).normal(size=(30, 8))
    values[17] = values[2]
    return values


def test_the_twin_comes_first_and_does_not_displace_the_query(planted, latents):
    """Whichever of the two is asked about."""
    for query, twin in ((2, 17), (17, 2)):
        found = find_neighbours(planted(latents), query, number=4)
        assert found["index"].tolist()[:2] == [query, twin]
        assert found["rank"].tolist() == [0, 1, 2, 3, 4]
        assert found["similarity"][1] == 1


def test_similarities_are_scikit_learns(planted, latents):
    """Cosines of what is left when the mean of the reference is taken away."""
    found = find_neighbours(planted(latents, latents + 1), 4, number=29)
    theirs = cosine_similarity(latents - latents.mean(axis=0) - 1)[4]

    assert found["similarity"].to_numpy() == pytest.approx(theirs[found["index"]], abs=1e-5)
    assert found["similarity"][1:].is_monotonic_decreasing
    assert sorted(found["index"]) == list(range(30))


def test_no_such_galaxy(sample):
    """The places that there are are told."""
    with pytest.raises(
        ConfigError, match=rf"index {len(sample)} is not among .* give 0 to {len(sample) - 1}"
    ):
        find_neighbours(sample, len(sample))


def test_the_strip_is_a_picture(sample):
    """Fewer galaxies than asked for are all of them."""
    assert picture_bytes(neighbours_figure(sample, 0, number=2)).startswith(b"\x89PNG")


def test_a_search_elsewhere_tells_both_numberings(sample):
    """The number that was searched, and among which galaxies an index counts."""
    train = own_split(sample, "train")
    figure = neighbours_figure(train, 1, number=2, query=sample)
    titles = [axes.get_title() for axes in figure.axes[:3]]

    assert train.title in figure.get_suptitle().replace("\n", " ")
    assert f"among {sample.title}, train index: among {train.title}" in figure.get_supxlabel().replace(
        "\n", " "
    )
    assert [", train index " in title for title in titles] == [False, True, True]
