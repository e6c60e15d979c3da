"""Which survey are these images of, and how large is a pixel? Read off what a data set states."""

from __future__ import annotations

import re

import numpy as np

from astrojepa_bench.types import Card, GalaxyTable

SURVEYS = {
    "SDSS": r"\bsdss\b|sloan digital|galaxy zoo 2\b|\bgz2\b|galaxy_?zoo_?2",
    "Legacy Surveys": r"decals|legacy surv|legacy imaging|\bdr(8|9|10)-(south|north)|\bdecam\b",
    "HSC": r"hyper suprime|\bhsc\b",
    "Pan-STARRS": r"pan-?starrs|\bps1\b",
    "DES": r"dark energy survey|\bdes y\d",
    "KiDS": r"kilo-degree|\bkids\b",
    "Euclid": r"\beuclid\b",
    "HST": r"hubble space|\bhst\b|\bcandels\b|cosmos-acs",
    "JWST": r"james webb|\bjwst\b|\bnircam\b",
    "LSST": r"\blsst\b|rubin obs",
    "simulated": r"simulated|synthetic|illustris",
}


def survey_of(card: Card) -> str:
    """Return the survey that a card names; empty where it names none, or several.

    Example:
        >>> survey_of(Card("my_images", "images: Sloan Digital Sky Survey", "unstated"))
        'SDSS'
    """
    told = " ".join([card.name, card.licence, card.citation]).casefold()
    named = [survey for survey, words in SURVEYS.items() if re.search(words, told)]
    return named[0] if len(named) == 1 else ""


def usual_pixel_scale(table: GalaxyTable) -> float | None:
    """Return the median pixel scale of a table's images [arcsec/px]; None where it knows none."""
    known = np.empty(0) if table.pixel_scale is None else table.pixel_scale[np.isfinite(table.pixel_scale)]
    return float(np.median(known)) if len(known) else None
