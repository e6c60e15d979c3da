"""What does a source state about its galaxies, row by row, before any is examined or left out?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from astrojepa_bench.data.convert import ImageSource
from astrojepa_bench.types import ORIENTATION, class_name
from astrojepa_bench.types import UNSTATED as UNSTATED

UNLABELLED = 255  # as files spell it in a uint8 column
MOST_CLASSES = 1000
LEAST_REDSHIFT = -1.0  # this and anything below is no redshift
MOST_REDSHIFT = 30.0  # of what shines; 99 and 9999 are none
FACTS = ("redshift", "ra", "dec", "pixel_scale")


@dataclass(frozen=True)
class Catalogue:
    """One entry a picture, in the order of the source's pictures.

    Attributes:
        ids: unique names.
        label: class index, -1 unknown.
        redshift, ra, dec: NaN where unknown [-, deg, deg].
        field_arcsec: side of the sky that the central square shows, NaN where unknown.
        class_names: by class index; empty, or too short, where classes have no names.
        split: as the source declares it, or None.
        group: name of what must share a split, empty where alone; or None.
        attributes: further numbers by name, NaN where unknown.
        bands: names of the bands in channel order, empty where the source does not tell them.
        orientation: how each picture lies (`ORIENTATION`), None where first rows are on top and north unknown.
        licence, citation: as the source states them.
        notes: what was found wrong and what was done about it.
    """

    ids: np.ndarray
    label: Int[np.ndarray, " galaxy"]
    redshift: Float[np.ndarray, " galaxy"]
    ra: Float[np.ndarray, " galaxy"]
    dec: Float[np.ndarray, " galaxy"]
    field_arcsec: Float[np.ndarray, " galaxy"]
    class_names: tuple[str, ...] = ()
    split: np.ndarray | None = None
    group: np.ndarray | None = None
    attributes: Mapping[str, Float[np.ndarray, " galaxy"]] = field(default_factory=dict)
    bands: tuple[str, ...] = ()
    orientation: np.ndarray | None = None
    licence: str = UNSTATED
    citation: str = UNSTATED
    notes: tuple[str, ...] = ()

    @classmethod
    def bare(cls, ids: np.ndarray) -> Catalogue:
        """Make a catalogue of names, with everything else unknown."""
        unknown = np.full(len(ids), np.nan)
        return cls(ids, np.full(len(ids), -1), unknown, unknown, unknown, unknown)

    def __len__(self) -> int:
        return len(self.ids)

    def kinds(self) -> np.ndarray:
        """Name each galaxy's class: by number where it has no name, empty where it has no class."""
        found = range(int(self.label.max(initial=-1)) + 1)
        words = [class_name(self.class_names, n) for n in found]
        return np.array([*words, ""])[self.label]

    def facts(self, size_px: int) -> dict[str, Float[np.ndarray, " galaxy"]]:
        """Return the columns of `FACTS`; the pixel scale is that of images of `size_px`."""
        return {
            "redshift": self.redshift,
            "ra": self.ra,
            "dec": self.dec,
            "pixel_scale": self.field_arcsec / size_px,
        }

    def kept(self, keep: Bool[np.ndarray, " galaxy"], *notes: str) -> Catalogue:
        """Keep the marked galaxies, and add notes."""
        columns = ("ids", "label", "redshift", "ra", "dec", "field_arcsec", "split", "group", "orientation")
        present = [name for name in columns if getattr(self, name) is not None]
        changes: dict[str, Any] = {name: getattr(self, name)[keep] for name in present}
        attributes = {name: column[keep] for name, column in self.attributes.items()}
        return replace(self, **changes, attributes=attributes, notes=(*self.notes, *notes))


def unknown_orientation(count: int) -> np.ndarray:
    """Return `ORIENTATION` of pictures with their first row on top of which nobody tells where north is."""
    found = np.zeros(count, dtype=ORIENTATION)
    found["north_deg"] = np.nan
    return found


def measured(values: Float[np.ndarray, " galaxy"]) -> Float[np.ndarray, " galaxy"]:
    """Return measurements with infinite values as unknown."""
    return np.where(np.isfinite(values), values, np.nan)


def known_redshift(values: Float[np.ndarray, " galaxy"]) -> Float[np.ndarray, " galaxy"]:
    """Return redshifts; not finite, -1 or less (-99), or beyond all galaxies (99) is how "unknown" is spelt."""
    return np.where((values > LEAST_REDSHIFT) & (values < MOST_REDSHIFT), measured(values), np.nan)


class Source(ImageSource, Protocol):
    """Pictures and what is known about them: an HDF5 file, a folder, a zip, a data set of a hub."""

    def catalogue(self) -> Catalogue:
        """Read all that is known about the pictures.

        Raises:
            DataError: a column holds something that it must not.
        """
