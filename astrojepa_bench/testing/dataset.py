"""Rules for datasets: no galaxy is in two splits, and equal requests load equal galaxies."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree

from astrojepa_bench.data.splitting.near_duplicates import near_duplicates
from astrojepa_bench.testing.checks import NotApplicable, RuleSet
from astrojepa_bench.testing.galaxies import SIZE_PX
from astrojepa_bench.testing.rehearsal import build, load_into_memory
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.types import GalaxyTable, Split

MOST_PAIRS = 400_000  # some seconds
FIELD_ARCSEC = 30.0  # where the pixel scale is unknown
MEAN_OFF, STD_OFF = 0.02, 0.1
rules = RuleSet("dataset", after=("acts",))


def loaded(piece: Subject, size_px: int = SIZE_PX) -> GalaxyTable:
    """Load the galaxies into memory, from an empty cache, once for all checks."""
    return piece.once(("table", size_px), lambda: load_into_memory(build(piece), size_px))


@rules(
    "loads",
    "It loads galaxies at the size asked for, as 8-bit images.",
    "resize to size_px and return uint8 images of shape (galaxy, band, size_px, size_px)",
)
def find_loads(piece: Subject) -> str | None:
    """Load two sizes."""
    for size_px in (SIZE_PX, SIZE_PX // 2):
        table = loaded(piece, size_px)
        if table.spec.size_px != size_px or table.images.dtype not in (np.uint8, np.float16):
            return f"{table.images.dtype} images of {table.spec.size_px} px where {size_px} px were asked for"
    return None


@rules(
    "splits",
    "There are galaxies to learn from, to choose on and to report on.",
    "name each row's split: train, val, test or pool",
)
def find_splits(piece: Subject) -> str | None:
    """Count the rows of each split."""
    table = loaded(piece)
    needed: tuple[Split, ...] = ("train", "val", "test")
    empty = [name for name in needed if not len(table.rows(name))]
    return f"no galaxies in {', '.join(empty)}" if empty else None


@rules(
    "ids",
    "Every galaxy has an id of its own.",
    "give every row a name of its own, that of the object where it has one",
)
def find_ids(piece: Subject) -> str | None:
    """Look for empty and repeated ids."""
    ids = loaded(piece).ids
    return None if len(np.unique(ids)) == len(ids) and all(map(str, ids)) else "ids are empty or repeated"


@rules(
    "sky",
    "No image shows sky that an image of another split shows.",
    "split by groups of overlapping images, and put the group of each row into `group`",
)
def find_sky(piece: Subject) -> str | None:
    """Look for neighbours on the sky in other splits."""
    table = loaded(piece)
    if table.ra is None or table.dec is None:
        raise NotApplicable("it gives no positions on the sky")
    known = np.flatnonzero(np.isfinite(table.ra) & np.isfinite(table.dec))
    scale = np.nan if table.pixel_scale is None else np.nanmedian(table.pixel_scale)
    side_arcsec = float(scale * table.spec.size_px) if np.isfinite(scale) else FIELD_ARCSEC
    pairs = known[_near(table.ra[known], table.dec[known], side_arcsec)]
    apart = table.split[pairs[:, 0]] != table.split[pairs[:, 1]]
    if not apart.any():
        return None
    first, second = table.ids[pairs[apart][0]]
    return f"{int(apart.sum())} pairs overlap across splits, '{first}' and '{second}' among them"


def _near(ra: np.ndarray, dec: np.ndarray, arcsec: float) -> np.ndarray:
    """List pairs of positions closer than an angle, by their chord on the unit sphere."""
    lon, lat = np.radians(ra), np.radians(dec)
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    chord = 2 * np.sin(np.radians(arcsec / 3600) / 2)
    found: np.ndarray = cKDTree(points).query_pairs(chord, output_type="ndarray")
    return found


@rules(
    "duplicates",
    "No galaxy is in two splits, not even in another crop, rotation or scale.",
    "keep the copies of a galaxy in one split, or leave them out",
)
def find_duplicates(piece: Subject) -> str | None:
    """Compare the images of different splits."""
    table = loaded(piece)
    splits: tuple[Split, ...] = ("train", "pool", "val", "test")
    rows = {name: table.rows(name) for name in splits if len(table.rows(name))}
    if sum(len(rows[a]) * len(rows[b]) for a, b in combinations(rows, 2)) > MOST_PAIRS:
        raise NotApplicable(f"more than {MOST_PAIRS:,} pairs; set an option that makes it smaller")
    for a, b in combinations(rows, 2):
        found = near_duplicates(table.images[rows[a]], table.images[rows[b]])
        if len(found):
            ids = table.ids[rows[a][found.row_a[0]]], table.ids[rows[b][found.row_b[0]]]
            return f"{len(found)} galaxies of {a} are in {b} too, '{ids[0]}' as '{ids[1]}'"
    return None


@rules(
    "fingerprint",
    "Its fingerprint stands for its galaxies: it is not empty, and changes with them.",
    "hash what is loaded, and the size",
)
def find_fingerprint(piece: Subject) -> str | None:
    """Compare the fingerprints of two sizes."""
    prints = [loaded(piece, size_px).fingerprint for size_px in (SIZE_PX, SIZE_PX // 2)]
    if not prints[0]:
        return "the fingerprint is empty"
    return "images of two sizes have one fingerprint" if prints[0] == prints[1] else None


@rules(
    "statistics",
    "Mean and spread of each band are those of the training images, on the scale from 0 to 1.",
    "compute ImageSpec.mean and std over train and pool, divided by 255",
)
def find_statistics(piece: Subject) -> str | None:
    """Measure them again."""
    table = loaded(piece)
    images = table.images[table.pretraining_rows] / (255 if table.images.dtype == np.uint8 else 1)
    mean, std = images.mean(axis=(0, 2, 3)), images.std(axis=(0, 2, 3))
    if not np.allclose(mean, table.spec.mean, atol=MEAN_OFF):
        return f"means {_rounded(table.spec.mean)}, measured {_rounded(mean)}"
    if not np.allclose(std, table.spec.std, rtol=STD_OFF, atol=1e-3):
        return f"spreads {_rounded(table.spec.std)}, measured {_rounded(std)}"
    return None


def _rounded(values: tuple[float, ...] | np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in values]


@rules(
    "bands", "Its bands have names, each its own.", "name the bands in channel order, such as ('g', 'r', 'z')"
)
def find_bands(piece: Subject) -> str | None:
    """Look at the names."""
    bands = loaded(piece).spec.bands
    return None if bands and all(bands) and len(set(bands)) == len(bands) else f"bands {bands}"


@rules(
    "labels",
    "Every label has a class name, and every class is known to train before test asks for it.",
    "list the names in Card.class_names in the order of the labels",
)
def find_labels(piece: Subject) -> str | None:
    """Compare labels, names and splits."""
    table = loaded(piece)
    known = table.label[table.label >= 0]
    if not len(known):
        raise NotApplicable("it has no labels")
    if known.max() >= len(table.card.class_names):
        return f"labels up to {known.max()} for {len(table.card.class_names)} class names"
    train, test = (set(table.label[table.rows(name)].tolist()) - {-1} for name in ("train", "test"))
    return f"classes {sorted(test - train)} are in test and not in train" if test - train else None


@rules(
    "card",
    "Its card says what it is called, how it may be used and whom to cite.",
    "fill in name, licence and citation of Card; write 'unknown' rather than nothing",
)
def find_card(piece: Subject) -> str | None:
    """Look for what is missing."""
    card = loaded(piece).card
    missing = [name for name in ("name", "licence", "citation") if not getattr(card, name).strip()]
    return f"the card has no {', '.join(missing)}" if missing else None
