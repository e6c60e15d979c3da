"""The planes of one image as its file holds them, and which of them is shown first, second and last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from astrojepa_bench.data.sources.container import RefusedError, shown
from astrojepa_bench.data.sources.filters import LETTERS_NM, are_known, filter_of, named_twice, red_first
from astrojepa_bench.data.sources.fits_image import read_pixels
from astrojepa_bench.data.sources.fits_sky import UNPLACED, Pointing
from astrojepa_bench.data.sources.flux import (
    DISPLAY_ORDER,
    DISPLAYED,
    Flux,
    Planes,
    Stretch,
    chosen_stretch,
    planes_of,
)


class BandPlanes(NamedTuple):
    """One image.

    Attributes:
        planes: bytes ready to be shown, or flux. First row on top.
        names: of the bands, in the order of the planes; empty where unknown.
        in_survey_unit: whether flux is in the unit of the Legacy Surveys, as far as is known.
        pixel_arcsec: side of a pixel, NaN where unknown.
        reading: how the file was read, where that is not the plain way; it distinguishes equal bytes.
        told: what was converted (see `raster.TOLD`).
        place: where it lies on the sky.
    """

    planes: Shaped[np.ndarray, "band height width"]
    names: tuple[str, ...] = ()
    in_survey_unit: bool = False
    pixel_arcsec: float = np.nan
    reading: str = ""
    told: int = 0
    place: Pointing = UNPLACED


def layers_of_fits(data: bytes) -> BandPlanes:
    """Read the science image of a FITS file.

    Raises:
        RefusedError: there is none, or the file is damaged.
    """
    found, planes = read_pixels(data)
    return BandPlanes(
        planes, found.bands, found.in_survey_unit, found.sky.pixel_arcsec, found.chosen, place=found.place
    )


def order_of(stated: Sequence[str], planes: int, given: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Return names and numbers of the planes that are shown, the reddest first; without names, all as they are.

    Args:
        stated: what the file calls its planes; empty where it does not.
        planes: how many there are.
        given: what the user calls them; of planes that have names, which of them to show.

    Raises:
        RefusedError: a band that is asked for is not there or is there twice, or the names are more or fewer than
            the planes.
    """
    names = tuple(stated)
    wanted = tuple(stated)
    if stated and len(stated) != planes:
        raise RefusedError(f"has {planes} bands and names {len(stated)} ({', '.join(map(shown, stated))})")
    if given and stated:
        spelt = {filter_of(name).lower(): name for name in stated} | {name.lower(): name for name in stated}
        keys = [name.lower() if name.lower() in spelt else filter_of(name).lower() for name in given]
        missing = next((name for name, key in zip(given, keys, strict=True) if key not in spelt), None)
        if missing is not None:
            raise RefusedError(f"has no band {shown(missing)}; it has {', '.join(map(shown, stated))}")
        wanted = tuple(spelt[key] for key in keys)
    elif given and planes > 1:
        if len(given) != planes:
            raise RefusedError(
                f"has {planes} bands and dataset.bands names {len(given)} ({', '.join(given)})"
            )
        names = wanted = tuple(given)
    twice = named_twice(wanted)
    if twice is not None:
        whose = "dataset.bands names" if given else "its names state"
        raise RefusedError(f"cannot show a band twice: {whose} {', '.join(map(shown, given or stated))}")
    ordered = red_first(wanted)
    return ordered, [names.index(name) for name in ordered] or list(range(planes))


def arranged(layers: BandPlanes, given: Sequence[str] = ()) -> BandPlanes:
    """Put the planes in the order in which they are shown (`order_of`).

    Raises:
        RefusedError: a band that is asked for is not there, or the names are more or fewer than the planes.
    """
    names, order = order_of(layers.names, len(layers.planes), given)
    reading = layers.reading
    usual = layers.in_survey_unit and sorted(names) == sorted(DISPLAY_ORDER)
    if order != list(range(len(layers.planes))) and not usual:
        reading += f" bands {order}"
    return layers._replace(planes=layers.planes[order], names=names, reading=reading)


def displayed_layers(layers: BandPlanes, stretch: Stretch) -> tuple[Planes, str]:
    """Stretch flux, and say how that is done; bytes are shown as they are.

    Raises:
        RefusedError: they hold display levels where flux is to stay linear, or cannot be shown.
    """
    planes, names = layers.planes, layers.names
    if planes.dtype == np.uint8:
        if stretch == "none":
            raise RefusedError(DISPLAYED)
        return Planes(planes, 0, bool((planes == planes[:, :1, :1]).all())), ""
    known = are_known(names)
    letters = "".join(names) if all(name in LETTERS_NM for name in names) else ""
    with np.errstate(all="ignore"):  # what is no number, or too large for one, is no flux
        flux = Flux(planes.astype(np.float64), letters, layers.pixel_arcsec, red_first=known)
    curve = chosen_stretch(stretch, letters if layers.in_survey_unit else "", layers.pixel_arcsec)
    turned = " turned round" if names and not known and curve == "viewer" else ""
    return planes_of(flux, stretch, curve), f"{curve}{turned}"
