"""One run, one JSON."""

import json
import subprocess
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from astrojepa_bench import roles
from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.results import environment as environment_module
from astrojepa_bench.results import record as record_module
from astrojepa_bench.results.environment import describe_environment, provenance, without_paths
from astrojepa_bench.results.identity import EDITION_1
from astrojepa_bench.results.record import RunRecord

FILE = Path("runs/x.json")
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(health=st.dictionaries(st.text(), finite | st.integers(-(2**53), 2**53)), value=finite)
def test_a_record_round_trips_byte_for_byte(make_record, health, value):
    """Whatever finite numbers a record holds, reading and writing it again changes no byte."""
    score = dict(evaluator="e", metric="m", value=value, higher_is_better=False, n=1)
    text = make_record(health=health, scores=[score]).to_json()
    again = RunRecord.from_json(text, FILE)
    assert again.to_json() == text
    assert again.scores[0].value == value
    assert again.health == health


def test_what_is_read_equals_what_was_written(make_record):
    """Tuples, NumPy numbers and nested parts come back as the same record."""
    record = make_record(health={"rank": np.float32(1.5), "other": np.float64(0.1)})
    assert RunRecord.from_json(record.to_json(), FILE) == record


def test_a_record_is_sorted_indented_and_ends_in_a_newline(make_record):
    """The file is readable and diffs line by line."""
    text = make_record().to_json()
    assert text.endswith("}\n")
    assert text.startswith('{\n "altered"')
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_fields_of_a_newer_bench_survive_a_rewrite(make_record):
    """Unknown fields, at the top and inside a part, are kept."""
    facts = json.loads(make_record().to_json())
    facts["added_later"] = {"deep": [1, 2]}
    facts["cost"]["energy_wh"] = 3.5
    again = json.loads(RunRecord.from_json(json.dumps(facts), FILE).to_json())
    assert again["added_later"] == {"deep": [1, 2]}
    assert again["cost"]["energy_wh"] == 3.5


def test_a_record_cannot_be_changed(make_record):
    """Records are frozen."""
    with pytest.raises(ValidationError):
        make_record().seed = 3


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("status",), "fine", "status"),
        (("seed",), "first", "seed"),
        (("scores", 0, "value"), float("nan"), "scores.0.value"),
        (("health", "effective_rank"), float("inf"), "health.effective_rank"),
        (("options", "objective", "weight"), float("nan"), "JSON"),
        (("added_later",), float("nan"), "JSON"),
        (("schema_version",), 99, "schema_version"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(make_record, path, value, named):
    """A spoilt record names the file and the field."""
    facts = json.loads(make_record().to_json())
    target = facts
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(DataError) as caught:
        RunRecord.from_json(json.dumps(facts), FILE)
    message = str(caught.value)
    assert str(FILE) in message
    assert named in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", b"\xff\xfe\x00", '{"run_id": 1}'])
def test_what_is_no_record_is_said_to_be_none(text):
    """Truncated, binary and foreign files give one line."""
    with pytest.raises(DataError, match="not a run record") as caught:
        RunRecord.from_json(text, FILE)
    assert "\n" not in str(caught.value)


def test_a_complaint_shows_what_was_found_where_something_was(make_record):
    """A wrong value is quoted; of a field that is missing, and of a file that is no JSON, there is none."""
    wrong, missing = (json.loads(make_record().to_json()) for _ in range(2))
    wrong["seed"] = "seven"
    del missing["seed"]
    for text, found in ((json.dumps(wrong), True), (json.dumps(missing), False), ('{"seed": ', False)):
        with pytest.raises(DataError) as caught:
            RunRecord.from_json(text, FILE)
        assert (", found" in str(caught.value)) == found
        assert ("'seven'" in str(caught.value)) == found


def test_nan_is_refused_when_written(make_record):
    """Even a number smuggled past validation is not written."""
    record = make_record().model_copy(update={"health": {"effective_rank": float("nan")}})
    with pytest.raises(ContractError):
        record.to_json()


def test_scores_are_looked_up_by_evaluator_and_metric(make_record):
    """A score that was not measured is None, not an error."""
    record = make_record()
    assert record.value("linear", "accuracy") == 0.7
    assert record.value("linear", "balanced_accuracy") is None


def test_ids_that_do_not_follow_from_the_identity_are_found(make_record):
    """A record whose identity was edited no longer matches its own ids."""
    honest = make_record()
    assert honest.identity_faults() == []
    edited = honest.model_copy(update={"identity": {**honest.identity, "seed": 7}})
    assert [fault.split()[0] for fault in edited.identity_faults()] == ["run_id"]
    other = honest.model_copy(update={"identity": {**honest.identity, "protocol": 2}})
    assert [fault.split()[0] for fault in other.identity_faults()] == ["run_id", "entry_id"]


def test_standings_are_those_of_the_roles():
    """The record repeats the roles' literal to stay free of torch; the two agree."""
    assert get_args(record_module.Standing) == get_args(roles.Standing)


def test_the_environment_names_no_person_and_no_path(make_record):
    """Versions and threads are there; nothing looks like a path."""
    facts = describe_environment(torch.device("cpu"))
    assert facts["threads"] == torch.get_num_threads()
    assert facts["packages"]["numpy"] == np.__version__
    assert "/" not in json.dumps(facts)
    assert make_record(environment=facts, provenance=provenance("run")).environment.torch == torch.__version__


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("run --out /home/vera/runs", "run --out runs"),
        ("run --set dataset.path='/home/vera rubin/m 31.h5'", "run --set 'dataset.path=m 31.h5'"),
        ("run --out=~/runs -d hdf5", "run --out=runs -d hdf5"),
        ("run --out ~vera/runs --set a.b=1/2", "run --out runs --set a.b=1/2"),
        ("/opt/env/bin/astrojepa-bench run", "astrojepa-bench run"),
        (r"run --out 'C:\Users\vera\runs'", "run --out runs"),
        ("run --out runs/today", "run --out runs/today"),
    ],
)
def test_absolute_paths_leave_the_recorded_command(command, kept):
    """A committed command shows no home folder, and still says what was done."""
    assert without_paths(command) == kept


def git(folder, *arguments):
    """Run git in a folder, as nobody in particular."""
    who = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of which the bench believes to be part."""
    for path in ("astrojepa_bench/results/environment.py", "plugins/mine.py", "pyproject.toml", "README.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "all")
    place = tmp_path / "astrojepa_bench/results/environment.py"
    monkeypatch.setattr(environment_module, "__file__", str(place))
    return tmp_path


def test_only_changed_code_makes_a_record_dirty(checkout):
    """Pages and records of other runs do not decide what was run; the files that do are named."""
    (checkout / "README.md").write_text("changed")
    (checkout / "leaderboard").mkdir()
    clean = provenance("run")
    assert (clean["git_dirty"], clean["dirty_files"]) == (False, [])
    assert len(clean["git_commit"]) == 40

    (checkout / "astrojepa_bench/results/environment.py").write_text("changed")
    (checkout / "plugins/new one.py").write_text("")
    (checkout / "plugins/mine.py").unlink()
    dirty = provenance("run")
    changed = ["astrojepa_bench/results/environment.py", "plugins/mine.py", "plugins/new one.py"]
    assert (dirty["git_dirty"], dirty["dirty_files"]) == (True, changed)


def test_outside_a_checkout_nobody_knows_what_differs(tmp_path, monkeypatch):
    """An installed bench has no commit, and says nothing about one."""
    monkeypatch.setattr(environment_module, "__file__", str(tmp_path / "environment.py"))
    found = provenance("run")
    assert (found["git_commit"], found["git_dirty"], found["dirty_files"]) == (None, None, [])


def test_versions_of_evaluators_in_records_of_edition_1_are_still_read(make_record):
    """They were integers; the text says that they are not today's."""
    facts = json.loads(make_record().to_json())
    facts["scores"][0]["evaluator_version"] = 3
    assert RunRecord.from_json(json.dumps(facts), FILE).scores[0].evaluator_version == "v3 (edition 1)"


def test_records_without_a_chain_are_of_edition_1(make_record):
    """Before and after they were migrated."""
    identity = make_record().identity
    assert make_record().is_edition_1
    assert make_record(identity={**identity, "chain": EDITION_1}).is_edition_1
    assert not make_record(identity={**identity, "chain": {"masker": {"own": "v1"}}}).is_edition_1
