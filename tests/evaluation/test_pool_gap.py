"""A pool that looks like the labelled galaxies cannot be told from them; one that does not, can."""

from pathlib import Path

import numpy as np
import pytest

from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.evaluation.pool_gap import pool_gap, tell_apart

REAL = Path(__file__).parents[2].parent / "shared" / "data"


def test_equal_distributions_are_not_told_apart():
    """Two draws from one distribution: AUROC one half within its scatter."""
    a, b = np.random.default_rng(0).normal(size=(2, 600, 20))
    assert abs(tell_apart(a, b).auroc - 0.5) < 0.06


def test_shift_gives_the_overlap_of_two_gaussians():
    """The best classifier of two unit Gaussians d apart has an AUROC of Φ(d / √2)."""
    a, b = np.random.default_rng(1).normal(size=(2, 2000, 4))
    b[:, 0] += 1.5
    gap = tell_apart(a, b)
    assert gap.auroc == pytest.approx(0.8556, abs=0.02)
    assert gap.balanced_accuracy == pytest.approx(0.7734, abs=0.02)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real galaxies are not here")
@pytest.mark.slow
def test_pool_of_one_class_differs_more_than_a_pool_of_all(tmp_path, uncompared):
    """Ellipticals alone are told from Galaxy Zoo 1 more surely than Galaxy Zoo 2's pool from its labelled set."""
    pairs = [
        ("galaxy_zoo2.h5", "galaxy_zoo2_unlabelled.zip"),
        ("galaxy_zoo1.h5", "galaxy_zoo1_extra_ellipticals.zip"),
    ]
    tables = [Hdf5(path=REAL / path, pool=REAL / pool).load(32, tmp_path) for path, pool in pairs]
    same, other = (pool_gap(table) for table in tables)
    assert same is not None
    assert other is not None
    assert 0.45 < same.auroc < 0.6 < other.auroc
    assert pool_gap(Hdf5(path=REAL / "galaxy_zoo2.h5").load(32, tmp_path)) is None
