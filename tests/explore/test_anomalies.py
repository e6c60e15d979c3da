"""Anomaly scores: the odd one is found, distances are scikit-learn's, errors are a galaxy's own."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from astrojepa_bench import compute_jepa_anomaly_scores
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore import anomalies
from astrojepa_bench.explore.anomalies import BY_ERROR, SCORES, anomaly_table, distance_scores
from astrojepa_bench.explore.sample import Sample, chosen_sample, own_sample, own_split
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store


@pytest.fixture
def clouds():
    """Forty reference galaxies, and twelve like them of which number 5 lies apart."""
    rng = np.random.default_rng(1)
    reference, looked_at = rng.normal(size=(40, 6)), rng.normal(size=(12, 6))
    looked_at[5] += 8
    return reference, looked_at


@pytest.fixture(scope="module")
def frame(sample):
    return anomaly_table(sample)


@pytest.mark.parametrize("by", ["knn_distance", "mahalanobis_distance"])
def test_a_planted_outlier_comes_first(planted, clouds, by):
    """By either distance; among others like it, it would come anywhere."""
    reference, looked_at = clouds
    assert anomaly_table(planted(looked_at, reference), by)["index"][0] == 5


def test_distance_is_scikit_learns(planted, clouds):
    """Mean distance to the ten nearest reference galaxies, in units of their spread."""
    reference, looked_at = clouds
    scaler = StandardScaler().fit(reference)
    search = NearestNeighbors(n_neighbors=10).fit(scaler.transform(reference))
    theirs = search.kneighbors(scaler.transform(looked_at))[0].mean(axis=1)

    assert distance_scores(planted(looked_at, reference))["knn_distance"] == pytest.approx(theirs, rel=1e-4)


def test_no_galaxy_is_its_own_neighbour(planted, clouds):
    """Looked at among themselves, as scikit-learn does where no query is given."""
    reference = clouds[0]
    scaled = StandardScaler().fit_transform(reference)
    theirs = NearestNeighbors(n_neighbors=10).fit(scaled).kneighbors()[0].mean(axis=1)

    assert distance_scores(planted(reference))["knn_distance"] == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(("count", "has_spread"), [(1, False), (2, True)])
def test_one_reference_galaxy_has_no_covariance(planted, clouds, count, has_spread):
    """Nothing can be said in units of its spread; two have one. Neighbours are found in either case."""
    reference, looked_at = clouds
    found = distance_scores(planted(looked_at, reference[:count]))

    assert (np.isfinite(found["mahalanobis_distance"]) == has_spread).all()
    assert np.isfinite(found["knn_distance"]).all()


def test_the_parts_of_the_prediction_error_add_up(frame, sample):
    """AstroJEPA's sum of its parts, which stand beside it; the largest error is no smaller than the mean."""
    total = frame["mean_mse"] + frame["max_mse"] / 2 + (1 - frame["mean_cosine"]) / 10

    assert frame["prediction_error"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-4)
    assert (frame["max_mse"] >= frame["mean_mse"]).all()
    assert (frame["min_cosine"] <= frame["mean_cosine"]).all()
    assert sorted(frame["index"]) == list(range(len(sample)))
    assert frame["knn_distance"].is_monotonic_decreasing
    assert frame["viewer"].str.contains("legacysurvey.org/viewer").all()


def test_same_galaxies_same_table(frame, run, table):
    """Errors are averages over seeded masks: a second look changes no digit."""
    again = anomaly_table(Sample(run, table, table.rows("test"), own=True))
    pd.testing.assert_frame_equal(frame, again)


def test_scores_hardly_depend_on_the_company(frame, run, table):
    """Distances not at all; errors by the luck of sixteen draws, small beside how galaxies differ."""
    others = table.rows("test")[::-1][:20].copy()  # in another order, so under other masks
    few = anomaly_table(Sample(run, table, others)).set_index("id")
    many = frame.set_index("id").loc[few.index]

    for score in SCORES:
        luck = np.sqrt(((few[score] - many[score]) ** 2).mean())
        assert luck < (0.4 * frame[score].std() if score in BY_ERROR else 1e-4), score


def test_the_function_of_the_notebooks_scores_a_whole_table(run, table):
    """Under AstroJEPA's own name: every galaxy of what is given, not only test galaxies."""
    assert len(compute_jepa_anomaly_scores(run, table)) == len(table)


@pytest.mark.slow
def test_a_report_predicts_only_what_was_kept(run, table, galaxies, tmp_path, monkeypatch):
    """Errors are kept of the run's own test galaxies; given as a dataset they are not predicted again."""
    settings, registry = {"dataset": {"path": str(galaxies)}}, load_registry()
    run = replace(run, store=Store(shutil.copytree(run.store.out, tmp_path / "out")))
    own = own_sample(run, registry, settings, tmp_path)
    anomaly_table(own)  # keeps them
    monkeypatch.setattr(anomalies, "prediction_errors", None)

    assert set(BY_ERROR) <= set(anomaly_table(own, predicts=False))
    for given in (
        chosen_sample(run, "hdf5", registry, settings, tmp_path), own_split(own, "val"),
        Sample(run, table, table.rows("test")),
    ):  # fmt: skip
        assert not set(BY_ERROR) & set(anomaly_table(given, predicts=False))
    assert not set(BY_ERROR) & set(anomaly_table(own, draws=2, predicts=False))


def test_an_objective_that_predicts_nothing_says_so(sample, monkeypatch):
    """Errors are unknown rather than zero, and cannot rank."""
    monkeypatch.setattr(anomalies, "_errors", lambda sample, draws: None)

    assert anomaly_table(sample)[list(BY_ERROR)].isna().all(axis=None)
    with pytest.raises(ConfigError, match=r"predicts nothing.* rank by knn_distance"):
        anomaly_table(sample, "max_mse")


def test_unknown_score_is_refused_with_the_nearest(sample):
    """Before anything is computed."""
    with pytest.raises(ConfigError, match=r"unknown anomaly score 'mean_msee'.*mean_mse"):
        anomaly_table(sample, "mean_msee")
