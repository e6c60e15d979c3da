"""How do the bytes of a JPEG, PNG, FITS or NumPy file become pixels?"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from astrojepa_bench.data.convert import Picture
from astrojepa_bench.data.sources.container import RefusedError, guarded
from astrojepa_bench.data.sources.fits_image import read_header, read_pixels
from astrojepa_bench.data.sources.flux import DISPLAYED, Flux, Planes, Stretch, chosen_stretch, planes_of
from astrojepa_bench.data.sources.image_shape import bands_first, sides_of

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".fits", ".fit", ".npy"})
FITS_SIGNATURE, NUMPY_SIGNATURE = b"SIMPLE", b"\x93NUMPY"
GREY_MODES = frozenset({"1", "L", "LA"})
DEEP_MODES = ("I", "F")  # also "I;16" and its like: more than 8 bits would be cut off silently


class Glance(NamedTuple):
    """What can be told without decoding the pixels.

    Attributes:
        bands: how many, 0 where the image cannot be read.
        ra, dec: of its centre [deg], NaN where unknown.
        field_arcsec: side of its central square on the sky, NaN where unknown.
        stretch: how its flux is shown for display, empty where it holds display pixels.
    """

    bands: int = 0
    ra: float = np.nan
    dec: float = np.nan
    field_arcsec: float = np.nan
    stretch: str = ""


def without_suffix(name: str) -> str:
    """Strip the suffix of an image's file name; "J0004.19" has none."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else name


def glance(data: bytes, stretch: Stretch) -> Glance:
    """Look at an image's header.

    Raises:
        RefusedError: it is damaged, or no image of 1 to 5 bands.
    """
    if data.startswith(FITS_SIGNATURE):
        found = read_header(data)
        height, width, bands = sides_of(found.shape, bands_first=True)
        field = found.pixel_arcsec * min(height, width)
        how = "" if found.display else chosen_stretch(stretch, found.filters, found.pixel_arcsec)
        return Glance(bands, found.ra, found.dec, field, how)
    if data.startswith(NUMPY_SIGNATURE):
        shape, kind = _numpy_header(data)
        how = "" if kind == np.uint8 else chosen_stretch(stretch, "", np.nan)
        return Glance(sides_of(shape).bands, stretch=how)
    with _raster(data) as image:
        return Glance(1 if image.mode in GREY_MODES else 3)


def decode(data: bytes, bands: int, stretch: Stretch) -> Picture:
    """Decode an image into so many bands; grey is repeated in each of them.

    Raises:
        RefusedError: it is damaged, has other bands, or holds display levels where flux is to stay linear.
    """
    digest, blank = hashlib.sha256(data), None
    if data.startswith((FITS_SIGNATURE, NUMPY_SIGNATURE)):
        (planes, gaps, blank), how = _science(data, stretch)
        pixels = planes.transpose(1, 2, 0)
        digest.update(how.encode())
    elif stretch == "none":
        raise RefusedError(DISPLAYED)
    else:
        with _raster(data) as image:
            if image.mode.startswith(DEEP_MODES):
                raise RefusedError(f"mode {image.mode} is not 8 bits a band")
            # A palette may carry transparency, which only RGBA holds.
            full = image.convert("RGBA") if image.mode == "P" else image
            shown = np.asarray(full.convert("L" if full.mode in GREY_MODES else "RGB"))
            pixels, gaps = shown.reshape(*shown.shape[:2], -1), 0
    if pixels.shape[2] not in (1, bands):
        raise RefusedError(f"has {pixels.shape[2]} bands, most others {bands}")
    return Picture(digest.digest()[:16], np.broadcast_to(pixels, (*pixels.shape[:2], bands)), gaps, blank)


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


@contextmanager
def _raster(data: bytes) -> Iterator[Image.Image]:
    with guarded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:  # of these formats only: some others make the library start programs
            image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        except UnidentifiedImageError:
            raise RefusedError("not a JPEG, PNG, FITS or NumPy image") from None
        with image:
            sides_of((image.height, image.width))
            yield image
