"""Where on the sky does a FITS header put an image, how large are its pixels, and which way is north?"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from astrojepa_bench.data.sources.container import RefusedError, guarded

HIGHEST_ORDER, MOST_AXES = 9, 9  # of a distortion polynomial and a coordinate system
SMALLEST_ARCSEC, LARGEST_ARCSEC = 1e-4, 1e4  # a pixel; beyond this a header does not mean what it says


class Sky(NamedTuple):
    """What a header says of position and orientation; NaN where unknown.

    Attributes:
        ra, dec: of the centre [deg].
        pixel_arcsec: side of a pixel.
        north_deg: direction of north in the picture with its last row on top, counter-clockwise from up.
        mirrored: whether east lies clockwise of north, as on no sky.
    """

    ra: float = np.nan
    dec: float = np.nan
    pixel_arcsec: float = np.nan
    north_deg: float = np.nan
    mirrored: bool = False


NEAR_ARCSEC = 60.0  # a telescope is moved by less between exposures of one galaxy in several filters


class Pointing(NamedTuple):
    """Where a file says that it looks; NaN where unknown.

    Attributes:
        ra, dec: of the centre, or of the telescope [deg].
        field_arcsec: side of the image.
    """

    ra: float = np.nan
    dec: float = np.nan
    field_arcsec: float = np.nan


NOWHERE, UNPLACED = Sky(), Pointing()


def place_of(header: Any, sky: Sky, side_px: int) -> Pointing:  # noqa: ANN401 astropy is not typed
    """Return where an image lies; without coordinates of its pixels, where the cards RA and DEC point."""
    if np.isfinite(sky.ra) or not {"RA", "DEC"} <= set(header):
        return Pointing(sky.ra, sky.dec, sky.pixel_arcsec * side_px)
    from astropy.coordinates import SkyCoord  # slow to import, and seldom needed

    ra, dec = header["RA"], header["DEC"]
    in_hours = isinstance(ra, str) and len(ra.replace(":", " ").split()) > 1
    with suppress(Exception):  # of senseless cards
        found = SkyCoord(ra, dec, unit=("hourangle" if in_hours else "deg", "deg"))
        return Pointing(float(found.ra.deg), float(found.dec.deg))
    return UNPLACED


def apart_arcsec(
    ra: Float[np.ndarray, " image"],
    dec: Float[np.ndarray, " image"],
    field_arcsec: Float[np.ndarray, " image"],
    of: Int[np.ndarray, " image"],
) -> Float[np.ndarray, " group"]:
    """Return how far images of each group lie from its first one, 0 where they may show the same [arcsec].

    They may where they are closer than the largest of them is wide (`NEAR_ARCSEC` where a width is unknown), or
    where positions are.

    Args:
        ra: of each image [deg], NaN where unknown.
        dec: of each [deg], likewise.
        field_arcsec: side of each, NaN where unknown.
        of: number of the group of each image, from 0 on.
    """
    found = np.zeros(of.max(initial=-1) + 1)
    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    groups, first = np.unique(of[known], return_index=True)
    if not len(groups):
        return found
    wide, here = np.zeros(len(found)), np.zeros(len(found), dtype=np.int64)
    here[groups] = known[first]
    np.maximum.at(wide, of[known], np.where(np.isfinite(field_arcsec), field_arcsec, NEAR_ARCSEC)[known])
    east, north = np.radians(ra), np.radians(dec)
    at = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)
    chord = np.linalg.norm(at[known] - at[here[of[known]]], axis=1)
    np.maximum.at(found, of[known], np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) * 3600)
    return np.where(found > wide, found, 0.0)


def sky_of(header: Any, height: int, width: int, *, north: bool = True) -> Sky:  # noqa: ANN401 astropy is not typed
    """Solve the celestial coordinates of a header; unknown where it has none, or senseless ones.

    Args:
        header: of the image.
        height: of the image [pixel].
        width: of the image [pixel].
        north: whether to find out where north is, which takes as long as all the rest.
    """
    try:
        with guarded():
            found = _solved(header, height, width, north)
    except RefusedError:
        return NOWHERE
    known = np.isfinite(found[:3]).all() and SMALLEST_ARCSEC < found.pixel_arcsec < LARGEST_ARCSEC
    return found if known else Sky()


def _solved(header: Any, height: int, width: int, north: bool) -> Sky:  # noqa: ANN401
    from astropy import wcs  # slow to import, like astropy.io.fits

    if not all(_is_moderate(keyword, header[keyword]) for keyword in set(header)):
        return NOWHERE
    solution = wcs.WCS(header)
    if not solution.has_celestial:
        return NOWHERE
    plane = solution.celestial
    centre = plane.pixel_to_world((width - 1) / 2, (height - 1) / 2).icrs
    scale = float(wcs.utils.proj_plane_pixel_area(plane) ** 0.5)
    return Sky(
        float(centre.ra.deg),
        float(centre.dec.deg),
        scale * 3600,
        *(_orientation(plane, centre, scale, (width - 1) / 2, (height - 1) / 2) if north else ()),
    )


def _orientation(plane: Any, centre: Any, scale: float, x: float, y: float) -> tuple[float, bool]:  # noqa: ANN401
    """Return the direction of north [deg], counter-clockwise from up, and whether east lies on its wrong side.

    One pixel to the north and one to the east of the centre are looked up, whatever matrix, distortion or frame
    leads there. The sign of their cross product is that of the determinant of the CD matrix, turned.
    """
    from astropy import units

    try:
        with guarded():
            ahead = centre.directional_offset_by([0, 90] * units.deg, scale * units.deg)
            right, up = (np.asarray(each, dtype=float) for each in plane.world_to_pixel(ahead))
    except RefusedError:
        return np.nan, False
    (north_x, east_x), (north_y, east_y) = right - x, up - y
    if not np.isfinite([north_x, north_y, east_x, east_y]).all():
        return np.nan, False
    return float(np.degrees(np.arctan2(-north_x, north_y))), bool(north_x * east_y - north_y * east_x < 0)


def _is_moderate(keyword: str, value: object) -> bool:
    """Whether a keyword does not make the solution of a header arbitrarily large."""
    if (
        keyword.startswith(("DP", "DQ")) and keyword[2:3].isdigit()
    ):  # records of distortions, which no cut-out has
        return False
    most = (
        HIGHEST_ORDER if keyword.endswith("_ORDER") else MOST_AXES if keyword.startswith("WCSAXES") else None
    )
    return most is None or (isinstance(value, int) and 0 <= value <= most)
