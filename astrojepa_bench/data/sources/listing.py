"""Which image belongs to which row of a table, and what do its columns say about it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from astrojepa_bench.data.column_names import told_names, told_unused
from astrojepa_bench.data.sources.catalogue import Catalogue
from astrojepa_bench.data.sources.container import shown
from astrojepa_bench.data.sources.file_kinds import NONE, without_suffix
from astrojepa_bench.data.sources.fits_sky import LARGEST_ARCSEC
from astrojepa_bench.data.sources.matching import matched_images
from astrojepa_bench.data.sources.table_columns import AUTO, LABEL, columns_known
from astrojepa_bench.data.sources.tables import heads_of
from astrojepa_bench.data.splitting.selection import OnBadImage, true_notes
from astrojepa_bench.errors import DataError


class Listing(NamedTuple):
    """Images and what is known about them.

    Attributes:
        names: of files, one a row; empty where a row has none.
        known: without looking at the images.
        arcsec: side of a pixel of each image, NaN where unknown; None where nobody says.
    """

    names: tuple[str, ...]
    known: Catalogue
    arcsec: Float[np.ndarray, " row"] | None = None


@dataclass(frozen=True)
class Columns:
    """Which table is read, and what from it.

    Attributes:
        table: its name, `none` for none, or empty to look for one.
        label: the label column, or empty for none; `label` need not be there, and may have another usual name.
        attributes: number columns to carry along.
        on_bad_image: whether a repeated id ends everything, or all but the first are left out.
        pixel_scale: arcsec per pixel of all images, or the column that holds it; `auto` finds it, `none` reads
            none.
    """

    table: str = ""
    label: str = LABEL
    attributes: tuple[str, ...] = ()
    on_bad_image: OnBadImage = "fail"
    pixel_scale: str = AUTO

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that must be there because an option names them."""
        label = () if self.label in ("", LABEL) else (self.label,)
        stated = self.pixel_scale in ("", AUTO, NONE) or self.arcsec is not None
        return (*self.attributes, *label, *(() if stated else (self.pixel_scale,)))

    @property
    def arcsec(self) -> float | None:
        """The pixel scale of all images, where it is a number.

        Raises:
            DataError: it is none that a pixel can have.
        """
        try:
            arcsec = float(self.pixel_scale)
        except ValueError:
            return None
        if not 0 < arcsec < LARGEST_ARCSEC:
            raise DataError(
                f"dataset.pixel_scale is {self.pixel_scale}; expected arcsec per pixel, above 0 and below "
                f"{LARGEST_ARCSEC:g}, or the name of a column"
            )
        return arcsec


def listed(
    table: str,
    frame: pd.DataFrame,
    images: Sequence[str],
    asked: Columns,
    galaxy_of: Mapping[str, str] = MappingProxyType({}),
) -> Listing:
    """Match the rows of a table with images.

    Paths are relative to the table. Without a column of paths a row's image is the one named like its id;
    without a column of ids its id is its path without suffix.

    Args:
        table: where it lies, relative to the folder.
        frame: its rows.
        images: all images of the folder.
        asked: which columns to read.
        galaxy_of: of each file of one band, the name among `images` that it and its other bands share; a table may
            name either.

    Raises:
        DataError: the table has neither column, repeats an id, lacks a column that was asked for, or holds
            something else than expected.
    """
    matched = matched_images(table, frame, [*images, *galaxy_of], asked.on_bad_image)
    names = _of_galaxies(matched.names, galaxy_of)
    known = columns_known(frame, matched.ids, asked)
    taken = {**matched.taken, **known.taken}
    unused = len(set(images) - set(names))
    notes = [
        *frame.attrs.get("notes", ()), *told_names(taken), *matched.notes, *known.notes,
        *told_unused(heads_of(frame), taken, shown(table)),
        *true_notes({f"{unused} images are not in {shown(table)} and were left out": unused}),
    ]  # fmt: skip
    listing = Listing(tuple(names), replace(known.catalogue, notes=tuple(notes)), known.arcsec)
    return without_repeats(listing, shown(table), asked.on_bad_image)


def _of_galaxies(names: Sequence[str], galaxy_of: Mapping[str, str]) -> list[str]:
    """Name the galaxies whose bands a table names.

    Raises:
        DataError: it names several bands of one galaxy.
    """
    first: dict[str, str] = {}
    for name in names:
        galaxy = galaxy_of.get(name)
        if galaxy is not None and first.setdefault(galaxy, name) != name:
            raise DataError(
                f"{shown(first[galaxy])} and {shown(name)} are bands of one galaxy and have a row each; give it "
                f"one row, of id or path '{shown(without_suffix(galaxy))}'"
            )
    return [galaxy_of.get(name, name) for name in names]


def without_repeats(listing: Listing, where: str, on_bad_image: OnBadImage) -> Listing:
    """Leave out all but the first row of each id.

    Args:
        listing: what was found.
        where: what repeats them, for the message.
        on_bad_image: `fail` to end everything instead.

    Raises:
        DataError: ids repeat, and none is to be skipped.
    """
    repeated = pd.Series(listing.known.ids).duplicated().to_numpy(dtype=bool)
    if not repeated.any():
        return listing
    found = f"{repeated.sum()} repeated ids, first '{shown(str(listing.known.ids[repeated][0]))}'"
    if on_bad_image == "fail":
        raise DataError(
            f"{where} has {found}; ids must be unique: correct it, or keep only the first of each "
            "with --on-bad-image skip"
        )
    names = tuple(name for name, again in zip(listing.names, repeated.tolist(), strict=True) if not again)
    known = listing.known.kept(~repeated, f"{found}; all but the first of each were left out")
    return Listing(names, known, None if listing.arcsec is None else listing.arcsec[~repeated])
