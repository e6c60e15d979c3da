"""A file of the size and layout of Galaxy10 DECaLS with its known defects planted, and what it costs to load.

python benchmarks/galaxy10_full_size.py write FILE [--noise LEVELS] [--chunks lines]
python benchmarks/galaxy10_full_size.py load FILE SIZE_PX CACHE TABLE.npz

`load` runs in a process of its own, so that its peak memory is that of loading and of nothing else.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

SIDE = 256
COUNTS = (1081, 1853, 2645, 2027, 334, 2043, 1829, 2628, 1423, 1873)  # as published, rows sorted by class
ROWS = sum(COUNTS)
MERGING = 1
CONFLICTS, OF_THESE_EQUAL, BLANK, NO_REDSHIFT, WIDE, MERGING_PAIRS = 59, 20, 3, 92, 820, 92
FINE, COARSE = 0.262, 0.524  # arcsec per pixel
TEMPLATES = 300
BLOCK = 555  # rows of a chunk, as h5py chooses for this shape
NAMES = [f"class {number}" for number in range(10)]  # not those of the release


class Plan(NamedTuple):
    """What every row holds."""

    ans: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    redshift: np.ndarray
    pxscale: np.ndarray
    template: np.ndarray
    noise: np.ndarray  # offset into the bank of noise, in units of 1
    shift: np.ndarray  # pixels, down and right
    blank: np.ndarray
    conflicts: np.ndarray  # pairs of rows
    merging: np.ndarray  # pairs of rows


def plan(seed=0):
    """Place 17,736 galaxies degrees apart, then plant each defect in rows of its own."""
    rng = np.random.default_rng(seed)
    ans = np.repeat(np.arange(10), COUNTS).astype(np.uint8)
    place = rng.permutation(ROWS)
    ra, dec = 0.4 + 2.5 * (place % 143), -15 + 0.7 * (place // 143)
    redshift = rng.uniform(0.01, 0.25, ROWS)
    template, noise = rng.integers(0, TEMPLATES, ROWS), rng.integers(0, 1 << 40, ROWS)
    shift = np.zeros((ROWS, 2), dtype=int)

    merging, rest = _merging_pairs(rng, ans)
    conflicts, rest = _conflicting_pairs(rest, ans)
    one, other = conflicts.T
    ra[other], dec[other], template[other] = ra[one], dec[one], template[one]
    noise[other[:OF_THESE_EQUAL]] = noise[one[:OF_THESE_EQUAL]]
    one, other = merging.T
    apart, angle = rng.uniform(10, 20, len(one)), rng.uniform(0, 2 * np.pi, len(one))
    dec[other] = dec[one] + apart * np.sin(angle) / 3600
    ra[other] = ra[one] + apart * np.cos(angle) / 3600 / np.cos(np.radians(dec[one]))
    template[other] = template[one]
    shift[other] = np.round(apart * np.array([np.sin(angle), np.cos(angle)]) / FINE).T

    blank, unknown, wide, _ = np.split(rest, np.cumsum([BLANK, NO_REDSHIFT, WIDE]))
    redshift[unknown] = np.nan
    pxscale = np.full(ROWS, FINE)
    pxscale[wide] = COARSE
    return Plan(ans, ra, dec, redshift, pxscale, template, noise, shift, blank, conflicts, merging)


def _merging_pairs(rng, ans):
    rows = rng.permutation(np.flatnonzero(ans == MERGING))[: 2 * MERGING_PAIRS]
    return rows.reshape(-1, 2), rng.permutation(np.setdiff1d(np.arange(ROWS), rows))


def _conflicting_pairs(rows, ans):
    """Pair rows of unequal classes: half of them with Disturbed or Merging, the rest at random."""
    first, second = rows[:1000], rows[1000:2000]
    pairs = np.stack([first, second], axis=1)[ans[first] != ans[second]][:CONFLICTS]
    return pairs, np.setdiff1d(rows, pairs, assume_unique=True)


def templates(rng):
    """Inclined exponential disks of all sizes and colours on a sky of 28 of 255."""
    y, x = np.mgrid[-SIDE // 2 : SIDE // 2, -SIDE // 2 : SIDE // 2]
    drawn = np.empty((TEMPLATES, SIDE, SIDE, 3), dtype=np.uint8)
    for image in drawn:
        axis_ratio, angle, scale = rng.uniform(0.3, 1), rng.uniform(0, np.pi), rng.uniform(8, 30)
        u, v = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / axis_ratio
        light = rng.uniform(60, 170) * np.exp(-np.hypot(u, v) / scale)
        image[:] = 28 + light[..., None] * [1, rng.uniform(0.7, 1), rng.uniform(0.5, 0.9)]
    return drawn


def write(path, levels, chunks):
    """Write the file block by block, whole chunks at a time."""
    rng = np.random.default_rng(1)
    table, drawn = plan(), templates(rng)
    bank = rng.integers(0, levels, 1 << 24, dtype=np.uint8)
    size = drawn[0].size

    def image(row):
        if row in table.blank:
            return np.zeros_like(drawn[0])
        start = table.noise[row] % (len(bank) - size)
        moved = np.roll(drawn[table.template[row]], table.shift[row], (0, 1))
        return moved + bank[start : start + size].reshape(drawn[0].shape)

    with h5py.File(path, "w") as file:
        images = file.create_dataset(
            "images", (ROWS, SIDE, SIDE, 3), np.uint8, chunks=chunks, compression="gzip", compression_opts=1
        )
        for start in range(0, ROWS, BLOCK):
            rows = range(start, min(start + BLOCK, ROWS))
            images[rows.start : rows.stop] = np.stack([image(row) for row in rows])
        for name in ("ans", "ra", "dec", "redshift", "pxscale"):
            file[name] = getattr(table, name)
        file.attrs["class_names"] = NAMES


def load(path, size_px, cache, out):
    """Load it once; keep the columns, and print time, peak memory and what the card says."""
    from astrojepa_bench.data.published.galaxy10 import Galaxy10

    started = time.perf_counter()
    table = Galaxy10(path=path).load(size_px, cache)
    seconds = time.perf_counter() - started
    np.savez(out, ids=table.ids, split=table.split, label=table.label, group=table.group)
    print(json.dumps({"seconds": seconds, "peak_gb": peak_gb(), "notes": table.card.notes}))


def peak_gb():
    """Return the most memory this process ever held; `ru_maxrss` would count that of its parent, too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    writing = actions.add_parser("write")
    writing.add_argument("file", type=Path)
    writing.add_argument("--noise", type=int, default=24)
    writing.add_argument("--chunks", choices=["auto", "lines"], default="auto")
    loading = actions.add_parser("load")
    loading.add_argument("file", type=Path)
    loading.add_argument("size_px", type=int)
    loading.add_argument("cache", type=Path)
    loading.add_argument("out", type=Path)
    arguments = parser.parse_args()
    if arguments.action == "write":
        write(arguments.file, arguments.noise, True if arguments.chunks == "auto" else (BLOCK, 8, SIDE, 3))
    else:
        load(arguments.file, arguments.size_px, arguments.cache, arguments.out)


if __name__ == "__main__":
    main()
