"""How do the bytes of a JPEG, PNG, FITS or NumPy file become pixels?"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from astrojepa_bench.data.convert import Picture
from astrojepa_bench.data.sources.container import RefusedError, guarded
from astrojepa_bench.data.sources.fits_image import read_header
from astrojepa_bench.data.sources.flux import DISPLAYED, Stretch, chosen_stretch
from astrojepa_bench.data.sources.image_shape import bands_first, sides_of
from astrojepa_bench.data.sources.layers import (
    BandPlanes,
    arranged,
    displayed_layers,
    layers_of_fits,
    order_of,
)

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
        names: of the bands as they are shown, with commas; empty where nobody tells them.
        unread: further images of the file that are not read, in a few words.
        north_deg: direction of north in the picture, counter-clockwise from up, NaN where unknown.
        mirrored: whether east lies on its wrong side.
        bottom_up: whether the file counts rows from the bottom.
        in_survey_unit: whether flux is in the unit of the Legacy Surveys, as far as the header tells.
    """

    bands: int = 0
    ra: float = np.nan
    dec: float = np.nan
    field_arcsec: float = np.nan
    stretch: str = ""
    names: str = ""
    unread: str = ""
    north_deg: float = np.nan
    mirrored: bool = False
    bottom_up: bool = False
    in_survey_unit: bool = False


def without_suffix(name: str) -> str:
    """Strip the suffix of an image's file name; "J0004.19" has none."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else name


def glance(data: bytes, stretch: Stretch, given: Sequence[str] = ()) -> Glance:
    """Look at an image's header.

    Args:
        data: the file.
        stretch: how flux is shown.
        given: what the user calls the bands, or which of them are to be shown.

    Raises:
        RefusedError: it is damaged, or no image of 1 to 5 bands.
    """
    if data.startswith(FITS_SIGNATURE):
        found = read_header(data)
        sky = found.sky
        names, order = order_of(found.bands, found.shape[0], given)
        letters = "".join(names) if found.in_survey_unit else ""
        how = "" if found.display else chosen_stretch(stretch, letters, sky.pixel_arcsec)
        return Glance(
            len(order), sky.ra, sky.dec, sky.pixel_arcsec * min(found.shape[1:]), how, ",".join(names),
            found.unread, sky.north_deg, sky.mirrored, bottom_up=True, in_survey_unit=found.in_survey_unit,
        )  # fmt: skip
    if data.startswith(NUMPY_SIGNATURE):
        shape, kind = _numpy_header(data)
        names, order = order_of((), sides_of(shape).bands, given)
        how = "" if kind == np.uint8 else chosen_stretch(stretch, "", np.nan)
        return Glance(len(order), stretch=how, names=",".join(names))
    with _raster(data) as image:
        names, order = order_of((), 1 if image.mode in GREY_MODES else 3, given)
        return Glance(len(order), names=",".join(names))


def decode(data: bytes, bands: int, stretch: Stretch, given: Sequence[str] = ()) -> Picture:
    """Decode an image into so many bands, the reddest first where they are named; grey is repeated in each of them.

    Args:
        data: the file.
        bands: how many to show.
        stretch: how flux is shown.
        given: what the user calls the bands, or which of them are to be shown.

    Raises:
        RefusedError: it is damaged, has other bands, or holds display levels where flux is to stay linear.
    """
    digest, blank = hashlib.sha256(data), None
    if data.startswith((FITS_SIGNATURE, NUMPY_SIGNATURE)):
        layers = arranged(science_layers(data), given)
        (planes, gaps, blank), how = displayed_layers(layers, stretch)
        pixels = planes.transpose(1, 2, 0)
        digest.update(f"{how}{layers.reading}".encode())
    elif stretch == "none":
        raise RefusedError(DISPLAYED)
    else:
        with _raster(data) as image:
            if image.mode.startswith(DEEP_MODES):
                raise RefusedError(f"mode {image.mode} is not 8 bits a band")
            # A palette may carry transparency, which only RGBA holds.
            full = image.convert("RGBA") if image.mode == "P" else image
            shown = np.asarray(full.convert("L" if full.mode in GREY_MODES else "RGB"))
            _, order = order_of((), 1 if shown.ndim == 2 else 3, given)
            pixels, gaps = shown.reshape(*shown.shape[:2], -1)[..., order], 0
        digest.update(f" bands {order}".encode() if order != sorted(order) else b"")
    if pixels.shape[2] not in (1, bands):
        raise RefusedError(f"has {pixels.shape[2]} bands, most others {bands}")
    return Picture(digest.digest()[:16], np.broadcast_to(pixels, (*pixels.shape[:2], bands)), gaps, blank)


def science_layers(data: bytes) -> BandPlanes:
    """Read the planes of a FITS or NumPy file as they lie there.

    Raises:
        RefusedError: it is damaged, or no image of 1 to 5 bands.
    """
    if data.startswith(FITS_SIGNATURE):
        return layers_of_fits(data)
    _numpy_header(data)  # or a header could ask for more memory than there is
    with guarded():
        array: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
    return BandPlanes(bands_first(array))


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
