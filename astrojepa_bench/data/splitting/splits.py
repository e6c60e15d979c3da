"""Which split is a galaxy in, and which galaxies must share one? The same for every seed and row order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from astrojepa_bench.data.looked_at import are_only_looked_at
from astrojepa_bench.errors import DataError

SMALL_SET = 10_000  # below this many labelled galaxies the test set gets a larger share
LARGE_GROUP, LARGE_SHARE = 5, 0.05  # galaxies, and share of a class: a group beyond both is placed by itself
CUTOUT_ARCSEC = 67.0  # Galaxy10 DECaLS: 256 px of 0.262 arcsec
SPELLINGS = {
    "train": "train", "training": "train", "valid": "val", "val": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
STRICTEST_FIRST = ("test", "val", "train")


def split_shares(labelled: int) -> tuple[float, float]:
    """Return the shares of test and validation for a number of labelled galaxies.

    A test set of 300 galaxies cannot resolve three points of accuracy, so small sets spend more on it.
    """
    return (0.35, 0.15) if labelled < SMALL_SET else (0.10, 0.10)


def assign_splits(
    labels: Int[np.ndarray, " galaxy"], groups: np.ndarray, declared: np.ndarray | None = None
) -> np.ndarray:
    """Assign `train`, `val` or `test` to every row.

    Where the file declares no split, each class is divided by the hash of its group names: 50 / 15 / 35
    (train / val / test) below 10,000 labelled galaxies, else 80 / 10 / 10; groups of more than five galaxies and
    a twentieth of their class are placed first, each where most is missing. A class reaches test with two
    groups and val with three. Groups without any label go to `train`, unless nothing is labelled at all;
    then all rows are divided like one class. A declared split is honoured; if it has no validation rows,
    they are taken out of `train` by the same rule.

    Rows of one group always share a split. Where a declared split parts a group, the group goes to the
    strictest split that it touches (test before val before train).

    Args:
        labels: class index, -1 unknown.
        groups: name of each row's sky group; names must not depend on row order.
        declared: the file's own split per row, as text or bytes, or None.

    Raises:
        DataError: the declared split holds an unknown word, or lacks train or test rows; or there are too
            few groups to divide.
    """
    test, val = split_shares(int((labels >= 0).sum()))
    if declared is None:
        return _checked(_divide(labels, groups, {"test": test, "val": val}), groups)
    split = _together(read_splits(declared), groups)
    if "val" not in split:
        rows = np.flatnonzero(split == "train")
        split[rows] = _divide(labels[rows], groups[rows], {"val": val / (1 - test)})
    return split


def _checked(split: np.ndarray, groups: np.ndarray) -> np.ndarray:
    if "test" not in split:
        if are_only_looked_at():
            return np.full(len(split), "test", dtype="<U5")
        raise DataError(
            f"{len(split)} galaxies in {len(np.unique(groups))} sky groups cannot be divided into "
            "train and test; give more galaxies, or the pixel scale of cut-outs smaller than 67 arcsec"
        )
    return split


def read_splits(declared: np.ndarray) -> np.ndarray:
    """Read a file's split column, in any of the usual spellings.

    Raises:
        DataError: an unknown word, or no rows of train or test.
    """
    words = [w.decode(errors="replace") if isinstance(w, bytes) else str(w) for w in declared.tolist()]
    unknown = sorted({w for w in words if w.strip().lower() not in SPELLINGS})
    if unknown:
        raise DataError(
            f"column 'split' holds {', '.join(map(repr, unknown[:3]))}; "
            "expected train, val or test in every row"
        )
    split = np.array([SPELLINGS[w.strip().lower()] for w in words], dtype="<U5")
    missing = sorted({"train", "test"} - set(split.tolist()))
    if missing and not are_only_looked_at():
        raise DataError(f"column 'split' has no row of {' or '.join(missing)}; complete it or remove it")
    return split


def count_moved(declared: np.ndarray, split: np.ndarray) -> int:
    """Count rows that left their declared split to stay with their group."""
    words = read_splits(declared)
    carved = split if "val" in words else np.where(split == "val", "train", split)
    return int((words != carved).sum())


def together(
    declared: np.ndarray, groups: np.ndarray, pairs: Int[np.ndarray, "pair 2"]
) -> Bool[np.ndarray, " pair"]:
    """Mark the pairs of rows that share a declared split, once no group is parted."""
    split = _together(read_splits(declared), groups)
    return split[pairs[:, 0]] == split[pairs[:, 1]]


def _together(split: np.ndarray, groups: np.ndarray) -> np.ndarray:
    rank = np.array([STRICTEST_FIRST.index(name) for name in split.tolist()])
    _, member = np.unique(groups, return_inverse=True)
    strictest = np.full(member.max(initial=-1) + 1, len(STRICTEST_FIRST))
    np.minimum.at(strictest, member, rank)
    return np.array(STRICTEST_FIRST)[strictest[member]]


def _divide(labels: Int[np.ndarray, " galaxy"], groups: np.ndarray, shares: dict[str, float]) -> np.ndarray:
    names, member = np.unique(groups, return_inverse=True)
    nothing_known = not (labels >= 0).any()
    stratum, size = _strata(np.zeros_like(labels) if nothing_known else labels, member, len(names))
    order = np.array([hashlib.sha256(str(name).encode()).hexdigest() for name in names.tolist()])
    places = np.full(len(names), "train", dtype="<U5")
    for label in np.unique(stratum[stratum >= 0]):
        of_class = np.flatnonzero(stratum == label)
        of_class = of_class[np.argsort(order[of_class])]
        places[of_class] = _places(size[of_class], shares)
    return places[member]


def _strata(
    labels: Int[np.ndarray, " galaxy"], member: Int[np.ndarray, " galaxy"], groups: int
) -> tuple[Int[np.ndarray, " group"], Int[np.ndarray, " group"]]:
    """Find each group's most common class (-1 without any) and its number of labelled rows."""
    known = pd.DataFrame({"group": member, "label": labels})[labels >= 0]
    counts = known.value_counts().rename("n").reset_index()
    first = counts.sort_values(["group", "n", "label"], ascending=[True, False, True]).drop_duplicates(
        "group"
    )
    stratum = np.full(groups, -1, dtype=np.int64)
    stratum[first["group"]] = first["label"]
    return stratum, np.bincount(member[labels >= 0], minlength=groups)


def _places(sizes: Int[np.ndarray, " group"], shares: dict[str, float]) -> np.ndarray:
    """Cut one class's groups, in order, into consecutive splits of the given shares; the rest trains.

    Large groups are placed first, the largest before, each where most is missing: cut in order, a group of nine
    tenths of a class would fall into any split. The others then fill what is left of each share.
    """
    wanted = np.array([*shares.values(), 1 - sum(shares.values())]) * sizes.sum()
    bounds = np.cumsum(list(shares.values()))
    place = np.full(len(sizes), -1)
    large = sizes > max(LARGE_GROUP, LARGE_SHARE * sizes.sum())
    for group in np.flatnonzero(large)[np.argsort(-sizes[large], kind="stable")]:
        place[group] = np.argmax(wanted)
        wanted[place[group]] -= sizes[group]
    small = np.flatnonzero(~large)
    if large.any():
        bounds = np.cumsum(wanted.clip(0))[:-1] / max(1e-9, wanted.clip(0).sum())
    middle = (np.cumsum(sizes[small]) - sizes[small] / 2) / max(1, sizes[small].sum())
    place[small] = np.searchsorted(bounds, middle, side="right")
    for missing in range(min(len(shares), len(sizes) - 1)):  # a rare class still reaches every split it can
        if missing not in place:
            alone = np.bincount(place)[place] == 1
            fixed = (
                alone if not alone.all() else alone & (place == len(shares))
            )  # rather no val than no train
            place[np.argmin(np.where(fixed, sizes.sum(), sizes)) if large.any() else missing] = missing
    return np.array([*shares, "train"])[place]


def sky_groups(
    digests: np.ndarray,
    ra: Float[np.ndarray, " galaxy"] | None = None,
    dec: Float[np.ndarray, " galaxy"] | None = None,
    field_arcsec: Float[np.ndarray, " galaxy"] | None = None,
    declared: np.ndarray | None = None,
    alike: Int[np.ndarray, "pair 2"] | None = None,
) -> np.ndarray:
    """Group rows that show the same pixels, overlapping sky or one galaxy, or that are said to belong together.

    Two cut-outs overlap when their centres are closer than the mean of their sides; groups are the
    connected components. A group bears the smallest digest of its members, so names do not depend on row
    order.

    Args:
        digests: hash of each row's pixels.
        ra: right ascension of each centre [deg]; NaN (or not on the sky) where unknown, None if everywhere.
        dec: declination [deg], likewise.
        field_arcsec: side of each cut-out [arcsec], NaN where unknown: then 67 arcsec (Galaxy10 DECaLS).
        declared: name of the group that each row is said to belong to, empty for none.
        alike: pairs of rows that show one galaxy.

    Returns:
        One name a row.
    """
    _, same = np.unique(digests, return_inverse=True)
    pairs = [_chained(same), *([] if alike is None else [alike])]
    if ra is not None and dec is not None:
        field = np.full(len(ra), np.nan) if field_arcsec is None else field_arcsec
        pairs.append(_overlapping(ra, dec, np.where(np.isnan(field), CUTOUT_ARCSEC, field)))
    if declared is not None:
        rows = np.flatnonzero(declared != "")
        pairs.append(rows[_chained(np.unique(declared[rows], return_inverse=True)[1])])
    left, right = np.concatenate(pairs).T
    links = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(len(digests),) * 2)
    count, component = connected_components(links, directed=False)
    names = digests.astype(str)
    order = np.lexsort((names, component))
    smallest = names[order][np.searchsorted(component[order], np.arange(count))]
    return smallest[component]


def _chained(same: Int[np.ndarray, " galaxy"]) -> Int[np.ndarray, "pair 2"]:
    order = np.argsort(same, kind="stable")
    repeats = same[order][1:] == same[order][:-1]
    return np.stack([order[:-1][repeats], order[1:][repeats]], axis=1)


def _overlapping(
    ra: Float[np.ndarray, " galaxy"], dec: Float[np.ndarray, " galaxy"], field: Float[np.ndarray, " galaxy"]
) -> Int[np.ndarray, "pair 2"]:
    rows = np.flatnonzero(placed(ra, dec))
    if not len(rows):
        return np.empty((0, 2), dtype=np.int64)
    centres = unit_vectors(ra[rows], dec[rows])
    pairs = cKDTree(centres).query_pairs(float(chord(field[rows]).max()), output_type="ndarray")
    apart = np.linalg.norm(centres[pairs[:, 0]] - centres[pairs[:, 1]], axis=1)
    reach = chord(field[rows][pairs].mean(axis=1))
    return rows[pairs[apart < reach]]


def placed(
    ra: Float[np.ndarray, " galaxy"], dec: Float[np.ndarray, " galaxy"]
) -> Bool[np.ndarray, " galaxy"]:
    """Mark the rows with a position on the sky; (0, 0) is how some files spell "unknown"."""
    on_sky = (np.abs(dec) <= 90) & (ra >= -180) & (ra <= 360)
    marked: Bool[np.ndarray, " galaxy"] = on_sky & ((ra != 0) | (dec != 0))
    return marked


def unit_vectors(
    ra: Float[np.ndarray, " galaxy"], dec: Float[np.ndarray, " galaxy"]
) -> Float[np.ndarray, "galaxy 3"]:
    """Point from the centre of the sphere to each position [deg]."""
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=1)


def chord(arcsec: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Turn angles into distances between unit vectors."""
    angle = np.radians(np.minimum(arcsec / 3600, 180))  # nothing is farther than across the sky
    distance: Float[np.ndarray, "*any"] = 2 * np.sin(angle / 2)
    return distance


def conflicting(names: np.ndarray, labels: Int[np.ndarray, " galaxy"]) -> Bool[np.ndarray, " galaxy"]:
    """Mark every row of a galaxy that appears under two different labels.

    Args:
        names: what says that rows show one galaxy: equal names, such as hashes of pixels.
        labels: class index, -1 unknown.
    """
    _, galaxy = np.unique(names, return_inverse=True)
    known = labels >= 0
    low = np.full(galaxy.max(initial=-1) + 1, np.iinfo(np.int64).max)
    high = np.full_like(low, -1)
    np.minimum.at(low, galaxy[known], labels[known])
    np.maximum.at(high, galaxy[known], labels[known])
    return (low < high)[galaxy]


def rare_classes(labels: Int[np.ndarray, " galaxy"], members: int = 2) -> Sequence[int]:
    """List classes that occur, but in fewer galaxies than can be told apart on two splits."""
    found, counts = np.unique(labels[labels >= 0], return_counts=True)
    return [int(label) for label in found[counts < members]]
