"""`score`: more evaluators for a finished run, on the same galaxies and without training."""

import json
import shutil

import h5py
import numpy as np
import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.correct import decode_bits
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.training.budgets import BUDGETS, Budget


@pytest.fixture(scope="session")
def trained(shared):
    """Write 240 galaxies of 32 px in three shapes, train a run of two steps on them and score it by k-NN."""

    def fill(folder):
        rng = np.random.default_rng(0)
        label = np.arange(240) % 3
        y, x = np.mgrid[-16:16, -16:16]
        shapes = [np.exp(-(x**2 + y**2) / 20), np.exp(-(x**2 / 60 + y**2 / 5))]
        shapes.append(np.exp(-((np.hypot(x, y) - 8) ** 2) / 5))
        bright = rng.uniform(0.4, 1, 240)  # redshifts go with it
        shown = np.stack([shapes[kind] for kind in label])[..., None] * bright[:, None, None, None]
        images = shown * [180, 200, 150]
        with h5py.File(folder / "tiny.h5", "w") as file:
            file["images"] = np.clip(images + rng.normal(20, 4, images.shape), 0, 255).astype(np.uint8)
            file["ans"], file["redshift"] = label, 0.3 * (1 - bright) + 0.01
            file["ra"], file["dec"] = (
                np.arange(240.0),
                np.full(240, 10.0),
            )  # or copies are looked for by pixels
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(BUDGETS, "tiny", Budget("tiny", 32, 8, 256, "vit-micro", "tests"))
            request = make_request(
                {
                    "objectives": "lejepa", "evaluators": "knn", "floors": False, "dataset": "hdf5",
                    "budget": "tiny", "device": "cpu", "out": folder / "out", "cache": folder / "cache",
                    "settings": {"dataset": {"path": str(folder / "tiny.h5")}, "objective": {"slices": 16}},
                }
            )  # fmt: skip
            run_grid(request, load_registry(), "tests")

    return shared("scored", fill)


@pytest.fixture
def galaxies(finished, tmp_path):
    """Find the galaxies of the run."""
    return tmp_path / "tiny.h5"


@pytest.fixture
def finished(trained, tmp_path):
    """Copy the run and its galaxies; give its path."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    [path] = (tmp_path / "out" / "runs").rglob("*.json")
    return path


@pytest.fixture
def words(finished, galaxies, tmp_path):
    """Return the words of a `score` command."""
    places = ["--cache", str(tmp_path / "cache"), "--device", "cpu", "--set", f"dataset.path={galaxies}"]
    return ["score", str(finished), *places]


def read(path):
    """Read a record."""
    return Store(path.parents[3]).read(path)


def test_a_later_evaluator_joins_the_record_and_nothing_else_moves(words, finished, capsys):
    """The new scores stand beside the old; training, provenance and features stay as they were."""
    before = read(finished)
    weights = Store(finished.parents[3]).weights_path(before.run_id)
    stamp = weights.stat().st_mtime_ns
    assert main([*words, "-E", "redshift,collapse"]) == 0
    after = read(finished)

    assert "redshift.r2" in capsys.readouterr().out
    assert {score.evaluator for score in after.scores} == {"knn", "redshift", "collapse"}
    assert [s for s in after.scores if s.evaluator == "knn"] == before.scores
    assert (after.training, after.provenance, after.identity) == (
        before.training,
        before.provenance,
        before.identity,
    )
    assert weights.stat().st_mtime_ns == stamp
    assert after.value("redshift", "r2") > 0.3  # brightness goes with redshift here
    assert after.cost.eval_seconds > before.cost.eval_seconds
    assert {"features", "knn", "redshift", "collapse"} <= set(after.cost.evaluation)


def test_asking_again_changes_no_byte(words, finished, capsys):
    """What has scored in this version and with these options is not asked again."""
    before = finished.read_bytes()
    assert main([*words, "-E", "knn"]) == 0

    assert "has these scores already" in capsys.readouterr().out
    assert finished.read_bytes() == before


def test_another_option_replaces_the_score(words, finished):
    """One evaluator stands in a record once, with the options of the last time."""
    assert main([*words, "-E", "knn", "--set", "evaluator:knn.k=3"]) == 0
    record = read(finished)

    assert record.evaluators["knn"]["options"]["k"] == 3
    assert len([score for score in record.scores if score.metric == "accuracy"]) == 1


@pytest.mark.slow
def test_a_later_scoring_keeps_the_bits_of_the_others(words, finished):
    """Which galaxies were right: k-NN's stay, the probe's join them, another k replaces its own; none is drift."""
    out, before = finished.parents[3], read(finished)
    shutil.rmtree(out / "galaxies")
    assert main([*words, "-E", "linear"]) == 0
    joined = read(finished)
    assert main([*words, "-E", "knn", "--set", "evaluator:knn.k=1"]) == 0
    replaced = read(finished)

    assert joined.correct["knn.accuracy"] == before.correct["knn.accuracy"]
    assert replaced.correct["linear.accuracy"] == joined.correct["linear.accuracy"]
    assert replaced.correct.keys() == {"knn.accuracy", "linear.accuracy"}
    for name, bits in replaced.correct.items():
        value = replaced.value(*name.split("."))
        assert decode_bits(bits, replaced.scores[0].n).mean() == pytest.approx(value, abs=1e-6)
    assert len(Store(out).classes(replaced.identity["fingerprint"])) == replaced.scores[0].n
    assert main(["leaderboard", "check", str(out)]) == 0


@pytest.mark.slow
def test_full_scores_everything_and_says_why_not(words, finished, capsys):
    """Evaluators whose column or twin the galaxies lack give their reason; the others score."""
    assert main([*words, "-E", "full", "--json"]) == 0
    record = read(finished)

    assert json.loads(capsys.readouterr().out)["records"] == [str(finished)]
    assert {"linear", "knn", "kmeans", "redshift", "collapse"} <= {score.evaluator for score in record.scores}
    assert "no known anomalies" in record.not_scored["anomaly"]
    assert "no physical truth" in record.not_scored["factors"]
    assert "no shift twin" in record.not_scored["robustness"]


def test_galaxies_that_are_gone_or_others_are_refused(words, finished, galaxies, capsys):
    """A record knows a path by its base name only; other galaxies of that name would give other scores."""
    (finished.parents[3] / ".index" / "galaxies").unlink()  # where the folder remembers its place
    assert main(["score", str(finished), "-E", "linear"]) == 2
    assert "give its path with --set dataset.path=FILE" in capsys.readouterr().err
    with h5py.File(galaxies, "a") as file:
        file["images"][0] = 7
    assert main([*words, "-E", "linear"]) == 2
    assert "other galaxies" in capsys.readouterr().err


def test_unknown_names_are_refused(words, capsys):
    """The run, the evaluator and the option are each named."""
    assert main([*words, "-E", "linaer"]) == 2
    assert "did you mean 'linear'" in capsys.readouterr().err
    assert main([*words, "-E", "knn", "--set", "evaluator.kk=3"]) == 2
    assert "no option 'kk'" in capsys.readouterr().err
