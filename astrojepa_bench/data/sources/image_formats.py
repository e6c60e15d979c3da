"""How do the bytes of an image file become pixels: a picture (JPEG, PNG, TIFF, WebP, BMP), FITS or NumPy?"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from astrojepa_bench.data.convert import Picture
from astrojepa_bench.data.sources.container import RefusedError, guarded, unpacked
from astrojepa_bench.data.sources.filters import as_viewed
from astrojepa_bench.data.sources.fits_image import read_header
from astrojepa_bench.data.sources.flux import Stretch, chosen_stretch
from astrojepa_bench.data.sources.image_shape import bands_first, sides_of
from astrojepa_bench.data.sources.layers import (
    BandPlanes,
    arranged,
    displayed_layers,
    layers_of_fits,
    order_of,
)
from astrojepa_bench.data.sources.raster import TURNED, look, read_raster

FITS_SIGNATURE, NUMPY_SIGNATURE = b"SIMPLE", b"\x93NUMPY"


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
        side_px: side of its central square [pixel], 0 where it cannot be read.
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
    side_px: int = 0


def glance(data: bytes, stretch: Stretch, given: Sequence[str] = ()) -> Glance:
    """Look at an image's header.

    Args:
        data: the file.
        stretch: how flux is shown.
        given: what the user calls the bands, or which of them are to be shown.

    Raises:
        RefusedError: it is damaged, or no image of 1 to 5 bands.
    """
    data = unpacked(data)
    if data.startswith(FITS_SIGNATURE):
        found = read_header(data)
        sky = found.sky
        names, order = order_of(found.bands, found.shape[0], given)
        letters = "".join(names) if found.in_survey_unit else ""
        how = "" if found.display else chosen_stretch(stretch, letters, sky.pixel_arcsec)
        return Glance(
            len(order), sky.ra, sky.dec, sky.pixel_arcsec * min(found.shape[1:]), how,
            ",".join(as_viewed(names, how)), found.unread, sky.north_deg, sky.mirrored, bottom_up=True,
            in_survey_unit=found.in_survey_unit, side_px=min(found.shape[1:]),
        )  # fmt: skip
    if data.startswith(NUMPY_SIGNATURE):
        shape, kind = _numpy_header(data)
        height, width, bands = sides_of(shape)
        flux = kind != np.uint8
    else:
        bands, width, height, flux = look(data)
    names, order = order_of((), bands, given)
    how = chosen_stretch(stretch, "", np.nan) if flux else ""
    return Glance(len(order), stretch=how, names=",".join(as_viewed(names, how)), side_px=min(height, width))


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
    data = unpacked(data)
    digest, layers = hashlib.sha256(data), arranged(science_layers(data), given)
    (planes, gaps, blank), how = displayed_layers(layers, stretch)
    pixels = planes.transpose(1, 2, 0)
    turned = " turned upright" if layers.told & TURNED else ""
    digest.update(f"{how}{layers.reading}{turned}".encode())
    if pixels.shape[2] not in (1, bands):
        raise RefusedError(f"has {pixels.shape[2]} bands, most others {bands}")
    shown = np.broadcast_to(pixels, (*pixels.shape[:2], bands))
    return Picture(digest.digest()[:16], shown, gaps, blank, layers.told)


def science_layers(data: bytes) -> BandPlanes:
    """Read the planes of a file as they lie there; those of a photograph upright.

    Raises:
        RefusedError: it is damaged, or no image of 1 to 5 bands.
    """
    data = unpacked(data)
    if data.startswith(FITS_SIGNATURE):
        return layers_of_fits(data)
    if not data.startswith(NUMPY_SIGNATURE):
        pixels, told = read_raster(data)
        return BandPlanes(pixels.transpose(2, 0, 1), told=told)
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
