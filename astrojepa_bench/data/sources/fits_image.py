"""What does a FITS cut-out hold: its pixels, bands, position and pixel scale?"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from astrojepa_bench.data.sources.container import RefusedError, guarded
from astrojepa_bench.data.sources.fits_structure import check_structure
from astrojepa_bench.data.sources.image_shape import sides_of

HIGHEST_ORDER, MOST_AXES = 9, 9  # of a distortion polynomial and a coordinate system
SMALLEST_ARCSEC, LARGEST_ARCSEC = 1e-4, 1e4  # a pixel; beyond this a header does not mean what it says


@dataclass(frozen=True)
class Cutout:
    """What a header says about an image.

    Attributes:
        shape: axes as numpy has them (band or none, height, width).
        display: whether its pixels are bytes, ready to be shown.
        filters: one letter a band, or empty.
        ra, dec: of its centre [deg], NaN where unknown.
        pixel_arcsec: side of a pixel, NaN where unknown.
    """

    shape: tuple[int, ...]
    display: bool
    filters: str
    ra: float
    dec: float
    pixel_arcsec: float


def read_header(data: bytes) -> Cutout:
    """Read the header of the first image in a FITS file.

    Raises:
        RefusedError: there is no image, or the file is damaged.
    """
    with guarded(), _first_image(data) as hdu:
        return _cutout(hdu)


def read_pixels(data: bytes) -> tuple[Cutout, np.ndarray]:
    """Read the first image in a FITS file, turned so that its first row is the top one.

    FITS counts rows from the bottom; JPEG and PNG from the top. Left as it is, a FITS image would be the
    mirror image of the same galaxy's JPEG.

    Raises:
        RefusedError: there is no image, it has no 1 to 5 bands, or the file is damaged.
    """
    with guarded(), _first_image(data) as hdu:
        cutout = _cutout(hdu)
        sides_of(cutout.shape, bands_first=True)  # compressed, a small file can hold a huge image
        values = np.asarray(hdu.data)
        return cutout, values.reshape(cutout.shape)[..., ::-1, :]


@contextmanager
def _first_image(data: bytes) -> Iterator[Any]:
    check_structure(data, "image")
    from astropy.io import fits  # a third of a second, and most data sets are not FITS

    kinds = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd but legible headers; what is illegible raises
        with fits.open(io.BytesIO(data), memmap=False) as hdus:
            images = (hdu for hdu in hdus if isinstance(hdu, kinds) and len(hdu.shape) >= 2)
            first = next(images, None)
            if first is None:
                raise RefusedError("the FITS file holds no image")
            yield first


def _cutout(hdu: Any) -> Cutout:  # noqa: ANN401 astropy's classes are not typed
    shape = tuple(int(axis) for axis in hdu.shape)
    while len(shape) > 2 and shape[0] == 1:  # radio images have axes of one frequency and polarisation
        shape = shape[1:]
    bands = shape[0] if len(shape) == 3 else 1
    keys = [f"BAND{number}" for number in range(min(bands, 9))]  # or BANDS, in the Legacy Surveys
    stated = hdu.header.get("BANDS", "".join(str(hdu.header.get(key, "")) for key in keys))
    letters = "".join(sign for sign in str(stated).lower() if sign.isalpha())
    raw = hdu.header.get("BITPIX") == 8 and not {"BSCALE", "BZERO"} & set(hdu.header)
    return Cutout(shape, raw, letters if len(letters) == bands else "", *_sky(hdu.header, *shape[-2:]))


def _sky(header: Any, height: int, width: int) -> tuple[float, float, float]:  # noqa: ANN401
    """Return position of the centre [deg] and pixel side [arcsec], NaN where the header does not say."""
    try:
        with guarded():
            ra, dec, scale = _solved(header, height, width)
    except RefusedError:
        return np.nan, np.nan, np.nan
    known = np.isfinite([ra, dec, scale]).all() and SMALLEST_ARCSEC < scale < LARGEST_ARCSEC
    return (ra, dec, scale) if known else (np.nan, np.nan, np.nan)


def _solved(header: Any, height: int, width: int) -> tuple[float, float, float]:  # noqa: ANN401
    from astropy import wcs  # slow to import, like astropy.io.fits

    if not all(_is_moderate(keyword, header[keyword]) for keyword in set(header)):
        return np.nan, np.nan, np.nan
    solution = wcs.WCS(header)
    if not solution.has_celestial:
        return np.nan, np.nan, np.nan
    plane = solution.celestial
    centre = plane.pixel_to_world((width - 1) / 2, (height - 1) / 2).icrs
    return (
        float(centre.ra.deg),
        float(centre.dec.deg),
        float(wcs.utils.proj_plane_pixel_area(plane) ** 0.5 * 3600),
    )


def _is_moderate(keyword: str, value: object) -> bool:
    """Whether a keyword does not make the solution of a header arbitrarily large."""
    if (
        keyword.startswith(("DP", "DQ")) and keyword[2:3].isdigit()
    ):  # records of distortions, which no cut-out has
        return False
    most = (
        HIGHEST_ORDER if keyword.endswith("_ORDER") else MOST_AXES if keyword.startswith("WCSAXES") else None
    )
    return most is None or (isinstance(value, int) and 0 <= value <= most)
