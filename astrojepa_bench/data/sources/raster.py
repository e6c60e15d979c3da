"""How do the bytes of a JPEG, PNG, TIFF, WebP or BMP file become pixels, and what of it was converted?

Display levels stay as they are wherever 8 bits hold them. Whatever is turned, cut to fewer bits or left out is
marked in what is returned, and counted on the card. Floating-point and 32-bit pictures (TIFF) are flux.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from astrojepa_bench.data.sources.container import RefusedError, guarded
from astrojepa_bench.data.sources.image_shape import sides_of

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP")  # of these only: some others make the library start programs
GREY_MODES = frozenset({"1", "L", "LA", "La"})
DEEP_MODES = ("I", "F")  # also "I;16" and its like: more than 8 bits
PNG_BITS, PNG_HEADER = 24, b"\x89PNG\r\n\x1a\n"  # where a PNG states how many bits a channel has
UPRIGHT = 1
TURNED, DEEP, CMYK, CLEAR, PALETTE, BILEVEL, FRAMES = (1 << bit for bit in range(7))
TOLD: Mapping[int, str] = {
    TURNED: "images were turned upright, as their EXIF orientation says",
    DEEP: "images have 16 bits a channel; the upper 8 are read",
    CMYK: "images are CMYK or in another colour space and were converted to RGB",
    CLEAR: "images have transparent pixels; their colours are read and the transparency is not",
    PALETTE: "images have a palette and are read in its colours",
    BILEVEL: "images are black and white, of 1 bit; read as 0 and 255",
    FRAMES: "images hold several pages or frames; the first is read",
}
"""What may have been done to an image, by the bit that marks it."""


class Raster(NamedTuple):
    """A decoded picture.

    Attributes:
        pixels: (height, width, band): uint8 levels, or numbers of another kind, which are flux.
        told: which of `TOLD` holds.
    """

    pixels: np.ndarray
    told: int


class Look(NamedTuple):
    """What a picture's header says.

    Attributes:
        bands: 1 or 3.
        width, height: as it lies in the file [pixel].
        flux: whether its numbers are no display levels.
    """

    bands: int
    width: int
    height: int
    flux: bool


def look(data: bytes) -> Look:
    """Look at a picture's header.

    Raises:
        RefusedError: it is damaged, or no picture of these formats.
    """
    with opened(data) as image:
        grey = image.mode in GREY_MODES or image.mode.startswith(DEEP_MODES)
        return Look(1 if grey else 3, image.width, image.height, _is_flux(image))


def read_raster(data: bytes) -> Raster:
    """Decode a picture.

    Raises:
        RefusedError: it is damaged, or no picture of these formats.
    """
    with opened(data) as image:
        mode, told = image.mode, 0
        flux, deep = _is_flux(image), _channel_bits(image, data) == 16
        if image.getexif().get(ExifTags.Base.Orientation, UPRIGHT) in range(2, 9):
            told |= TURNED
        if getattr(image, "n_frames", 1) > 1:
            told |= FRAMES
        image.load()
        upright = ImageOps.exif_transpose(image)
        if flux:
            values = np.asarray(upright)
            return Raster(values.reshape(*values.shape[:2], 1), told)
        told |= DEEP * deep | PALETTE * (mode in ("P", "PA")) | BILEVEL * (mode == "1")
        told |= CMYK * (mode in ("CMYK", "YCbCr", "LAB", "HSV"))
        if mode.startswith(DEEP_MODES):
            shown = (np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8)
        else:
            # A palette may carry transparency, which only RGBA holds.
            full = upright.convert("RGBA") if mode in ("P", "PA") else upright
            alpha = full.getchannel("A").getextrema() if "A" in full.getbands() else None
            told |= CLEAR * ("transparency" in full.info if alpha is None else alpha[0] < 255)  # type: ignore[operator]
            shown = np.asarray(full.convert("L" if full.mode in GREY_MODES else "RGB"))
        return Raster(shown.reshape(*shown.shape[:2], -1), told)


def _is_flux(image: Image.Image) -> bool:
    """Whether a picture holds counts or flux, of 32 bits, and no display levels."""
    return image.mode in DEEP_MODES and image.format == "TIFF"


def _channel_bits(image: Image.Image, data: bytes) -> int:
    """Return how many bits a channel has in the file; the library hands on 8 of 16 without a word."""
    if data.startswith(PNG_HEADER):
        return data[PNG_BITS]
    bits = getattr(image, "tag_v2", {}).get(ExifTags.Base.BitsPerSample, (8,))
    return max(bits) if isinstance(bits, tuple) else int(bits)


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Open a picture of one of `FORMATS`, whatever its name.

    Raises:
        RefusedError: it is damaged, huge, or of another format.
    """
    with guarded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise RefusedError("not a JPEG, PNG, FITS or NumPy image, nor TIFF, WebP or BMP") from None
        with image:
            sides_of((image.height, image.width))
            yield image


def told_notes(told: np.ndarray) -> list[str]:
    """Count what was done to images.

    Args:
        told: which of `TOLD` hold, by image.
    """
    counts = {text: int((told & bit > 0).sum()) for bit, text in TOLD.items()}
    return [f"{count} {text}" for text, count in counts.items() if count]
