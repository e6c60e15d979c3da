"""Under which names do tables keep ids, classes, redshifts and positions? The one place that knows them.

Every reader asks here, so that a name that is known to one is known to all. The plain name goes before all others,
and these in the order in which they stand; letters may be large or small. What was taken under another name, and
what was not taken at all, is said on the card.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

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
OTHER_SIGNS = re.compile(r"[^a-z0-9]+")  # "RA (deg)" is ra_deg
ALIKE = 0.75  # of two names, as difflib measures it
MOST_NAMED = 20


def candidates(role: str, columns: Sequence[str]) -> list[str]:
    """List the columns that may hold what a role says, the likeliest first.

    Args:
        role: of `ALIASES`.
        columns: all names of a table.

    Example:
        >>> candidates("redshift", ["Z", "photoz", "zeta"]), candidates("ra", ["RA (deg)"])
        (['Z', 'photoz'], ['RA (deg)'])
    """
    spelt = {name: {name.lower(), OTHER_SIGNS.sub("_", name.lower()).strip("_")} for name in columns}
    found = [
        name
        for alias in ALIASES[role]
        for name in sorted((each for each in spelt if alias in spelt[each]), key=lambda each: each != alias)
    ]
    return list(dict.fromkeys(found))


def is_band(
    values: Float[np.ndarray, " row"], unit: str, beside: Mapping[str, Float[np.ndarray, " row"]]
) -> str:
    """Tell why a column `z` is the brightness in band z and no redshift; empty where it is a redshift.

    Args:
        values: of the column, NaN where unknown.
        unit: as the table states it, or empty.
        beside: the columns of other bands (`BANDS`), by name in small letters.

    Example:
        >>> is_band(np.array([0.1, 0.2]), "", {}), is_band(np.array([17.0, 18.2]), "", {})
        ('', 'its median is 17.6')
        >>> bands = {"g": np.array([18.0, 19.0]), "r": np.array([17.5, 18.4])}
        >>> is_band(np.array([0.1, 0.2]), "", bands), is_band(np.array([0.1, 0.2]), "mag", {})
        ('', "its unit is 'mag'")
    """
    if unit.strip().lower() not in ("", "1", "z", "redshift", "dimensionless"):
        return f"its unit is '{unit.strip()}'"
    known = values[values > -1]
    if not len(known):
        return ""
    median = float(np.median(known))
    if median > FAINTEST_REDSHIFT:
        return f"its median is {median:.4g}"
    middles = {name: float(np.nanmedian(each)) for name, each in beside.items() if not np.isnan(each).all()}
    if len(middles) >= 2 and not all(middle > FAINTEST_REDSHIFT for middle in middles.values()):
        return f"it stands beside {' and '.join(middles)}, whose values are like its own"
    return ""


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
