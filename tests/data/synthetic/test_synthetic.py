"""The simulated dataset: which galaxies it holds, and that they stay the same galaxies."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.data.synthetic import dataset, drawing
from astrojepa_bench.data.synthetic.anomalies import ARTEFACTS
from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.data.synthetic.drawing import DrawingTask, draw_all, draw_block
from astrojepa_bench.data.synthetic.population import CLASS_NAMES, GALAXY10_COUNTS, class_of
from astrojepa_bench.data.synthetic.scene import ANOMALY_TYPES, SceneSubject, Survey, draw
from astrojepa_bench.errors import BenchError, ConfigError
from astrojepa_bench.events import listening

SURVEY = Survey(seed=0, balance="uniform", size_px=32, fov_arcsec=40.0)
BLOCKS = [DrawingTask(False, start, start + 2) for start in range(0, 12, 2)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache folder that the tests of this file share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def table(cache):
    """Forty small galaxies and a round of anomalies: two mergers, a ring, an artefact of each type."""
    return Synthetic(galaxies=40).load(32, cache)


def test_default_set_has_the_promised_sizes():
    """8,000 galaxies are split 5,000 / 1,000 / 2,000, and test holds at least 50 anomalies of each kind."""
    columns = Synthetic().columns()
    ordinary = columns["anomaly"] == 0
    sizes = [int((columns["split"][ordinary] == split).sum()) for split in ("train", "val", "test")]
    assert sizes == [5000, 1000, 2000]
    assert min(np.bincount(columns["anomaly"])[1:]) >= 50


def test_uniform_classes_are_equally_common_in_every_split():
    """With `uniform`, each split holds every class equally often."""
    columns = Synthetic().columns()
    for split in ("train", "val", "test"):
        counts = np.bincount(columns["label"][(columns["split"] == split) & (columns["label"] >= 0)])
        assert len(set(counts.tolist())) == 1


def test_natural_classes_follow_galaxy10():
    """With `galaxy10`, class shares lie within half a point of Galaxy10 DECaLS, in every eighth too."""
    shares = np.array(GALAXY10_COUNTS) / sum(GALAXY10_COUNTS)
    for numbers in (range(8000), range(3, 8000, 8)):
        counts = np.bincount([class_of(number, "galaxy10") for number in numbers], minlength=10)
        assert np.abs(counts / counts.sum() - shares).max() < 0.005


def test_anomalies_lie_in_test_without_a_label(table):
    """Every type of the mix that a round has room for occurs, only in test, and carries no class."""
    odd = table.anomaly > 0
    assert sorted(table.anomaly_type[odd].tolist()) == sorted(["merger", "merger", "ring", *ARTEFACTS])
    rare = Synthetic(galaxies=40, anomaly_mix="rare").columns()["anomaly_type"].tolist()
    assert {*rare} == {"", *ANOMALY_TYPES} - {"merger"}
    assert set(table.split[odd].tolist()) == {"test"}
    assert set(table.label[odd].tolist()) == {-1}


def test_bands_are_measured_on_train_alone(table):
    """Statistics that encoders normalise with come from no galaxy that is judged."""
    train = table.images[table.split == "train"] / 255

    assert table.spec.mean == pytest.approx(train.mean(axis=(0, 2, 3)))
    assert table.spec.std == pytest.approx(train.std(axis=(0, 2, 3)))
    assert table.spec.mean != pytest.approx((table.images / 255).mean(axis=(0, 2, 3)), rel=1e-3)


def test_table_states_its_truth(table):
    """Classes, redshift and the pixel scale are there, and truths are NaN only where they mean nothing."""
    assert table.card.class_names == CLASS_NAMES
    assert table.spec.bands == ("z", "r", "g")
    assert np.allclose(table.pixel_scale, 40 / 32)
    assert np.isfinite(table.redshift).all()
    assert np.isfinite(table.factors["magnitude_r"]).all()
    armed = np.isfinite(table.factors["pitch_angle_deg"])
    assert (np.isin(table.label[armed], (5, 6, 7)) | (table.anomaly[armed] > 0)).all()
    assert (table.factors["bar_strength"][table.label == 5] > 0).all()
    assert (table.factors["bar_strength"][np.isin(table.label, (2, 3, 4, 6, 7))] == 0).all()


def test_galaxy_does_not_depend_on_how_many_there_are(table, tmp_path):
    """Galaxy 7 of 16 is bit for bit galaxy 7 of 40, with the same class, split and id."""
    fewer = Synthetic(galaxies=16).load(32, tmp_path)
    assert np.array_equal(fewer.images[:16], table.images[:16])
    for column in ("ids", "split", "label", "redshift"):
        assert np.array_equal(getattr(fewer, column)[:16], getattr(table, column)[:16])


def test_galaxies_do_not_depend_on_the_number_of_workers(tmp_path):
    """Two worker processes draw bit for bit what this process draws alone."""
    draw_all(SURVEY, BLOCKS, tmp_path / "two", workers=2)
    draw_all(SURVEY, BLOCKS, tmp_path / "one", workers=1)
    for block in BLOCKS:
        assert (tmp_path / "two" / block.name).read_bytes() == (tmp_path / "one" / block.name).read_bytes()


def test_galaxy_keeps_its_shape_at_another_image_size():
    """The same galaxy at twice the pixels is the same picture: binned down, it correlates above 0.95."""
    for number in (0, 6, 7, 9):
        small = draw(SURVEY, SceneSubject(number)).image.astype(float)
        large = draw(replace(SURVEY, size_px=64), SceneSubject(number)).image.astype(float)
        binned = large.reshape(3, 32, 2, 32, 2).mean(axis=(2, 4))
        assert np.corrcoef(small.ravel(), binned.ravel())[0, 1] > 0.95


def test_seeds_give_other_galaxies():
    """Another seed gives other pixels."""
    assert not np.array_equal(
        draw(SURVEY, SceneSubject(0)).image, draw(replace(SURVEY, seed=1), SceneSubject(0)).image
    )


def test_second_load_draws_nothing(table, cache, monkeypatch):
    """A complete cache is read, not drawn again, and gives the same table."""
    monkeypatch.setattr(dataset, "draw_all", lambda *_: pytest.fail("drew again"))
    again = Synthetic(galaxies=40).load(32, cache)
    assert again.fingerprint == table.fingerprint
    assert np.array_equal(again.images, table.images)


def test_complete_cache_keeps_no_blocks(table, cache):
    """Once a set is complete, the blocks it was drawn in are tidied away."""
    assert not list(cache.rglob("*.blocks"))


def test_fingerprint_names_the_galaxies():
    """Other options or sizes give another fingerprint."""
    sets = (Synthetic(), Synthetic(galaxies=16), Synthetic(seed=1), Synthetic(balance="galaxy10"))
    names = {one.fingerprint(64) for one in sets} | {Synthetic().fingerprint(128)}
    assert len(names) == len(sets) + 1


def test_a_drawing_that_is_killed_goes_on_where_it_was(tmp_path):
    """SIGKILL leaves only whole blocks under their names; a re-run draws the missing ones, and the same."""
    folder = tmp_path / "drawn"
    code = (
        "from pathlib import Path; from astrojepa_bench.data.synthetic.drawing import *\n"
        "blocks = [DrawingTask(False, n, n + 2) for n in range(0, 4000, 2)]\n"
        f"draw_all({SURVEY!r}, blocks, Path({str(folder)!r}), workers=2)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not list(folder.glob("*.npy")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = next(iter(folder.glob("*.npy")))
    before = kept.stat().st_mtime_ns
    draw_all(SURVEY, BLOCKS, folder, workers=1)
    assert kept.stat().st_mtime_ns == before
    for block in BLOCKS:
        assert np.load(folder / block.name).tobytes() == draw_block(SURVEY, block).tobytes()


def test_half_written_block_is_never_read(tmp_path):
    """A file that somebody was killed over does not bear a block's name, so the block is drawn."""
    (tmp_path / f"{BLOCKS[0].name}.1234.partial").write_bytes(b"half")
    draw_all(SURVEY, BLOCKS[:1], tmp_path)
    assert len(np.load(tmp_path / BLOCKS[0].name)) == 2


def test_failing_workers_are_an_error_that_says_why(tmp_path, monkeypatch):
    """When workers die, the caller hears how much is missing and what they said last."""
    monkeypatch.setattr(drawing, "WORKER", "astrojepa_bench.no_such_module")
    with pytest.raises(BenchError, match=r"6 of 6 blocks were not drawn \(.*no_such_module"):
        draw_all(SURVEY, BLOCKS, tmp_path, workers=2)


def test_progress_counts_every_galaxy(tmp_path):
    """Events announce the total and add up to it."""
    heard = []
    with listening(heard.append):
        draw_all(SURVEY, BLOCKS[:2], tmp_path)
    advanced = sum(event.fields["advance"] for event in heard if event.name == "task_advanced")
    assert [heard[0].name, heard[-1].name] == ["task_started", "task_ended"]
    assert advanced == heard[0].fields["total"] == 4


def test_wide_images_are_never_finer_than_the_survey():
    """By default 64 px show 40 arcsec; at 224 px the survey's own pixels are shown and none is invented."""
    assert Synthetic().survey(64).fov_arcsec == 40.0
    assert Synthetic().survey(224).pixel_arcsec == pytest.approx(0.262)


def test_coverage_stands_beside_the_table(table, cache):
    """Each row has the covered share of 16 x 16 cells, largest in the middle of the frame."""
    covered = Synthetic(galaxies=40).coverage(32, cache)
    assert covered.shape == (len(table), 16, 16)
    assert covered[:, 7:9, 7:9].mean() > 0.8 > 0.2 > covered[:, :2].mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"galaxies": 3}, "at least 8"),
        ({"fov_arcsec": 1.0}, "10 to 300"),
        ({"anomaly_fraction": 2.0}, "0 to 1"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_impossible_options_are_refused(options, message):
    """Options that cannot be done are named, with what can."""
    with pytest.raises(ConfigError, match=message):
        Synthetic(**options)


def test_tiny_images_are_refused(tmp_path):
    """Galaxies cannot be told apart on a handful of pixels."""
    with pytest.raises(ConfigError, match="16 px"):
        Synthetic(galaxies=8).load(8, tmp_path)


@pytest.mark.skipif(not hasattr(os, "getppid"), reason="parents are known on POSIX")
def test_worker_leaves_when_its_parent_is_gone(tmp_path, monkeypatch):
    """A worker that finds itself adopted draws nothing more."""
    from astrojepa_bench.data.synthetic import worker

    parents = iter((1, 2))
    monkeypatch.setattr(worker.os, "getppid", lambda: next(parents))
    request = {"survey": asdict(SURVEY), "folder": str(tmp_path), "blocks": [asdict(BLOCKS[0])]}
    monkeypatch.setattr(worker.sys, "stdin", io.StringIO(json.dumps(request)))
    worker.main()
    assert not list(tmp_path.iterdir())


def test_a_folder_of_images_joins_as_a_pool(tmp_path):
    """Unlabelled pictures lie in the pool, are learnt from, and change the fingerprint."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        picture = Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8))
        picture.save(folder / f"{number}.png")
    alone = Synthetic(galaxies=16, anomaly_fraction=0.0).load(32, tmp_path / "cache")
    joined = Synthetic(galaxies=16, anomaly_fraction=0.0, pool=folder).load(32, tmp_path / "cache")

    assert len(joined.rows("pool")) == 3
    assert len(joined.pretraining_rows) == len(alone.pretraining_rows) + 3
    assert joined.fingerprint != alone.fingerprint
