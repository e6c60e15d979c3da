"""Files that are bands of one galaxy, told by their names: joined where they are, and nowhere else."""

import pytest

from astrojepa_bench.data.sources.band_files import beside, joined, pairs_by_names

JOINED = {
    "galaxies named like bands": ("g{}_{}.fits", "grz", "g{}.fits"),
    "suffix": ("x{}_{}.fits", "grz", "x{}.fits"),
    "dash": ("x{}-{}.fits", "gri", "x{}.fits"),
    "dot": ("x{}.{}.npy", "gr", "x{}.npy"),
    "glued": ("ngc{}{}.fits", "UBV", "ngc{}.fits"),
    "first": ("{1}_{0}.fits", "gri", "{}.fits"),
    "folders": ("spiral/{1}/x{0}.fits", "gri", "spiral/x{}.fits"),
    "folders and suffix": ("{1}/x{0}_{1}.fits", "gri", "x{}.fits"),
    "folder a galaxy": ("x{}/{}.fits", "gri", "x{}.fits"),
    "in the middle": ("cutout-HSC-{1}-{0}-pdr2.fits", "GRI", "cutout_{}-pdr2.fits"),
    "space telescope": ("x{}_hst_{}_drz.fits", ("f435w", "f814w"), "x{}_drz.fits"),
    "space telescope at the end": ("x{}_{}.fits", ("f435w", "f814w", "f160w"), "x{}.fits"),
    "euclid": ("x{}_{}.fits", ("vis", "nir_y", "nir_h"), "x{}.fits"),
    "band a word": ("x{}_{}-band.fits", "gr", "x{}.fits"),
}


@pytest.mark.parametrize("kind", JOINED)
def test_bands_by_name_are_one_galaxy(kind):
    """Suffix, prefix, folder or the middle: what differs by a filter alone is one galaxy, in every band once."""
    pattern, bands, name = JOINED[kind]
    found = joined(
        pairs_by_names([pattern.format(n, band) for n in range(9) for band in bands]), "their names"
    )
    assert sorted(found.galaxies) == sorted(name.format(n) for n in range(9))
    assert len(found.bands) == len(bands)
    assert not any(map(found.fault_of, found.galaxies))
    assert f"{9 * len(bands)} files were joined into 9 galaxies" in found.note()


SINGLE = {
    "all of one band": [f"x{n}_g.fits" for n in range(9)],
    "numbers": [f"NGC_{n}.fits" for n in range(9)],
    "one with two bands": [*(f"x{n}_g.fits" for n in range(9)), "x3_r.fits"],
    "an alphabet": [f"field_{letter}.fits" for letter in "abcdefghijklmnopqrstuvwxyz"],
    "colour pictures": [f"x{n}_{band}.jpg" for n in range(9) for band in "gr"],
    "words like filters": [f"x{n}_{word}.fits" for n in range(9) for word in ("lsb", "desk", "wiser")],
    "two filters, other galaxies": [*(f"a{n}_g.fits" for n in range(9)), *(f"b{n}_r.fits" for n in range(9))],
}


@pytest.mark.parametrize("kind", SINGLE)
def test_single_images_stay_single(kind):
    """Names that merely end like a filter are names."""
    assert joined(pairs_by_names(SINGLE[kind]), "their names") is None


def test_filters_of_space_telescopes_keep_their_names():
    """A letter behind a number may be a band of its own, and is not in f814w: Hubble's F160W is redder."""
    names = [f"x{n}_{band}.fits" for n in range(3) for band in ("f435w", "f814w", "f160w")]
    assert joined(pairs_by_names(names), "their names").bands == ("F160W", "F814W", "F435W")


def test_a_galaxy_that_lacks_a_band_or_has_it_twice_is_named():
    """Most have g, r and z; the odd ones are told with what they have."""
    names = [f"x{n}_{band}.fits" for n in range(9) for band in "grz"]
    names.remove("x2_z.fits")
    found = joined(pairs_by_names([*names, "x5-r.fits", "x7_u.fits"]), "their names")
    faults = {name: fault for name in found.galaxies if (fault := found.fault_of(name))}
    assert faults == {
        "x2.fits": "lacks the band z; it has g, r",
        "x5.fits": "has the band r twice: x5_r.fits, x5-r.fits",
    }
    assert found.bands == ("z", "r", "g")
    assert found.unread == {"x7_u.fits"}
    assert "1 files of other bands were not read" in found.note()


def test_masks_in_files_of_their_own_are_no_galaxies():
    """Beside an image of the same name they are left out; alone, a name is a name."""
    names = ["a_sci.fits", "a_wht.fits", "b.fits", "b_mask.fits", "x_g.fits", "x_g_ivar.fits", "m_model.fits"]
    names += ["images/c.fits", "masks/c.fits"]
    assert beside(names) == {"a_wht.fits", "b_mask.fits", "x_g_ivar.fits", "masks/c.fits"}
