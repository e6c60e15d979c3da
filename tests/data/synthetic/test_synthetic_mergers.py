"""Simulated mergers: where their light is, and how often they occur among the anomalies."""

import numpy as np
import pytest
from scipy.ndimage import maximum_filter
from scipy.stats import kstest

from astrojepa_bench.data.synthetic.anomalies import ARTEFACTS, MIXES, PHYSICAL, anomaly_types
from astrojepa_bench.data.synthetic.canvas import Canvas
from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.data.synthetic.mergers import (
    MASS_RATIO,
    SEPARATION,
    Member,
    draw_pair,
    joined,
    merger,
    tail,
    tidal,
)
from astrojepa_bench.data.synthetic.population import Galaxy
from astrojepa_bench.data.synthetic.profiles import Plane
from astrojepa_bench.data.synthetic.scene import ANOMALY_TYPES, SceneSubject, Survey, draw

RADIUS = 4.0
WIDE = Plane.framed(480, 0.5)  # holds all of a merger's light


def rng(seed):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def pairs():
    return [draw_pair(rng(seed), RADIUS) for seed in range(600)]


def member(is_disk=True, towards=0.4):
    return Member(1.0, -2.0, 0.6, 3.0, towards, is_disk)


# --- the light of a pair ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 2, 7])
def test_flux_is_that_of_the_parts_and_of_one_redshift(seed, monkeypatch):
    """Shares add up to one, each part holds what it was given, and the magnitude is that of the galaxy."""
    parts, add = [], Canvas.add

    def spy(canvas, shape, share, spectral_type):
        parts.append((share, float(shape.sum(dtype=np.float64))))
        add(canvas, shape, share, spectral_type)

    monkeypatch.setattr(Canvas, "add", spy)
    canvas = Canvas(WIDE, Galaxy(0.06, 15.5, -21.6, RADIUS, (0.0, 0.0)))
    merger(canvas, rng(seed))
    assert sum(share for share, _ in parts) == pytest.approx(1)
    assert all(total == pytest.approx(1, abs=0.02) for _, total in parts)
    assert float(canvas.light[1].sum(dtype=np.float64)) == pytest.approx(canvas.flux, rel=3e-3)


def test_mass_ratios_are_those_of_major_mergers(pairs):
    """Between 1:4 and 1:1, their logarithm uniform (Kolmogorov-Smirnov), the first of a pair the heavier."""
    ratios = np.array([lighter.share / heavier.share for heavier, lighter in pairs])
    assert MASS_RATIO[0] <= ratios.min() < 0.27
    assert 0.97 < ratios.max() <= MASS_RATIO[1]
    assert kstest(np.log(ratios) / np.log(MASS_RATIO[0]), "uniform").pvalue > 1e-3
    assert all(one.share + other.share == pytest.approx(1) for one, other in pairs)


def test_pairs_lie_around_their_centre_of_light(pairs):
    """The lever rule, at separations in range; each looks at the other; heavier ones are larger."""
    for one, other in pairs:
        apart = np.array([other.x - one.x, other.y - one.y])
        assert SEPARATION[0] <= np.hypot(*apart) / RADIUS <= SEPARATION[1]
        assert one.share * one.x + other.share * other.x == pytest.approx(0, abs=1e-9)
        assert one.share * one.y + other.share * other.y == pytest.approx(0, abs=1e-9)
        for each, way in ((one, apart), (other, -apart)):
            facing = [np.cos(each.towards), np.sin(each.towards)]
            np.testing.assert_allclose(facing, way / np.hypot(*way), atol=1e-9)
        assert one.radius >= other.radius


def test_the_nuclei_of_a_pair_are_its_brightest_places():
    """Two galaxies and not one: both peaks stand where the geometry puts them, in pairs that lie apart."""
    apart = []
    for seed in range(60):
        one, other = draw_pair(rng(seed), RADIUS)
        if np.hypot(one.x - other.x, one.y - other.y) > 1.8 * RADIUS and not (one.is_disk or other.is_disk):
            apart.append((seed, one, other))
    assert len(apart) >= 5
    plane = Plane.framed(160, 0.25)
    for seed, *two in apart[:5]:
        canvas = Canvas(plane, Galaxy(0.06, 15.5, -21.6, RADIUS, (0.0, 0.0)))
        merger(canvas, rng(seed))
        light = canvas.light[1]
        peaks = np.argwhere(light == maximum_filter(light, 9))
        brightest = sorted(peaks.tolist(), key=lambda at: -light[tuple(at)])[:2]
        found = sorted((plane.x[tuple(at)], plane.y[tuple(at)]) for at in brightest)
        assert np.abs(np.array(found) - sorted((each.x, each.y) for each in two)).max() < 0.3


# --- tails, bridges, tides ------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_disk", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_a_tail_leaves_its_galaxy_on_the_far_side_without_a_gap(is_disk, seed):
    """It begins within the half-light radius, away from the partner, and no two of its blobs stand apart."""
    own = member(is_disk)
    found = tail(rng(seed), own, 1)
    start = np.array([found.x[0] - own.x, found.y[0] - own.y])
    assert np.hypot(*start) < own.radius
    assert start @ [np.cos(own.towards), np.sin(own.towards)] < 0
    steps = np.hypot(np.diff(found.x), np.diff(found.y))
    assert (steps < 1.5 * np.minimum(found.width[1:], found.width[:-1])).all()
    assert steps.sum() > 1.5 * own.radius


def test_light_of_a_stream_is_where_its_formula_puts_it():
    """Unit flux, the centroid of its nodes, and their spread plus the widths, to a thousandth."""
    found = tail(rng(3), member(), -1)
    light = found.light(WIDE).astype(np.float64)
    assert light.sum() == pytest.approx(1, rel=1e-4)
    x, y = float((light * WIDE.x).sum()), float((light * WIDE.y).sum())
    assert (x, y) == pytest.approx((found.weight @ found.x, found.weight @ found.y), abs=1e-2)
    spread = found.weight @ ((found.x - x) ** 2 + found.width**2)
    assert float((light * (WIDE.x - x) ** 2).sum()) == pytest.approx(spread, rel=1e-3)


@pytest.mark.parametrize("sense", [1, -1])
def test_the_orbit_bends_both_tails_of_a_pair_alike(sense):
    """Seen from their own galaxies both curve to the left, or both to the right."""
    one, other = draw_pair(rng(1), RADIUS)
    for number, each in enumerate((one, other)):
        found = tail(rng(number), each, sense)
        way = np.diff(found.x) + 1j * np.diff(found.y)
        assert np.sign(np.angle(way[1:] / way[:-1])).tolist() == [sense] * (len(way) - 1)


def test_a_bridge_joins_the_nuclei(pairs):
    """It ends on both, whatever its bow."""
    for seed, (one, other) in enumerate(pairs[:20]):
        found = joined(rng(seed), one, other)
        assert (found.x[0], found.y[0]) == pytest.approx((one.x, one.y))
        assert (found.x[-1], found.y[-1]) == pytest.approx((other.x, other.y))
        assert found.weight.sum() == pytest.approx(1)


def test_tides_move_outskirts_and_leave_the_nucleus():
    """At the nucleus nothing moves; far out the centre lies `lean` radii towards the partner, stretched."""
    own = member(towards=0.0)  # the partner lies to the right
    x = np.array([[0.0, 3000.0, -3000.0]], dtype=np.float32)
    bent = tidal(Plane(x, np.zeros_like(x), 1.0), own, 0.5, 0.25)
    assert bent.x[0, 0] == 0
    np.testing.assert_allclose(bent.x[0, 1:], (x[0, 1:] - 0.5 * own.radius) / 1.25, rtol=1e-5)
    half = tidal(
        Plane(np.float32([[3.0]]), np.float32([[0.0]]), 1.0), own, 0.5, 0.25
    )  # at the half-light radius
    assert half.x[0, 0] == pytest.approx((3.0 - 0.25 * 3.0) / 1.125)


# --- among the anomalies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mix", MIXES)
def test_no_count_is_ever_off_by_more_than_one(mix):
    """However many there are; and more of them begin with the same ones."""
    types, weights = anomaly_types(mix, 500), MIXES[mix]
    for count in range(1, 501):
        for name, weight in weights.items():
            assert abs(types[:count].count(name) * sum(weights.values()) - count * weight) <= sum(
                weights.values()
            )
    assert anomaly_types(mix, 120) == types[:120]


def test_the_default_mix_has_the_published_frequencies():
    """126 mergers, 23 rings, 5 disturbed and 2 lenses of 189 odd objects; as many artefacts as all of these."""
    weights = MIXES["galaxy_zoo2"]
    published = {"merger": 126, "ring": 23, "shells": 5, "lens": 2}
    assert {name: weights[name] * 156 for name in published} == {n: c * 468 for n, c in published.items()}
    assert sum(weights[name] for name in ARTEFACTS) == sum(weights[name] for name in PHYSICAL)
    assert {*weights} == {*ANOMALY_TYPES}
    types = Synthetic().columns()["anomaly_type"].tolist()
    counts = {name: types.count(name) for name in ANOMALY_TYPES}
    assert counts == {"merger": 48, "lens": 1, "ring": 9, "shells": 2, **dict.fromkeys(ARTEFACTS, 20)}


def test_the_mix_moves_no_ordinary_galaxy():
    """Ids, splits and classes of galaxies stay; only which anomalies are added differs."""
    now, before = Synthetic().columns(), Synthetic(anomaly_mix="rare").columns()
    ordinary = now["anomaly"] == 0
    assert ordinary.tolist() == (before["anomaly"] == 0).tolist()
    for name in ("ids", "split", "label"):
        assert now[name][ordinary].tolist() == before[name][ordinary].tolist()
    assert before["anomaly_type"][~ordinary].tolist() == [
        ("lens", "ring", "shells", *ARTEFACTS)[number % 6] for number in range(120)
    ]


def test_the_truth_of_a_merger_is_that_of_the_pair():
    """One redshift, one magnitude; nobody can say how it is inclined or how many arms it has."""
    one = draw(Survey(seed=3, balance="uniform", size_px=64, fov_arcsec=40.0), SceneSubject(1, "merger"))
    assert 0 < one.truth["redshift"] < 0.26
    assert one.truth["bar_strength"] == 0
    assert np.isnan([one.truth[name] for name in ("axis_ratio", "arm_number", "sersic_index")]).all()
    assert one.truth["half_light_radius_arcsec"] > 1
    assert one.coverage.max() == 100
