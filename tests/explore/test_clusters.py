"""Clusters of planted groups are pure, of shuffled labels as impure as chance, and the evaluator's own."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.kmeans import KMeans
from astrojepa_bench.explore.clusters import (
    cluster_members,
    cluster_table,
    clusters_figure,
    find_clusters,
)
from astrojepa_bench.explore.figures import picture_bytes
from astrojepa_bench.explore.sample import Sample


@pytest.fixture
def groups():
    """Two groups of 40 and 20 galaxies, far apart."""
    group = np.repeat([0, 1], [40, 20])
    return np.random.default_rng(0).normal(size=(60, 5)) + 20 * group[:, None], group


def test_planted_groups_are_found(planted, groups):
    """Pure, the largest first, each member counted once."""
    latents, group = groups
    clusters = find_clusters(planted(latents, label=group))
    counts = cluster_table(clusters)

    assert clusters.purity.purity == clusters.purity.ami == 1
    assert counts["galaxies"].tolist() == [40, 20]
    assert counts.iloc[:, 2:].to_numpy().tolist() == [[40, 0, 0], [0, 20, 0]]
    assert cluster_members(clusters)["cluster"].tolist() == group.tolist()


def test_shuffled_labels_are_at_chance(planted, groups):
    """Clusters that know nothing of the classes are no purer than their own chance level."""
    latents, group = groups
    shuffled = np.random.default_rng(3).permutation(group)
    found = find_clusters(planted(latents, label=shuffled)).purity

    assert found.purity == pytest.approx(found.chance, abs=0.03)
    assert abs(found.ami) < 0.1


def test_they_are_the_clusters_of_the_evaluator(sample):
    """On a run's own galaxies the figure and the board say the same."""
    scores = {score.metric: score for score in KMeans().evaluate(sample.kept).scores}
    found = find_clusters(sample).purity

    assert found.purity == pytest.approx(scores["purity"].value)
    assert found.chance == pytest.approx(scores["purity"].chance)
    assert found.ami == pytest.approx(scores["ami"].value)


def test_without_labels_there_are_clusters_and_no_purity(run, table):
    """What is drawn then are the galaxies alone."""
    unlabelled = replace(table, label=np.full(len(table), -1))
    clusters = find_clusters(Sample(run, unlabelled, table.rows("test")), number=2)

    assert clusters.purity is None
    assert cluster_table(clusters)["unlabelled"].sum() == len(table.rows("test"))
    assert picture_bytes(clusters_figure(clusters)).startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [0, 61])
def test_impossible_numbers_are_refused(planted, groups, number):
    """With the numbers that are possible."""
    with pytest.raises(ConfigError, match=f"asked for {number} clusters of 60 galaxies; give 1 to 60"):
        find_clusters(planted(groups[0]), number)
