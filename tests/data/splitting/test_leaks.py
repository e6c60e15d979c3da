"""A galaxy that is judged is kept out of the pool however it was cut out there."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.splitting import leaks
from astrojepa_bench.data.synthetic.dataset import Synthetic

REAL = Path(__file__).parents[3].parent / "shared" / "data"


def write(path, images):
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = images, np.arange(len(images)) % 2
    return path


def recut(image, angle, zoom):
    """Turn an image by any angle and magnify it, as another survey's crop might."""
    side = len(image)
    crop = round(side / zoom / 2)
    turned = Image.fromarray(image).rotate(angle, Image.Resampling.BICUBIC, fillcolor=(32, 32, 32))
    box = (side // 2 - crop, side // 2 - crop, side // 2 + crop, side // 2 + crop)
    return np.asarray(turned.crop(box).resize((side, side), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    """Return forty simulated galaxies, channels last."""
    cache = tmp_path_factory.mktemp("cache")
    return Synthetic(galaxies=40, anomaly_fraction=0).load(64, cache).images.transpose(0, 2, 3, 1)


def test_test_galaxy_in_another_crop_never_joins_the_pool(galaxies, tmp_path, monkeypatch):
    """Turned by 33 degrees and magnified by 1.2, its pixels differ everywhere; it is left out all the same."""
    labelled, fresh = galaxies[:30], galaxies[30:]
    plain = Hdf5(path=write(tmp_path / "a.h5", labelled)).load(64, tmp_path / "cache")
    test = plain.rows("test")[:4]
    again = np.stack([recut(np.ascontiguousarray(labelled[row]), 33, 1.2) for row in test])
    pool = write(tmp_path / "pool.h5", np.concatenate([fresh, again]))
    both = Hdf5(path=tmp_path / "a.h5", pool=pool).load(64, tmp_path / "cache")
    assert both.ids[both.rows("pool")].tolist() == [f"pool/{row}" for row in range(10)]
    assert any("4 left out" in note and "4 of them in another crop" in note for note in both.card.notes)
    monkeypatch.setattr(leaks, "near_duplicates", None)  # the second time nothing is compared
    assert len(Hdf5(path=tmp_path / "a.h5", pool=pool).load(64, tmp_path / "cache")) == 40


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real galaxies are not here")
def test_galaxy_zoo_2_with_its_pool_and_oddities_is_what_the_board_was_made_of(tmp_path):
    """No pool galaxy shows a test galaxy, no odd one a labelled one: the fingerprint of the committed records."""
    table = Hdf5(
        path=REAL / "galaxy_zoo2.h5",
        pool=REAL / "galaxy_zoo2_unlabelled.zip",
        anomalies=REAL / "galaxy_zoo2_odd.h5",
    ).load(64, tmp_path)
    assert table.fingerprint == "0499d4bd447740b642446aabdba1a6be"
