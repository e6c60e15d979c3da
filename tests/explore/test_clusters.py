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
from astrojepa_bench.explore.report_figures import confusion_figure, confusion_of
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


def test_numbers_and_names_without_a_galaxy_are_no_classes(planted, groups, table):
    """Classes 0 and 9 of ten names are two: two clusters, two columns, and two rows of a confusion matrix."""
    latents, group = groups
    sample = planted(latents, label=9 * group)
    named = replace(sample.table, card=replace(table.card, class_names=tuple("abcdefghij")))
    named = replace(named, label=np.where(np.arange(len(named)) < 60, named.label, -1))
    sample.__dict__["table"] = named
    clusters = find_clusters(sample)
    answers = {"ids": named.ids[:60].astype(str), "class": named.label[:60]}

    assert (clusters.number, clusters.purity.purity) == (2, 1)
    assert cluster_table(clusters).columns.tolist() == ["cluster", "galaxies", "a", "j", "unlabelled"]
    assert cluster_table(clusters).iloc[:, 2:].to_numpy().tolist() == [[40, 0, 0], [0, 20, 0]]
    figure = confusion_figure(confusion_of(answers, named), sample.classes, "a probe")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "j"]


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


def test_clusters_that_hold_none_of_the_galaxies_are_told_and_not_drawn(planted, groups):
    """Of two clusters of the reference, galaxies of one group fill one."""
    latents, group = groups
    figure = clusters_figure(find_clusters(planted(latents[:40], latents, label=group[:40]), 2))

    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["0  (n=40)"]
    assert "clusters without one of these galaxies: 1" in figure.get_supxlabel().replace("\n", " ")


@pytest.mark.parametrize("number", [0, 61])
def test_impossible_numbers_are_refused(planted, groups, number):
    """With the numbers that are possible."""
    with pytest.raises(ConfigError, match=f"asked for {number} clusters of 60 galaxies; give 1 to 60"):
        find_clusters(planted(groups[0]), number)
