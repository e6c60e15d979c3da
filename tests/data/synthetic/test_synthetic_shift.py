"""Galaxies off the image centre: as far as was said, in every direction, and nothing else about them changes."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.data.synthetic.scene import (
    ANOMALY_TYPES,
    SceneSubject,
    Survey,
    draw,
    paint,
    surroundings,
)
from astrojepa_bench.errors import ConfigError

CENTRED = Survey(seed=0, balance="uniform", size_px=32, fov_arcsec=40.0)
SHIFTED = replace(CENTRED, shift_px=8.0)
# At 160 arcsec a side no galaxy's light leaves the frame.
WIDE = replace(CENTRED, fov_arcsec=160.0)
WIDE_SHIFTED = replace(WIDE, shift_px=4.0)


def centroid(light):
    """Column to the right and row upwards of the centre of light, in pixels."""
    axis = np.arange(len(light)) - (len(light) - 1) / 2
    return np.array([light.sum(axis=0) @ axis, -light.sum(axis=1) @ axis]) / light.sum()


def moved_by(subject):
    """How far the light of the galaxy moved, without noise and neighbours [pixel]."""
    before, after = (
        centroid(survey.to_pixels(paint(survey, subject)[0].light[1])) for survey in (WIDE, WIDE_SHIFTED)
    )
    return after - before


@pytest.mark.parametrize("index", range(10))
def test_light_lies_at_the_stated_distance_in_the_stated_direction(index):
    """For a galaxy of each class the centre of light moves by 4 pixels, to within a tenth."""
    right, up = moved_by(SceneSubject(index))
    where = SceneSubject(index).direction(0)
    assert (right, up) == pytest.approx((4 * np.cos(where), 4 * np.sin(where)), abs=0.1)


@pytest.mark.parametrize("anomaly", ["merger", "lens", "ring", "shells", "satellite_trail"])
def test_anomalies_are_shifted_too(anomaly):
    """Physical anomalies, and the galaxies that artefacts strike, lie off the centre as all others do."""
    assert np.hypot(*moved_by(SceneSubject(ANOMALY_TYPES.index(anomaly), anomaly))) == pytest.approx(
        4, abs=0.1
    )


def test_directions_favour_no_side():
    """Directions are uniform (Rayleigh), and each galaxy keeps its own whatever the distance."""
    directions = np.array([SceneSubject(index).direction(0) for index in range(500)])
    resultant = abs(np.exp(1j * directions).mean())
    assert np.exp(-500 * resultant**2) > 1e-3
    assert len(set(directions.tolist())) == 500
    assert SceneSubject(3).direction(0) != SceneSubject(3).direction(1)


def test_neighbours_move_with_the_galaxy():
    """The rest of the scene is displaced as a whole: neighbours overlap best where the galaxy went."""
    for subject in map(SceneSubject, range(4)):
        before, after = (surroundings(survey, subject)[1] > 0.01 for survey in (WIDE, WIDE_SHIFTED))
        match = np.fft.irfft2(np.fft.rfft2(after) * np.conj(np.fft.rfft2(before)), s=before.shape)
        down, right = np.unravel_index(int(match.argmax()), match.shape)
        half, where = len(before) // 2, subject.direction(0)
        found = ((np.array([right, -down]) + half) % len(before) - half) / WIDE.oversampling
        assert found == pytest.approx((4 * np.cos(where), 4 * np.sin(where)), abs=0.2)


def test_what_comes_into_view_is_sky():
    """No part of the frame is padding: wherever the galaxy went, every 4x4 corner carries noise."""
    for subject in map(SceneSubject, range(8)):
        image = draw(SHIFTED, subject).image.astype(float)
        corners = image[:, [[0, 0, -4, -4]], :][:, 0]  # rows at both edges
        assert (corners.std(axis=-1) > 0).all()


def test_truth_and_observing_conditions_stay():
    """Redshift, magnitudes, size, shape, seeing and noise of a shifted galaxy are those of the centred one.

    Radii of galaxies without a formula are measured on the sampling grid, to better than a hundredth.
    """
    for index in (0, 1, 2, 5, 8):
        before, after = (draw(survey, SceneSubject(index)).truth for survey in (WIDE, WIDE_SHIFTED))
        assert after == pytest.approx(before, rel=1e-2, nan_ok=True)


def test_only_the_place_of_the_galaxy_changes_in_the_table(tmp_path):
    """Ids, splits and labels are the same; the covered cells lie 8 pixels further out; the card says so."""
    sets = [Synthetic(galaxies=16, anomaly_fraction=0, shift=shift) for shift in (0.0, 8.0)]
    centred, shifted = (one.load(32, tmp_path) for one in sets)
    for column in ("ids", "split", "label"):
        assert (getattr(centred, column) == getattr(shifted, column)).all()
    steps = [
        2 * (centroid(after) - centroid(before))
        for before, after in zip(*(one.coverage(32, tmp_path) for one in sets), strict=True)
    ]
    assert np.median(np.hypot(*np.transpose(steps))) == pytest.approx(8, abs=0.7)
    assert any("8 pixels from the image centre" in note for note in shifted.card.notes)
    assert not any("from the image centre" in note for note in centred.card.notes)


def test_a_shift_has_a_name_of_its_own_and_none_has_the_old_one():
    """Sets without a shift keep their fingerprint; each distance has another; the twin keeps the distance."""
    names = {Synthetic(shift=shift).fingerprint(64) for shift in (0.0, 4.0, 8.0)}
    assert len(names) == 3
    assert Synthetic().fingerprint(64) in names
    assert Synthetic(shift=8.0).shifted().survey(64).shift_px == 8.0


@pytest.mark.parametrize("shift", [-1.0, 32.0, float("nan")])
def test_shifts_out_of_the_image_are_refused(shift):
    """The message names the option, the size of the image and what is allowed."""
    with pytest.raises(ConfigError, match=r"shift=.*64 px.*0 to 31"):
        Synthetic(shift=shift).survey(64)
