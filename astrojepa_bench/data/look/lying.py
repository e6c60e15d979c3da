"""How does a picture lie: which band is red, which row is on top, and which ways are north and east?"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, isfinite, radians, sin
from typing import NamedTuple

import numpy as np

from astrojepa_bench.data.look.colours import as_rgb
from astrojepa_bench.data.sources.filters import red_first
from astrojepa_bench.types import GalaxyTable

UPRIGHT_DEG = 3.0  # nearer than this, north is up
ALIKE_DEG = 3.0
UNNAMED = ("red", "green", "blue")  # of pictures whose filters nobody tells


class Compass(NamedTuple):
    """Unit vectors in a picture, to the right and down.

    Attributes:
        north, east: where they point.
    """

    north: tuple[float, float]
    east: tuple[float, float]


def compass(table: GalaxyTable, row: int) -> Compass | None:
    """Return where north and east are in a picture; None where its file does not say."""
    if table.orientation is None:
        return None
    north_deg, mirrored = float(table.orientation["north_deg"][row]), bool(table.orientation["mirrored"][row])
    if not isfinite(north_deg):
        return None
    north, east = radians(north_deg), radians(north_deg + (-90 if mirrored else 90))
    return Compass(*((-sin(angle), -cos(angle)) for angle in (north, east)))


def compasses_differ(table: GalaxyTable, rows: Sequence[int]) -> bool:
    """Whether each picture needs arrows of its own; one pair serves all that lie alike."""
    found = [compass(table, row) for row in rows]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return bool(known)
    nearest = cos(radians(ALIKE_DEG))
    return any(np.dot(a, b) < nearest for each in known for a, b in zip(each, known[0], strict=True))


def orientation_note(table: GalaxyTable, rows: Sequence[int], *, arrows: bool = True) -> str:
    """Return which row of the files is on top, and where north is as far as it is known.

    Args:
        table: the galaxies.
        rows: those that are shown.
        arrows: whether arrows are drawn where north is not up.
    """
    lying = None if table.orientation is None else table.orientation[list(rows)]
    if lying is None or not len(lying) or not lying["bottom_up"].any():
        return "row 0 at the top"
    row = "row 0 at the bottom" if lying["bottom_up"].all() else "row 0 at the top, of FITS at the bottom"
    known = np.isfinite(lying["north_deg"])
    if not known.any():
        return row
    upright = known.all() and (np.abs(lying["north_deg"]) < UPRIGHT_DEG).all()
    if upright and not lying["mirrored"].any():
        return f"north up, east left, {row}"
    if upright and lying["mirrored"].all():
        return f"north up, east right (a mirrored sky), {row}"
    drawn = "arrows: north and east" if arrows else ""
    mirrored = f"{int(lying['mirrored'].sum())} show a mirrored sky" if lying["mirrored"].any() else ""
    return ", ".join(filter(None, (drawn, mirrored, row)))


def colours_of(bands: Sequence[str]) -> dict[str, str]:
    """Return which band is shown in which colour; empty where the colours are those of the files.

    Example:
        >>> colours_of(("z", "r", "g")), colours_of(("r",)), colours_of(("red", "green", "blue"))
        ({'red': 'z', 'green': 'r', 'blue': 'g'}, {'grey': 'r'}, {})
    """
    if tuple(bands) == UNNAMED:
        return {}
    if len(bands) == 1:
        return {"grey": bands[0]}
    if len(bands) == 2:
        red, blue = red_first(bands)
        return {"red": red, "green": "mean", "blue": blue}
    # an image whose pixels are the numbers of its bands shows which of them are displayed
    numbers = np.arange(len(bands), dtype=np.uint8)[:, None, None]
    shown = as_rgb(numbers, bands)[0, 0].tolist()
    return {colour: bands[number] for colour, number in zip(UNNAMED, shown, strict=True)}
