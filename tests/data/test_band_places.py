"""Which order bands have, and which files are one galaxy: only where names and headers say so."""

import h5py
import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from pyarrow import parquet

from astrojepa_bench.data.sources.archive import ImageFiles
from astrojepa_bench.data.sources.band_order import reddest_first
from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.fits_sky import apart_arcsec
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.sources.layers import order_of
from astrojepa_bench.data.sources.parquet_rows import ParquetRows, Wanted
from astrojepa_bench.errors import DataError

SIDE = 10


def flux(bright=1):
    """Noise; a square shines in one of three planes."""
    values = np.random.default_rng(0).normal(0, 0.01, (3, SIDE, SIDE))
    values[bright, 3:7, 3:7] += 1.0
    return values.astype("f4")


def written(path, values, place=None, **cards):
    """Write a file of a field of 10 arcsec about a place [deg]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu = fits.PrimaryHDU(values)
    if place is not None:
        sky = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 5.5, "CRPIX2": 5.5}
        sky |= {"CDELT1": -1 / 3600, "CDELT2": 1 / 3600, "CRVAL1": place[0], "CRVAL2": place[1]}
        hdu.header.update(sky)
    hdu.header.update(cards)
    hdu.writeto(path)


def as_parquet(path, values):
    """Write one image as nested lists, whose bands nobody names."""
    images = pa.array([values.tolist()], pa.list_(pa.list_(pa.list_(pa.float32()))))
    parquet.write_table(pa.table({"id": ["a"], "image": images}), path)
    return path


def brightest(source):
    """Name the band in which each galaxy shines."""
    names = source.catalogue().bands
    return [names[picture.pixels[4:6, 4:6].mean(axis=(0, 1)).argmax()] for picture in source.pictures()]


# --- order ------------------------------------------------------------------------------------------------

UNKNOWN, KNOWN = ("one", "two", "three"), ("F090W", "F200W", "F444W")


@pytest.mark.parametrize("bands", [UNKNOWN, KNOWN, ("g", "r", "z")])
@pytest.mark.parametrize("stretch", ["viewer", "asinh"])
@pytest.mark.parametrize("kind", ["npy", "fits", "parquet"])
def test_a_band_keeps_its_name_whatever_shows_it(tmp_path, bands, stretch, kind):
    """The viewer's stretch shows red first: planes of unknown bands are turned round."""
    if kind == "parquet":
        source = ParquetRows.opened(as_parquet(tmp_path / "f.parquet", flux(0)), Wanted(bands=bands), stretch)
    elif kind == "npy":
        (tmp_path / "f").mkdir()
        np.save(tmp_path / "f/a.npy", flux(0))
        source = ImageFiles.opened(tmp_path / "f", stretch=stretch, bands=bands)
    else:
        written(
            tmp_path / "f/a.fits", flux(0), **{f"BAND{number}": name for number, name in enumerate(bands)}
        )
        source = ImageFiles.opened(tmp_path / "f", stretch=stretch)

    turned = bands != UNKNOWN or stretch == "viewer"
    assert source.catalogue().bands == (bands[::-1] if turned else bands)
    assert brightest(source) == [bands[0]]


def test_what_is_turned_round_is_told_and_is_another_picture(tmp_path):
    """By the card, and by the hash of the picture."""
    (tmp_path / "f").mkdir()
    np.save(tmp_path / "f/a.npy", flux())
    named, plain = (ImageFiles.opened(tmp_path / "f", stretch="viewer", bands=each) for each in (UNKNOWN, ()))

    notes = " ".join(named.catalogue().notes)
    assert (
        "bands are three, two, one, the last in the files first, as the viewer's stretch takes those" in notes
    )
    assert next(named.pictures()).digest != next(plain.pictures()).digest


@pytest.mark.parametrize(
    ("stated", "given", "reason"),
    [
        ((), ("g", "g", "r"), "a band twice: dataset.bands names g, g, r"),
        (("g", "r", "z"), ("g", "g", "r"), "a band twice: dataset.bands names g, g, r"),
        (("g", "r", "z"), ("G", "HSC-G"), "a band twice"),
        (("g", "g", "r"), (), "a band twice: its names state g, g, r"),
        (("g", "r"), (), r"has 3 bands and names 2 \(g, r\)"),
        (("g", "r"), ("g",), r"has 3 bands and names 2 \(g, r\)"),
    ],
)
def test_names_that_do_not_fit_the_planes_are_refused(stated, given, reason):
    """None is shown twice, and there is one for each."""
    with pytest.raises(RefusedError, match=reason):
        order_of(stated, 3, given)


def test_a_band_is_found_by_its_whole_name():
    """Of two surveys that have a filter of one letter."""
    assert order_of(("HSC-G", "DES-G"), 2, ("HSC-G",)) == (("HSC-G",), [0])
    assert order_of(("HSC-G", "DES-G"), 2, ("des-g",)) == (("DES-G",), [1])


def test_no_reader_shows_a_band_twice(tmp_path):
    """Neither files of one band each, nor HDF5, nor Parquet."""
    for band in "grz":
        written(tmp_path / f"f/x_{band}.fits", flux()[0])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    hdf5, twice = Hdf5File.opened(tmp_path / "a.h5", None), ("g", "g", "r")
    table = as_parquet(tmp_path / "f.parquet", flux())
    for read in (
        lambda: ImageFiles.opened(tmp_path / "f", bands=twice),
        lambda: reddest_first(hdf5, hdf5.catalogue(), twice),
        lambda: ParquetRows.opened(table, Wanted(bands=twice)),
    ):
        with pytest.raises(DataError, match=r"a band twice: .* g, g, r"):
            read()


@pytest.mark.parametrize("planes", [1, 2])
def test_a_comma_in_a_filter_is_no_second_band(tmp_path, planes):
    """Files of single images, and cubes, are read and named."""
    lines = ("Halpha,656nm", "[SII],671nm")[:planes]
    cards = {"FILTER": lines[0]} if planes == 1 else dict(zip(("BAND0", "BAND1"), lines, strict=True))
    for row in range(3):
        values = np.random.default_rng(row).random((planes, SIDE, SIDE), np.float32)
        written(tmp_path / f"f/{row}.fits", values[0] if planes == 1 else values, **cards)
    source = ImageFiles.opened(tmp_path / "f")

    assert [picture.pixels.shape[2] for picture in source.pictures()] == [planes] * 3
    assert source.catalogue().bands == ("Halpha 656nm", "[SII] 671nm")[:planes]
    assert reddest_first(source, source.catalogue())[0] is source


# --- place ------------------------------------------------------------------------------------------------

HOURS = {10.0: "00:40:00", 100.0: "06 40 00", 200.0: "13:20:00"}


@pytest.mark.parametrize("stated", ["coordinates", "degrees", "hours"])
def test_galaxies_at_different_places_are_not_one(tmp_path, stated):
    """Numbers behind a name, and classes as folders, tell no bands where headers tell other places."""
    files = [("n/ngc_001", "g", 10.0), ("n/ngc_002", "r", 200.0)]
    files += [("c/s/a", "g", 10.0), ("c/s/b", "r", 100.0), ("c/e/a", "g", 100.0), ("c/e/b", "r", 200.0)]
    for name, band, ra in files:
        cards = {"degrees": {"RA": ra, "DEC": 5.0}, "hours": {"RA": HOURS[ra], "DEC": "+05:00:00"}}
        place = (ra, 5.0) if stated == "coordinates" else None
        written(tmp_path / f"{name}.fits", flux()[0], place, FILTER=band, **cards.get(stated, {}))

    found = ImageFiles.opened(tmp_path / "n")
    assert found.names == ("ngc_001.fits", "ngc_002.fits")
    assert any("different bands (1 g, 1 r)" in note for note in found.catalogue().notes)
    with pytest.raises(DataError, match="nothing tells which show one galaxy"):  # s/b and e/a overlap, or may
        ImageFiles.opened(tmp_path / "c")


def test_folders_of_galaxies_far_apart_are_galaxies(tmp_path):
    """Four galaxies of two filters, each at a place of its own, are four; a note says that they differ."""
    for number, name in enumerate(("spiral/a", "spiral/b", "elliptical/a", "elliptical/b")):
        written(tmp_path / f"f/{name}.fits", flux()[0], (90.0 * number, 0.0), FILTER="gr"[number % 2])
    source = ImageFiles.opened(tmp_path / "f")

    assert len(source) == 4
    assert any(
        "(2 g, 2 r) and each was read as a galaxy of its own" in each for each in source.catalogue().notes
    )


def test_one_galaxy_elsewhere_is_refused_by_name(tmp_path):
    """Joined by name or by header: its bands are of two galaxies, and those of the others are not."""
    for row in range(4):
        for number, band in enumerate("gr"):
            apart = 0.5 if (row, band) == (2, "r") else 0.001 * number  # 3.6 arcsec in a field of 10
            place = (10.0 * row + apart, 0.0)
            written(tmp_path / f"n/x{row}_{band}.fits", flux()[0], place)
            written(tmp_path / f"h/x{row}_{number + 1}.fits", flux()[0], place, FILTER=band)
    for folder in ("n", "h"):
        source = ImageFiles.opened(tmp_path / folder)
        reasons = [picture.reason for picture in source.pictures() if hasattr(picture, "reason")]
        assert len(source) == 4
        assert len(reasons) == 1
        assert reasons[0].startswith(
            "its bands lie 1,800 arcsec apart on the sky and show no single galaxy (x2_"
        )


def test_distances_are_those_of_the_sphere():
    """Across the origin of right ascension and beside a pole; 0 within a field, and where nothing is known."""
    ra = np.array([359.9999, 0.0001, 10.0, 190.0, 5.0, 5.0, np.nan, 7.0, 50.0, 50.01])
    dec = np.array([0.0, 0.0, 89.999, 89.999, 0.0, 1.0, np.nan, 0.0, 0.0, 0.0])
    field = np.array([0.1, 0.1, 5.0, 5.0, 1.0, 1.0, np.nan, 1.0, np.nan, 1.0])
    found = apart_arcsec(ra, dec, field, np.repeat(np.arange(5), 2))

    np.testing.assert_allclose(found, [0.72, 7.2, 3600, 0, 0], rtol=1e-5)
