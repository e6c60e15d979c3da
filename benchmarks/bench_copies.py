"""Copies planted among real galaxies: how many are found, and how the time grows with the number of images.

pytest benchmarks/bench_copies.py -o addopts=--import-mode=importlib -o pythonpath=benchmarks -s

Forty galaxies of Galaxy Zoo 2 are saved again in each of the ways of `planted.py`, as somebody's copies would be,
and looked for among 17,736 images: 14,635 of eight real sets (all that lie beside the checkout), filled up with
simulated ones. One core. The table and the times are printed; docs/data.md states them.
"""

import time

import numpy as np
import pytest
import torch
from bench_near_duplicates import GZ1, GZ2, SHARED, SIDE_PX, joined, pictures
from planted import FOUND, MISSED, WAYS

from astrojepa_bench.data.resize import resize
from astrojepa_bench.data.splitting.near_duplicates import near_duplicates
from astrojepa_bench.data.synthetic.dataset import Synthetic

GALAXY10, POOL, PLANTED = 17_736, 50_000, 40
OTHERS = ("galaxy_zoo2_odd.h5", "galaxy_zoo2_votes", "decals_rings", "galaxy10_decals_sample.h5")
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real galaxies beside the checkout")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Return 17,736 images of 64 px; the first 3,010 are Galaxy Zoo 2's."""
    torch.set_num_threads(1)
    real, _ = joined((*GZ2, *GZ1, *OTHERS, "strong_lens_candidates"))
    more = GALAXY10 - len(real)
    drawn = Synthetic(galaxies=more, anomaly_fraction=0).load(SIDE_PX, tmp_path_factory.mktemp("cache"))
    return np.concatenate([real, drawn.images[:more]])


def test_planted_copies_are_found(strangers):
    """All but one in twenty of what is promised, and hardly anything of what is said not to be found."""
    originals = pictures("galaxy_zoo2.h5")[0]
    rows = np.sort(np.random.default_rng(0).permutation(len(originals))[:PLANTED])
    again = [
        resize(np.ascontiguousarray(way(originals[row])), SIDE_PX) for way in WAYS.values() for row in rows
    ]
    found = near_duplicates(np.stack(again), strangers)
    right = found.row_b == np.tile(rows, len(WAYS))[found.row_a]
    caught = np.bincount(np.unique(found.row_a[right]) // PLANTED, minlength=len(WAYS))
    for name, count in zip(WAYS, caught, strict=True):
        print(f"{name:<32} {count:3} of {PLANTED}")
    by_name = dict(zip(WAYS, caught.tolist(), strict=True))
    assert min(by_name[name] for name in FOUND) >= 0.95 * PLANTED
    assert max(by_name[name] for name in MISSED) <= 0.5 * PLANTED


def test_time_hardly_grows_faster_than_the_number_of_images(strangers):
    """Six times the images take less than eighteen times the time, and all of them less than five minutes."""
    order = np.random.default_rng(1).permutation(len(strangers))
    taken = {}
    for count in (len(order) // 6, len(order)):
        images, start = strangers[order[:count]], time.process_time()
        near_duplicates(images)
        taken[count] = time.process_time() - start
        print(f"{count:6} images among themselves: {taken[count]:.0f} s of a core")
    few, all_of_them = taken.values()
    print(f"ratio of times {all_of_them / few:.1f} for a ratio of images of 6 (36 if pairs counted)")
    assert all_of_them < 18 * few
    assert all_of_them < 2 * 300


def test_a_pool_of_fifty_thousand_is_compared_in_minutes(strangers):
    """17,736 images against 50,000, each the mean of two of those, one turned, and noise: most still show one."""
    stream = np.random.default_rng(2)
    pool = np.empty((POOL, *strangers.shape[1:]), np.uint8)
    for at in range(0, POOL, 1000):
        rows = (np.arange(at, at + 1000) * 7) % len(strangers)
        mixed = 0.5 * strangers[rows] + 0.5 * np.rot90(
            strangers[(rows * 5 + at) % len(strangers)], axes=(2, 3)
        )
        pool[at : at + 1000] = np.clip(mixed + stream.normal(0, 3, mixed.shape), 0, 255)
    start = time.process_time()
    found = near_duplicates(strangers, pool)
    print(
        f"{len(strangers)} against {POOL}: {time.process_time() - start:.0f} s of a core, {len(found)} pairs"
    )
    assert time.process_time() - start < 2 * 600
