"""Copies of a galaxy inside one set share a split, whatever was done to them and whatever size is asked for."""

import runpy
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.published.galaxy10 import Galaxy10
from astrojepa_bench.data.splitting import copies as module
from astrojepa_bench.data.splitting import screening
from astrojepa_bench.data.splitting.copies import find_copies
from astrojepa_bench.data.splitting.near_duplicates import near_duplicates
from astrojepa_bench.data.splitting.ring_spectra import ORDERS, RINGS, invariants, window
from astrojepa_bench.data.splitting.screening import NEAREST, SCREENED, STEPS, nearest_pairs
from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.results.identity import split_hash

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real galaxies are not here")


def lopsided(count, side=48, seed=0):
    """Draw galaxies with clumps on a noisy sky, channels last."""
    stream = np.random.default_rng(seed)
    down, right = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    images = np.empty((count, side, side, 3), np.uint8)
    for image in images:
        light = np.exp(-np.hypot(right, down / stream.uniform(0.4, 1)) / stream.uniform(0.12, 0.3))
        for x, y, peak, width in stream.uniform((-0.6, -0.6, 0.1, 0.003), (0.6, 0.6, 0.5, 0.03), (6, 4)):
            light += peak * np.exp(-((right - x) ** 2 + (down - y) ** 2) / width)
        colours = 32 + 150 * light[..., None] * stream.uniform(0.6, 1, 3)
        image[:] = np.clip(colours + stream.normal(0, 4, colours.shape), 0, 255)
    return images


def write(path, images, **columns):
    with h5py.File(path, "w") as file:
        for name, values in {"images": images, "ans": np.arange(len(images)) % 2, **columns}.items():
            file[name] = values
    return path


@pytest.fixture(scope="module")
def twice():
    """Return 12 galaxies and, behind them, each of them turned or mirrored."""
    one = lopsided(12)
    two = [np.rot90(image, 1 + at % 3)[:, :: -1 if at % 2 else 1] for at, image in enumerate(one)]
    return np.concatenate([one, two])


def test_copies_share_a_split_at_every_size(twice, tmp_path):
    """No galaxy stands on two sides; the card counts its copies; 32 px give the splits of 64."""
    path = write(tmp_path / "a.h5", twice)
    tables = [Hdf5(path=path).load(size_px, tmp_path / "cache") for size_px in (64, 32)]
    for table in tables:
        np.testing.assert_array_equal(table.split[:12], table.split[12:])
        np.testing.assert_array_equal(table.group[:12], table.group[12:])
        assert len(set(table.group.tolist())) == 12
        assert any(
            note.startswith("24 images show a galaxy that another image shows too")
            for note in table.card.notes
        )
    np.testing.assert_array_equal(tables[0].split, tables[1].split)


def test_a_set_is_searched_once(twice, tmp_path, monkeypatch):
    """The second load reads what the first one found."""
    path = write(tmp_path / "a.h5", twice)
    first = Hdf5(path=path).load(64, tmp_path / "cache")
    monkeypatch.setattr(module, "near_duplicates", None)
    assert Hdf5(path=path).load(64, tmp_path / "cache").fingerprint == first.fingerprint


def test_the_splits_of_a_file_are_kept_and_copies_across_them_counted(twice, tmp_path):
    """Originals train and copies test, as the file says: the card says how many images that concerns."""
    declared = np.array([b"train"] * 12 + [b"test"] * 12)
    table = Hdf5(path=write(tmp_path / "a.h5", twice, split=declared)).load(64, tmp_path / "cache")
    assert set(table.split[12:].tolist()) == {"test"}
    assert set(table.split[:12].tolist()) == {"train", "val"}
    assert any("24 of them have a copy in another split" in note for note in table.card.notes)


def test_validation_that_is_taken_from_training_parts_no_copies(twice, tmp_path):
    """Where both are declared to train, both validate or neither does."""
    images = np.concatenate([twice, lopsided(12, seed=1)])
    declared = np.array([b"train"] * 24 + [b"test"] * 12)
    table = Hdf5(path=write(tmp_path / "a.h5", images, split=declared)).load(64, tmp_path / "cache")
    np.testing.assert_array_equal(table.split[:12], table.split[12:24])
    assert "val" in table.split
    assert not any("in another split" in note for note in table.card.notes)


def test_positions_decide_where_every_galaxy_has_one(twice, tmp_path, monkeypatch):
    """Nothing is compared; with one position missing, all is."""
    monkeypatch.setattr(module, "near_duplicates", None)
    ra = 1 + np.arange(24.0)
    path = write(tmp_path / "a.h5", twice, ra=ra, dec=np.zeros(24))
    assert len(set(Hdf5(path=path).load(64, tmp_path / "cache").group.tolist())) == 24
    ra[7] = np.nan
    with pytest.raises(TypeError):
        Hdf5(path=write(tmp_path / "b.h5", twice, ra=ra, dec=np.zeros(24))).load(64, tmp_path / "cache")


def test_images_of_a_few_pixels_are_not_compared(tmp_path, monkeypatch):
    """Twelve pixels a side do not tell a copy from a stranger."""
    monkeypatch.setattr(module, "near_duplicates", None)
    assert len(Hdf5(path=write(tmp_path / "a.h5", lopsided(20, 12))).load(64, tmp_path / "cache")) == 20


def test_groups_of_copies_have_names_that_row_order_does_not_change(twice):
    """Shuffled, every image keeps the name of its group."""
    images = twice.transpose(0, 3, 1, 2)
    order = np.random.default_rng(0).permutation(24)
    names = find_copies(images)
    np.testing.assert_array_equal(find_copies(np.ascontiguousarray(images[order])), names[order])
    np.testing.assert_array_equal(names[:12], names[12:])
    assert len(set(names.tolist())) == 12


def test_pairs_among_themselves_are_those_against_each_other(twice):
    """Each pair once, the smaller row first, and no image with itself."""
    images = twice.transpose(0, 3, 1, 2)
    within, across = near_duplicates(images), near_duplicates(images[:12], images[12:])
    np.testing.assert_array_equal(within.row_a, across.row_a)
    np.testing.assert_array_equal(within.row_b, across.row_b + 12)
    np.testing.assert_allclose(within.correlation, across.correlation, atol=1e-3)


@pytest.mark.parametrize("among", [False, True])
def test_the_nearest_are_those_of_a_plain_search(among, monkeypatch):
    """In blocks of any size: for each row and each column the nearest few of all pairs that are like enough."""
    draw = torch.Generator().manual_seed(0)
    kinds = torch.randn(8, len(ORDERS), RINGS, dtype=torch.complex64, generator=draw)
    noise = torch.randn(130, len(ORDERS), RINGS, dtype=torch.complex64, generator=draw)
    spectra = kinds[torch.arange(130) % 8] + 0.4 * noise
    a, b = (spectra, None) if among else (spectra[:50], spectra[50:])
    monkeypatch.setattr(screening, "BLOCK_A", 32)
    monkeypatch.setattr(screening, "BLOCK_B", 24)
    found = {tuple(pair) for pair in nearest_pairs(a, b, "test").tolist()}

    other = a if b is None else b
    likeness = np.max(
        [(invariants(window(a, s)) @ invariants(window(other, -s)).T).numpy() for s in STEPS], axis=0
    )
    if among:
        np.fill_diagonal(likeness, -1)
    expected = set()
    for turned, table in enumerate((likeness, likeness.T)):
        for row, line in enumerate(table):
            for at in np.argsort(-line)[:NEAREST]:
                if line[at] > SCREENED:
                    pair = (int(at), row) if turned else (row, int(at))
                    expected.add(tuple(sorted(pair)) if among else pair)
    assert found == expected
    assert len(found) > 200


# --- real galaxies ----------------------------------------------------------------------------------------------


@real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "fingerprint", "splits"),
    [
        (Hdf5(path=REAL / "galaxy_zoo2.h5"), "844539efb4a8d307b7dbc3a47a50a65b", "cb8d9f63d55896ec"),
        (Folder(path=REAL / "galaxy_zoo2_votes"), "f2f4c07b8e54c58010814d17e35efc3c", "d43af6df9241ff2c"),
        (Folder(path=REAL / "decals_rings"), "1d40d1eedc6085afcdcce130178cb6f4", "a0d4fca8aacdbceb"),
        (Hdf5(path=REAL / "radio_first.h5"), "9516e83be7a04e5689bd4e54bc3a2fa3", "7d7af94e3bb4c3af"),
        (Galaxy10(path=REAL / "galaxy10_decals_sample.h5"), "f69c514102c812b525ca3242b233cd16", "ed3537cd6440ecb4"),
        (Synthetic(galaxies=300, anomaly_mix="rare"), "f9697d747bfb3f6d9deecf4d17bc362c", "77a1f0495be162e4"),
    ],
    ids=["galaxy_zoo2", "votes", "rings", "radio", "galaxy10", "synthetic"],
)  # fmt: skip
def test_sets_without_copies_keep_the_splits_that_they_had(dataset, fingerprint, splits, tmp_path):
    """As they were before anything looked for copies, to the last galaxy."""
    table = dataset.load(64, tmp_path)
    assert table.fingerprint == fingerprint
    assert split_hash(table.ids, table.split) == splits


@real
@pytest.mark.slow
def test_planted_copies_stand_beside_their_galaxy(tmp_path):
    """Of twenty galaxies saved again in each way that is promised, one copy in a hundred may stand elsewhere."""
    planted = runpy.run_path(str(ROOT / "benchmarks" / "planted.py"))
    with h5py.File(REAL / "galaxy_zoo2.h5") as file:
        images = file["images"][:500]
    rows = np.sort(np.random.default_rng(0).permutation(500)[:20])
    ways = [planted["WAYS"][name] for name in planted["FOUND"] if name != "96 px"]
    again = np.stack([way(images[row]) for way in ways for row in rows])
    labels = np.append(np.arange(500) % 2, np.tile(rows % 2, len(ways)))  # other labels would be a conflict
    path = write(tmp_path / "a.h5", np.concatenate([images, again]), ans=labels)
    table = Hdf5(path=path).load(64, tmp_path / "cache")
    beside = table.split[500:] == np.tile(table.split[rows], len(ways))
    assert beside.mean() >= 0.99


@pytest.mark.slow
def test_many_copies_do_not_hide_other_copies_from_each_other():
    """Twenty of one galaxy as it is and twenty of it nearer: sixteen are looked at, and all are one group."""
    (galaxy,) = lopsided(1, side=80)
    stream = np.random.default_rng(1)
    near = np.asarray(Image.fromarray(galaxy[14:66, 14:66]).resize((80, 80), Image.Resampling.BICUBIC))
    turned = [np.rot90(image, turn) for image in (galaxy, near) for turn in range(4) for _ in range(5)]
    copies = np.stack([np.clip(image + stream.normal(0, 2, image.shape), 0, 255) for image in turned])
    images = np.concatenate([copies.astype(np.uint8), lopsided(20, side=80, seed=5)]).transpose(0, 3, 1, 2)

    groups = find_copies(np.ascontiguousarray(images))

    assert len(set(groups[:40].tolist())) == 1
    assert not np.isin(groups[40:], groups[:40]).any()


def test_a_class_that_lies_in_one_field_is_told(tmp_path):
    """Its galaxies train or are tested, all of them; of classes that reach both sides nothing is said."""
    ra, label = np.append(150 + np.arange(40) / 360, np.linspace(0, 100, 60)), np.repeat([1, 0], [40, 60])
    images = np.random.default_rng(0).integers(0, 255, (100, 8, 8, 3), dtype=np.uint8)
    path = write(tmp_path / "a.h5", images, ans=label, ra=ra, dec=np.repeat([2.0, -40.0], [40, 60]))
    notes = Hdf5(path=path).load(8, tmp_path / "cache").card.notes

    assert [note for note in notes if "no galaxy of" in note] == [
        "no galaxy of 'class 1' is in test: nothing is reported on it"
    ]
