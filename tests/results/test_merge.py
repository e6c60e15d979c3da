"""Folders of several machines become one, or nothing is written."""

import itertools
import json
import shutil

import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.results.merge import merge
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store

LINEAR = dict(evaluator="linear", metric="accuracy", value=0.7, higher_is_better=True, n=608, chance=0.4)
KNN = dict(evaluator="knn", metric="accuracy", value=0.6, higher_is_better=True, n=608, chance=0.4)


def asked(*names):
    return {name: {"version": {"own": "v1"}, "options": {}} for name in names}


@pytest.fixture
def machines(tmp_path, make_record):
    """Fill one folder for each list of records."""

    def fill(*folders):
        paths = [tmp_path / f"machine{k}" for k in range(len(folders))]
        for path, records in zip(paths, folders, strict=True):
            for record in records:
                Store(path).write(record)
        return paths

    return fill


def content(folder):
    """Read every file of a folder by its name in it."""
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_folders_are_joined_in_any_order_and_again(machines, make_record, tmp_path):
    """Two machines with one run in common; the same bytes from either order, and no change the second time."""
    one, two = machines([make_record(0), make_record(1)], [make_record(1), make_record(2)])
    (one / "galaxies").mkdir()
    (one / "galaxies" / "f00d.csv").write_text("position,id,class\n0,a,1\n")
    out, other = tmp_path / "out", tmp_path / "other"
    assert [record.seed for record in sorted(merge([one, two], out), key=lambda r: r.seed)] == [0, 1, 2]
    merge([two, one], other)
    assert content(out) == content(other)
    assert (out / "galaxies" / "f00d.csv").is_file()
    before = content(out)
    assert merge([one, two], out) == []
    assert content(out) == before
    assert sorted(record.seed for record in Store(out).records()) == [0, 1, 2]


def test_times_and_machines_may_differ_and_the_earlier_run_stays(machines, make_record, tmp_path):
    """What was measured is the same; when and where is not."""
    early = make_record(provenance={"created_utc": "2026-01-01T00:00:00"}, cost={"train_seconds": 9.0})
    late = make_record(provenance={"created_utc": "2026-01-02T00:00:00"}, cost={"train_seconds": 3.0})
    merge(machines([late], [early]), tmp_path / "out")
    assert Store(tmp_path / "out").records() == [early]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scores": [{**LINEAR, "value": 0.123}]}, "linear v1 accuracy is 0.7 and 0.123"),
        ({"scores": [LINEAR, {**LINEAR, "metric": "ece"}]}, "only one of them has linear v1 ece"),
        ({"training": {"steps": 2, "loss_curve": [(0, 2.0), (1, 1.4)]}}, "training curves differ"),
        ({"correct": {"linear.accuracy": "//8="}}, "linear v1 accuracy by galaxy is AAA= and //8="),
        ({"status": "collapsed"}, "ended as ok and as collapsed"),
        (
            {"evaluators": {"linear": {"version": {"own": "v1"}, "options": {"c_grid": [1.0]}}}},
            "linear scored them with different options",
        ),
    ],
)
def test_one_id_with_two_sets_of_numbers_is_refused(machines, make_record, tmp_path, changed, said):
    """The run and both folders are named, and nothing is written, not even what agrees."""
    usual = {"correct": {"linear.accuracy": "AAA="}, "evaluators": asked("linear")}
    one, two = machines([make_record(**usual)], [make_record(**{**usual, **changed}), make_record(1)])
    with pytest.raises(DataError) as caught:
        merge([one, two], tmp_path / "out")
    for words in (said, make_record().run_id, str(one), str(two)):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_another_machine_already_holds_is_protected(machines, make_record, tmp_path):
    """Records of `out` take part: they contradict too."""
    (one,) = machines([make_record(scores=[{**LINEAR, "value": 0.5}])])
    Store(tmp_path / "out").write(make_record())
    with pytest.raises(DataError, match=r"0\.5 and 0\.7"):
        merge([one], tmp_path / "out")


def test_mixed_protocols_are_refused(machines, make_record, tmp_path):
    """Their numbers answer different questions."""
    facts = make_record(3).facts()
    identity = {**facts["identity"], "protocol": 2}
    from astrojepa_bench.results.identity import digest, entry_digest

    other = {"identity": identity, "run_id": digest(identity), "entry_id": entry_digest(identity)}
    one, two = machines([make_record()], [RunRecord.model_validate({**facts, **other})])
    with pytest.raises(DataError) as caught:
        merge([one, two], tmp_path / "out")
    assert f"protocol 1 in {one} (1 records); protocol 2 in {two} (1 records)" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_id_that_is_not_its_identitys_is_refused(machines, make_record, tmp_path):
    """Two runs must not pass for one."""
    (one,) = machines([make_record()])
    (path,) = Store(one).paths()
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "identity": {**facts["identity"], "seed": 5}}))
    with pytest.raises(DataError, match="its identity gives"):
        merge([one], tmp_path / "out")


@pytest.mark.parametrize("name", ["suite.json", "published.json", "galaxies/f00d.csv"])
def test_files_beside_the_records_must_be_equal(machines, make_record, tmp_path, name):
    """Two sets of rules, or two orders of the test galaxies, cannot both hold."""
    one, two = machines([make_record(0)], [make_record(1)])
    for folder, text in ((one, "a"), (two, "b")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=f"{name} differs in"):
        merge([one, two], tmp_path / "out")
    shutil.copy(one / name, two / name)
    merge([one, two], tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "a"


def test_scores_of_several_machines_come_together(machines, make_record, tmp_path):
    """One scored by linear, one by k-NN, one by a newer linear: the joined record has the newest of each."""
    newer = {**LINEAR, "value": 0.72, "evaluator_version": "v2"}
    runs = [
        make_record(scores=[LINEAR], evaluators=asked("linear"), cost={"evaluation": {"linear": 2.0}}),
        make_record(scores=[KNN], evaluators=asked("knn"), cost={"evaluation": {"knn": 1.0}}),
        make_record(scores=[newer], evaluators={"linear": {"version": {"own": "v2"}, "options": {}}}),
    ]
    folders = machines(*([run] for run in runs))
    results = []
    for k, order in enumerate(itertools.permutations(folders)):
        merge(order, tmp_path / f"out{k}")
        merge(order, tmp_path / f"out{k}")
        results.append(Store(tmp_path / f"out{k}").records())
    assert all(found == results[0] for found in results)
    (joined,) = results[0]
    assert (joined.value("linear", "accuracy"), joined.value("knn", "accuracy")) == (0.72, 0.6)
    assert joined.evaluators["linear"]["version"] == {"own": "v2"}


def test_a_scored_run_takes_the_place_of_a_failed_one(machines, make_record, tmp_path):
    """A machine that ran out of memory contradicts nothing."""
    failure = {"origin": "infrastructure", "phase": "training", "message": "out of memory"}
    folders = machines([make_record(status="oom", scores=[], failure=failure)], [make_record()])
    merge(folders, tmp_path / "out")
    assert [record.status for record in Store(tmp_path / "out").records()] == ["ok"]


def test_reproductions_of_all_machines_are_kept(machines, make_record, tmp_path):
    """Each counts once, oldest first."""
    first, second = ({"date": f"2026-01-0{day}", "verdict": "equal"} for day in (1, 2))
    folders = machines([make_record(reproductions=[second])], [make_record(reproductions=[first, second])])
    merge(folders, tmp_path / "out")
    (record,) = Store(tmp_path / "out").records()
    assert [each.date for each in record.reproductions] == ["2026-01-01", "2026-01-02"]


def test_a_folder_without_records_is_refused(tmp_path):
    """It is a mistyped path."""
    with pytest.raises(ConfigError, match="nowhere holds no records"):
        merge([tmp_path / "nowhere"], tmp_path / "out")


def test_the_command_builds_the_board(machines, make_record, tmp_path, capsys):
    """Exit 0 and a board; 2 where it was refused."""
    one, two = machines([make_record(0)], [make_record(1)])
    out = tmp_path / "out"
    assert main(["leaderboard", "merge", str(one), str(two), "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert sorted(printed["merged"]) == sorted(r.run_id for r in Store(out).records())
    assert printed["board"] == str(out / "README.md")
    assert main(["leaderboard", "check", str(out)]) == 0
    Store(two).write(make_record(0, scores=[{**LINEAR, "value": 0.1}]))
    capsys.readouterr()
    assert main(["leaderboard", "merge", str(one), str(two), "--out", str(out)]) == 2
    assert "nothing was merged" in capsys.readouterr().err
