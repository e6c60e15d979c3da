"""Does an image of a pool show a galaxy of the table? Found under any name and in any crop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from astrojepa_bench.data.convert import cached, fingerprint, stack
from astrojepa_bench.data.splitting.near_duplicates import NEAR_DUPLICATES, near_duplicates


class Part(NamedTuple):
    """Images, and the rows of them that count."""

    images: np.ndarray
    rows: np.ndarray


def showing(
    new: Part, known: Sequence[Part], digests: np.ndarray, cache_dir: Path, task: str
) -> Bool[np.ndarray, " row"]:
    """Mark the images that show a galaxy of `known`, in another crop, turned, mirrored or magnified.

    The answer is kept: each pair of sets is compared once.

    Args:
        new: images and the rows to judge.
        known: images and rows of what must not be shown.
        digests: hash of the pixels of all rows, those of `known` first.
        cache_dir: where the answer is kept.
        task: what to call it where progress is shown.

    Returns:
        One truth value for each row of `new`.
    """
    held = sum(len(rows) for _, rows in known)
    key = fingerprint("leaks", NEAR_DUPLICATES, held, digests)

    def compare(folder: Path) -> None:
        parts = [
            part.images if len(part.rows) == len(part.images) else stack([part], f"{key}-{place}", cache_dir)
            for place, part in enumerate((new, *known))
        ]
        found = [near_duplicates(parts[0], other, task=task).row_a for other in parts[1:]]
        np.save(folder / "rows.npy", np.unique(np.concatenate(found)))

    rows = np.load(cached(cache_dir, key, compare, "leaks") / "rows.npy")
    return np.isin(np.arange(len(new[1])), rows)
