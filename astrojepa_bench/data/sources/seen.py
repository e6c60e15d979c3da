"""What do the headers of all images say together: names of bands, orientation, and what was left unread?"""

from __future__ import annotations

from collections import Counter

import numpy as np

from astrojepa_bench.data.sources.container import shown
from astrojepa_bench.data.sources.filters import are_known
from astrojepa_bench.data.sources.flux import DISPLAY_ORDER
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.types import ORIENTATION


def band_names(seen: np.ndarray, bands: int) -> tuple[str, ...]:
    """Return the bands that most images name; of single bands only those that all name, else none.

    Args:
        seen: what is seen of each image.
        bands: how many the images have.
    """
    ours = seen["names"][seen["bands"] == bands]
    counts = Counter(name for name in ours.tolist() if name)
    if counts and (bands > 1 or (len(counts) == 1 and (ours != "").all())):
        return tuple(counts.most_common(1)[0][0].split(","))
    viewed = len(seen) and (seen["stretch"] == "viewer").all()
    return tuple(DISPLAY_ORDER) if viewed and not counts and bands == len(DISPLAY_ORDER) else ()


def other_bands(names: str, most: tuple[str, ...]) -> str:
    """Return why an image of these bands does not fit those that most have; empty where it does."""
    fits = len(most) < 2 or names in ("", ",".join(most)) or "," not in names
    return "" if fits else f"has bands {names.replace(',', ', ')}, most others {', '.join(most)}"


def orientation_of(seen: np.ndarray) -> np.ndarray | None:
    """Return one entry of `ORIENTATION` an image; None where all have their first row on top and no north."""
    if not seen["bottom_up"].any():
        return None
    found = np.zeros(len(seen), dtype=ORIENTATION)
    for name in ORIENTATION.names or ():
        found[name] = seen[name]
    return found


def told_of_bands(seen: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Return notes on which bands there are, in which order, and which images do not name them."""
    colour = seen["bands"] == len(names)
    unnamed = int((colour & (seen["names"] == "")).sum())
    single = Counter(seen["names"][(seen["bands"] == 1) & (seen["names"] != "")].tolist())
    viewed = "the last in the files first, as the viewer's stretch takes those of unknown wavelengths"
    plain = (
        viewed if (seen["stretch"] == "viewer").any() else "as in the files: their wavelengths are not known"
    )
    order = "the reddest first" if are_known(names) else plain
    several = ", ".join(f"{count} {shown(name)}" for name, count in single.most_common(9))
    return true_notes({
        f"bands are {', '.join(names)}, {order}": len(names) > 1 and (seen["names"] != "").any(),
        f"{unnamed} images do not name their bands, which are taken to be in that order": len(names) > 1
        and 0 < unnamed < colour.sum(),
        f"images of one band each are of different bands ({several})": len(single) > 1 and not len(names) > 1,
    })  # fmt: skip


def told_of_headers(seen: np.ndarray, placed: int) -> list[str]:
    """Return notes on what came from headers, what they say of orientation, and which images are not read.

    Args:
        seen: what is seen of each image.
        placed: how many positions come from headers.
    """
    north, mirrored = np.isfinite(seen["north_deg"]), int(seen["mirrored"].sum())
    extra = Counter(name for name in seen["unread"].tolist() if name)
    named = "; ".join(shown(name) for name, _ in extra.most_common(3))
    bottom, lost = int(seen["bottom_up"].sum()), int((seen["bottom_up"] & ~north).sum())
    return true_notes({
        f"{placed} positions come from the coordinates in FITS headers (WCS)": placed,
        f"{bottom} images are FITS, whose first row is shown at the bottom": bottom,
        f"{lost} FITS images do not say where north is": lost,
        f"{mirrored} images show a mirrored sky (east lies clockwise of north): the sense of spirals is reversed "
        "in them": mirrored,
        f"{extra.total()} files hold further images in extensions that are not read ({named})": extra,
    })  # fmt: skip
