"""Which extensions of a FITS file are the image, and which lie beside it: masks, weights, errors, models?

An image is told from what lies beside it by what its header calls it: the name of the extension, its type, and the
convention in which one extension is the data, another its error and a third its quality. Images of one size that
name different filters are the bands of one galaxy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from astrojepa_bench.data.sources.container import RefusedError, shown
from astrojepa_bench.data.sources.filters import stated_filter
from astrojepa_bench.data.sources.fits_bands import Bands, bands_of, filter_in
from astrojepa_bench.data.sources.image_shape import MOST_BANDS

CALLS = ("EXTNAME", "EXTTYPE", "HDUCLAS2", "HDUCLAS3", "IMTYPE", "IMAGETYP", "IMAGETYPE")
SCIENCE = frozenset({
    "sci", "science", "image", "images", "img", "data", "flux", "primary", "signal", "intensity", "drz", "drc",
    "drzsci", "coadd",
})  # fmt: skip
BESIDE = frozenset({
    "mask", "msk", "bpm", "badpix", "dq", "dqi", "quality", "flag", "flags", "wht", "weight", "weights", "wgt",
    "ivar", "invvar", "err", "error", "errors", "sigma", "sig", "unc", "uncert", "uncertainty", "std", "stddev",
    "stdev", "rms", "noise", "var", "variance", "psf", "model", "mod", "residual", "residuals", "resid", "bkg",
    "bkgd", "background", "sky", "exp", "expmap", "exposure", "exptime", "nexp", "con", "ctx", "context",
    "depth", "seg", "segm", "segmap", "segmentation", "chi", "chi2", "cov", "covariance", "area", "samp",
    "time", "wavelength", "nobs", "coverage", "hits", "flat", "dark", "bias", "gain", "maskbits", "mse", "rmse",
    "invmse",
})  # fmt: skip
# Long enough to be found inside a word, such as "OBJMASK", "G_INVVAR2" or "WEIGHTMAP"; "MASKED" is an image.
INSIDE = re.compile(
    r"mask(?!ed)|ivar|invvar|variance|weight|residual|uncert|segment|quality|^psf|psf$|wht$|err$"
)
OF_GALFIT = frozenset({"model", "residual map"})
TITLES = ("OBJECT", "TARGNAME", "OBJNAME")
WORDS = re.compile(r"[a-z0-9]+")
LONGEST_TOLD = 40


@dataclass(frozen=True)
class Units:
    """The extensions that are read as one image.

    Attributes:
        chosen: one of two or three axes, or one a band.
        bands: of the image, in the order of the planes.
        title: the object that the headers name, or empty.
        unread: what further images the file holds, in a few words; empty if there are none.
        is_first: whether the first image of the file alone is read.
    """

    chosen: tuple[Any, ...]
    bands: Bands
    title: str
    unread: str
    is_first: bool


def units_of(images: Sequence[Any], primary: Any) -> Units:  # noqa: ANN401 astropy's classes are not typed
    """Choose among the image extensions of a file, in their order.

    Args:
        images: those extensions.
        primary: the file's first header, which may state what holds for all of them.

    Raises:
        RefusedError: there is none, all lie beside an image, or bands do not fit together.
    """
    if not images:
        raise RefusedError("the FITS file holds no image")
    candidates = _science(images)
    chosen, bands = (candidates[0],), bands_of(candidates[0].header, shape_of(candidates[0]))
    if len(candidates) > 1 and _planes(candidates[0]) == 1:
        chosen, bands = _stacked(candidates) or (chosen, bands)
    if not bands.names:
        bands = bands_of(primary, shape_of(chosen[0]))
    rest = [hdu for hdu in images if not any(hdu is one for one in chosen)]
    told = ", ".join(dict.fromkeys(_title(hdu, images) for hdu in rest))
    unread = told if len(told) <= LONGEST_TOLD else f"{told[: LONGEST_TOLD - 1]}…"
    stated = [header[key] for header in (chosen[0].header, primary) for key in TITLES if key in header]
    title = " ".join(str(stated[0]).split()) if stated else ""
    return Units(chosen, bands, title, unread, len(chosen) == 1 and chosen[0] is images[0])


def shape_of(hdu: Any) -> tuple[int, ...]:  # noqa: ANN401 astropy's classes are not typed
    """Return the axes of an image as numpy has them, without those of one frequency or polarisation."""
    shape = tuple(int(axis) for axis in hdu.shape)
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape


def is_raw_bytes(hdu: Any) -> bool:  # noqa: ANN401
    """Whether pixels are bytes that nothing scales, as of a picture ready to be shown, or of a mask."""
    return hdu.header.get("BITPIX") == 8 and not {"BSCALE", "BZERO"} & set(hdu.header)


def lies_beside(words: str) -> bool:
    """Whether a name is that of something that lies beside an image.

    Example:
        >>> lies_beside("SCI_ERR"), lies_beside("MASKED_IMAGE"), lies_beside("objmask"), lies_beside("SCI")
        (True, False, True, False)
    """
    found = WORDS.findall(words.lower())
    return any(word in BESIDE or INSIDE.search(word) for word in found)


def _science(images: Sequence[Any]) -> list[Any]:
    """Return the images that are none of what lies beside one, those that are called science before others."""
    called = {id(hdu): " ".join(str(hdu.header.get(key, "")) for key in CALLS) for hdu in images}
    plain = [
        hdu
        for hdu in images
        if not lies_beside(called[id(hdu)])
        and str(hdu.header.get("OBJECT", "")).strip().lower() not in OF_GALFIT
    ]
    if not plain:
        names = ", ".join(dict.fromkeys(_title(hdu, images) for hdu in images))
        raise RefusedError(f"it holds {shown(names)} and no image; call the extension of the image SCI")
    science = [hdu for hdu in plain if SCIENCE.intersection(WORDS.findall(called[id(hdu)].lower()))]
    filters = {filter_in(hdu.header) for hdu in plain} - {""}
    if science and len(filters) <= len(science):  # else one image of all light lies beside one of each filter
        return science
    light = [hdu for hdu in plain if not is_raw_bytes(hdu)] or plain
    return [hdu for hdu in light if int(hdu.header.get("BITPIX", 8)) < 0 or "BSCALE" in hdu.header] or light


def _planes(hdu: Any) -> int:  # noqa: ANN401
    shape = shape_of(hdu)
    return shape[0] if len(shape) == 3 else 1


def _stacked(candidates: Sequence[Any]) -> tuple[tuple[Any, ...], Bands] | None:
    """Return the images that name different filters, and these; None where they do not name them.

    Raises:
        RefusedError: bands are there twice, too many or of different sizes.
    """
    single = [hdu for hdu in candidates if _planes(hdu) == 1]
    ways = [[filter_in(hdu.header) for hdu in single], [_filter_of_extension(hdu.header) for hdu in single]]
    ways.append([name or stated for stated, name in zip(*ways, strict=True)])
    best = max(ways, key=lambda names: len({*names} - {""}))
    filters = [name for name in best if name]
    if len({*filters}) < 2:
        return None
    known = [hdu for name, hdu in zip(best, single, strict=True) if name]
    twice = next((each for each in filters if filters.count(each) > 1), None)
    if twice is not None:
        raise RefusedError(f"it holds the band {shown(twice)} twice ({', '.join(map(shown, filters))})")
    if len(filters) > MOST_BANDS:
        raise RefusedError(
            f"it holds {len(filters)} bands ({', '.join(map(shown, filters))}); leave all but {MOST_BANDS} out"
        )
    sizes = {shape_of(hdu) for hdu in known}
    if len(sizes) > 1:
        told = " and ".join(f"{shape[-1]} x {shape[-2]}" for shape in sorted(sizes))
        raise RefusedError(f"its bands have {told} pixels; put them on one grid")
    return tuple(known), Bands(tuple(filters), in_survey_unit=False)


def _filter_of_extension(header: Any) -> str:  # noqa: ANN401
    """Return the filter that the name of an extension states: "G", "SCI_R", "F814W"."""
    found = [stated_filter(word) for word in WORDS.findall(str(header.get("EXTNAME", "")).lower())]
    return next((each for each in reversed(found) if each), "")


def _title(hdu: Any, images: Sequence[Any]) -> str:  # noqa: ANN401
    number = next(place for place, each in enumerate(images) if each is hdu)
    return shown(str(hdu.header.get("EXTNAME", "")).strip()) or f"image {number + 1}"
