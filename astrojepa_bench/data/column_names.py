"""Under which names do tables keep ids, classes, redshifts and positions? The one place that knows them.

Every reader asks here, so that a name that is known to one is known to all. The plain name goes before all others,
and these in the order in which they stand; letters may be large or small. What was taken under another name, and
what was not taken at all, is said on the card.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from astrojepa_bench.data.sources.container import shown

ALIASES: Mapping[str, tuple[str, ...]] = {
    "id": (
        "id", "object_id", "objid", "obj_id", "objectid", "galaxy_id", "gal_id", "galaxyid", "dr7objid", "dr8objid",
        "specobjid", "source_id", "sourceid", "targetid", "target_id", "iauname", "iau_name", "asset_id", "ids",
        "name",
    ),
    "path": (
        "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_file",
        "imagefile", "image_name", "img", "img_path", "file_loc", "png_loc", "jpg",
    ),
    "label": (
        "label", "class", "labels", "class_name", "class_label", "morphology", "morph", "morph_type", "morphtype",
        "galaxy_type", "galaxy_class", "hubble_type", "type", "category",
    ),
    "redshift": (
        "redshift", "z_spec", "specz", "zspec", "spec_z", "spectroscopic_redshift", "z", "photoz", "z_phot",
        "zphot", "photo_z", "photometric_redshift",
    ),
    "ra": (
        "ra", "ra_deg", "radeg", "raj2000", "ra_j2000", "_raj2000", "alpha_j2000", "right_ascension", "alpha",
    ),
    "dec": (
        "dec", "dec_deg", "decdeg", "dedeg", "dej2000", "decj2000", "dec_j2000", "_dej2000", "delta_j2000",
        "declination", "delta",
    ),
    "pixel_scale": (
        "pixel_scale", "pixscale", "pxscale", "rgb_pixel_scale", "pixelscale", "pix_scale", "px_scale",
        "pixel_scale_arcsec", "pixscale_arcsec", "arcsec_per_pixel", "arcsec_per_px",
    ),
    "group": ("group",),
    "split": ("split",),
}  # fmt: skip
"""Names of a column by what it says, the plain one first; all in small letters."""

BANDS = ("u", "g", "r", "i", "y")  # beside two of these a column `z` may be a band's brightness
FAINTEST_REDSHIFT = 8.0  # no sample of galaxies lies farther in the median, and few magnitudes are smaller
LIKE = 10.0  # times the brightness in another band, at most; galaxies are not redder
OTHER_SIGNS = re.compile(r"[^a-z0-9]+")  # "RA (deg)" is ra_deg, and z' is z
ALIKE = 0.75  # of two names, as difflib measures it
MOST_NAMED = 20


def spelling(name: str) -> str:
    """Return a column's name in small letters and digits alone, by which all readers know it.

    Example:
        >>> spelling("RA (deg)"), spelling("z'"), spelling("z_")
        ('ra_deg', 'z', 'z')
    """
    return OTHER_SIGNS.sub("_", name.lower()).strip("_")


def candidates(role: str, columns: Sequence[str]) -> list[str]:
    """List the columns that may hold what a role says, the likeliest first.

    Args:
        role: of `ALIASES`.
        columns: all names of a table.

    Example:
        >>> candidates("redshift", ["Z", "photoz", "zeta"]), candidates("ra", ["RA (deg)"])
        (['Z', 'photoz'], ['RA (deg)'])
    """
    spelt = {name: {name.lower(), spelling(name)} for name in columns}
    found = [
        name
        for alias in ALIASES[role]
        for name in sorted((each for each in spelt if alias in spelt[each]), key=lambda each: each != alias)
    ]
    return list(dict.fromkeys(found))


def bands_beside(columns: Sequence[str]) -> dict[str, str]:
    """Name the columns of other bands than z, by their letter.

    Example:
        >>> bands_beside(["id", "g'", "R", "z'"])
        {'g': "g'", 'r': 'R'}
    """
    found = {spelling(name): name for name in reversed(columns)}
    return {band: found[band] for band in BANDS if band in found}


def first_believable(
    role: str,
    columns: Sequence[str],
    numbers: Callable[[str], Float[np.ndarray, " row"]],
    units: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, list[str]]:
    """Choose the first column that may hold a fact and does; empty where none does.

    Args:
        role: the fact, of `ALIASES`.
        columns: all names of a table, or those that hold one value a row.
        numbers: returns a column as numbers, NaN where unknown; only what must be looked at is asked for.
        units: of columns, where the table states them.

    Returns:
        Its name, and notes on those before it that are something else. Where the only ones that may hold the fact
        are empty, the first of these.

    Example:
        >>> table = {"z": np.array([17.0, 18.0]), "photoz": np.array([0.1, 0.2])}
        >>> first_believable("redshift", list(table), table.__getitem__)
        ('photoz', ["column 'z' is not taken for redshift: its median is 17.5; name it redshift if it is one"])
    """
    found, notes = candidates(role, columns), []
    if found == [role]:
        return role, []
    empty = ""
    for name in found:
        values = numbers(name)
        why = _no_fact(role, name, values, columns, numbers, units.get(name, ""))
        if why:
            notes.append(f"column '{shown(name)}' is not taken for {role}: {why}")
        elif not np.isnan(values).all():
            return name, notes
        else:
            empty = empty or name
    return empty, notes


def _no_fact(
    role: str,
    name: str,
    values: Float[np.ndarray, " row"],
    columns: Sequence[str],
    numbers: Callable[[str], Float[np.ndarray, " row"]],
    unit: str,
) -> str:
    """Tell why a column that could be meant by its name is not; empty where it is."""
    called = spelling(name)
    if role == "redshift" and called == "z":
        why = is_band(values, unit, {band: numbers(each) for band, each in bands_beside(columns).items()})
        return f"{why}; name it redshift if it is one" if why else ""
    if called in ("alpha", "delta"):
        least, most = (0.0, 360.0) if role == "ra" else (-90.0, 90.0)
        both = {"alpha", "delta"} <= {spelling(each) for each in columns}
        if not both or (values < least).any() or (values > most).any():
            return f"its values are no positions; name it {role} if they are"
    return ""


def is_band(
    values: Float[np.ndarray, " row"], unit: str, beside: Mapping[str, Float[np.ndarray, " row"]]
) -> str:
    """Tell why a column `z` is the brightness in band z and no redshift; empty where it is a redshift.

    Args:
        values: of the column, NaN where unknown.
        unit: as the table states it, or empty.
        beside: the columns of other bands (`BANDS`), by their letter.

    Example:
        >>> is_band(np.array([0.1, 0.2]), "", {}), is_band(np.array([17.0, 18.2]), "", {})
        ('', 'its median is 17.6')
        >>> bands = {"g": np.array([18.0, 19.0]), "r": np.array([17.5, 18.4])}
        >>> is_band(np.array([0.1, 0.2]), "", bands), is_band(np.array([0.1, 0.2]), "mag", {})
        ('', "its unit is 'mag'")
    """
    if unit.strip().lower() not in ("", "1", "z", "redshift", "dimensionless"):
        return f"its unit is '{unit.strip()}'"
    known = values[values > -1] if (values > -1).any() else values[~np.isnan(values)]
    if not len(known):
        return ""
    median = float(np.median(known))
    if median > FAINTEST_REDSHIFT:
        return f"its median is {median:.4g}"
    middles = {name: float(np.nanmedian(each)) for name, each in beside.items() if not np.isnan(each).all()}
    if all(middle > FAINTEST_REDSHIFT for middle in middles.values()):
        return ""  # magnitudes, as large as no redshift
    like = [name for name, middle in middles.items() if middle and 1 / LIKE <= median / middle <= LIKE]
    return f"it stands beside {' and '.join(like)}, whose values are like its own" if len(like) >= 2 else ""


def told_names(taken: Mapping[str, str]) -> list[str]:
    """Note which columns were read under another than their plain name.

    Args:
        taken: names of columns by what they say.
    """
    words = [f"{role} ({shown(name)})" for role, name in taken.items() if name.lower() != role]
    return [f"columns read under other names: {', '.join(words)}"] if words else []


def told_unused(columns: Iterable[str], taken: Mapping[str, str], where: str = "") -> list[str]:
    """Note which columns are not read, and which of these may only be misspelt.

    Args:
        columns: all names of a table.
        taken: names of columns by what they say; also those that are read for another purpose.
        where: of which table, for the note.
    """
    unused = [name for name in columns if name not in taken.values()]
    if not unused:
        return []
    open_roles = [role for role in ALIASES if role not in taken]
    meant = {
        alias: role for role in reversed(open_roles) for alias in reversed(ALIASES[role]) if len(alias) > 2
    }
    known = {alias for aliases in ALIASES.values() for alias in aliases}
    near = {
        name: difflib.get_close_matches(name.lower(), list(meant), n=1, cutoff=ALIKE)
        for name in unused if name.lower() not in known
    }  # fmt: skip
    more = f" and {len(unused) - MOST_NAMED} more" if len(unused) > MOST_NAMED else ""
    of, listed = f" of {where}" if where else "", ", ".join(map(shown, unused[:MOST_NAMED]))
    return [
        *(
            f"column '{shown(name)}'{of} is not used; did you mean {meant[found[0]]}?"
            for name, found in near.items() if found
        ),
        f"{len(unused)} columns{of} are not used: {listed}{more}",
    ]  # fmt: skip
