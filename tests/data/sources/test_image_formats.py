"""Bytes to pixels: four formats, two stretches, and what happens where there is no flux."""

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.flux import Flux, asinh_stretch, displayed
from astrojepa_bench.data.sources.image_formats import decode, glance

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "fits"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real cut-outs are not here")
SKY = 32


def as_fits(values, scale=0.262, ra=150.0, dec=2.0, **cards):
    """Return an image as FITS bytes, with a celestial header unless `scale` is None."""
    hdu = fits.PrimaryHDU(values)
    if scale is not None:
        height, width = values.shape[-2:]
        solution = {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": dec, "CDELT1": -scale / 3600,
            "CDELT2": scale / 3600, "CRPIX1": (width + 1) / 2, "CRPIX2": (height + 1) / 2,
        }  # fmt: skip
        cards = solution | cards
    hdu.header.update(cards)
    file = io.BytesIO()
    hdu.writeto(file)
    return file.getvalue()


def as_npy(values, **options):
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


def as_png(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def noisy(shape=(64, 64), peak=100.0, sky=5.0, noise=1.0, seed=0):
    """A Gaussian galaxy on a noisy sky."""
    y, x = np.indices(shape[-2:]) - (np.array(shape[-2:]) // 2)[:, None, None]
    galaxy = peak * np.exp(-(x**2 + y**2) / 2 / 4**2)
    return galaxy + np.random.default_rng(seed).normal(sky, noise, shape)


# --- the viewer's stretch ---------------------------------------------------------------------------------


def test_empty_sky_lands_where_the_viewer_puts_it():
    """No flux in g, r and z is 32 of 255 in every band, as in the survey's own images."""
    pixels = decode(as_fits(np.zeros((3, 8, 8), np.float32), BANDS="grz"), 3, "auto").pixels
    np.testing.assert_array_equal(pixels, SKY)


@pytest.mark.parametrize("bands", ["grz", "zrg"])
def test_red_light_is_shown_red(bands):
    """Flux in z alone brightens the first (red) band most, whichever way the header orders the planes."""
    flux = np.zeros((3, 8, 8), np.float32)
    flux[bands.index("z")] = 0.05
    pixels = decode(as_fits(flux, BANDS=bands), 3, "auto").pixels[0, 0].astype(int)
    assert pixels[0] > pixels[1] + 20
    assert pixels[1] == pixels[2]


def test_surface_brightness_does_not_depend_on_the_pixel_scale():
    """Twice the pixel holds four times the flux of the same sky, and looks the same."""
    fine = decode(as_fits(np.full((3, 8, 8), 0.02, np.float32), 0.262, BANDS="grz"), 3, "viewer").pixels
    coarse = decode(as_fits(np.full((3, 8, 8), 0.08, np.float32), 0.524, BANDS="grz"), 3, "viewer").pixels
    np.testing.assert_array_equal(fine, coarse)
    assert fine.min() > SKY + 20


def test_viewer_refuses_other_bands():
    """The viewer's stretch means three bands; one or four are refused in a few words."""
    for bands in (1, 4):
        with pytest.raises(RefusedError, match=f"needs 3 bands g, r, z; found {bands}"):
            decode(as_npy(np.ones((bands, 8, 8))), bands, "viewer")


def test_auto_needs_both_filters_and_a_position():
    """Three planes without filter names, or without a celestial header, are stretched by asinh."""
    flux = np.ones((3, 8, 8), np.float32)
    assert glance(as_fits(flux, BANDS="grz"), "auto").stretch == "viewer"
    assert glance(as_fits(flux, BAND0="g", BAND1="r", BAND2="z"), "auto").stretch == "viewer"
    assert glance(as_fits(flux), "auto").stretch == "asinh"
    assert glance(as_fits(flux, BANDS="gri"), "auto").stretch == "asinh"
    assert glance(as_fits(flux, None, BANDS="grz"), "auto").stretch == "asinh"
    assert glance(as_npy(flux), "auto").stretch == "asinh"
    assert glance(as_npy(flux.astype(np.uint8)), "auto").stretch == ""


# --- the asinh stretch ------------------------------------------------------------------------------------


def test_asinh_follows_its_formula():
    """With a known sky (5), noise (1) and white (its 99.7th percentile), bright pixels are where they must be."""
    flux = noisy((1, 300, 300), peak=0.0)
    levels = np.array([10.0, 30.0, 60.0])
    flux[0, 150, 150:153] = 5.0 + levels
    flux[0, :2] = 5.0 + 100.0  # 0.67 % of all pixels: white
    shown = asinh_stretch(flux)[0].astype(float)
    expected = 32 + 223 * np.arcsinh(levels / 3) / np.arcsinh(100 / 3)
    np.testing.assert_allclose(shown[150, 150:153], expected, atol=1.5)
    assert set(shown[0]) == {255.0}
    assert abs(np.median(shown) - 32) <= 1


@pytest.mark.parametrize(("gain", "offset"), [(1e-6, 0.0), (37.0, -4.0), (1e9, 1e9)])
def test_asinh_does_not_depend_on_unit_or_bias(gain, offset):
    """Counts, nanomaggies and janskys of one exposure give one picture."""
    flux = noisy((3, 64, 64))
    one, other = asinh_stretch(flux).astype(int), asinh_stretch(gain * flux + offset).astype(int)
    assert np.abs(one - other).max() <= 1


def test_asinh_keeps_colours():
    """Where no band is clipped, the ratio of two bands above the sky is that of their light."""
    light = noisy((64, 64), sky=0.0, noise=0.0, peak=1.0) + 1e-3
    flux = np.stack([light, 0.5 * light, 0.25 * light])
    flux += np.random.default_rng(1).normal(0, 1e-5, flux.shape)
    shown = asinh_stretch(flux).astype(float) - 32
    bright = (light > 100 * 1e-5 + 1e-3) & (shown[0] < 222)  # noise is below a hundredth there
    assert bright.sum() > 20
    np.testing.assert_allclose(shown[1][bright] / shown[0][bright], 0.5, atol=0.03)
    np.testing.assert_allclose(shown[2][bright] / shown[0][bright], 0.25, atol=0.03)


def test_mere_noise_stays_dark():
    """A frame without a source is not blown up to white: 99.9 % stay below a third of the range."""
    shown = asinh_stretch(noisy((1, 100, 100), peak=0.0))
    assert np.percentile(shown, 99.9) < 150
    assert abs(np.median(shown) - 32) <= 1


def test_noiseless_images_are_stretched_too():
    """A radio map whose background is exactly zero shows sky at 32 and its peak in white."""
    flux = np.zeros((1, 50, 50))
    flux[0, 20:24, 20:24] = np.linspace(0.1, 5, 16).reshape(4, 4)
    shown = asinh_stretch(flux)[0]
    assert shown[0, 0] == SKY
    assert shown.max() == 255
    assert (np.diff(shown[20:24, 20:24].ravel().astype(int)) >= 0).all()
    np.testing.assert_array_equal(asinh_stretch(np.full((1, 5, 5), 3.0)), SKY)


@pytest.mark.parametrize("stretch", ["viewer", "asinh"])
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf, 1e30])
def test_pixels_without_flux_show_sky_and_are_counted(stretch, hole):
    """NaN, infinities and fill values become sky, change nothing elsewhere, and are counted once a pixel."""
    flux = noisy((3, 64, 64), peak=5.0, sky=0.0, noise=1e-3)
    holed = flux.copy()
    holed[:, 3, :4] = hole
    holed[1, 50, 50] = hole
    pixels, gaps = displayed(Flux(holed), stretch)
    assert gaps == 5
    assert np.abs(pixels[:, 3, :4].astype(int) - SKY).max() <= 1
    elsewhere = np.isfinite(holed) & (holed < 1e20)
    elsewhere[:, 50, 50] = False
    before = displayed(Flux(flux), stretch)[0].astype(int)
    assert np.abs(before - pixels)[elsewhere].max() <= 2


def test_image_without_any_flux_is_refused():
    """A band of nothing but NaN cannot be shown."""
    flux = np.ones((3, 8, 8))
    flux[1] = np.nan
    with pytest.raises(RefusedError, match="a band has no value in any pixel"):
        decode(as_npy(flux), 3, "auto")


# --- FITS -------------------------------------------------------------------------------------------------


def test_north_is_up():
    """FITS counts rows from the bottom: the star that the header puts further north is nearer the top."""
    from astropy.wcs import WCS

    flux = np.zeros((40, 40), np.float32)
    flux[30, 12] = 1.0
    data = as_fits(flux)
    _, dec = WCS(fits.Header.fromstring(data[:2880])).wcs_pix2world([[12, 30]], 0)[0]
    row, column = np.unravel_index(decode(data, 1, "asinh").pixels[..., 0].argmax(), (40, 40))
    assert dec > 2.0  # the centre
    assert (row, column) == (9, 12)


def test_position_and_field_come_from_the_header():
    """Centre and side of the central square follow from the celestial header."""
    found = glance(as_fits(np.ones((40, 60), np.float32), scale=0.5, ra=123.4, dec=-5.6), "auto")
    np.testing.assert_allclose((found.ra, found.dec, found.field_arcsec), (123.4, -5.6, 20.0), rtol=1e-6)


def test_galactic_headers_give_equatorial_positions():
    """The galactic centre lies at 266.405, -28.936 (J2000)."""
    data = as_fits(np.ones((41, 41), np.float32), ra=0.0, dec=0.0, CTYPE1="GLON-CAR", CTYPE2="GLAT-CAR")
    found = glance(data, "auto")
    np.testing.assert_allclose((found.ra, found.dec), (266.405, -28.936), atol=1e-3)


@pytest.mark.parametrize("cards", [{"CTYPE1": "RA---XXX"}, {"CDELT1": 0.0}, {"CDELT1": 1e9, "CDELT2": 1e9}])
def test_senseless_position_is_no_position(cards):
    """A header that cannot be solved leaves the image readable and its position unknown."""
    data = as_fits(noisy((16, 16)), **cards)
    assert np.isnan(glance(data, "auto").ra)
    assert decode(data, 1, "auto").pixels.shape == (16, 16, 1)


def test_axes_of_one_are_dropped():
    """Radio maps with axes of frequency and polarisation are one band."""
    assert decode(as_fits(noisy((1, 1, 16, 16))), 1, "auto").pixels.shape == (16, 16, 1)


def test_image_may_be_an_extension_and_compressed(tmp_path):
    """An empty primary unit before a tile-compressed image is passed over."""
    counts = np.rint(noisy((32, 32)) * 10).astype(np.int32)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(counts)]).writeto(tmp_path / "a.fits")
    picture = decode((tmp_path / "a.fits").read_bytes(), 1, "auto")
    np.testing.assert_array_equal(picture.pixels, decode(as_npy(counts[::-1]), 1, "auto").pixels)


def test_bytes_in_fits_are_display_pixels():
    """BITPIX 8 is what somebody has already stretched."""
    values = np.random.default_rng(0).integers(0, 256, (3, 9, 9), dtype=np.uint8)
    np.testing.assert_array_equal(
        decode(as_fits(values), 3, "auto").pixels, values[:, ::-1].transpose(1, 2, 0)
    )


@real
def test_real_cutout_is_a_galaxy_on_a_sky_of_32():
    """The DECaLS cut-out: position as published, sky within 4 of 32, brightest at its centre, red star red."""
    data = (REAL / "decals_cutout_3band.fits").read_bytes()
    found, picture = glance(data, "auto"), decode(data, 3, "auto")
    np.testing.assert_allclose(
        (found.ra, found.dec, found.field_arcsec), (0.00437, 0.54132, 162 * 0.262), atol=1e-4
    )
    assert np.abs(np.median(picture.pixels, axis=(0, 1)) - SKY).max() <= 4
    light = picture.pixels.sum(axis=2, dtype=int)
    assert np.abs(np.array(np.unravel_index(light.argmax(), light.shape)) - 80.5).max() <= 2
    red, _, blue = picture.pixels[121, 97].astype(int)  # an M star
    assert red > 2 * blue
    single = decode((REAL / "decals_cutout_r_band.fits").read_bytes(), 1, "auto").pixels
    assert single.shape == (162, 162, 1)
    assert abs(np.median(single) - SKY) <= 4


# --- NumPy and others -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "bands"),
    [((9, 12), 1), ((9, 12, 1), 1), ((9, 12, 3), 3), ((9, 12, 5), 5), ((1, 9, 12), 1), ((4, 9, 12), 4)],
)
def test_bands_of_an_array_are_its_short_axis(shape, bands):
    """Bands first, bands last and no band axis all give the same image."""
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    picture = decode(as_npy(values), bands, "auto")
    assert glance(as_npy(values), "auto").bands == bands
    plain = values.transpose(1, 2, 0) if shape[0] == bands else values.reshape(9, 12, bands)
    np.testing.assert_array_equal(picture.pixels, plain)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((3, 9, 3)), "shape"),
        (np.zeros((9, 12, 6)), "shape"),
        (np.zeros(9), "shape"),
        (np.zeros((2, 3, 9, 9)), "shape"),
        (np.zeros((0, 9)), "0 pixels|9 x 0"),
        (np.zeros((9, 9), complex), "complex128, not of numbers"),
        (np.zeros((9, 9), bool), "bool, not of numbers"),
        (np.zeros((9, 9), "U3"), "not of numbers"),
        (np.array([{}, {}]), "object, not of numbers"),
    ],
)
def test_array_that_is_no_image_is_refused(values, reason):
    """Ambiguous axes, no axes, text, complex numbers and pickled objects are refused with the reason."""
    for look in (lambda data: glance(data, "auto"), lambda data: decode(data, 1, "auto")):
        with pytest.raises(RefusedError, match=reason):
            look(as_npy(values))


def test_huge_promises_are_refused_before_memory_is_asked_for():
    """A header of 10^12 pixels over a few bytes, and a PNG that unpacks to 400 million, are refused."""
    small = as_npy(np.zeros((8, 8)))
    for shape in (b"(1000000, 1000000), }", b"(4000, 4000), }      "):
        with pytest.raises(RefusedError):
            decode(small.replace(b"(8, 8), }" + b" " * (len(shape) - 9), shape), 1, "auto")
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    with pytest.raises(RefusedError):
        decode(bomb.getvalue(), 1, "auto")
    with pytest.raises(RefusedError, match="pixels"):
        decode(as_png(np.zeros((5000, 7000), np.uint8)), 1, "auto")


def test_other_formats_are_not_tried():
    """A GIF under the name of a JPEG is refused, as is text: only known decoders see foreign bytes."""
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "GIF")
    for data in (file.getvalue(), b"%!PS-Adobe", b"", b"<html>"):
        with pytest.raises(RefusedError, match="not a JPEG, PNG, FITS or NumPy image"):
            glance(data, "auto")


def test_other_bands_than_most_are_refused():
    """Grey is repeated in every band; any other number of bands is not guessed at."""
    grey = np.random.default_rng(0).integers(0, 256, (9, 9), dtype=np.uint8)
    np.testing.assert_array_equal(decode(as_png(grey), 4, "auto").pixels, np.stack([grey] * 4, axis=2))
    with pytest.raises(RefusedError, match="has 3 bands, most others 4"):
        decode(as_png(np.stack([grey] * 3, axis=2)), 4, "auto")


def test_digest_tells_stretches_apart_and_nothing_else():
    """Equal digests mean equal pixels: flux has one per stretch, display pixels one whatever the stretch."""
    flux, png = as_npy(noisy((3, 16, 16))), as_png(np.zeros((4, 4, 3), np.uint8))
    assert decode(flux, 3, "auto").digest == decode(flux, 3, "asinh").digest
    assert decode(flux, 3, "viewer").digest != decode(flux, 3, "asinh").digest
    assert decode(png, 3, "viewer").digest == decode(png, 3, "asinh").digest
