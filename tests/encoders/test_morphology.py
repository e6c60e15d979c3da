"""Hand-made features against what calculus says of model galaxies."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincinv

from astrojepa_bench.encoders import morphology as m
from astrojepa_bench.encoders.floors import Pixels
from astrojepa_bench.encoders.profile import Profile
from astrojepa_bench.types import ImageSpec

SIZE = 128
LAST = {"r50": -9, "r80": -8, "petrosian": -7, "C": -6, "A": -5, "S": -4, "gini": -3, "m20": -2, "e": -1}
WEIGHTS = m.aperture_weights(SIZE)
AREAS = WEIGHTS.sum(dim=0)


def plane(size=SIZE, fine=1):
    """Return x and y of the pixels from the centre, each split `fine` times."""
    places = (torch.arange(size * fine, dtype=torch.float64) + 0.5) / fine - size / 2
    return places[None, :].expand(size * fine, -1), places[:, None].expand(-1, size * fine)


def seen(function, size=SIZE, fine=9):
    """Integrate a brightness over each pixel."""
    light = function(*plane(size, fine))
    return light.unfold(0, fine, fine).unfold(1, fine, fine).mean(dim=(-1, -2)).float()[None]


def sersic(index, half_light=10.0, stretch=1.0):
    scale = float(gammaincinv(2 * index, 0.5))
    return lambda x, y: torch.exp(-scale * (torch.hypot(x * stretch, y) / half_light) ** (1 / index))


def gaussian(along=10.0, across=10.0, angle=0.0, x0=0.0, y0=0.0):
    cos, sin = math.cos(angle), math.sin(angle)

    def light(x, y):
        u, v = (x - x0) * cos + (y - y0) * sin, (y - y0) * cos - (x - x0) * sin
        return torch.exp(-(u**2) / (2 * along**2) - v**2 / (2 * across**2))

    return light


def truth(index, half_light=10.0):
    """Integrate a Sersic profile numerically: its Petrosian radius, and radii within 1.5 of it."""
    scale = float(gammaincinv(2 * index, 0.5))

    def within(r):
        return float(gammainc(2 * index, scale * (r / half_light) ** (1 / index)))

    def brightness(r):
        return math.exp(-scale * (r / half_light) ** (1 / index))

    whole = quad(lambda r: 2 * math.pi * r * brightness(r), 0, np.inf)[0]
    mean = lambda r: whole * within(r) / (math.pi * r**2)  # noqa: E731
    petrosian = brentq(lambda r: brightness(r) - 0.2 * mean(r), 0.5 * half_light, 10 * half_light)
    total = within(1.5 * petrosian)
    radii = [brentq(lambda r, s=s: within(r) - s * total, 0.01, 100) for s in (0.2, 0.5, 0.8)]
    return petrosian, radii


def measured(light):
    growth = m.growth_curve(light, WEIGHTS)
    petrosian = m.petrosian_radius(growth, AREAS)
    total = m.light_within(growth, m.EXTENT * petrosian)
    return float(petrosian), [float(m.radius_holding(growth, s * total)) for s in (0.2, 0.5, 0.8)]


def test_apertures_have_the_area_of_circles():
    """The pixels' shares of a circle add up to pi r^2."""
    radii = m.aperture_radii(SIZE)
    torch.testing.assert_close(AREAS[4:], math.pi * radii[4:] ** 2, rtol=0.01, atol=0.0)


@pytest.mark.parametrize(("index", "golden"), [(1, 2.80), (4, 5.27)])
def test_concentration_of_unlimited_profiles_is_the_textbooks(index, golden):
    """Exponential disc and de Vaucouleurs profile, from the incomplete gamma function."""
    r20, r80 = (torch.tensor([gammaincinv(2 * index, share) ** index]) for share in (0.2, 0.8))

    assert float(m.concentration(r20, r80)) == pytest.approx(golden, abs=0.01)


@pytest.mark.parametrize("index", [1, 2, 4])
def test_radii_and_concentration_are_those_of_the_profile(index):
    """Petrosian radius, r20, r50, r80 and C of Sersic profiles agree with numerical integration."""
    petrosian, radii = truth(index)
    found, found_radii = measured(seen(sersic(index)))
    c, found_c = (
        float(m.concentration(torch.tensor([r[0]]), torch.tensor([r[2]]))) for r in (radii, found_radii)
    )

    assert found == pytest.approx(petrosian, rel=0.04)
    assert found_radii == pytest.approx(radii, rel=0.03)
    assert found_c == pytest.approx(c, abs=0.08)


def test_centroid_finds_the_centre_and_moving_puts_it_there():
    """A source off the centre is found to a twentieth of a pixel, and lies in the middle afterwards."""
    light = seen(gaussian(5, 5, x0=3.3, y0=-2.1))
    torch.testing.assert_close(m.centroid(light), torch.tensor([[3.3, -2.1]]), atol=0.05, rtol=0.0)
    moved = m.moved_to_centre(light[:, None], m.centroid(light))
    torch.testing.assert_close(m.centroid(moved[:, 0]), torch.zeros(1, 2), atol=0.05, rtol=0.0)


def circle(radius, size=SIZE):
    return (m.distances(size, torch.device("cpu")) <= radius)[None]


def test_asymmetry_of_three_arms_is_four_over_pi_times_their_strength():
    """I = f(r) (1 + e cos 3t) differs from itself turned by 180 degrees by 2 e |cos 3t| f: A = 4 e / pi."""
    light = seen(lambda x, y: gaussian(12, 12)(x, y) * (1 + 0.3 * torch.cos(3 * torch.atan2(y, x))))

    assert float(m.asymmetry(light, circle(50))) == pytest.approx(4 * 0.3 / math.pi, rel=0.01)
    assert float(m.asymmetry(seen(sersic(1)), circle(50))) == pytest.approx(0, abs=1e-5)


def test_noise_of_the_sky_is_taken_off_asymmetry_and_smoothness():
    """A symmetric smooth galaxy under noise has A and S near 0, where the raw sums say .3 and more."""
    noise = torch.randn(16, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 0.05
    light = seen(gaussian(12, 12)) + noise
    raw = ((light - light.flip(1, 2)).abs() * circle(30)).sum(dim=(1, 2)) / light.abs().sum(dim=(1, 2))

    assert float(raw.mean()) > 0.05
    assert float(m.asymmetry(light, circle(30).expand(16, -1, -1)).mean()) == pytest.approx(0, abs=0.01)
    assert float(m.smoothness(light, circle(30).expand(16, -1, -1)).mean()) == pytest.approx(0, abs=0.01)


def test_smoothness_is_the_light_in_ripples():
    """Ripples of the box's own width average out in it: what remains is e times the mean of |cos|."""
    box = 2 * (SIZE // 24) + 1
    x, y = plane()
    light = (gaussian(20, 20)(x, y) * (1 + 0.4 * torch.cos(2 * math.pi * (x - 0.5) / box))).float()[None]
    mean = float(np.abs(np.cos(2 * np.pi * np.arange(box) / box)).mean())

    assert float(m.smoothness(light, circle(50))) == pytest.approx(0.4 * mean, rel=0.03)


def test_gini_of_even_light_a_single_pixel_and_exponential_brightnesses():
    """Known values: 0, 1, and 1/2 for exponentially distributed pixels."""
    draws = torch.empty(1, SIZE, SIZE).exponential_(generator=torch.Generator().manual_seed(0))
    single = torch.zeros(1, SIZE, SIZE)
    single[0, 60, 60] = 2.0

    assert float(m.gini(torch.ones(1, SIZE, SIZE), circle(40))) == pytest.approx(0, abs=1e-5)
    assert float(m.gini(single, circle(40))) == pytest.approx(1, abs=1e-3)
    assert float(m.gini(draws, circle(60))) == pytest.approx(0.5, abs=0.01)


def test_m20_of_a_disc_is_the_integrals():
    """The brightest fifth of a disc's light is what lies within r20."""
    scale = 10 / gammaincinv(2, 0.5)
    edge, inner = 60 / scale, brentq(lambda r: gammainc(2, r) - 0.2 * gammainc(2, 60 / scale), 0.01, 9)
    moment = lambda end: quad(lambda r: r**3 * math.exp(-r), 0, end)[0]  # noqa: E731

    expected = math.log10(moment(inner) / moment(edge))
    assert float(m.m20(seen(sersic(1)), circle(60))) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.25])
def test_ellipticity_of_a_gaussian_is_known_at_any_angle(ratio, angle):
    """1 - b/a of an elongated Gaussian, from its second moments."""
    light = seen(gaussian(12, 12 * ratio, angle))

    assert float(m.ellipticity(light, circle(60))) == pytest.approx(1 - ratio, abs=0.01)


def profile_of(images):
    bands = images.shape[1]
    encoder = Profile(ImageSpec(tuple("grizy"[:bands]), images.shape[-1], (0.1,) * bands, (0.1,) * bands))
    return encoder.eval()(images).values[:, 0]


def galaxies(bands=3, size=64, batch=4):
    """Draw noisy elongated galaxies on a sky of .1, each band twice as bright as the one before."""
    generator = torch.Generator().manual_seed(0)
    light = torch.cat([seen(gaussian(7 + i, 5, 0.4 * i), size, 3) for i in range(batch)])
    bright = light[:, None] * 0.1 * 2.0 ** torch.arange(bands)[:, None, None]
    return 0.1 + bright + 0.004 * torch.randn(bright.shape, generator=generator)


def test_profile_measures_a_disc_on_a_noisy_sky():
    """Through sky, noise and centring, the encoder's numbers are those of the integrals."""
    petrosian, (_, r50, _) = truth(1, 6.0)
    noise = 0.002 * torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = profile_of(0.05 + 0.8 * seen(sersic(1, 6.0), 64)[:, None] + noise).mean(dim=0)

    assert float(features[LAST["r50"]]) * 32 == pytest.approx(r50, rel=0.05)
    assert float(features[LAST["petrosian"]]) * 32 == pytest.approx(petrosian, rel=0.08)
    assert float(features[LAST["A"]]) == pytest.approx(0, abs=0.03)
    assert float(features[LAST["e"]]) == pytest.approx(0, abs=0.05)


def test_colours_are_magnitudes_of_flux_ratios():
    """Twice the light is .753 mag, whatever the sky."""
    features = profile_of(galaxies())

    torch.testing.assert_close(features[:, 3:5], torch.full((4, 2), 2.5 * math.log10(2)), atol=0.03, rtol=0.0)


@pytest.mark.parametrize("turn", [lambda x: x.rot90(1, (2, 3)), lambda x: x.flip(3)])
def test_profile_does_not_know_which_way_is_up(turn):
    """A galaxy that is turned or mirrored has the same features."""
    torch.testing.assert_close(profile_of(turn(galaxies())), profile_of(galaxies()), atol=2e-3, rtol=1e-3)


def test_profile_of_a_galaxy_does_not_depend_on_the_others():
    """Features alone and in a batch are the same."""
    torch.testing.assert_close(profile_of(galaxies())[:1], profile_of(galaxies()[:1]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bands", [1, 5])
@pytest.mark.parametrize("size", [32, 224])
def test_blank_and_broken_images_have_finite_features(bands, size):
    """Black, white, pure noise, a single pixel, a gradient: nothing divides by zero."""
    noise = torch.rand(1, bands, size, size, generator=torch.Generator().manual_seed(0))
    single = torch.zeros(1, bands, size, size)
    single[..., 0, 0] = 1.0
    ramp = torch.linspace(0, 1, size).expand(1, bands, size, size)
    images = torch.cat([torch.zeros_like(noise), torch.ones_like(noise), noise, single, ramp])
    features = profile_of(images)

    assert features.isfinite().all()
    assert features.shape == (5, 2 * bands - 1 + 8 * bands + 9)


def test_pixels_are_the_means_of_their_squares():
    """Area-resizing 64 px to 16 averages squares of four."""
    images = galaxies()
    features = Pixels(ImageSpec(("g", "r", "z"), 64, (0.1,) * 3, (0.1,) * 3))(images).values[:, 0]

    assert features.shape == (4, 3 * 16 * 16)
    torch.testing.assert_close(features[0, 17], images[0, 0, 4:8, 4:8].mean())


def test_gini_is_half_the_mean_difference_of_two_pixels():
    """Against all pairs of the pixels inside, whatever lies outside; even light has 0, a lone bright pixel 1."""
    light = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(3))
    inside = torch.zeros(2, 5, 5, dtype=torch.bool)
    inside[:, 1:4, 1:5] = True
    for found, image in zip(m.gini(light, inside), light, strict=True):
        pixels = image[1:4, 1:5].flatten().double()
        pairs = (pixels[:, None] - pixels).abs().sum() / (12 * 11)
        assert float(found) == pytest.approx(float(pairs / (2 * pixels.mean())), rel=1e-5)

    assert m.gini(torch.ones(2, 5, 5), inside).tolist() == pytest.approx([0, 0], abs=1e-6)
    lone = torch.zeros(2, 5, 5)
    lone[:, 2, 2] = 7
    assert m.gini(lone, inside).tolist() == pytest.approx([1, 1])
