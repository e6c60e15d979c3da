"""A record is run again from what it says of itself."""

import json
import shutil

import h5py
import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.identity import EDITION_1, digest, entry_digest
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import choose_device, run_grid
from astrojepa_bench.runs.reproduce import rerun
from astrojepa_bench.runs.request import make_request

pytestmark = pytest.mark.slow  # a run is trained before it can be trained again


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture(scope="module")
def folder(galaxies_of_module, tiny_of_module, tmp_path_factory, registry):
    """Train one run of 256 images with an option that is not the default, and scored by two evaluators."""
    place = tmp_path_factory.mktemp("made")
    asked = {
        "objectives": "ijepa", "maskers": "random", "dataset": "hdf5", "budget": "tiny", "seeds": (4,),
        "settings": {"dataset": {"path": galaxies_of_module}, "objective": {"learning_rate": "0.002"}},
        "evaluators": "knn,linear", "floors": False, "device": "cpu", "pretraining": 120,
        "out": place / "out", "cache": place / "cache",
    }  # fmt: skip
    assert run_grid(make_request(asked), registry, "test").all_well
    return place


@pytest.fixture
def out(folder, tmp_path):
    """Copy the folder for a test that may change it."""
    shutil.copytree(folder / "out" / "runs", tmp_path / "out" / "runs")
    return tmp_path / "out"


@pytest.fixture
def made(out):
    """Read the record of the run."""
    (record,) = Store(out).records()
    return record


@pytest.fixture
def again(galaxies_of_module, folder, registry, made):
    """Run it again."""

    def go(record=made, **settings):
        given = {"dataset": {"path": galaxies_of_module}, **settings}
        return rerun(record, registry, given, folder / "cache", choose_device("cpu"), "again")

    return go


@pytest.fixture
def command(folder, out, capsys):
    """Call `reproduce` on the folder."""

    def call(*words):
        places = ["--out", str(out), "--cache", str(folder / "cache"), "--device", "cpu"]
        code = main(["reproduce", *words, *places])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_a_run_comes_out_again_to_the_last_bit(again, made, out):
    """Options, seed, budget, galaxies and limit on them are those of the record; its folder stays as it was."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    done = again()
    assert done.again.run_id == made.run_id
    assert done.again.training == made.training
    assert [s.model_dump() for s in done.again.scores] == [s.model_dump() for s in made.scores]
    assert done.notes == ()
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_the_command_tells_and_keeps_the_verdict(command, made, galaxies_of_module, out):
    """Equal is exit 0; only `--record` writes, and the board still follows from the records."""
    place = f"dataset.path={galaxies_of_module}"
    code, said, _ = command("latest", "--set", place, "--json")
    assert code == 0
    printed = json.loads(said)
    assert printed["verdict"] == "equal"
    assert set(printed["scores"][0]) == {"evaluator", "metric", "was", "is", "interval"}
    assert (printed["scores"][0]["evaluator"], printed["scores"][0]["metric"]) == ("linear", "accuracy")
    assert len(printed["scores"]) == len(made.scores)
    store = Store(out)
    assert store.find(made.run_id).reproductions == []

    code, said, _ = command(made.run_id[:6], "--set", place, "--record")
    assert (code, "equal to the last bit" in said) == (0, True)
    (kept,) = store.find(made.run_id).reproductions
    assert (kept.verdict, len(kept.date), kept.environment.device) == ("equal", 10, "cpu")
    assert main(["leaderboard", "check", str(out)]) == 0


def test_a_number_that_does_not_come_out_again_is_exit_1(command, made, galaxies_of_module, out):
    """A record with other scores than its run ever had is found out, and the verdict is kept with it."""
    store = Store(out)
    scores = [score.model_copy(update={"value": score.value / 2}) for score in made.scores]
    store.write(made.model_copy(update={"scores": scores}))
    code, said, errors = command(made.run_id, "--set", f"dataset.path={galaxies_of_module}", "--record")
    assert code == 1, errors
    assert "outside its prediction interval" in said, errors
    assert "only equal would do" in said
    assert [each.verdict for each in store.find(made.run_id).reproductions] == ["outside"]


def test_galaxies_that_are_not_there_or_are_others_are_exit_2(command, made, galaxies, out, monkeypatch):
    """With the remedy: the path that the record could not keep."""
    monkeypatch.chdir(out)  # where no such file lies
    code, _, said = command(made.run_id)
    assert code == 2
    assert "give its path with --set dataset.path=FILE" in said
    assert "-d DATASET" not in said
    with h5py.File(galaxies, "r+") as file:
        file["ans"][0] = 2
        file["images"][0] = 0
    code, _, said = command(made.run_id, "--set", f"dataset.path={galaxies}")
    assert code == 2
    assert "these are not the galaxies that run" in said
    assert "--set dataset.path=FILE" in said


def test_a_changed_option_is_not_the_run(again, made):
    """Only files may be given; what was asked for is the record's."""
    with pytest.raises(DataError, match="had options"):
        again(objective={"learning_rate": 0.004})
    with pytest.raises(ConfigError):
        again(objective={"nonsense": 1})


def test_a_run_from_elsewhere_cannot_be_run_again(again, made):
    """Its training is not known here."""
    with pytest.raises(ConfigError, match="it was trained elsewhere"):
        again(made.model_copy(update={"budget": "published"}))


def test_a_record_of_edition_1_may_be_rerun_and_its_code_is_unknown(again, made):
    """Its identity cannot tell which code made it, and the note says so."""
    chain = made.identity["chain"]
    identity = {**made.identity, "chain": EDITION_1, "versions": {k: v["own"] for k, v in chain.items()}}
    ids = {"run_id": digest(identity), "entry_id": entry_digest(identity)}
    old = RunRecord.model_validate({**made.facts(), "identity": identity, **ids})
    done = again(old)
    assert "its code is unknown" in done.notes[0]
    assert [s.value for s in done.again.scores] == [s.value for s in made.scores]


def test_other_code_is_told(again, made):
    """A rerun by newer code is allowed, and named."""
    chain = {**made.identity["chain"], "masker": {"own": "v0"}}
    done = again(made.model_copy(update={"identity": {**made.identity, "chain": chain}}))
    assert any(note.startswith("masker is ") and note.endswith(" now, was v0") for note in done.notes)


def test_that_several_ranks_trained_it_is_told(again, made):
    """One process adds up in another order, and draws other numbers where a plugin draws them itself."""
    environment = made.environment.model_copy(update={"world_size": 2})
    done = again(made.model_copy(update={"environment": environment}))
    assert done.notes == ("world_size is 1 now, was 2",)
