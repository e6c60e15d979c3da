"""Galaxy10: the right file, the right names, its known defects found, and no pair of neighbours parted."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from astrojepa_bench.data.convert import blocks
from astrojepa_bench.data.published.galaxy10 import Galaxy10
from astrojepa_bench.data.published.releases import DECALS, RELEASES, SDSS, release_of
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.errors import DataError

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT.parent / "shared" / "data" / "galaxy10_decals_sample.h5"
FULL_SIZE = ROOT / "benchmarks" / "galaxy10_full_size.py"
real = pytest.mark.skipif(not SAMPLE.is_file(), reason="the real galaxies are not here")


def write(path, release=DECALS, count=40, names=None, **columns):
    """Write a few noisy images in the layout of a release; classes take turns."""
    rng = np.random.default_rng(0)
    side = release.side_px
    columns.setdefault("ans", np.arange(count) % 10)
    with h5py.File(path, "w") as file:
        file["images"] = columns.pop("images", rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8))
        for name, values in columns.items():
            file[name] = values
        if names is not None:
            file["ans"].attrs["class_names"] = names
    return path


def load(path, size_px=8, **options):
    return Galaxy10(path=path, **options).load(size_px, path.parent / "cache")


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_each_release_has_its_own_names_and_bands(tmp_path, release):
    """Ten classes each, but not the same ten; the reddest band comes first, z or i."""
    table = load(write(tmp_path / "a.h5", release), release=release.name)
    assert table.card.name == release.title
    assert table.card.class_names == release.class_names
    assert len(set(release.class_names)) == 10
    assert table.spec.bands == {"decals": ("z", "r", "g"), "sdss": ("i", "r", "g")}[release.name]
    assert "Zenodo" in table.card.citation
    assert "Galaxy Zoo" in table.card.licence


@pytest.mark.parametrize(("asked", "given"), [("decals", SDSS), ("sdss", DECALS)])
def test_the_other_release_is_refused_by_name(tmp_path, asked, given):
    """Class 2 of one is not class 2 of the other, so a mix-up must not pass."""
    path = write(tmp_path / "a.h5", given)
    with pytest.raises(DataError, match=f"a.h5 is {given.title} .* set dataset.release={given.name}"):
        load(path, release=asked)


def test_another_layout_is_sent_to_the_general_dataset(tmp_path):
    """A file of 11 classes or of other sizes is neither release."""
    many = write(tmp_path / "a.h5", ans=np.arange(40) % 11)
    small = write(tmp_path / "b.h5", images=np.zeros((40, 80, 80, 3), dtype=np.uint8))
    for path in (many, small):
        assert release_of(Hdf5File.opened(path, "ans")) is None
        with pytest.raises(DataError, match=r"not the layout of Galaxy10 DECaLS .* read it as dataset hdf5"):
            load(path)


@pytest.mark.parametrize("release", RELEASES)
def test_missing_file_names_the_command_that_fetches_it(tmp_path, release):
    """The command in the message puts the file exactly where it was looked for."""
    with pytest.raises(DataError) as caught:
        Galaxy10(release=release).load(8, tmp_path)
    said = str(caught.value)
    assert f"'astrojepa-bench data fetch galaxy10 --release {release} --cache {tmp_path}'" in said
    assert str(tmp_path / "galaxy10" / RELEASES[release].file_name) in said


def test_file_in_the_cache_is_found_without_a_path(tmp_path):
    """What was fetched needs no option."""
    DECALS.path(tmp_path).parent.mkdir()
    write(DECALS.path(tmp_path))
    assert len(Galaxy10().load(8, tmp_path)) == 40


def test_stale_class_names_are_ignored_and_counted(tmp_path):
    """A copy that still calls class 3 by its name in the older release is read with the right name."""
    stale = [*DECALS.class_names[:3], "Smooth, Cigar shaped", *DECALS.class_names[4:]]
    table = load(write(tmp_path / "a.h5", names=stale))
    assert table.card.class_names[3] == "In-between Round Smooth Galaxies"
    assert any(
        note.startswith("1 class names in the file (first 'Smooth, Cigar") for note in table.card.notes
    )
    fresh = load(write(tmp_path / "b.h5", names=list(DECALS.class_names)))
    assert not any("class names" in note for note in fresh.card.notes)


def test_wider_fields_reach_farther(tmp_path):
    """Two images 100 arcsec apart overlap at 0.524 arcsec a pixel (134 arcsec) but not at 0.262 (67)."""
    ra, dec = np.repeat(5.0 + 10 * np.arange(20), 2), np.tile([0.0, 100 / 3600], 20)
    scale = np.repeat(np.where(np.arange(20) < 5, 0.524, 0.262), 2)
    table = load(write(tmp_path / "a.h5", ra=ra, dec=dec, pxscale=scale))
    together = table.group[::2] == table.group[1::2]
    np.testing.assert_array_equal(together, np.arange(20) < 5)
    assert "pixel scales [arcsec]: 30 at 0.262, 10 at 0.524" in table.card.notes
    np.testing.assert_allclose(table.pixel_scale, scale * 256 / 8)


@real
def test_real_sample_is_read_as_what_it_is(tmp_path):
    """110 real galaxies, 11 of each class, no positions; the card says that the file is not the whole."""
    table = Galaxy10(path=SAMPLE).load(64, tmp_path)
    assert np.bincount(table.label).tolist() == [11] * 10
    with h5py.File(SAMPLE) as file:
        assert tuple(file.attrs["class_names"]) == table.card.class_names
    assert table.ra is table.redshift is None
    assert any(note.startswith("110 images where the published file has 17,736") for note in table.card.notes)


@real
def test_real_sample_has_the_published_colours(tmp_path):
    """Band means and spreads of 110 galaxies lie near those published for all, in the same order of bands."""
    table = Galaxy10(path=SAMPLE).load(256, tmp_path)
    pixels = table.images / 255
    np.testing.assert_allclose(pixels.mean(axis=(0, 2, 3)), [0.1668, 0.1620, 0.1583], atol=0.006)
    np.testing.assert_allclose(pixels.std(axis=(0, 2, 3)), [0.1282, 0.1176, 0.1112], atol=0.015)
    sky = np.median(pixels[:, :, :8], axis=(0, 2, 3)) * 255
    np.testing.assert_allclose(sky, 32, atol=6)  # zero flux is shown as 32


def full_size(*words):
    """Run the generator or the loader in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FULL_SIZE), *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_full_size_file_loads_in_little_memory_with_every_defect_found(tmp_path):
    """17,736 images of 256 px take at most 1.5 GB, and each planted defect is counted exactly."""
    full_size("write", tmp_path / "g.h5", "--noise", 2, "--chunks", "lines")
    told = json.loads(full_size("load", tmp_path / "g.h5", 64, tmp_path / "cache", tmp_path / "t.npz"))
    table, planted = np.load(tmp_path / "t.npz"), runpy.run_path(str(FULL_SIZE))["plan"]()
    rows = table["ids"].astype(int)

    assert told["peak_gb"] <= 1.5
    for note in (
        "118 images occur under more than one label; all their copies were dropped",
        "3 images are blank and were left out",
        "92 galaxies have no redshift",
        "pixel scales [arcsec]: 16,916 at 0.262, 820 at 0.524",
        "92 groups of overlapping images hold 184 galaxies",
        "10 class names in the file (first 'class 0') are not those of Galaxy10 DECaLS and were ignored",
    ):
        assert note in told["notes"]
    assert set(range(17_736)) - set(rows) == {*planted.conflicts.flat, *planted.blank}
    split = dict(zip(rows, table["split"], strict=True))
    assert all(split[one] == split[other] for one, other in planted.merging)
    for label in range(10):
        shares = [np.mean(table["split"][table["label"] == label] == name) for name in ("val", "test")]
        np.testing.assert_allclose(shares, 0.1, atol=0.005)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what is mapped")
def test_reading_a_memory_map_does_not_fill_the_memory(tmp_path):
    """After 250 MB were read in blocks, less than one block of them still counts as this process's."""

    def mapped_mb():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssFile")) / 1024

    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (1280, 3, 256, 256)).flush()
    images = np.load(tmp_path / "a.npy", mmap_mode="r")
    before = mapped_mb()
    assert sum(len(block) for block in blocks(images, np.arange(len(images)))) == 1280
    assert mapped_mb() - before < 50
