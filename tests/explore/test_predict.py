"""Predictions are those of the probes that were scored, and their uncertainties mean what they say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as TheirRidge

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluation.extract import extract, kept_features, load_features
from astrojepa_bench.events import listening
from astrojepa_bench.explore import probes as probes_module
from astrojepa_bench.explore.predict import prediction_table
from astrojepa_bench.explore.probes import COVERAGE, RedshiftScatter, fit_probes
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.table_formats import distinct
from astrojepa_bench.runs.open_run import Reopened


def needless():
    """Fail: what was kept is enough."""
    raise AssertionError("the run's own galaxies were loaded")


@pytest.fixture(scope="module")
def probes(run):
    return fit_probes(run, needless)


@pytest.fixture(scope="module")
def kept(run, table):
    """The features that were kept, with the facts of the galaxies themselves."""
    return load_features(run.store.features_path(run.record.run_id), table, run.record.seed)


@pytest.fixture(scope="module")
def frame(sample, probes):
    return prediction_table(sample, probes)


def test_the_probes_are_those_that_were_scored(probes):
    """The record's numbers come out again, from kept features; redshift was never scored, and that is told."""
    classes, redshifts = probes.told

    assert classes.endswith("as recorded")
    assert "the record has no such score" in redshifts


def test_probabilities_are_those_of_logistic_regression(frame, probes, kept):
    """Of scikit-learn, fitted to the same features with the penalty that validation chose."""
    tap = probes.linear.tap
    order = np.argsort(kept.train.ids)
    train = kept.train.features[tap].numpy()[order].astype(float)
    mean, std = train.mean(axis=0), train.std(axis=0)
    theirs = LogisticRegression(C=probes.linear.c, max_iter=10_000, tol=1e-8)
    theirs.fit((train - mean) / std, kept.train.label[order])
    expected = theirs.predict_proba((kept.test.features[tap].numpy() - mean) / std)
    found = frame[["probability_class 0", "probability_class 1"]].to_numpy()

    np.testing.assert_allclose(found, expected, atol=0.005)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (frame["probability"] == found.max(axis=1)).all()
    assert (frame["predicted_class"] == np.array(["class 0", "class 1"])[found.argmax(axis=1)]).all()


def test_redshifts_are_those_of_ridge_regression(frame, probes, kept):
    """Of scikit-learn, likewise."""
    tap = probes.ridge.tap
    train = kept.train.features[tap].numpy().astype(float)
    mean, std = train.mean(axis=0), train.std(axis=0)
    theirs = TheirRidge(alpha=float(probes.ridge.ridge.alpha)).fit((train - mean) / std, kept.train.redshift)
    expected = theirs.predict((kept.test.features[tap].numpy() - mean) / std)

    np.testing.assert_allclose(frame["predicted_redshift"], expected, atol=1e-4)
    np.testing.assert_allclose(
        frame["redshift_scatter"] / (1 + frame["predicted_redshift"]), probes.scatter.relative, rtol=1e-4
    )


def test_a_bright_square_is_told_from_none(frame):
    """Galaxies of class 0 have one: a probe that reads colours or rows wrong would not see it."""
    truth = frame["class"].astype(str)

    assert (frame["predicted_class"] == truth).mean() > 0.9


def test_what_is_known_of_new_galaxies_changes_nothing(run, table, probes):
    """Nothing is fitted to them: with their labels and redshifts shuffled, or gone, predictions are the same."""
    shuffled = replace(
        table, label=np.roll(table.label, 1), redshift=table.redshift[::-1].copy(), fingerprint="a"
    )
    bare = replace(table, label=np.full(len(table), -1), redshift=None, fingerprint="b")
    rows = np.arange(24)
    first, second = (prediction_table(Sample(run, each, rows), probes) for each in (shuffled, bare))

    assert {"class", "label"} <= set(first)
    assert not {"class", "label", "split", "redshift"} & set(second)
    for name in ("predicted_class", "probability", "predicted_redshift"):
        assert first[name].equals(second[name])


def test_features_kept_without_labels_are_read_with_the_galaxies(run, table, sample, monkeypatch, probes):
    """Files that were kept before labels were; and galaxies that are others by now are refused."""
    monkeypatch.setattr(probes_module, "kept_features", lambda *_: None)
    holder = Galaxies("x", {}, {}, Hdf5(path=Path("x")), table, sample.images, Path("cache"))
    again = fit_probes(run, lambda: Reopened(holder, None))

    assert torch.equal(again.linear.classifier.weights, probes.linear.classifier.weights)
    assert again.told == probes.told
    with pytest.raises(DataError, match="cannot be fitted again: dataset 'x' holds other galaxies"):
        fit_probes(run, lambda: Reopened(holder, "dataset 'x' holds other galaxies"))


def test_a_probe_that_scores_otherwise_than_recorded_says_so(run):
    """Its evaluator may have changed since; predictions are then of another probe than the board's."""
    scores = [
        each.model_copy(update={"value": each.value - 0.01}) if each.metric == "accuracy" else each
        for each in run.record.scores
    ]
    moved = replace(run, record=run.record.model_copy(update={"scores": scores}))

    assert "NOT the very probe that was scored (accuracy" in fit_probes(moved, needless).told[0]


def test_a_model_that_was_only_imported_has_no_probes(run):
    """Until it is scored on labelled galaxies."""
    identity = {name: value for name, value in run.record.identity.items() if name != "fingerprint"}
    imported = replace(run, record=run.record.model_copy(update={"identity": identity}))

    with pytest.raises(ConfigError, match="imported without galaxies, so no probe was fitted; score it"):
        fit_probes(imported, needless)


def test_without_labels_and_redshifts_one_line_says_what_to_do(run, monkeypatch, kept):
    """And of labels alone only classes are predicted."""
    notes = []

    def without(**facts):
        parts = {
            name: replace(
                kept.split(name), **{fact: value(kept.split(name)) for fact, value in facts.items()}
            )
            for name in ("train", "val", "test")
        }
        monkeypatch.setattr(probes_module, "kept_features", lambda *_: replace(kept, **parts))

    without(redshift=lambda _: None)
    with listening(lambda event: notes.append(event.fields.get("text", ""))):
        found = fit_probes(run, needless)
    assert found.ridge is None
    assert any(
        note.startswith("no redshift is predicted: the galaxies carry no column 'redshift'") for note in notes
    )
    without(redshift=lambda _: None, label=lambda part: np.full(len(part.ids), -1))
    with pytest.raises(ConfigError, match="too few labels and redshifts to predict any; give some a class"):
        fit_probes(run, needless)


def test_the_scatter_holds_as_many_redshifts_as_it_says():
    """68.3 % of new galaxies, whatever the errors look like and however few galaxies it is measured on."""
    rng = np.random.default_rng(0)
    for galaxies, errors in ((30, rng.standard_cauchy), (300, rng.standard_normal)):
        inside = []
        for _ in range(400):
            predicted = rng.uniform(0, 1, galaxies + 200)
            truth = predicted + 0.02 * (1 + predicted) * errors(galaxies + 200)
            scatter = RedshiftScatter.of(predicted[:galaxies], truth[:galaxies])
            away = np.abs(truth - predicted)[galaxies:]
            inside.append((away <= scatter.around(predicted[galaxies:])).mean())
        assert COVERAGE - 0.01 < np.mean(inside) < COVERAGE + 1 / galaxies + 0.01


def test_of_normal_errors_the_scatter_is_their_sigma():
    """As a sigma_NMAD is: of errors that grow as 1 + z, the relative one."""
    rng = np.random.default_rng(1)
    predicted = rng.uniform(0, 2, 20_000)
    scatter = RedshiftScatter.of(predicted, predicted + 0.03 * (1 + predicted) * rng.normal(size=20_000))

    assert scatter.relative == pytest.approx(0.03, rel=0.03)


def test_galaxies_that_the_probes_know_are_told(run, table, probes):
    """Predictions of them look better than of new ones."""
    notes = []
    with listening(lambda event: notes.append(event.fields.get("text", ""))):
        prediction_table(Sample(run, table, table.rows("test")), probes)
        assert not any(notes)
        prediction_table(Sample(run, table, table.rows("train", "test")), probes)
    assert any(note.startswith(f"{len(table.rows('train'))} of these") for note in notes)


def test_row_numbers_of_another_table_are_nobody_whom_the_probes_know(run, table, probes):
    """Galaxy 3 of one file is not galaxy 3 of another; names that are more than numbers do tell."""
    notes, others = [], replace(table, fingerprint="another file's")
    named = {row: f"J{row}" for row in table.ids.tolist()}
    with listening(lambda event: notes.append(event.fields.get("text", ""))):
        prediction_table(Sample(run, others, table.rows("train")), probes)
        assert not any("bear ids" in note for note in notes)
        known = replace(probes, fitted_ids=np.array([named[each] for each in probes.fitted_ids.tolist()]))
        renamed = replace(others, ids=np.array([named[each] for each in table.ids.tolist()]))
        prediction_table(Sample(run, renamed, table.rows("train")), known)
    assert any("bear ids" in note for note in notes)


def test_latents_stand_beside_where_asked_for(sample, probes):
    """The same that `embed` writes."""
    latents = prediction_table(sample, probes, latents=True)["latents"]

    np.testing.assert_array_equal(np.stack(latents.to_list()), sample.latents.numpy())


def test_features_are_kept_with_what_probes_are_fitted_to(run, table, tmp_path):
    """Labels, kinds of anomaly and redshifts come back as they were, in the order of the features."""
    path = tmp_path / "run.h5"
    written = extract(run.encoder, table, Sample(run, table, table.rows("test")).images, 0, path)
    found = kept_features(path, table.fingerprint, 0)

    assert (found.classes, found.seed) == (written.classes, written.seed)
    for split in ("train", "val", "test"):
        ours, theirs = found.split(split), written.split(split)
        assert ours.ids.tolist() == theirs.ids.tolist()
        for name in ("label", "anomaly", "redshift"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert kept_features(path, "other galaxies", 0) is None


def test_names_that_differ_in_case_are_numbered():
    """FITS and many a database know no other difference."""
    assert distinct(["p_S", "p_s", "p_S_2", "p_E"]) == ["p_S", "p_s_2", "p_S_2_2", "p_E"]
