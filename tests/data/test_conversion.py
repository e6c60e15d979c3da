"""Conversion: exact resampling, a cache that is never half there, statistics that do not drift."""

import errno
import math
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from astrojepa_bench.data import convert as conversion
from astrojepa_bench.data.convert import (
    Picture,
    band_statistics,
    cached,
    content_digest,
    convert,
    fingerprint,
    stack,
)
from astrojepa_bench.data.resize import central_square, resize
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import Event, listening
from astrojepa_bench.files import LeaseLostError, locked
from astrojepa_bench.seals import SUMS


@dataclass
class Arrays:
    """Pictures from memory that stand for a file on disk."""

    stand_in: Path
    images: np.ndarray
    name: str = "arrays"
    reads: int = 0
    rendering: str = ""
    as_shown: None = None

    @property
    def files(self):
        return {"": self.stand_in}

    @property
    def bands(self):
        return self.images.shape[3]

    def __len__(self):
        return len(self.images)

    def pictures(self):
        self.reads += 1
        for pixels in self.images:
            yield Picture(pixels.tobytes()[:16], pixels)


@pytest.fixture
def source(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 12, 12, 3), dtype=np.uint8)
    stand_in = tmp_path / "source.bin"
    stand_in.write_bytes(images.tobytes())
    return Arrays(stand_in, images)


def area_average(pixels: np.ndarray, size: int) -> np.ndarray:
    """Average over areas by brute force: split pixels until they fit the new grid, then take block means."""
    side, _, bands = pixels.shape
    common = math.lcm(side, size)
    fine = pixels.astype(np.float64).repeat(common // side, axis=0).repeat(common // side, axis=1)
    blocks = fine.reshape(size, common // size, size, common // size, bands)
    return blocks.mean(axis=(1, 3)).transpose(2, 0, 1)


@pytest.mark.parametrize(("side", "size"), [(256, 64), (80, 64), (35, 32), (53, 8), (48, 8)])
@pytest.mark.parametrize("bands", [1, 3, 5])
def test_shrinking_is_the_area_average_of_every_pixel(side, size, bands):
    """Each new level is the mean of the sky that the new pixel covers, rounded to nearest, ties upwards."""
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, bands), dtype=np.uint8)
    exact = area_average(pixels, size)
    np.testing.assert_array_equal(resize(pixels, size), np.floor(exact + 0.5 + 1e-9).astype(np.uint8))


@pytest.mark.parametrize(("side", "size"), [(20, 64), (63, 64), (1, 8)])
def test_enlarging_is_bilinear_between_pixel_centres(side, size):
    """Small images agree with torch's bilinear interpolation to half a grey level."""
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(pixels).permute(2, 0, 1)[None].double(), size=(size, size), mode="bilinear"
    )[0]
    assert np.abs(resize(pixels, size) - wanted.numpy()).max() <= 0.5 + 1e-9


def test_shrinking_keeps_a_stars_centroid():
    """A star off the centre stays at the same place on the sky to a hundredth of a pixel."""
    y, x = np.mgrid[:256, :256] + 0.5
    star = 250 * np.exp(-((x - 90.3) ** 2 + (y - 170.9) ** 2) / (2 * 9.0**2))
    small = resize(star.round().astype(np.uint8)[:, :, None], 60)[0].astype(float)
    v, u = (np.mgrid[:60, :60] + 0.5) * 256 / 60
    assert abs((small * u).sum() / small.sum() - 90.3) < 0.04
    assert abs((small * v).sum() / small.sum() - 170.9) < 0.04


def test_same_size_changes_nothing():
    """An image that already has the size asked for is passed on, channels first."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(pixels, 16), pixels.transpose(2, 0, 1))


def test_oblong_image_loses_its_sides_evenly():
    """The central square is cut out, so that the galaxy stays in the middle."""
    pixels = np.arange(4 * 10, dtype=np.uint8).reshape(4, 10, 1)
    np.testing.assert_array_equal(central_square(pixels), pixels[:, 3:7])
    np.testing.assert_array_equal(central_square(pixels.transpose(1, 0, 2)), pixels.transpose(1, 0, 2)[3:7])


def test_conversion_keeps_order_and_is_read_once(source, tmp_path):
    """A second call gives the same memory-mapped images without touching the source."""
    for _ in range(2):
        converted = convert(source, 6, tmp_path / "cache")
        assert isinstance(converted.images, np.memmap)
        np.testing.assert_array_equal(converted.images, [resize(pixels, 6) for pixels in source.images])
    assert source.reads == 1


def test_another_size_or_content_is_another_entry(source, tmp_path):
    """The cache is keyed by content and size: a changed file is never answered with old images."""
    small = convert(source, 6, tmp_path / "cache").images
    assert convert(source, 4, tmp_path / "cache").images.shape[2:] == (4, 4)
    source.images = source.images[::-1]
    source.stand_in.write_bytes(source.images.tobytes())
    os.utime(source.stand_in, (1, 1))
    np.testing.assert_array_equal(convert(source, 6, tmp_path / "cache").images, small[::-1])


def test_moved_file_is_recognised_by_its_content(source, tmp_path):
    """A copy elsewhere, with another time stamp, has the same digest."""
    copy = tmp_path / "elsewhere.bin"
    copy.write_bytes(source.stand_in.read_bytes())
    assert content_digest({"": copy}, tmp_path / "cache") == content_digest(source.files, tmp_path / "cache")


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from astrojepa_bench.data.convert import cached
def fill(folder):
    (folder / "images.npy").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
cached(Path(sys.argv[1]), sys.argv[2], fill)
"""


def test_killed_conversion_leaves_nothing_that_is_trusted(tmp_path):
    """After SIGKILL in mid-write the entry does not exist, and the next process fills it whole."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "key"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "images" / "key").exists()
    assert len(list(tmp_path.glob("images/.key.*.partial/images.npy"))) == 1
    entry = cached(tmp_path, "key", lambda folder: (folder / "other.npy").touch())
    assert {file.name for file in entry.iterdir()} == {"other.npy", SUMS}
    assert [file.name for file in (tmp_path / "images").iterdir()] == ["key"]


def test_failed_conversion_leaves_nothing_behind(source, tmp_path):
    """An error of the source passes through and its half-written entry is removed."""

    def broken():
        yield Picture(b"0" * 16, source.images[0])
        raise DataError("chunk 1 is damaged")

    source.pictures = broken
    with pytest.raises(DataError, match="chunk 1 is damaged"):
        convert(source, 6, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "images").iterdir())


def test_full_disk_is_one_line_of_advice(source, tmp_path, monkeypatch):
    """Running out of space names the cache, the reason and the way out."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(conversion, "_write_images", full)
    with pytest.raises(ConfigError, match=r"cannot write to the cache .*No space left.*--cache") as caught:
        convert(source, 6, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_conversion_reports_every_image(source, tmp_path):
    """Listeners hear the total and one advance an image."""
    heard: list[Event] = []
    with listening(heard.append):
        convert(source, 6, tmp_path / "cache")
    started = [event.fields for event in heard if event.name == "task_started"]
    assert {"task": "converting arrays to 6 px", "total": 7, "unit": "images"} in started
    advanced = [event for event in heard if event.fields["task"] == "converting arrays to 6 px"]
    assert len(advanced) == 7 + 2


def test_stack_takes_rows_in_order(source, tmp_path):
    """Rows of several arrays follow one another as asked, across block borders."""
    a = convert(source, 6, tmp_path / "cache").images
    rows = np.arange(600) % 7
    both = stack([(a, rows), (a, np.array([3]))], "key", tmp_path / "cache")
    np.testing.assert_array_equal(both, a[np.append(rows, 3)])


def test_band_statistics_agree_with_numpy():
    """Mean and standard deviation equal numpy's over the chosen rows only, across blocks."""
    images = np.random.default_rng(0).integers(0, 200, (700, 3, 4, 4), dtype=np.uint8)
    images[:, 1] //= 3
    rows = np.arange(0, 700, 2)
    mean, std = band_statistics(images, rows)
    chosen = images[rows] / 255
    np.testing.assert_allclose(mean, chosen.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, chosen.std(axis=(0, 2, 3)), rtol=1e-9)


def test_blank_band_is_refused():
    """A band with one value everywhere cannot be normalised and carries nothing."""
    images = np.full((4, 2, 3, 3), 9, dtype=np.uint8)
    images[0, 0, 0, 0] = 0
    with pytest.raises(DataError, match="band 1 has the constant value 9 in all 4 training images"):
        band_statistics(images, np.arange(4))


def test_fingerprint_tells_lists_of_parts_apart():
    """Moving a letter from one part to the next, or reordering rows, changes the fingerprint."""
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(np.array(["a", "bc"])) != fingerprint(np.array(["ab", "c"]))
    assert fingerprint(np.array(["a", "b"], dtype="<U9")) == fingerprint(np.array(["a", "b"]))
    assert fingerprint(np.array([1, 2])) != fingerprint(np.array([2, 1]))


def test_an_entry_is_not_filled_for_ever_by_who_lost_another_lock(tmp_path):
    """As where a run that another machine took over meets galaxies that nobody has converted yet."""
    filled = []

    def fill(folder):
        filled.append(folder)
        assert len(filled) < 3

    with locked(tmp_path / "run"):
        (mine,) = (tmp_path / "run.lock").iterdir()
        mine.rename(mine.with_name("elsewhere-00000000-1-0-0123abcd"))
        with pytest.raises(LeaseLostError, match="run was taken over by process 1 on elsewhere"):
            cached(tmp_path / "cache", "key", fill)
    assert len(filled) == 1
