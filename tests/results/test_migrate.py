"""Records of edition 1 under ids of today: nothing is lost, and none is taken for a run of today's code."""

import json
import re

import h5py
import pytest

from astrojepa_bench.board.render import check_board, write_board
from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.results.identity import EDITION_1, digest, entry_digest
from astrojepa_bench.results.migrate import migrate
from astrojepa_bench.results.store import Store

CHAINS = {
    "linear": {"own": "v3", "logistic": "v1"},
    "knn": {"own": "v2", "reading": "v1"},
    "mine": {"own": "0123456789abcdef"},
}


def score(evaluator, version):
    return {
        "evaluator": evaluator, "metric": "accuracy", "value": 0.5, "higher_is_better": True, "n": 9,
        "evaluator_version": version,
    }  # fmt: skip


@pytest.fixture
def out(tmp_path, make_record):
    """An output folder of edition 1: two seeds, one of them with weights, a checkpoint and features."""
    store, ids = Store(tmp_path), []
    for seed in (0, 1):
        identity = {**make_record(seed).identity, "fingerprint": "f00d", "versions": {"objective": "v1"}}
        ids.append(digest(identity))
        record = make_record(
            seed,
            run_id=ids[seed],
            entry_id=entry_digest(identity),
            identity=identity,
            scores=[score("linear", 3), score("knn", 1), score("mine", 1)],
            evaluators={
                "linear": {"version": "v3", "options": {"c": 1}},
                "knn": {"version": "v1", "options": {}},
                "mine": {"version": "0123456789abcdef", "options": {}},
            },
        )
        path = store.write(record)
        path.write_text(re.sub(r'"v(\d) \(edition 1\)"', r"\1", path.read_text()))  # they were integers
    old = ids[0]
    for name in (f"weights/{old}.safetensors", f"checkpoints/{old}.pt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("kept")
    (tmp_path / "answers").mkdir()
    with h5py.File(tmp_path / f"answers/{old}.h5", "w") as file:
        file["test/last"] = [1.0]
    return tmp_path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_records_get_ids_of_today_and_say_what_they_were(out):
    """Their identity says that the code is not known, which no new identity says."""
    before = {record.run_id: record for record in Store(out).records()}
    moved = migrate(out, CHAINS)
    after = Store(out).records()
    assert len(moved) == len(after) == 2
    assert {record.formerly for record in after} == set(before)
    assert len({record.entry_id for record in after}) == 1
    for record in after:
        old = before[record.formerly]
        assert record.identity == {**old.identity, "chain": EDITION_1}
        assert record.run_id != old.run_id
        assert record.identity_faults() == []
        assert [s.value for s in record.scores] == [s.value for s in old.scores]
        assert Store(out).find(old.run_id) == record


def test_an_evaluator_that_is_the_same_today_keeps_its_place(out):
    """An equal integer is equal numbers; another one, or a hash, is not known to be."""
    migrate(out, CHAINS)
    record = Store(out).records()[0]
    assert {s.evaluator: s.evaluator_version for s in record.scores} == {
        "linear": "v3-579b2ac7",
        "knn": "v1 (edition 1)",
        "mine": "v1 (edition 1)",
    }
    assert record.evaluators == {
        "linear": {"version": CHAINS["linear"], "options": {"c": 1}},
        "knn": {"version": "v1", "options": {}},
        "mine": {"version": "0123456789abcdef", "options": {}},
    }


def test_files_of_a_run_follow_it(out):
    """Weights and features are found under the new id, features with the galaxies that they are of."""
    migrate(out, CHAINS)
    store = Store(out)
    run_id = next(record.run_id for record in store.records() if record.seed == 0)
    assert store.weights_path(run_id).read_text() == "kept"
    assert store.checkpoint_path(run_id).read_text() == "kept"
    assert not (out / "answers").exists()
    with h5py.File(store.features_path(run_id)) as file:
        assert file.attrs["fingerprint"] == "f00d"
        assert file["test/last"][:] == [1.0]


def test_a_second_migration_changes_nothing(out):
    """Nor does one of records that were written today."""
    migrate(out, CHAINS)
    before = contents(out)
    assert migrate(out, CHAINS) == []
    assert contents(out) == before


def test_a_rehearsal_changes_nothing(out):
    """`--dry-run` names what would move."""
    before = contents(out)
    moved = migrate(out, CHAINS, dry_run=True)
    assert contents(out) == before
    assert [each.before.is_file() and not each.after.exists() for each in moved] == [True, True]


@pytest.mark.parametrize("moment", ["write", "unlink"])
def test_an_interrupted_migration_is_finished_by_the_next(out, monkeypatch, moment):
    """Wherever it ended, the next one gives what an undisturbed one would have given."""

    def crash(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store if moment == "write" else type(out), moment, crash)
        with pytest.raises(KeyboardInterrupt):
            migrate(out, CHAINS)
    migrate(out, CHAINS)
    records = Store(out).records()
    assert [record.seed for record in records] == [0, 1]
    assert Store(out).weights_path(records[0].run_id).read_text() == "kept"


def test_a_folder_without_records_is_named(tmp_path):
    """A typing error must not look like success."""
    with pytest.raises(ConfigError, match="holds no records"):
        migrate(tmp_path, CHAINS)


@pytest.mark.slow
def test_the_verb_migrates_and_builds_the_board_anew(out, capsys):
    """The board that stood there follows from its records again, and marks them."""
    write_board(out)
    assert main(["leaderboard", "migrate", str(out), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dry_run"] is True
    assert main(["leaderboard", "migrate", str(out)]) == 0
    assert "2 records got new ids" in capsys.readouterr().out
    assert check_board(out) == []
    assert "2 of 2 runs are of edition 1" in (out / "README.md").read_text()
