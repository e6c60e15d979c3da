"""Which extensions of a FITS file are read, and as which bands: science, never a mask; the reddest first."""

import hashlib
import io

import numpy as np
import pytest
from astropy.io import fits

from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.fits_image import read_header
from astrojepa_bench.data.sources.fits_units import lies_beside
from astrojepa_bench.data.sources.image_formats import decode, glance

SIDE = 12
LIGHT, ODD = np.zeros((SIDE, SIDE), "f4"), np.ones((SIDE, SIDE), "f4")
LIGHT[4:8, 4:8] = 100.0
ODD[0, 0] = 900.0


def unit(values, name=None, compressed=False, **cards):
    hdu = (fits.CompImageHDU if compressed else fits.ImageHDU)(values, name=name)
    hdu.header.update(cards)
    return hdu


def written(*units, primary=None):
    first = primary or fits.PrimaryHDU()
    file = io.BytesIO()
    fits.HDUList([first, *units]).writeto(file)
    return file.getvalue()


def cube(values, **cards):
    hdu = fits.PrimaryHDU(np.asarray(values, "f4"))
    hdu.header.update(cards)
    return written(primary=hdu)


def shines_in(names):
    """Return a cube of faint noise whose band g alone is bright."""
    faint = np.random.default_rng(0).normal(0, 1, (len(names), SIDE, SIDE))
    return np.stack([plane + LIGHT * (name == "g") for plane, name in zip(faint, names, strict=True)])


def centre(data, bands):
    return decode(data, bands, "auto").pixels[4:8, 4:8].mean(axis=(0, 1))


# --- what is read -----------------------------------------------------------------------------------------

BESIDE = {
    "mask of bytes": [unit(ODD.astype("u1"), "MASK")],
    "weight": [unit(ODD, "WHT")],
    "error and quality": [unit(ODD, "ERR"), unit(ODD.astype("i4"), "DQ")],
    "inverse variance": [unit(ODD, "INVVAR")],
    "variance by type": [unit(ODD, None, EXTTYPE="VARIANCE")],
    "error by convention": [unit(ODD, "A1", HDUCLAS1="IMAGE", HDUCLAS2="ERROR")],
    "model and residual": [unit(ODD, "MODEL"), unit(ODD, "RESIDUAL")],
    "point-spread function": [unit(ODD[:5, :5], "PSF")],
    "compressed mask": [unit(ODD.astype("u1"), "OBJMASK", compressed=True)],
}


@pytest.mark.parametrize("kind", BESIDE)
@pytest.mark.parametrize("name", ["SCI", None])
def test_science_is_read_and_nothing_beside_it(kind, name):
    """Before it or behind it, whatever lies beside an image is not shown, and is told."""
    alone = decode(written(unit(LIGHT, name)), 1, "auto").pixels
    for units in ([*BESIDE[kind], unit(LIGHT, name)], [unit(LIGHT, name), *BESIDE[kind]]):
        data = written(*units)
        np.testing.assert_array_equal(decode(data, 1, "auto").pixels, alone)
        assert glance(data, "auto").unread
    assert not glance(written(unit(LIGHT, name)), "auto").unread


def test_an_unnamed_mask_of_bytes_gives_way_to_flux():
    """The first image of floating-point numbers is meant where nothing has a name."""
    alone = decode(written(unit(LIGHT)), 1, "auto").pixels
    np.testing.assert_array_equal(
        decode(written(unit(ODD.astype("u1")), unit(LIGHT)), 1, "auto").pixels, alone
    )


def test_masks_alone_are_no_galaxy():
    """A file of nothing but a mask and weights is refused, with what it holds."""
    with pytest.raises(RefusedError, match="holds MASK, WHT and no image"):
        glance(written(unit(ODD.astype("u1"), "MASK"), unit(ODD, "WHT")), "auto")


def test_names_of_what_lies_beside():
    """Words inside a name count, a masked image is an image."""
    assert all(map(lies_beside, ("SCI_ERR", "objmask", "INVVAR_G", "WEIGHTMAP", "VAR_POISSON", "DQ")))
    assert not any(map(lies_beside, ("SCI", "MASKED_IMAGE", "G", "VIS", "PRIMARY", "expanded", "")))


def test_what_was_read_right_keeps_its_digest():
    """One image, and a cube as the Legacy Surveys write it, are named by bytes and stretch; others by more."""
    plain, survey = written(primary=fits.PrimaryHDU(LIGHT)), cube(shines_in("grz"), BANDS="grz")
    other = cube(shines_in("gri"), BANDS="gri")
    same = [hashlib.sha256(data + b"asinh").digest()[:16] for data in (plain, survey, other)]
    found = [
        decode(plain, 1, "auto").digest,
        decode(survey, 3, "auto").digest,
        decode(other, 3, "auto").digest,
    ]
    assert [one == another for one, another in zip(found, same, strict=True)] == [True, True, False]


# --- bands ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["gri", "rgi"])
@pytest.mark.parametrize(
    "kind", ["BANDS", "BANDn", "from 1", "FILTERn", "list", "extensions", "names", "last"]
)
def test_light_of_the_bluest_band_is_blue(order, kind):
    """However a header names them, and in whatever order they lie, a galaxy seen in g alone is shown blue."""
    values = shines_in(order)
    stated = {
        "BANDS": {"BANDS": order},
        "BANDn": {f"BAND{n}": name for n, name in enumerate(order)},
        "from 1": {f"BAND{n}": f"HSC-{name.upper()}" for n, name in enumerate(order, 1)},
        "FILTERn": {f"FILTER{n}": f"{name} DECam c0001" for n, name in enumerate(order, 1)},
        "list": {"FILTERS": ",".join(f"DES-{name}" for name in order)},
        "last": {"BANDS": " ".join(order)},
    }
    if kind == "extensions":
        data = written(*(unit(v, "SCI", FILTER=name) for v, name in zip(values, order, strict=True)))
    elif kind == "names":
        data = written(*(unit(v, f"IMAGE_{name}") for v, name in zip(values, order, strict=True)))
    else:
        data = cube(values.transpose(1, 2, 0) if kind == "last" else values, **stated[kind])
    red, green, blue = centre(data, 3)
    assert glance(data, "auto").names == "i,r,g"
    assert blue > red + 50
    assert blue > green + 50


def test_planes_of_wavelengths_are_ordered():
    """An axis that counts wavelengths or frequencies tells which plane is red."""
    wave = {"CTYPE3": "WAVE", "CUNIT3": "nm", "CRVAL3": 480.0, "CDELT3": 150.0, "CRPIX3": 1.0}
    freq = {"CTYPE3": "FREQ", "CUNIT3": "Hz", "CRVAL3": 6e14, "CDELT3": -1e14, "CRPIX3": 1.0}
    assert read_header(cube(shines_in("gri"), **wave)).bands == ("480nm", "630nm", "780nm")
    assert glance(cube(shines_in("gri"), **wave), "auto").names == "780nm,630nm,480nm"
    assert glance(cube(shines_in("gri"), **freq), "auto").names == "749nm,600nm,500nm"


def test_a_filter_in_the_first_header_holds_for_the_image():
    """Hubble and Webb name filter and object in the primary header, and the pixels lie in SCI."""
    primary = fits.PrimaryHDU()
    primary.header.update(FILTER1="CLEAR1L", FILTER2="F814W", TARGNAME="NGC 628")
    found = read_header(written(unit(LIGHT, "SCI"), unit(ODD, "ERR"), primary=primary))
    assert (found.bands, found.title, found.unread) == (("F814W",), "NGC 628", "ERR")


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        (
            [unit(LIGHT, "A", FILTER="g"), unit(LIGHT, "B", FILTER="r"), unit(LIGHT, "C", FILTER="g")],
            "band g twice",
        ),
        (
            [unit(LIGHT, "A", FILTER="g"), unit(LIGHT[:6, :6], "B", FILTER="r")],
            "its bands have 6 x 6 and 12 x 12",
        ),
        ([unit(LIGHT, name) for name in "ugrizy"], "it holds 6 bands"),
        (
            [unit(LIGHT, "SCI", FILTER="g"), unit(ODD.astype("u1"), "SCI", FILTER="r")],
            "some of its bands are bytes",
        ),
    ],
)
def test_bands_that_do_not_fit_are_refused(units, reason):
    """Twice, of two sizes, too many, or of two kinds: nothing is dropped to make them fit."""
    with pytest.raises(RefusedError, match=reason):
        glance(written(*units), "auto")


def test_the_first_image_may_be_a_band_and_name_it_elsewhere():
    """Some name the filter in a card, some in the name of the extension; together they are three bands."""
    primary = fits.PrimaryHDU(LIGHT)
    primary.header["FILTER"] = "g"
    assert glance(written(unit(LIGHT, "R"), unit(LIGHT, "Z"), primary=primary), "auto").names == "z,r,g"


def test_chips_of_one_filter_are_no_bands():
    """Two science extensions without different filters are an image and one that is not read."""
    found = glance(written(unit(LIGHT, "SCI", FILTER="r"), unit(ODD, "SCI", FILTER="r")), "auto")
    assert (found.bands, found.names, found.unread) == (1, "r", "SCI")


def test_a_damaged_extension_is_refused():
    """A file cut short behind its image may lack a band."""
    data = written(unit(LIGHT, "G"), unit(LIGHT, "R"))
    with pytest.raises(RefusedError, match="claims"):
        glance(data[:-3000], "auto")


# --- the sky ----------------------------------------------------------------------------------------------


def turned(angle_deg, mirrored=False, ctype=("RA---TAN", "DEC--TAN")):
    """Return an image whose CD matrix turns north by an angle, counter-clockwise, and its header's determinant."""
    angle, east = np.radians(angle_deg), 1 if mirrored else -1
    matrix = np.array([[east * np.cos(angle), east * np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / 3600
    cards = {f"CD{row + 1}_{column + 1}": matrix[row, column] for row in (0, 1) for column in (0, 1)}
    sky = {
        "CTYPE1": ctype[0],
        "CTYPE2": ctype[1],
        "CRVAL1": 150.0,
        "CRVAL2": 60.0,
        "CRPIX1": 6.5,
        "CRPIX2": 6.5,
    }
    return cube(LIGHT, **sky, **cards), np.linalg.det(matrix)


@pytest.mark.parametrize("angle", [0.0, 35.0, -120.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_parity_of_the_sky_is_the_sign_of_the_determinant(angle, mirrored):
    """East lies left of north on the sky; a matrix of positive determinant shows it mirrored."""
    data, determinant = turned(angle, mirrored)
    found = glance(data, "auto")
    assert found.mirrored == mirrored == (determinant > 0)
    assert found.north_deg == pytest.approx(angle, abs=0.1)
    assert found.bottom_up


def test_north_of_galactic_headers_is_that_of_the_equator():
    """At the centre of the Galaxy its north lies 58.6 degrees west of north, which is then to the left of up."""
    sky = {
        "CTYPE1": "GLON-CAR",
        "CTYPE2": "GLAT-CAR",
        "CRVAL1": 0.0,
        "CRVAL2": 0.0,
        "CRPIX1": 6.5,
        "CRPIX2": 6.5,
    }
    found = glance(cube(LIGHT, **sky, CDELT1=-1e-4, CDELT2=1e-4), "auto")
    assert found.north_deg == pytest.approx(58.6, abs=0.2)
    assert not found.mirrored
