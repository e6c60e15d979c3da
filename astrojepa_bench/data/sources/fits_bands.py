"""Which bands do the planes of a FITS image show, as its header says?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from astrojepa_bench.data.sources.band_names import FILTER, NANOMAGGIES
from astrojepa_bench.data.sources.filters import filter_of, split_names, wavelength_nm
from astrojepa_bench.data.sources.image_shape import MOST_BANDS

LISTED = ("BANDS", "FILTERS", "BANDNAME", "BANDNAMES", "FILTNAMS", "FILTER", "BAND")
ONE = (
    "FILTER", "FILTER1", "FILTER2", "FILTER3", "FILTNAM1", "FILTNAM2", "FILTNAM", "FILT", "FILTERID", "INSFLNAM",
    "BAND", "BANDS", "BAND0", "BAND1",
)  # fmt: skip
NUMBERED = ("BAND", "FILTER", "FILT", "BAND_", "FILTER_", "FILT_", "BANDNAM", "FILTNAM")
SURVEY_KEYS = ("BANDS", "BAND0")  # in which the Legacy Surveys name bands, whose flux is in nanomaggies
UNIT = "nanomag"
LIGHT_NM_HZ = 2.99792458e17  # speed of light [nm/s]


class Bands(NamedTuple):
    """Filters of the planes of an image.

    Attributes:
        names: one a plane, in their order; empty where the header does not tell them.
        in_survey_unit: whether the header is one of the Legacy Surveys, or states their unit.
    """

    names: tuple[str, ...] = ()
    in_survey_unit: bool = False


def bands_of(header: Mapping[str, Any], shape: tuple[int, ...]) -> Bands:
    """Read the names of the planes of an image of two axes, or of three with the bands at one end."""
    unit = UNIT in str(header.get("BUNIT", "")).lower()
    survey = any(key in header and is_survey(str(header[key])) for key in SURVEY_KEYS)
    if len(shape) == 2:
        name = filter_in(header)
        return Bands((name,), survey or unit) if name else Bands()
    last = shape[0] > MOST_BANDS >= shape[-1]
    planes = shape[-1] if last else shape[0]
    for names in (_listed(header, planes), _numbered(header, planes)):
        if len(set(names)) == planes:
            return Bands(names, survey or unit)
    return Bands(_wavelengths(header, planes, axis=1 if last else 3))


def is_survey(names: str) -> bool:
    """Whether band names are letters alone, as in the Legacy Surveys, or of the surveys whose unit these have."""
    found = [FILTER.fullmatch(name.lower()) for name in re.split(r"[,\s]+", names.strip())]
    surveys = {match["survey"] or "" for match in found if match}
    return names.strip().isalpha() or (all(found) and surveys <= NANOMAGGIES)


def filter_in(header: Mapping[str, Any]) -> str:
    """Return the filter of a single image; of several wheels that which is not clear. Empty where none is named."""
    found = [name for key in ONE if key in header and (name := filter_of(header[key]))]
    return next((name for name in found if wavelength_nm(name) > 0), found[0] if found else "")


def _listed(header: Mapping[str, Any], planes: int) -> tuple[str, ...]:
    for key in LISTED:
        names = tuple(map(filter_of, split_names(str(header.get(key, "")), planes)))
        if names and all(names):
            return names
    return ()


def _numbered(header: Mapping[str, Any], planes: int) -> tuple[str, ...]:
    for stem in NUMBERED:
        for first in (0, 1):
            keys = [f"{stem}{number}" for number in range(first, first + planes)]
            names = tuple(filter_of(header[key]) for key in keys if key in header)
            if len(names) == planes and all(names):
                return names
    return ()


def _wavelengths(header: Mapping[str, Any], planes: int, axis: int) -> tuple[str, ...]:
    """Name planes by their wavelengths ("477nm") where the axis of the bands counts these, or frequencies."""
    kind = str(header.get(f"CTYPE{axis}", "")).upper()[:4]
    if kind not in ("WAVE", "AWAV", "FREQ"):
        return ()
    from astropy import units  # slow to import, and seldom needed

    with suppress(Exception):  # of a senseless header
        unit = units.Unit(str(header.get(f"CUNIT{axis}", "")).strip() or ("Hz" if kind == "FREQ" else "m"))
        start, step = (
            float(header[f"CRVAL{axis}"]),
            float(header.get(f"CDELT{axis}", header.get(f"CD{axis}_{axis}", 1))),
        )
        counts = [number - float(header.get(f"CRPIX{axis}", 1)) for number in range(1, planes + 1)]
        values = [(start + step * count) * unit for count in counts]
        found = [
            LIGHT_NM_HZ / each.to_value("Hz") if kind == "FREQ" else each.to_value("nm") for each in values
        ]
        names = tuple(f"{each:.0f}nm" if each >= 100 else f"{each:.3g}nm" for each in found)
        return names if len(set(names)) == planes and min(found) > 0 else ()
    return ()
