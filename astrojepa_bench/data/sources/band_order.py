"""Pictures of a source with their bands in another order: the reddest first, or that of another source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from astrojepa_bench.data.convert import ImageSource, Picture, Unreadable
from astrojepa_bench.data.sources.catalogue import Catalogue
from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.filters import filter_of
from astrojepa_bench.data.sources.layers import order_of
from astrojepa_bench.errors import DataError


@dataclass(frozen=True)
class Reordered:
    """A source whose bands are taken in another order.

    Attributes:
        source: the pictures.
        order: which of its bands is the first, the second, and so on; those that are not named are left out.
    """

    source: ImageSource
    order: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.source.name

    @property
    def files(self) -> Mapping[str, Path]:
        """Every file that its pictures depend on."""
        return self.source.files

    @property
    def rendering(self) -> str:
        """Which pixels are made of those bytes, and in which order."""
        return f"{self.source.rendering} bands {self.order}"

    @property
    def as_shown(self) -> Reordered | None:
        """The same pictures stretched for display, if they are linear flux."""
        shown = self.source.as_shown
        return None if shown is None else Reordered(shown, self.order)

    @property
    def bands(self) -> int:
        """How many bands each picture has."""
        return len(self.order)

    def __len__(self) -> int:
        return len(self.source)

    def pictures(self) -> Iterator[Picture | Unreadable]:
        """Read all pictures in order; their digests are of the order, too."""
        for picture in self.source.pictures():
            if isinstance(picture, Unreadable):
                yield picture
            else:
                digest = hashlib.sha256(picture.digest + bytes(self.order)).digest()[: len(picture.digest)]
                yield Picture(digest, picture.pixels[..., list(self.order)], *picture[2:])


def places_of(wanted: Sequence[str], stated: Sequence[str]) -> list[int] | None:
    """Return which of the stated bands is the first that is wanted, the second, and so on; None if others are.

    Example:
        >>> places_of(("g", "r"), ("DES-R", "DES-G")), places_of(("g", "r"), ("r", "z"))
        ([1, 0], None)
    """
    filters = [[filter_of(name) for name in names] for names in (wanted, stated)]
    for ours, theirs in (([*wanted], [*stated]), filters):
        if ours == theirs:
            return [*range(len(ours))]
        if sorted(ours) == sorted(theirs) and len({*ours}) == len(ours):  # no two of one filter
            return [theirs.index(name) for name in ours]
    return None


def in_order_of(
    wanted: tuple[str, ...], source: ImageSource, stated: tuple[str, ...], title: str
) -> Reordered | None:
    """Return a source with its bands in the wanted order; None where it has that, or either states no names.

    Args:
        wanted: names of the bands in the order they are to have; empty where unknown. "DES-G" and "g" are the same.
        source: the pictures.
        stated: names of its bands; empty where it does not tell them.
        title: what to call it in a message.

    Raises:
        DataError: both name their bands, and the names are not the same.
    """
    if not wanted or not stated:
        return None
    order = places_of(wanted, stated)
    if order is None:
        raise DataError(
            f"{title} has bands {', '.join(stated)}, the dataset {', '.join(wanted)}; give images of those bands"
        )
    return None if order == sorted(order) else Reordered(source, tuple(order))


def reddest_first(
    source: ImageSource, catalogue: Catalogue, given: tuple[str, ...] = ()
) -> tuple[ImageSource, Catalogue]:
    """Put the bands of a source in order of wavelength, as a display image has them, where they are named.

    Args:
        source: the pictures.
        catalogue: what is known of them, the names of their bands among it.
        given: what the user calls the bands, or which of them to show.

    Raises:
        DataError: a band that is asked for is not there, or the names are more or fewer than the bands.
    """
    try:
        names, order = order_of(catalogue.bands, source.bands, given)
    except RefusedError as why:
        raise DataError(f"{source.name} {why}; set dataset.bands to its bands") from None
    if order == list(range(source.bands)):
        return source, replace(catalogue, bands=names)
    before = ", ".join(catalogue.bands or given)
    note = f"bands {before} were put in the order {', '.join(names)}, the reddest first"
    return Reordered(source, tuple(order)), replace(catalogue, bands=names, notes=(*catalogue.notes, note))
