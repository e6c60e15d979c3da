"""k-means against scikit-learn's, and agreement with classes against golden numbers."""

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.kmeans import (
    KMeans,
    contingency,
    hungarian_accuracy,
    nmi,
    purity,
)
from astrojepa_bench.evaluators.probes.kmeans import kmeans_torch, nearest_centre

GALAXY10 = np.array([1081, 1853, 2645, 2027, 334, 2043, 1829, 2628, 1423, 1873])


def blobs():
    """Seven clear groups."""
    stream = np.random.default_rng(5)
    group = stream.integers(0, 7, 1500)
    return stream.normal(size=(7, 12))[group] * 6 + stream.normal(size=(1500, 12)), 7


def digits():
    """Real images, where groups overlap."""
    return load_digits().data, 10


def uniform():
    """No groups at all, and an offset that eats digits of squared distances."""
    return 300 + np.random.default_rng(0).random((2000, 3)), 12


def unequal():
    """Groups whose sizes and widths span a factor of fifty."""
    stream = np.random.default_rng(2)
    sizes, widths = (900, 400, 150, 60, 18), (0.1, 0.5, 1.0, 3.0, 5.0)
    groups = zip(stream.normal(size=(5, 8)) * 8, sizes, widths, strict=True)
    return np.concatenate([centre + width * stream.normal(size=(n, 8)) for centre, n, width in groups]), 5


def trained():
    """A spectrum as a trained transformer's: a few strong axes, a long tail, a large common vector."""
    stream = np.random.default_rng(3)
    spread = np.exp(-np.arange(48) / 6) + 0.02
    centres = stream.normal(size=(10, 48)) * spread
    return 4 + centres[stream.integers(0, 10, 1500)] + 0.7 * spread * stream.normal(size=(1500, 48)), 10


PROBLEMS = [blobs, digits, uniform, unequal, trained]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.__name__)
def test_inertia_is_within_a_percent_of_scikit_learns_best(problem, seed):
    """Both search with ten restarts; ours is never worse by more than a percent."""
    points, clusters = problem()
    found = kmeans_torch(points.astype("float32"), clusters, seed=seed)
    best = SklearnKMeans(clusters, n_init=10, random_state=seed).fit(points).inertia_

    assert found.inertia / best < 1.01
    assert found.inertia / best > 0.97


def test_fit_is_consistent_with_itself():
    """Labels are the nearest centres, centres the means of their members, inertia their squared distances."""
    points, clusters = blobs()
    labels, centres, inertia = (np.asarray(part) for part in kmeans_torch(points.astype("float32"), clusters))
    distances = ((points[:, None] - centres) ** 2).sum(axis=2)

    assert np.array_equal(labels, distances.argmin(axis=1))
    assert inertia == pytest.approx(distances.min(axis=1).sum(), rel=1e-4)
    for cluster in range(clusters):
        assert np.allclose(centres[cluster], points[labels == cluster].mean(axis=0), atol=1e-3)


def test_numpy_and_torch_give_the_same_answer():
    """The type of the container is no information."""
    points, clusters = blobs()
    one, other = kmeans_torch(points, clusters), kmeans_torch(torch.as_tensor(points), clusters)

    assert torch.equal(one.labels, other.labels)
    assert one.inertia == other.inertia


def test_seed_names_the_starts():
    """Equal seeds agree to the bit; another seed starts elsewhere."""
    points = np.random.default_rng(0).normal(size=(300, 5))
    first, same, other = (kmeans_torch(points, 8, n_init=1, seed=seed) for seed in (1, 1, 2))

    assert torch.equal(first.centres, same.centres)
    assert not torch.equal(first.centres, other.centres)


def test_more_restarts_never_end_worse():
    """The best of ten includes ways down that one start misses."""
    points = np.random.default_rng(0).normal(size=(400, 2))
    inertias = [kmeans_torch(points, 15, n_init=1, seed=seed).inertia for seed in range(8)]

    assert kmeans_torch(points, 15, n_init=20).inertia <= np.median(inertias)


def test_one_cluster_is_the_mean():
    """The analytic solution for K = 1."""
    points = np.random.default_rng(0).normal(3, 1, size=(100, 4)).astype("float32")
    found = kmeans_torch(points, 1)

    assert np.allclose(found.centres[0], points.mean(axis=0), atol=1e-5)
    assert found.inertia == pytest.approx(float(((points - points.mean(axis=0)) ** 2).sum()), rel=1e-5)


def test_as_many_clusters_as_points_leave_no_inertia():
    """Each point is its own centre."""
    points = np.random.default_rng(0).normal(size=(9, 3))
    found = kmeans_torch(points, 9)

    assert found.inertia == pytest.approx(0, abs=1e-10)
    assert len(found.labels.unique()) == 9


def test_more_clusters_than_distinct_points_leave_some_empty():
    """Three places hold three clusters, whatever is asked."""
    points = np.repeat(np.eye(3), 10, axis=0)
    found = kmeans_torch(points, 6)

    assert found.inertia == pytest.approx(0, abs=1e-10)
    assert len(found.labels.unique()) == 3
    assert found.centres.isfinite().all()


@pytest.mark.parametrize(("clusters", "options"), [(0, {}), (11, {}), (2, {"n_init": 0})])
def test_impossible_requests_are_refused(clusters, options):
    """The message holds the numbers."""
    with pytest.raises(ConfigError, match="of 10 points"):
        kmeans_torch(np.zeros((10, 2)), clusters, **options)


def test_latents_that_are_no_finite_matrix_are_refused():
    """A NaN would spread over every centre."""
    with pytest.raises(DataError, match="finite"):
        kmeans_torch(np.full((4, 2), np.nan), 2)


def test_new_points_join_the_nearest_centre():
    """Test galaxies are assigned, never fitted."""
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0]])

    assert nearest_centre(torch.tensor([[1.0, 5.0], [9.0, -3.0]]), centres).tolist() == [0, 1]


# --- agreement with classes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clusters", "golden_purity", "golden_nmi"), [(10, 0.168, 0.011), (20, 0.18, 0.021), (50, 0.21, 0.042)]
)
def test_random_clusters_have_the_golden_chance(clusters, golden_purity, golden_nmi):
    """1,774 galaxies with the class shares of Galaxy10 in clusters that know nothing."""
    stream = np.random.default_rng(0)
    label = np.repeat(np.arange(10), np.round(GALAXY10 / 10).astype(int))
    tables = contingency(
        np.stack([stream.permutation(label) for _ in range(50)]), stream.integers(0, clusters, len(label))
    )

    assert purity(tables).mean() == pytest.approx(golden_purity, abs=0.004)
    assert nmi(tables).mean() == pytest.approx(golden_nmi, abs=0.003)  # one draw scatters by .002


def test_nmi_equals_scikit_learns():
    """The arithmetic mean normaliser, over all draws at once."""
    stream = np.random.default_rng(0)
    labels, cluster = stream.integers(0, 5, (6, 200)), stream.integers(0, 4, 200)
    theirs = [normalized_mutual_info_score(label, cluster) for label in labels]

    assert np.allclose(nmi(contingency(labels, cluster)), theirs, atol=1e-12)


def test_purity_by_hand():
    """Clusters {0, 0, 1} and {1, 1, 0, 2}: two and two of seven are in the majority."""
    tables = contingency(np.array([[0, 0, 1, 1, 1, 0, 2]]), np.array([0, 0, 0, 1, 1, 1, 1]))

    assert purity(tables)[0] == pytest.approx(4 / 7)


def test_hungarian_accuracy_is_the_best_of_all_matchings():
    """Against every one-to-one naming of four clusters by four classes, tried one by one."""
    stream = np.random.default_rng(0)
    label, cluster = stream.integers(0, 4, 300), stream.integers(0, 4, 300)
    best = max((np.array(names)[cluster] == label).mean() for names in permutations(range(4)))

    assert hungarian_accuracy(contingency(label[None], cluster))[0] == pytest.approx(best)


def test_split_class_costs_hungarian_accuracy_but_no_purity():
    """Two clusters of one class are pure; only one of them may bear its name."""
    label, cluster = np.repeat([0, 1], [20, 10]), np.repeat([0, 1, 2], 10)
    tables = contingency(label[None], cluster)

    assert purity(tables)[0] == 1
    assert hungarian_accuracy(tables)[0] == pytest.approx(2 / 3)


def test_ten_clusters_are_the_default():
    """The name and the default that users of AstroJEPA know."""
    assert len(kmeans_torch(np.random.default_rng(0).normal(size=(40, 3))).centres) == 10


def test_unlabelled_train_galaxies_help_to_place_centres(make_answers, clouds):
    """Clustering needs no labels, so it uses all that train holds."""
    x, y = clouds(200, spread=0.05)
    found = KMeans().evaluate(make_answers((x, np.full(200, -1)), (x, y), (x, y)))

    assert {score.metric: score.value for score in found}["ari"] == 1


@pytest.mark.parametrize("train", [np.full((40, 3), 2.0), np.eye(3)], ids=["constant", "three-galaxies"])
def test_too_few_places_for_the_clusters_is_a_warning(make_answers, train):
    """Every score stays finite and the reader is told."""
    label = np.arange(40) % 5
    test = (np.random.default_rng(0).normal(size=(40, 3)), label)
    found = KMeans().evaluate(make_answers((train, label[: len(train)]), test, test, classes=5))

    assert "of 5 clusters hold train galaxies" in found.warnings[0]
    assert all(np.isfinite([score.value, score.chance]).all() for score in found)


def test_single_class_gives_finite_scores(make_answers, clouds):
    """One class in one cluster is trivially pure, by chance as well."""
    one = clouds(30, spread=1, label=np.zeros(30, dtype=int))
    found = {score.metric: score for score in KMeans().evaluate(make_answers(one, one, one))}

    assert found["purity"].value == found["purity"].chance == 1
