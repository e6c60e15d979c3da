"""The one galaxy of a sample that somebody means: by number, by id, by its place on the sky, or as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from jaxtyping import Float

from astrojepa_bench.data.picture import one_picture
from astrojepa_bench.data.sources.band_files import SEVERAL_BANDS
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.explore.sample import Sample, sample_of
from astrojepa_bench.runs.open_run import OpenRun

SUGGESTED = 20_000  # ids that are searched for one that is like a wrong one; more would take seconds


@dataclass(frozen=True)
class Asked:
    """One galaxy of a sample.

    Attributes:
        sample: which holds it.
        index: its place there.
        separation: from the place that was asked for [arcsec]; None where none was.
    """

    sample: Sample
    index: int
    separation: float | None = None


def by_index(sample: Sample, index: int) -> Asked:
    """Ask for the galaxy at a place of a sample.

    Raises:
        ConfigError: there is no such place.
    """
    sample.row_of(index)
    return Asked(sample, index)


def by_id(sample: Sample, name: str) -> Asked:
    """Ask for the galaxy of an id.

    Raises:
        ConfigError: the sample holds none; names one that is like it.
    """
    ids = sample.table.ids[sample.rows].astype(str)
    found = np.flatnonzero(ids == name)
    if not len(found):
        hint = nearest(name, ids.tolist()).partition(" Known")[0] if len(ids) <= SUGGESTED else ""
        close = hint if hint.startswith("did you mean") else f"the first is '{ids[0]}'"
        elsewhere = np.flatnonzero(sample.table.ids == name)
        if len(elsewhere):
            split = sample.table.split[elsewhere[0]]
            close = (
                f"it is one of split {split}: name the galaxies with -d DATA, and all of them are looked at"
            )
        raise ConfigError(f"no galaxy of the {sample.title} has the id '{name}'; {close}")
    return Asked(sample, int(found[0]))


def by_place(sample: Sample, ra: float, dec: float, radius: float) -> Asked:
    """Ask for the galaxy nearest to a place on the sky.

    Args:
        sample: the galaxies.
        ra: of the place [deg].
        dec: of the place [deg].
        radius: how far it may be from there [arcsec].

    Raises:
        ConfigError: no galaxy has a position, none lies so near, or there is no such place on the sky.
    """
    if not (0 <= ra <= 360 and -90 <= dec <= 90):
        raise ConfigError(
            f"ra {ra:g}, dec {dec:g} is no place on the sky; give degrees, 0 to 360 and -90 to 90"
        )
    if not radius > 0:
        raise ConfigError(f"a radius of {radius:g} arcsec holds no galaxy; give more than 0")
    table, rows = sample.table, sample.rows
    if table.ra is None or table.dec is None or not np.isfinite(table.ra[rows] + table.dec[rows]).any():
        raise ConfigError(
            f"the {sample.title} have no positions; give their table columns ra and dec, or ask by --id"
        )
    distance = separations(table.ra[rows], table.dec[rows], ra, dec)
    index = int(np.nanargmin(distance))
    nearest_arcsec = float(distance[index])
    if nearest_arcsec > radius:
        every = separations(table.ra, table.dec, ra, dec)
        meant = int(np.nanargmin(every))
        if every[meant] <= radius:
            raise ConfigError(
                f"none of the {sample.title} lies within {radius:g} arcsec of ra {ra:g}, dec {dec:g}; "
                f"{table.ids[meant]} does, of split {table.split[meant]}: name the galaxies with -d DATA, and all "
                "of them are looked at"
            )
        raise ConfigError(
            f"none of the {sample.title} lies within {radius:g} arcsec of ra {ra:g}, dec {dec:g}; the nearest, "
            f"{table.ids[rows[index]]}, is {nearest_arcsec:,.1f} arcsec away: give a larger --radius or others"
        )
    return Asked(sample, index, nearest_arcsec)


def separations(
    ra: Float[np.ndarray, " galaxy"], dec: Float[np.ndarray, " galaxy"], to_ra: float, to_dec: float
) -> Float[np.ndarray, " galaxy"]:
    """Compute angular distances from a place [arcsec], NaN where a position [deg] is unknown."""
    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    found = np.full(len(ra), np.nan)
    here = SkyCoord(to_ra * units.deg, to_dec * units.deg)
    there = SkyCoord(ra[known] * units.deg, dec[known] * units.deg)
    found[known] = here.separation(there).to_value(units.arcsec)
    return found


def by_picture(run: OpenRun, path: Path) -> Asked:
    """Ask for a picture of one's own, read as the run's galaxies were: shown alike, its bands in the same order.

    A file in colour that is ready to be shown has red first, whatever the run's galaxies were read from; only of a
    folder of such files does the run know better.

    Raises:
        DataError: it cannot be read, or has other bands than the run's galaxies.
    """
    is_display = path.name.lower().endswith(SEVERAL_BANDS) and run.record.dataset != "folder"
    bands = () if is_display else run.given_bands
    return Asked(sample_of(run, one_picture(path.expanduser(), run.spec, run.stretch, bands)), 0)
