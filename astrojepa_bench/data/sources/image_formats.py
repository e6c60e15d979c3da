"""How do the bytes of an image file become pixels: a picture (JPEG, PNG, TIFF, WebP, BMP), FITS or NumPy?"""

from __future__ import annotations

import hashlib
import io
from typing import NamedTuple

import numpy as np

from astrojepa_bench.data.convert import Picture
from astrojepa_bench.data.sources.container import RefusedError, guarded, unpacked
from astrojepa_bench.data.sources.fits_image import read_header, read_pixels
from astrojepa_bench.data.sources.flux import DISPLAYED, Flux, Planes, Stretch, chosen_stretch, planes_of
from astrojepa_bench.data.sources.image_shape import bands_first, sides_of
from astrojepa_bench.data.sources.raster import TURNED, look, read_raster

FITS_SIGNATURE, NUMPY_SIGNATURE = b"SIMPLE", b"\x93NUMPY"


class Glance(NamedTuple):
    """What can be told without decoding the pixels.

    Attributes:
        bands: how many, 0 where the image cannot be read.
        ra, dec: of its centre [deg], NaN where unknown.
        field_arcsec: side of its central square on the sky, NaN where unknown.
        stretch: how its flux is shown for display, empty where it holds display pixels.
        side_px: side of its central square [pixel], 0 where it cannot be read.
    """

    bands: int = 0
    ra: float = np.nan
    dec: float = np.nan
    field_arcsec: float = np.nan
    stretch: str = ""
    side_px: int = 0


def glance(data: bytes, stretch: Stretch) -> Glance:
    """Look at an image's header.

    Raises:
        RefusedError: it is damaged, or no image of 1 to 5 bands.
    """
    data = unpacked(data)
    if data.startswith(FITS_SIGNATURE):
        found = read_header(data)
        height, width, bands = sides_of(found.shape, bands_first=True)
        field = found.pixel_arcsec * min(height, width)
        how = "" if found.display else chosen_stretch(stretch, found.filters, found.pixel_arcsec)
        return Glance(bands, found.ra, found.dec, field, how, min(height, width))
    if data.startswith(NUMPY_SIGNATURE):
        shape, kind = _numpy_header(data)
        how = "" if kind == np.uint8 else chosen_stretch(stretch, "", np.nan)
        sides = sides_of(shape)
        return Glance(sides.bands, stretch=how, side_px=min(sides[:2]))
    seen = look(data)
    how = chosen_stretch(stretch, "", np.nan) if seen.flux else ""
    return Glance(seen.bands, stretch=how, side_px=min(seen.width, seen.height))


def decode(data: bytes, bands: int, stretch: Stretch) -> Picture:
    """Decode an image into so many bands; grey is repeated in each of them.

    Raises:
        RefusedError: it is damaged, has other bands, or holds display levels where flux is to stay linear.
    """
    data = unpacked(data)
    digest, blank, told = hashlib.sha256(data), None, 0
    if data.startswith((FITS_SIGNATURE, NUMPY_SIGNATURE)):
        (planes, gaps, blank), how = _science(data, stretch)
        pixels = planes.transpose(1, 2, 0)
        digest.update(how.encode())
    else:
        (pixels, told), gaps = read_raster(data), 0
        if pixels.dtype != np.uint8:
            (planes, gaps, blank), how = _shown(pixels.transpose(2, 0, 1), "", np.nan, stretch)
            pixels = planes.transpose(1, 2, 0)
            digest.update(how.encode())
        elif stretch == "none":
            raise RefusedError(DISPLAYED)
        if told & TURNED:
            digest.update(b"turned upright")
    if pixels.shape[2] not in (1, bands):
        raise RefusedError(f"has {pixels.shape[2]} bands, most others {bands}")
    shown = np.broadcast_to(pixels, (*pixels.shape[:2], bands))
    return Picture(digest.digest()[:16], shown, gaps, blank, told)


def _science(data: bytes, stretch: Stretch) -> tuple[Planes, str]:
    """Read FITS or NumPy: bytes are display pixels, any other number is flux; say how that is displayed."""
    if data.startswith(FITS_SIGNATURE):
        found, values = read_pixels(data)
        planes, filters, scale = bands_first(values, already=True), found.filters, found.pixel_arcsec
    else:
        _numpy_header(data)  # or a header could ask for more memory than there is
        with guarded():
            array: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
        planes, filters, scale = bands_first(array), "", np.nan
    if planes.dtype == np.uint8:
        if stretch == "none":
            raise RefusedError(DISPLAYED)
        return Planes(planes, 0, bool((planes == planes[:, :1, :1]).all())), ""
    return _shown(planes, filters, scale, stretch)


def _shown(planes: np.ndarray, filters: str, scale: float, stretch: Stretch) -> tuple[Planes, str]:
    """Stretch flux as asked for, or leave it linear; say how it is displayed."""
    with np.errstate(all="ignore"):  # what is no number, or too large for one, is no flux
        flux = Flux(planes.astype(np.float64), filters, scale)
    curve = chosen_stretch(stretch, filters, scale)
    return planes_of(flux, stretch, curve), curve


def _numpy_header(data: bytes) -> tuple[tuple[int, ...], np.dtype]:
    file = io.BytesIO(data)
    with guarded():
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
    if kind.kind not in "uif":
        raise RefusedError(f"an array of {kind}, not of numbers")
    if len(data) < file.tell() + int(np.prod(shape, dtype=object)) * kind.itemsize:
        raise RefusedError(f"cut short: {len(data)} bytes are no array {shape} of {kind}")
    return shape, kind
