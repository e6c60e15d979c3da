"""A run that looks at another survey says so, in one line, and is silent where nothing is known to differ."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.data.look.survey import survey_of
from astrojepa_bench.events import listening
from astrojepa_bench.explore.domain import domain_note
from astrojepa_bench.explore.sample import in_bands_of, sample_of
from astrojepa_bench.types import Card

SLOAN, LEGACY = "images: Sloan Digital Sky Survey", "images: DESI Legacy Imaging Surveys"


@pytest.fixture
def seen(run, table):
    """Let a run of SDSS gri look at galaxies of other bands, survey and pixel scale."""
    spec = replace(run.spec, bands=("g", "r", "i"))
    learnt = replace(run, facts=replace(run.facts, spec=spec, survey="SDSS", pixel_scale=0.4))

    def look(bands=("g", "r", "i"), licence=SLOAN, scale=0.4):
        card = replace(table.card, name="theirs", licence=licence)
        scales = None if scale is None else np.full(len(table), scale)
        return learnt, replace(table, spec=replace(table.spec, bands=bands), card=card, pixel_scale=scales)

    return look


def test_another_survey_bands_and_scale_are_told(seen):
    """All that differs, and of which run."""
    note = domain_note(*seen(("g", "r", "z"), LEGACY, 0.262))

    assert note.startswith("theirs is Legacy Surveys, bands g, r, z, 0.262 arcsec/px; run ")
    assert "learnt from SDSS, bands g, r, i, 0.4 arcsec/px:" in note


@pytest.mark.parametrize(
    "theirs",
    [{}, {"scale": 0.42}, {"licence": "yours", "scale": None}, {"bands": ("band_0", "band_1", "band_2")}],
)
def test_what_is_the_same_or_unknown_is_no_news(seen, theirs):
    """Numbered bands may be of any filter."""
    assert domain_note(*seen(**theirs)) is None


def test_filters_are_no_colours_of_pictures(seen):
    """Flux in z, r, g is not what a run has learnt of JPEGs, and the other way round; JPEGs are like JPEGs."""
    run, table = seen(("z", "r", "g"))
    jpegs = replace(run.spec, bands=("red", "green", "blue"))
    of_pictures = replace(run, facts=replace(run.facts, spec=jpegs))

    note = domain_note(of_pictures, table)
    assert "theirs is bands z, r, g; run " in note
    assert "learnt from colours of pictures: red, green, blue:" in note
    assert "theirs is colours of pictures: red, green, blue; run " in domain_note(*seen(jpegs.bands))
    assert domain_note(of_pictures, replace(table, spec=replace(table.spec, bands=jpegs.bands))) is None


def test_bands_of_the_same_names_are_put_in_order(seen):
    """A red galaxy stays red: the run gets its own first band first, and a note says so."""
    run, table = seen(("i", "r", "g"))
    notes = []
    with listening(lambda event: notes.append(event.fields.get("text", ""))):
        sample = sample_of(run, table)

    np.testing.assert_array_equal(sample.table.images[:, 0], table.images[:, 2])
    assert sample.table.spec.bands == ("g", "r", "i")
    assert sample.table.spec.mean == table.spec.mean[::-1]
    assert notes == ["theirs: bands i, r, g were put in the order g, r, i of the run"]


def test_bands_are_known_by_any_name_of_theirs(seen):
    """A band DES-G is g: in the order of the run that is no news, in another it is put right and told."""
    run, table = seen(("g", "r", "i"))
    stated = {
        order: replace(table, spec=replace(table.spec, bands=tuple(f"DES-{band}" for band in order)))
        for order in ("GRI", "IRG")
    }
    notes = []
    with listening(lambda event: notes.append(event.fields.get("text", ""))):
        assert in_bands_of(stated["GRI"], run.spec.bands) is stated["GRI"]
        assert domain_note(run, stated["GRI"]) == domain_note(run, table)
        assert notes == []
        turned = in_bands_of(stated["IRG"], run.spec.bands)

    np.testing.assert_array_equal(turned.images, table.images[:, ::-1])
    assert turned.spec.bands == ("g", "r", "i")
    assert len(notes) == 1
    assert in_bands_of(table, ("u", "g", "r")) is table


@pytest.mark.parametrize(
    ("card", "survey"),
    [
        (Card("x", LEGACY, ""), "Legacy Surveys"), (Card("galaxy_zoo2", "", ""), "SDSS"),
        (Card("x", f"{SLOAN}, {LEGACY}", ""), ""), (Card("my_images", "see the source", ""), ""),
        (Card("candels", "", ""), "HST"),
    ],
)  # fmt: skip
def test_a_survey_is_read_off_a_card(card, survey):
    """Of two, neither."""
    assert survey_of(card) == survey
