"""Splits: stratified, constant, and never parting what shows the same sky."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrojepa_bench.data.splitting.splits import (
    assign_splits,
    conflicting,
    count_moved,
    rare_classes,
    read_splits,
    sky_groups,
)
from astrojepa_bench.errors import DataError


def alone(count: int) -> np.ndarray:
    return np.array([f"g{number}" for number in range(count)])


@pytest.mark.parametrize(("count", "shares"), [(2000, (0.5, 0.15, 0.35)), (20_000, (0.8, 0.1, 0.1))])
def test_each_class_is_divided_in_the_stated_shares(count, shares):
    """Every class has its share in every split to one galaxy: 50/15/35 for small sets, 80/10/10 for large."""
    labels = np.random.default_rng(0).choice(4, count, p=[0.6, 0.3, 0.07, 0.03])
    split = assign_splits(labels, alone(count))
    for label in range(4):
        size = (labels == label).sum()
        for name, share in zip(("train", "val", "test"), shares, strict=True):
            assert abs(((labels == label) & (split == name)).sum() - share * size) <= 1


def test_split_does_not_depend_on_row_order():
    """Shuffling the file moves no galaxy to another split."""
    labels = np.arange(300) % 3
    order = np.random.default_rng(0).permutation(300)
    split = assign_splits(labels, alone(300))
    np.testing.assert_array_equal(assign_splits(labels[order], alone(300)[order]), split[order])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 25)), min_size=30, max_size=120), st.booleans())
def test_groups_never_part(rows, is_declared):
    """Whatever the labels, groups and declared splits, all rows of a group share a split."""
    rows += [(0, 100), (0, 101)]  # two galaxies alone, so that something can be tested
    labels, groups = np.array([row[0] for row in rows]), np.array([f"g{row[1]}" for row in rows])
    words = np.array([("train", "val", "test")[number % 3] for number in range(len(rows))])
    split = assign_splits(labels, groups, words if is_declared else None)
    assert all(len(set(split[groups == group])) == 1 for group in set(groups))


@pytest.mark.parametrize(("members", "reached"), [(2, {"train", "test"}), (3, {"train", "val", "test"})])
def test_rare_class_reaches_the_splits_it_can(members, reached):
    """Two galaxies of a class go to train and test, three to all splits, also at 80/10/10."""
    labels = np.append(np.zeros(12_000, dtype=int), np.ones(members, dtype=int))
    assert set(assign_splits(labels, alone(len(labels)))[labels == 1]) == reached


def test_unlabelled_rows_train():
    """Galaxies without label go to train, except those that share a group with a labelled one."""
    labels = np.array([0, 1] * 50 + [-1] * 50)
    groups = np.append(alone(100), alone(50))  # unlabelled row 100 + i shows the same sky as row i
    split = assign_splits(labels, groups)
    np.testing.assert_array_equal(split[100:], split[:50])
    assert set(assign_splits(labels, alone(150))[100:]) == {"train"}


def test_wholly_unlabelled_file_still_has_a_test_set():
    """Without any label all rows are divided like one class, so that something can be reported."""
    split = assign_splits(np.full(100, -1), alone(100))
    assert [(split == name).sum() for name in ("train", "val", "test")] == [50, 15, 35]


def test_declared_split_is_honoured_in_any_spelling():
    """Bytes, capitals and the usual words are read; the file's own division is kept exactly."""
    declared = np.array([b"Train", b"valid", b"test", b"validation", b"training"] * 4, dtype=object)
    split = assign_splits(np.zeros(20, dtype=int), alone(20), declared)
    assert split.tolist() == ["train", "val", "test", "val", "train"] * 4


def test_validation_is_carved_from_declared_training():
    """With train and test only, test stays as declared and val is the small-set share of train, by class."""
    declared = np.array(["train"] * 650 + ["test"] * 350)
    labels = np.arange(1000) % 2
    split = assign_splits(labels, alone(1000), declared)
    assert set(split[650:]) == {"test"}
    assert [((split == "val") & (labels == label)).sum() for label in (0, 1)] == [75, 75]


def test_declared_split_that_parts_a_group_yields_to_the_test_set():
    """A training image of a test galaxy's sky leaves training, and is counted."""
    declared = np.array(["train", "test", "val", "train", "val", "train"])
    groups = np.array(["a", "a", "b", "b", "c", "d"])
    split = assign_splits(np.zeros(6, dtype=int), groups, declared)
    assert split.tolist() == ["test", "test", "val", "val", "val", "train"]
    assert count_moved(declared, split) == 2


@pytest.mark.parametrize(
    ("declared", "message"),
    [(["train", "tset"], "holds 'tset'; expected train, val or test"), (["train"] * 2, "no row of test")],
)
def test_strange_split_column_is_refused(declared, message):
    """An unknown word or a missing test set is named in one line."""
    with pytest.raises(DataError, match=message):
        read_splits(np.array(declared))


def test_one_sky_group_cannot_be_divided():
    """A file whose images all overlap has no honest test set, and says so."""
    with pytest.raises(DataError, match="40 galaxies in 1 sky groups cannot be divided"):
        assign_splits(np.arange(40) % 2, np.full(40, "field"))


@pytest.mark.parametrize("seed", range(5))
def test_a_crowded_field_trains(seed):
    """108 of 120 galaxies form one group: it trains, whatever its name; what is alone fills the other splits."""
    groups = np.append(np.full(108, f"field{seed}"), alone(12))
    split = assign_splits(np.arange(120) % 2, groups)
    assert set(split[:108]) == {"train"}
    assert (split[108:] == "test").sum() >= 5
    assert (split[108:] == "val").sum() >= 2


def test_large_groups_fill_the_shares_as_well_as_they_can():
    """Ten groups of a tenth each give 50 / 10 / 40 or 50 / 20 / 30 %, the nearest that is possible."""
    groups = np.repeat(alone(10), 20)
    split = assign_splits(np.zeros(200, dtype=int), groups)
    counts = tuple(int((split == name).sum()) for name in ("train", "val", "test"))
    assert counts in {(100, 20, 80), (100, 40, 60), (80, 40, 80)}


@pytest.mark.parametrize("name", range(8))
def test_a_class_of_two_groups_trains_whatever_their_sizes_and_names(name):
    """In a large set the few of the small group lay exactly on a bound, and all of the class left train."""
    label = np.zeros(12_000, dtype=np.int64)
    groups = np.array([f"alone {row}" for row in range(len(label))])
    label[:98], groups[:95], groups[95:98] = 1, f"many {name}", f"few {name}"

    split = assign_splits(label, groups)

    assert set(split[:95].tolist()) == {"train"}
    assert set(split[95:98].tolist()) == {"test"}


def test_groups_that_are_not_large_are_cut_in_order_as_ever():
    """Without a group beyond five galaxies and a twentieth of its class, the old rule holds to the galaxy."""
    stream = np.random.default_rng(3)
    groups, labels = np.sort(stream.integers(0, 300, 600)).astype(str), stream.integers(0, 3, 600)
    names, member = np.unique(groups, return_inverse=True)
    first = {}
    for label in range(3):
        counts = np.bincount(member[labels == label], minlength=len(names))
        for name, count in zip(names, counts, strict=True):
            first.setdefault(name, []).append(count)
    stratum = {name: int(np.argmax(counts)) for name, counts in first.items()}
    expected = {}
    for label in range(3):
        mine = sorted(
            (n for n in names if stratum[n] == label), key=lambda n: sha256(str(n).encode()).hexdigest()
        )
        sizes = np.array([sum(first[name]) for name in mine])
        assert sizes.max() <= 8
        assert sizes.max() <= 0.05 * sizes.sum()
        middle = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
        places = np.array(["test", "val", "train"])[np.searchsorted([0.35, 0.5], middle, side="right")]
        expected |= dict(zip(mine, places.tolist(), strict=True))
    assert assign_splits(labels, groups).tolist() == [expected[name] for name in groups]


def test_overlap_is_angular_distance_on_the_sphere():
    """Groups agree with haversine distances computed pair by pair, across RA 0 and near the pole."""
    rng = np.random.default_rng(1)
    ra = np.concatenate([rng.uniform(-0.1, 0.1, 60) % 360, rng.uniform(0, 360, 60)])
    dec = np.concatenate([rng.uniform(-0.1, 0.1, 60), 90 - rng.uniform(0, 0.15, 60)])
    a, d = np.radians(ra), np.radians(dec)
    half = (
        np.sin((d[:, None] - d) / 2) ** 2 + np.cos(d[:, None]) * np.cos(d) * np.sin((a[:, None] - a) / 2) ** 2
    )
    near = np.degrees(2 * np.arcsin(np.sqrt(half))) * 3600 < 67
    reach = np.linalg.matrix_power(near.astype(np.int64), 8) > 0
    while not np.array_equal(reach, grown := (reach.astype(int) @ near.astype(int)) > 0):
        reach = grown
    groups = sky_groups(np.array([f"{n:03}" for n in range(120)]), ra, dec)
    np.testing.assert_array_equal(groups[:, None] == groups, reach)
    assert near.sum() > 120 + 20


@pytest.mark.parametrize(("field", "together"), [(np.nan, True), (50.0, False), (134.0, True)])
def test_cut_out_size_sets_the_reach(field, together):
    """Centres 60 arcsec apart overlap in fields of 67 arcsec (the default) but not in fields of 50."""
    groups = sky_groups(
        np.array(["a", "b"]), np.array([10.0, 10.0]), np.array([0.0, 60 / 3600]), np.full(2, field)
    )
    assert (groups[0] == groups[1]) == together


def test_unknown_positions_overlap_nothing():
    """NaN, sentinels off the sky and (0, 0) are not positions."""
    ra = np.array([np.nan, np.nan, -999, -999, 0, 0])
    dec = np.array([np.nan, 5, -99, -99, 0, 0])
    assert len(set(sky_groups(alone(6), ra, dec))) == 6


def test_equal_pixels_share_a_group_through_other_links():
    """Equal pixels and overlapping sky link transitively, and the group bears its smallest digest."""
    digests = np.array(["c", "b", "c", "d"])
    groups = sky_groups(digests, np.array([1.0, 1.001, 90, 50]), np.zeros(4) + 1)
    assert groups.tolist() == ["b", "b", "b", "d"]


def test_only_contradicting_copies_conflict():
    """Copies under one label, or with one unlabelled, are fine; under two labels all copies are marked."""
    digests = np.array(["a", "a", "b", "b", "c", "c", "c"])
    labels = np.array([1, 1, 2, -1, 0, 3, -1])
    assert conflicting(digests, labels).tolist() == [False] * 4 + [True] * 3


def test_class_of_one_galaxy_is_rare():
    """A class needs two galaxies to be both learned and tested; unlabelled rows are no class."""
    assert list(rare_classes(np.array([0, 0, 1, -1, 2, 2, 7]))) == [1, 7]
