"""What the options of the simulated dataset change, and what they must leave alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from astrojepa_bench.data.synthetic import drawing
from astrojepa_bench.data.synthetic.dataset import LAYOUT, Synthetic
from astrojepa_bench.data.synthetic.field import draw_field
from astrojepa_bench.data.synthetic.population import SHARED, class_of, draw_galaxy
from astrojepa_bench.data.synthetic.profiles import Plane
from astrojepa_bench.data.synthetic.scene import (
    ANOMALY_TYPES,
    Purpose,
    SceneSubject,
    Survey,
    draw,
    expose,
    paint,
    surroundings,
)
from astrojepa_bench.data.synthetic.survey import INSTRUMENTS, draw_conditions
from astrojepa_bench.data.synthetic.truth import TRUTHS, half_light

NATURAL = Survey(seed=0, balance="uniform", size_px=32, fov_arcsec=40.0)
MATCHED = replace(NATURAL, population="matched")
SHIFTED = replace(NATURAL, instrument="shifted")
SEEN = {
    f"{name}_{band}_{unit}" for name, unit in (("psf_fwhm", "arcsec"), ("noise", "nmgy")) for band in "grz"
}
GOLDEN = Path(__file__).with_name("golden_synthetic.npz")


# --- what must not move -----------------------------------------------------------------------------------


def test_default_images_are_those_that_were_published():
    """A galaxy of each class and an anomaly of each type keep the pixels that committed results rest on.

    Another processor may round one pixel in tens of thousands to the neighbouring grey level.
    """
    with np.load(GOLDEN) as golden:
        subjects = [
            SceneSubject(int(i), str(name))
            for i, name in zip(golden["index"], golden["anomaly"], strict=True)
        ]
        off = np.stack([draw(NATURAL, one).image for one in subjects]).astype(int) - golden["images"]
    assert sorted(class_of(one.index, "uniform") for one in subjects if not one.anomaly) == list(range(10))
    assert {one.anomaly for one in subjects} == {"", *ANOMALY_TYPES}
    assert np.abs(off).max() <= 1
    assert (off != 0).mean() < 1e-3


def test_default_fingerprints_are_those_that_were_published():
    """The names under which results were published still stand for the same galaxies.

    Before there were mergers, the mix of anomalies was `rare`.
    """
    assert Synthetic().fingerprint(64) == "3d2c01fc2bc1bce407aad30ce59653f7"
    assert Synthetic(anomaly_mix="rare").fingerprint(64) == "08ddd78f0e62cd2a6c7d51b02a329792"
    assert Synthetic(anomaly_mix="rare").fingerprint(224) == "1d2ec916555532033ffbf2dc9e478505"
    rare = Synthetic(balance="galaxy10", anomaly_mix="rare")
    assert rare.fingerprint(64) == "87a4e480ead27e622215446a3c6dd6ae"
    assert Synthetic(anomaly_fraction=0).fingerprint(64) == "aecd7ce77f5297628f4e34d2df50e85b"


def test_options_that_change_galaxies_change_the_name():
    """Matched, shifted and both are four sets with four names."""
    sets = [
        Synthetic(population=population, instrument=instrument).fingerprint(64)
        for population in ("natural", "matched")
        for instrument in ("survey", "shifted")
    ]
    assert len(set(sets)) == 4


def test_objects_near_the_target_do_not_depend_on_the_frame():
    """The central arcminute holds the same stars and galaxies in a frame of 70 and of 140 arcsec."""
    small, large = (
        draw_field(SceneSubject(3).stream(0, Purpose.FIELD), Plane.framed(side, 0.35)) for side in (200, 400)
    )
    assert small[:, 15:-15, 15:-15].max() > 0
    off = np.abs(small[:, 15:-15, 15:-15] - large[:, 115:-115, 115:-115])
    assert off.max() < 1e-4 * small.max()


def test_wide_frames_are_populated_to_their_edges():
    """Stars lie in the outer half of a frame of 300 arcsec as thick as in the inner one."""
    plane = Plane.framed(300, 1.0)
    light = sum(draw_field(np.random.default_rng([1, n]), plane)[1] > 0.5 for n in range(8))
    inner, whole = light[75:225, 75:225].mean(), light.mean()
    assert whole == pytest.approx(inner, rel=0.25)


# --- one process or two, one layout or another ------------------------------------------------------------


def test_one_and_two_processes_write_the_same_files(tmp_path, monkeypatch):
    """Every file of the cache entry is byte for byte the same, drawn by one process or by two."""
    monkeypatch.setattr(drawing, "BLOCK", 3)
    for cores in (1, 2):
        monkeypatch.setattr(drawing, "cores", lambda cores=cores: cores)
        Synthetic(galaxies=24).load(16, tmp_path / str(cores))
    one, two = (sorted(path for path in (tmp_path / n).rglob("*.np[yz]")) for n in "12")
    assert [path.name for path in one] == [path.name for path in two] == ["facts.npz", "images.npy"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_cache_of_another_layout_is_not_read(tmp_path):
    """An entry that knows other truths lies under another name, so it is drawn anew, never misread."""
    dataset = Synthetic(galaxies=8, anomaly_fraction=0.0)
    old = tmp_path / "synthetic" / dataset.fingerprint(16)
    old.mkdir(parents=True)
    (old / "images.npy").write_bytes(b"of a version before")
    table = dataset.load(16, tmp_path)
    assert set(table.factors) == set(TRUTHS) - {"redshift"}
    assert (tmp_path / "synthetic" / f"{dataset.fingerprint(16)}-{LAYOUT}" / "facts.npz").exists()


# --- matched populations ----------------------------------------------------------------------------------


def nuisances(survey, number):
    """Magnitude, redshift and size of so many galaxies, and their classes; nothing is painted."""
    rows = []
    for subject in map(SceneSubject, range(number)):
        galaxy = draw_galaxy(subject.recipe(survey)[0], subject.stream(survey.seed, Purpose.POPULATION))
        rows.append((galaxy.magnitude, np.log(galaxy.redshift), np.log(galaxy.radius)))
    return np.array(rows), np.array([class_of(number, survey.balance) for number in range(number)])


@pytest.fixture(scope="module")
def populations():
    """Galaxies of each kind of population: more where little is to be found."""
    return {"natural": nuisances(NATURAL, 1600), "matched": nuisances(MATCHED, 3200)}


CLASSIFIERS = {
    "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "trees": HistGradientBoostingClassifier(max_iter=40, random_state=0),
}


@pytest.mark.parametrize("classifier", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_magnitude_redshift_and_size_tell_classes_apart_only_in_nature(populations, classifier):
    """On held-out galaxies they classify at most 2 points above chance when matched, 15 and more otherwise."""
    scores = {}
    for name, (values, classes) in populations.items():
        train = np.arange(len(classes)) % 2 == 0
        found = classifier.fit(values[train], classes[train]).predict(values[~train])
        scores[name] = balanced_accuracy_score(classes[~train], found)
    assert scores["matched"] < 0.12
    assert scores["natural"] > 0.25


def test_matched_galaxies_are_as_large_as_stated():
    """Whatever the class, half of the drawn light lies within the radius that all classes share."""
    wide = replace(MATCHED, size_px=96, fov_arcsec=100.0)
    off = {kind: [] for kind in range(10)}
    for subject in map(SceneSubject, range(60)):
        canvas, shape = paint(wide, subject)
        measured = half_light(canvas, replace(shape, half_light=float("nan")))
        off[class_of(subject.index, "uniform")].append(measured / shape.half_light)
    assert [np.mean(ratios) for ratios in off.values()] == pytest.approx(
        [1.0] * 10, abs=0.06
    )  # a frame cuts an elliptical's wings


def test_matched_truth_does_not_depend_on_the_image():
    """The stated size of a composite galaxy is the same at any size of pixels and frame."""
    radii = {
        paint(replace(MATCHED, size_px=size, fov_arcsec=fov), SceneSubject(5))[1].half_light
        for size, fov in ((32, 40.0), (48, 40.0), (64, 67.0))
    }
    assert len(radii) == 1


def test_all_but_lenses_share_the_matched_population():
    """Mergers, rings and shells are as bright and large as any other galaxy; a near lens would show no arcs."""
    shares = {name: SceneSubject(0, name).recipe(MATCHED)[0] is SHARED for name in ANOMALY_TYPES}
    assert [name for name, shared in shares.items() if not shared] == ["lens"]
    assert all(SceneSubject(0, name).recipe(NATURAL)[0] is not SHARED for name in ANOMALY_TYPES)


# --- the shift twin ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject", [SceneSubject(1), SceneSubject(7), SceneSubject(0, "lens"), SceneSubject(4, "saturated_star")]
)
def test_twin_sees_the_same_scene(subject):
    """Above the atmosphere, galaxy and surroundings are bit for bit the same; the pictures differ."""
    assert np.array_equal(paint(NATURAL, subject)[0].light, paint(SHIFTED, subject)[0].light)
    assert np.array_equal(surroundings(NATURAL, subject), surroundings(SHIFTED, subject))
    one, other = draw(NATURAL, subject), draw(SHIFTED, subject)
    assert not np.array_equal(one.image, other.image)
    same = [name for name in TRUTHS if name not in SEEN]
    np.testing.assert_array_equal([one.truth[n] for n in same], [other.truth[n] for n in same])
    assert all(one.truth[name] != other.truth[name] for name in SEEN)


def test_twin_is_the_same_table_but_for_what_was_seen(tmp_path):
    """Ids, splits, classes, anomalies, redshifts agree row by row; pixels and fingerprints do not."""
    dataset = Synthetic(galaxies=16)
    table, twin = dataset.load(16, tmp_path), dataset.shifted().load(16, tmp_path)
    for column in ("ids", "split", "label", "anomaly", "anomaly_type", "redshift", "pixel_scale"):
        assert np.array_equal(getattr(table, column), getattr(twin, column))
    assert table.fingerprint != twin.fingerprint
    assert "shift twin" in " ".join(twin.card.notes)
    assert dataset.shifted().shifted().fingerprint(16) == table.fingerprint


def test_twin_has_worse_seeing_and_twice_the_noise():
    """The median seeing is 1.8 arcsec in r, the noise twice the survey's; neither repeats the survey's draws."""
    one, other = (
        [draw_conditions(SceneSubject(n).stream(0, Purpose.CONDITIONS, seen), seen) for n in range(1500)]
        for seen in INSTRUMENTS.values()
    )
    seeing, noise = (
        [np.array([getattr(c, what) for c in seen]) for seen in (one, other)] for what in ("seeing", "noise")
    )
    assert np.median(seeing[1][:, 1]) == pytest.approx(1.8, rel=0.02)
    assert np.median(noise[1], axis=0) / np.median(noise[0], axis=0) == pytest.approx(2.0, rel=0.05)
    assert abs(np.corrcoef(seeing[0][:, 1], seeing[1][:, 1])[0, 1]) < 0.08


def test_twin_shows_twice_the_noise_of_sky_and_photons():
    """A blank frame and a bright one scatter twice as much, for equal conditions of the survey."""
    for level in (0.0, 5.0):
        spread = []
        for survey in (NATURAL, SHIFTED):
            instrument = INSTRUMENTS[survey.instrument]
            taken = draw_conditions(np.random.default_rng(0), instrument)
            spread.append(
                expose(survey, np.full((3, 32, 32), level, dtype=np.float32), taken, SceneSubject(0)).std()
            )
        assert spread[1] / spread[0] == pytest.approx(2.0, rel=0.05)
