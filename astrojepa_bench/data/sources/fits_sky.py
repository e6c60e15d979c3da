"""Where on the sky does a FITS header put an image, how large are its pixels, and which way is north?"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

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


NOWHERE = Sky()


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
