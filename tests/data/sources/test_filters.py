"""Filters by name: which letter or usual name a text means, and which of two is redder."""

import pytest

from astrojepa_bench.data.sources.filters import band_word, filter_of, red_first, split_names, wavelength_nm


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("g DECam SDSS c0001 4720.0 1520.0", "g"), ("HSC-G", "g"), ("r.MP9601", "r"), ("NIR_Y", "y"),
        ("VIS", "vis"),
        ("W-J-B", "b"), ("Ks", "k"), ("f814w", "F814W"), ("NIRCAM_F444W", "F444W"), ("CLEAR1L", ""), ("N/A", ""),
        ("3", ""), ("H-alpha", "H-alpha"), ("z'", "z"), ("sdssg", "g"),
    ],
)  # fmt: skip
def test_headers_of_many_surveys_name_a_filter(text, name):
    """Whatever else a survey writes into the card, the filter is found; clear wheels and numbers name none."""
    assert filter_of(text) == name


def test_words_of_galaxy_names_are_no_filters():
    """A catalogue's name, a number and a letter that no filter has are not taken for bands."""
    assert not any(band_word(word) for word in ("NGC", "1", "a", "x", "sci", "628", "M31", "rgb"))


def test_a_filter_is_set_off_from_its_survey():
    """Low surface brightness, a desk and what is wiser are words; a survey and a letter in another case are not."""
    words = ("lsb", "LSB", "desk", "wiser", "actsr", "nirb", "hsth", "acsb", "scib", "imageb")
    assert not any(map(band_word, words))
    assert [*map(band_word, ("sdssG", "SDSSr", "ps1i", "PS1Z", "bandg", "gband", "z'"))] == [*"grizggz"]


def test_filters_stand_in_order_of_wavelength():
    """Red comes first across surveys and units: Webb counts in tens of nanometres, Hubble in nanometres."""
    assert red_first(("u", "g", "r", "i", "z", "y", "j", "h", "k"))[::-1] == tuple("ugrizyjhk")
    assert red_first(("F435W", "F814W", "F160W", "F444W", "F275W")) == (
        "F444W",
        "F160W",
        "F814W",
        "F435W",
        "F275W",
    )
    assert red_first(("B", "V", "R", "I")) == ("I", "R", "V", "B")
    assert red_first(("vis", "NIR_Y", "NIR_H")) == ("NIR_H", "NIR_Y", "vis")
    assert red_first(("blue", "green", "red")) == ("red", "green", "blue")
    assert red_first(("480nm", "780nm")) == ("780nm", "480nm")
    assert red_first(("g", "nobody knows")) == ("g", "nobody knows")
    assert wavelength_nm("F150LP") == 150  # the ultraviolet of Hubble, not the infrared of Webb


@pytest.mark.parametrize(
    ("text", "bands", "names"),
    [("grz", 3, "grz"), ("g,r,z", 3, "grz"), ("g r z", 3, "grz"), ("['g', 'r']", 2, "gr"), ("g,r", 3, "")],
)
def test_lists_of_names_are_split(text, bands, names):
    """Letters, commas, blanks and Python's own spelling; a list of another length names nothing."""
    assert split_names(text, bands) == tuple(names)
