"""Which rows of one set show the same galaxy, under other names and in other crops?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from astrojepa_bench.data.convert import blocks, cached, fingerprint, steps
from astrojepa_bench.data.splitting.near_duplicates import NEAR_DUPLICATES, near_duplicates
from astrojepa_bench.data.splitting.screening import NEAREST
from astrojepa_bench.data.splitting.splits import placed, sky_groups
from astrojepa_bench.events import track
from astrojepa_bench.types import Images

LEAST_SIDE_PX = 24  # of an image that shows enough to tell a copy from a stranger


def find_copies(
    images: Images,
    *,
    ra: Float[np.ndarray, " galaxy"] | None = None,
    dec: Float[np.ndarray, " galaxy"] | None = None,
    field_arcsec: Float[np.ndarray, " galaxy"] | None = None,
    cache_dir: Path | None = None,
) -> np.ndarray:
    """Group rows that show the same galaxy: by equal pixels, by overlapping sky and by their looks.

    Copies may be turned, mirrored, magnified, shifted or compressed (see `near_duplicates`). Where every row
    has a position the sky decides alone. Names of groups do not depend on row order: hand them to
    `assign_splits`, which keeps a group in one split.

    Args:
        images: square, of at least 24 px; use one size whatever size is asked of the data set, so that the
            splits are the same for all.
        ra: right ascension of each centre [deg]; NaN where unknown, None if everywhere.
        dec: declination [deg], likewise.
        field_arcsec: side of each image [arcsec], NaN where unknown: then 67 arcsec.
        cache_dir: where the answer is kept, so that it is found once; None: nowhere.

    Returns:
        One name a row; copies share it.

    Raises:
        DataError: the images are not square.
    """
    digests = image_digests(images, "hashing images")
    if ra is not None and dec is not None and placed(ra, dec).all():
        return sky_groups(digests, ra, dec, field_arcsec)
    alike = _pairs(images, digests) if cache_dir is None else copies_among(images, cache_dir, digests)
    return sky_groups(digests, ra, dec, field_arcsec, alike=alike)


def copies_among(
    images: Images, cache_dir: Path, digests: np.ndarray | None = None
) -> Int[np.ndarray, "pair 2"]:
    """List the pairs of rows whose images show the same galaxy; each set of images is searched once.

    Args:
        images: square; what has fewer than 24 px a side shows too little to tell a copy from a stranger.
        cache_dir: where the answer is kept.
        digests: of each image (`image_digests`), if they are known.
    """
    names = image_digests(images, "hashing images") if digests is None else digests
    key = fingerprint("copies", NEAR_DUPLICATES, images.shape[1:], names)
    entry = cached(
        cache_dir, key, lambda folder: np.save(folder / "pairs.npy", _pairs(images, names)), "leaks"
    )
    pairs: np.ndarray = np.load(entry / "pairs.npy")
    return pairs


def _pairs(images: Images, digests: np.ndarray) -> Int[np.ndarray, "pair 2"]:
    """Find the pairs, and those between groups of so many copies that they hide other copies from each other."""
    first = near_duplicates(images, task="looking for copies of galaxies")
    pairs = np.stack([first.row_a, first.row_b], axis=1)
    _, start, size = np.unique(sky_groups(digests, alike=pairs), return_index=True, return_counts=True)
    heads = start[size > NEAREST]
    if len(heads) < 2:
        return pairs
    more = near_duplicates(images[heads], task="looking among galaxies with many copies")
    return np.concatenate([pairs, np.stack([heads[more.row_a], heads[more.row_b]], axis=1)])


def image_digests(images: Images, task: str) -> np.ndarray:
    """Hash the pixels of each image."""
    every = np.arange(len(images))
    watched = track(blocks(images, every), task=task, total=len(steps(every)), unit="blocks")
    return np.array(
        [hashlib.sha256(image.tobytes()).hexdigest()[:32] for block in watched for image in block]
    )
