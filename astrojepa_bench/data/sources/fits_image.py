"""What does a FITS cut-out hold: its pixels, bands, position and orientation?"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from astrojepa_bench.data.sources.container import RefusedError, guarded
from astrojepa_bench.data.sources.fits_sky import NOWHERE, UNPLACED, Pointing, Sky, place_of, sky_of
from astrojepa_bench.data.sources.fits_structure import check_structure
from astrojepa_bench.data.sources.fits_units import Units, is_raw_bytes, shape_of, units_of
from astrojepa_bench.data.sources.image_shape import MOST_BANDS, bands_first, sides_of


@dataclass(frozen=True)
class Cutout:
    """What the headers say about an image.

    Attributes:
        shape: bands, height, width.
        display: whether its pixels are bytes, ready to be shown.
        bands: names of the planes in their order, or empty.
        in_survey_unit: whether its flux is in the unit of the Legacy Surveys, as far as the header tells.
        sky: where it lies.
        place: the same, or else where the telescope pointed.
        title: the object that it says to show, or empty.
        unread: further images of the file that are not read, in a few words, or empty.
        chosen: which extensions were read, where it is not the first image alone.
    """

    shape: tuple[int, int, int]
    display: bool
    bands: tuple[str, ...] = ()
    in_survey_unit: bool = False
    sky: Sky = NOWHERE
    place: Pointing = UNPLACED
    title: str = ""
    unread: str = ""
    chosen: str = ""


def read_header(data: bytes) -> Cutout:
    """Read the headers of the science image in a FITS file.

    Raises:
        RefusedError: there is no image, or the file is damaged.
    """
    with guarded(), _science_units(data) as units:
        return _cutout(units)


def read_pixels(data: bytes) -> tuple[Cutout, np.ndarray]:
    """Read the science image in a FITS file, bands first, turned so that its first row is the top one.

    FITS counts rows from the bottom; JPEG and PNG from the top. Left as it is, a FITS image would be the
    mirror image of the same galaxy's JPEG.

    Raises:
        RefusedError: there is no image, it has no 1 to 5 bands, or the file is damaged.
    """
    with guarded(), _science_units(data) as units:
        cutout = _cutout(units, north=False)  # compressed, a small file can hold a huge image
        shapes = [shape_of(hdu) for hdu in units.chosen]
        planes = [
            bands_first(np.asarray(hdu.data).reshape(shape), already=_is_bands_first(shape))
            for hdu, shape in zip(units.chosen, shapes, strict=True)
        ]
        return cutout, np.concatenate(planes)[:, ::-1]


@contextmanager
def _science_units(data: bytes) -> Iterator[Units]:
    end = check_structure(data, "image")
    from astropy.io import fits  # a third of a second, and most data sets are not FITS

    kinds = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd but legible headers; what is illegible raises
        with fits.open(io.BytesIO(data[:end]), memmap=False) as hdus:
            images = [hdu for hdu in hdus if isinstance(hdu, kinds) and len(hdu.shape) >= 2]
            yield units_of(images, hdus[0].header)


def _cutout(units: Units, *, north: bool = True) -> Cutout:
    first = units.chosen[0]
    shape = shape_of(first)
    height, width, bands = sides_of(shape, bands_first=_is_bands_first(shape))
    kinds = {is_raw_bytes(hdu) for hdu in units.chosen}
    if len(kinds) > 1:
        raise RefusedError("some of its bands are bytes and some are not; write all of them alike")
    sky = sky_of(first.header, height, width, north=north)
    return Cutout(
        shape=(max(bands, len(units.chosen)), height, width),
        display=kinds.pop(),
        bands=units.bands.names,
        in_survey_unit=units.bands.in_survey_unit,
        sky=sky,
        place=place_of(first.header, sky, max(height, width)),
        title=units.title,
        unread=units.unread,
        chosen=""
        if units.is_first
        else ", ".join(str(hdu.header.get("EXTNAME", "")) for hdu in units.chosen),
    )


def _is_bands_first(shape: tuple[int, ...]) -> bool:
    """Whether bands come first, as FITS has them wherever they can be; some write them last."""
    return len(shape) != 3 or shape[0] <= MOST_BANDS or shape[-1] > MOST_BANDS
