"""How is a cell of a Parquet table shown: an encoded file, an array of bytes, or flux in named bands?"""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from astrojepa_bench.data.convert import Picture
from astrojepa_bench.data.sources.band_names import is_legacy, letters_of
from astrojepa_bench.data.sources.container import RefusedError, shown
from astrojepa_bench.data.sources.flux import DISPLAYED, Curve, Flux, Stretch, chosen_stretch, planes_of
from astrojepa_bench.data.sources.image_formats import decode, glance
from astrojepa_bench.data.sources.image_shape import Sides, bands_first, sides_of
from astrojepa_bench.data.sources.parquet_cells import array_of, bytes_of, names_of
from astrojepa_bench.data.sources.parquet_columns import ColumnPlace, ImagePlaces
from astrojepa_bench.data.sources.raster import look

SHOWING = 3  # raise it whenever the same cell starts to give other pixels


@dataclass(frozen=True)
class Showing:
    """How images are read and shown.

    Attributes:
        image: where they lie.
        bands: names of the bands that are shown, in order; empty where nobody names them.
        given: names of all bands in the order in which they lie, where the table itself does not name them.
        stretch: how flux is shown.
        use_mask: whether pixels that the mask does not pass are without a value.
    """

    image: ImagePlaces
    bands: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    stretch: Stretch = "auto"
    use_mask: bool = True

    @property
    def places(self) -> tuple[ColumnPlace, ...]:
        """All that is read to show an image."""
        image = self.image
        named = (image.band,) if self.bands and not self.given else ()
        beside = (image.ivar, image.mask if self.use_mask else None)
        return tuple(place for place in (image.pixels, *named, *beside) if place is not None)

    @property
    def files(self) -> ColumnPlace | None:
        """Where whole files lie, if it is these."""
        return self.image.pixels if self.image.kind == "encoded" else None

    @property
    def filters(self) -> str:
        """One letter a band, or empty."""
        return letters_of(self.bands)

    def picture(self, cells: pa.RecordBatch, bands: int, pixel_arcsec: float) -> Picture:
        """Show one image.

        Args:
            cells: its row.
            bands: how many bands to show; grey is repeated in each of them.
            pixel_arcsec: side of its pixels on the sky, NaN where unknown.

        Raises:
            RefusedError: it is missing, damaged, has other bands, or holds display levels where flux is to stay
                linear.
        """
        if self.files is not None:
            return decode(bytes_of(cells.column(self.files.column), self.files), bands, self.stretch)
        planes = self._planes(cells)
        digest, gaps, blank = hashlib.sha256(), 0, None
        if planes.dtype.kind == "f":
            stretch = self.stretch_of(pixel_arcsec)
            digest.update(
                f"{planes.dtype} {planes.shape} {stretch} {self.filters} {pixel_arcsec:.6g} ".encode()
            )
            digest.update(planes.tobytes())
            if self.bands and not self.filters and stretch == "viewer":
                digest.update(b"in the order of the names")
            with np.errstate(all="ignore"):  # what is no number, or too large for one, is no flux
                flux = Flux(planes.astype(np.float64), self.filters, pixel_arcsec, red_first=bool(self.bands))
                planes, gaps, blank = planes_of(flux, self.stretch, stretch)
            pixels = planes.transpose(1, 2, 0)
        elif self.stretch == "none":
            raise RefusedError(DISPLAYED)
        else:
            pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
            digest.update(pixels.tobytes())
        if pixels.shape[2] not in (1, bands):
            raise RefusedError(f"has {pixels.shape[2]} bands, most others {bands}")
        return Picture(digest.digest()[:16], np.broadcast_to(pixels, (*pixels.shape[:2], bands)), gaps, blank)

    def stretch_of(self, pixel_arcsec: float) -> Curve:
        """Resolve `auto`, and what `none` is displayed by.

        Flux of other surveys has other units, which the viewer's stretch does not fit.
        """
        if self.stretch in ("auto", "none") and not is_legacy(self.bands):
            return "asinh"
        return chosen_stretch(self.stretch, self.filters, pixel_arcsec)

    def numbers(self, cells: pa.RecordBatch) -> np.ndarray:
        """Return all numbers of one image as they are stored.

        Raises:
            RefusedError: they are missing, or form no array.
        """
        return array_of(cells.column(self.image.pixels.column), self.image.pixels)

    def sides(self, cells: pa.RecordBatch) -> Sides:
        """Return the extent of one image.

        Raises:
            RefusedError: it is missing or damaged.
        """
        if self.files is None:
            return sides_of(self._planes(cells).shape, bands_first=True)
        data = bytes_of(cells.column(self.files.column), self.files)
        bands = glance(data, self.stretch).bands
        with suppress(RefusedError):
            seen = look(data)
            return Sides(seen.height, seen.width, bands)
        return Sides(*decode(data, bands, self.stretch).pixels.shape)

    def _planes(self, cells: pa.RecordBatch) -> np.ndarray:
        """Return the bands of one image in order: bytes, or floating-point numbers with NaN where unknown."""
        values, names = self.numbers(cells), self._names(cells)
        if values.dtype.kind in "iu":
            if not values.size or values.min() < 0 or values.max() > 255:
                raise RefusedError(
                    f"{values.dtype} {values.shape}; expected whole numbers from 0 to 255, or flux"
                )
            planes = _unflattened(values.astype(np.uint8), names)
        elif values.dtype.kind == "f":
            planes = _unflattened(values, names)
            planes = np.where(self._unknown(planes, cells, names), np.nan, planes)
        else:
            raise RefusedError(f"{values.dtype} {values.shape}; expected numbers")
        if not names:
            return planes
        missing = next((name for name in self.bands if name not in names), None)
        if missing is not None:
            raise RefusedError(f"it has no band {shown(missing)}")
        return planes[[names.index(name) for name in self.bands]]

    def _unknown(self, planes: np.ndarray, cells: pa.RecordBatch, names: list[str]) -> np.ndarray:
        """Mark the pixels that were not measured, or that the mask does not pass."""
        unknown = np.zeros(planes.shape, dtype=bool)
        if self.image.ivar is not None:
            unknown |= ~(self._like(planes, cells, self.image.ivar, names) > 0)
        if self.image.mask is not None and self.use_mask:
            unknown |= self._like(planes, cells, self.image.mask, names) == 0
        return unknown

    def _names(self, cells: pa.RecordBatch) -> list[str]:
        if not self.bands or self.given or self.image.band is None:
            return list(self.given)
        return names_of(cells.column(self.image.band.column), self.image.band)

    def _like(
        self, planes: np.ndarray, cells: pa.RecordBatch, place: ColumnPlace, names: list[str]
    ) -> np.ndarray:
        """Read what lies beside flux, one value a pixel; of a single plane, the same in every band."""
        values = array_of(cells.column(place.column), place)
        if values.shape == planes.shape[1:]:
            values = values[None]
        values = values if values.ndim == 3 else _unflattened(values, names)
        if values.shape[-2:] != planes.shape[-2:] or len(values) not in (1, len(planes)):
            raise RefusedError(f"its {shown(str(place))} is {values.shape}, the image {planes.shape}")
        return values


def _unflattened(values: np.ndarray, names: list[str]) -> np.ndarray:
    """Return bands first; of a flat list, so many square bands as there are names.

    Raises:
        RefusedError: its axes cannot be told apart, or the bands are not as many as their names.
    """
    side = math.isqrt(values.size // max(1, len(names)))
    if values.ndim == 1:
        if not names or values.size != len(names) * side**2:
            raise RefusedError(
                f"a flat list of {values.size} numbers; expected square bands, named by dataset.bands"
            )
        return values.reshape(len(names), side, side)
    if not names:
        return bands_first(values)
    planes = values[None] if values.ndim == 2 else values
    last = planes.ndim == 3 and len(planes) != len(names) == planes.shape[-1]
    planes = planes.transpose(2, 0, 1) if last else planes
    if planes.ndim != 3 or len(planes) != len(names):
        raise RefusedError(f"shape {values.shape} is not that of {len(names)} bands")
    if not planes[0].size > 0:
        raise RefusedError(f"shape {values.shape} is empty")
    return planes
