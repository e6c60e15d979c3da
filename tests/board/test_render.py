"""Files that follow from the records alone, byte for byte, and give away whoever edits them."""

import csv
import io
import json
import random

import numpy as np
import pytest

from astrojepa_bench.board.page import html_page
from astrojepa_bench.board.render import check_board, data, long_table, page, read_board, write_board
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.results.correct import encode_bits
from astrojepa_bench.results.store import Store

FILES = ("README.md", "index.html", "board.csv", "board.json")


@pytest.fixture
def out(tmp_path, six_entries):
    """An output folder with records and their board."""
    store = Store(tmp_path)
    for record in six_entries:
        store.write(record)
    write_board(tmp_path)
    return tmp_path


def test_the_order_of_records_changes_no_byte(six_entries):
    """However records are listed or were written, the files are the same."""
    shuffled = random.Random(0).sample(six_entries, len(six_entries))
    for render in (page, html_page, long_table, data):
        assert render(build_board(shuffled)) == render(build_board(six_entries))


def test_a_board_built_again_is_the_same(out):
    """Building twice changes nothing, and the check finds nothing."""
    before = {name: (out / name).read_bytes() for name in FILES}
    assert write_board(out) == out / "README.md"
    assert {name: (out / name).read_bytes() for name in FILES} == before
    assert check_board(out) == []


def edit(path, change):
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["scores"][0].update(value=0.999),
        lambda r: r["health"].update(effective_rank=11.0),
        lambda r: r["cost"].update(train_seconds=1.0),
        lambda r: r.update(status="collapsed"),
        lambda r: r["provenance"].update(command="another"),
    ],
)
def test_a_tampered_record_is_found(out, change):
    """Whatever number or word of a record is edited, the board no longer follows from it."""
    edit(Store(out).paths()[0], change)
    assert "board.json differs from its records" in check_board(out)


def test_a_tampered_identity_is_found_even_after_a_rebuild(out):
    """Claiming another seed or option breaks the ids, which no rebuilding mends."""
    edit(Store(out).paths()[0], lambda r: r["identity"].update(seed=77))
    write_board(out)
    (fault,) = check_board(out)
    assert "run_id" in fault
    edit(Store(out).paths()[0], lambda r: r["identity"].update(budget="long"))
    write_board(out)
    assert sum("entry_id" in fault for fault in check_board(out)) == 1


def test_a_moved_or_copied_record_is_found(out):
    """A copy counts a seed twice; the check names it."""
    path = Store(out).paths()[0]
    path.with_name("copy.json").write_bytes(path.read_bytes())
    faults = check_board(out)
    assert any("copy.json holds" in fault for fault in faults)


@pytest.mark.parametrize("name", FILES)
def test_an_edited_or_missing_file_is_found(out, name):
    """Each rendered file is compared by itself."""
    (out / name).write_text((out / name).read_text() + " ")
    assert check_board(out) == [f"{name} differs from its records"]
    (out / name).unlink()
    assert check_board(out) == [f"{name} differs from its records"]


def test_a_deleted_record_is_found(out):
    """A seed that vanished changes the board."""
    Store(out).paths()[0].unlink()
    assert check_board(out) == [f"{name} differs from its records" for name in FILES]


def test_nothing_to_check_is_said(tmp_path, make_run):
    """Without a board, without records, without a folder: one line each, and nothing is made."""
    with pytest.raises(ConfigError, match="holds no board"):
        check_board(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="holds no records"):
        write_board(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "README.md").write_text("a board without records")
    with pytest.raises(ConfigError, match="holds no records"):
        check_board(tmp_path)


def test_a_corrupt_record_is_named_and_the_others_make_the_board(out, capsys):
    """A truncated record is named, on the board and by the command, rather than dropped from the ranks."""
    path = Store(out).paths()[0]
    path.write_text("{")
    name = path.relative_to(out).as_posix()
    write_board(out)
    assert f"Left out: {name} is not a run record" in (out / "README.md").read_text().replace("\\", "")
    assert len(read_board(out).records) == len(Store(out).paths()) - 1
    assert [line for line in check_board(out) if name in line and "restore or delete it" in line]
    assert main(["leaderboard", "build", str(out)]) == 0
    assert f"{name} is not a run record" in capsys.readouterr().err
    assert main(["leaderboard", "check", str(out)]) == 3


def test_a_folder_of_corrupt_records_alone_has_no_board(out):
    """There is nothing to build it from."""
    for path in Store(out).paths():
        path.write_text("{")
    for action in (check_board, write_board):
        with pytest.raises(DataError, match=r"no record can be read, \d+ are damaged"):
            action(out)


def test_the_long_table_has_a_line_per_score(six_entries):
    """Plain tools can group the scores; values keep every digit."""
    lines = list(csv.DictReader(io.StringIO(long_table(build_board(six_entries)))))
    assert len(lines) == sum(len(record.scores) for record in six_entries)
    wanted = "objective masker encoder dataset seed budget evaluator metric value chance"
    assert {*wanted.split(), "higher_is_better", "n", "status", "run_id"} <= set(lines[0])
    known = {(r.run_id, s.evaluator, s.metric): s.value for r in six_entries for s in r.scores}
    assert all(float(x["value"]) == known[x["run_id"], x["evaluator"], x["metric"]] for x in lines)


def test_no_two_entries_look_alike_in_the_long_table(make_run):
    """Other galaxies, options, devices, and settings of an evaluator: each differs in a column that can be read."""
    runs = [
        make_run(),
        make_run(altered={"encoder": {"depth": 2}}, options={"encoder": {"depth": 2}}),
        make_run(options={"objective": {"weight": 0.5}}),
        make_run(fingerprint="beef", options={"dataset": {"path": "south.h5"}}),
        make_run(splits="other"),
        make_run(budget="small 100 seen").model_copy(update={"budget": "small"}),
        make_run(device_class="cuda"),
        make_run(precision="bf16"),
        make_run(chain={"objective": {"own": "v2"}}),
        make_run(seed=1, evaluators={"knn": {"version": "v1", "options": {"k": 1}}}),
    ]
    lines = list(csv.DictReader(io.StringIO(long_table(build_board(runs, Rules(titles={"f00d": "north"}))))))
    hidden = ("entry_id", "run_id", "value", "chance", "item_se")
    for metric in {(x["evaluator"], x["metric"]) for x in lines}:
        same = [x for x in lines if (x["evaluator"], x["metric"]) == metric]
        read = {tuple(value for name, value in x.items() if name not in hidden) for x in same}
        assert len(read) == len(same) == len(runs)
    by_options = {x["options"] for x in lines}
    assert by_options == {"{}", '{"encoder":{"depth":2}}'}
    assert {x["evaluator_options"] for x in lines if x["evaluator"] == "knn"} == {"{}", '{"k":1}'}
    assert {x["galaxies"] for x in lines if x["fingerprint"] == "f00d"} == {"north"}


# --- bits and scores ------------------------------------------------------------------------------------------

CLASSES = np.array([0, 0, 0, 0, 1, 1, 2, 2])
RIGHT = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
SHARES = {"accuracy": 0.5, "balanced_accuracy": (0.75 + 0.5 + 0) / 3, "recall_0": 0.75, "recall_1": 0.5}


@pytest.fixture
def honest(tmp_path, make_run):
    """A folder with a board and one record, whose bits are those of its scores."""
    facts = [
        dict(evaluator="linear", metric=name, value=value, higher_is_better=True, n=4 if "_0" in name else 8)
        for name, value in SHARES.items()
    ]
    store = Store(tmp_path)
    store.write(make_run(scores=facts, correct={"linear.accuracy": encode_bits(RIGHT)}))
    store.keep_galaxies("f00d", np.array([f"g{i}" for i in range(8)]), CLASSES)
    write_board(tmp_path)
    return tmp_path


def test_scores_that_their_galaxies_bear_out_are_no_drift(honest):
    """Accuracy from the bits, balanced accuracy and recalls from bits and classes."""
    assert check_board(honest) == []
    (honest / "galaxies" / "f00d.csv").unlink()
    assert check_board(honest) == []


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("accuracy", "linear.accuracy is 0.999, but its galaxies say 0.5"),
        ("balanced_accuracy", "linear.balanced_accuracy is 0.999, but its galaxies say 0.416667"),
        ("recall_1", "linear.recall_1 is 0.999, but its galaxies say 0.5"),
    ],
)
def test_a_value_that_its_galaxies_contradict_is_drift_after_any_rebuild(honest, metric, words, capsys):
    """The board is built and says so; the check names the record and exits with 3."""
    (path,) = Store(honest).paths()
    at = list(SHARES).index(metric)
    edit(path, lambda r: r["scores"][at].update(value=0.999))
    line = f"{path.relative_to(honest)}: {words}"

    assert main(["leaderboard", "build", str(honest)]) == 0
    assert capsys.readouterr().err.splitlines() == [line]
    assert check_board(honest) == [line]
    assert main(["leaderboard", "check", str(honest)]) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["correct"].update({"linear.accuracy": "AA=="}), "its galaxies say 0"),
        (lambda r: r["correct"].update({"linear.accuracy": "AAAA"}), "cannot be those of 8 galaxies"),
        (lambda r: r["correct"].update({"linear.accuracy": "?"}), "no base64"),
        (lambda r: r["correct"].update({"linear.gone": "AA=="}), "linear.gone, which has no score"),
    ],
)
def test_bits_that_are_not_those_of_the_scores_are_drift(honest, change, words):
    """Whichever of the two was edited."""
    (path,) = Store(honest).paths()
    edit(path, change)
    write_board(honest)
    (fault,) = check_board(honest)

    assert words in fault
    assert fault.startswith(str(path.relative_to(honest)))


def test_a_list_of_other_galaxies_is_drift(honest):
    """A class too few, or two classes exchanged."""
    path = honest / "galaxies" / "f00d.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert "has bits of 8 galaxies, 7 are listed" in check_board(honest)[0]
    path.write_text("".join(lines).replace("g0,0", "g0,2"))
    assert "linear.balanced_accuracy is 0.416667, but its galaxies say" in check_board(honest)[0]
    path.write_text("nothing")
    with pytest.raises(DataError, match=r"f00d\.csv"):
        check_board(honest)


def test_the_page_holds_the_rule_the_marks_and_no_nan(six_entries, make_run):
    """A reader finds how ranks come about, what is provisional and what collapsed."""
    text = page(build_board([*six_entries, make_run("gamma")]))
    assert "two entries that share a letter are tied" in text
    assert " 1¹ | reported |" in " ".join(text.split())
    assert "collapsed 1/3" in text
    assert "beta + multiblock + vit-micro: 1 of 3 seeds diverged" in text
    assert "nan" not in text.lower()


def test_the_page_is_short_and_leads_to_the_rest(out):
    """At most eight columns a table, and links to what lies beside it, the findings only where there are any."""
    text = (out / "README.md").read_text()
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {9}
    assert all(f"]({name})" in text for name in FILES[1:])
    assert "findings.md" not in text
    (out / "findings.md").write_text("what the records show")
    assert check_board(out) == [f"{name} differs from its records" for name in FILES[:2]]
    write_board(out)
    assert "](findings.md)" in (out / "README.md").read_text()


def test_a_message_cannot_break_the_table(lost_run, make_run):
    """Pipes, line breaks and tags in a plugin's words stay words."""
    text = page(build_board([make_run("a|b"), lost_run("failed", "one\ntwo | <script>", objective="c")]))
    assert "a\\|b" in text
    assert "one two \\| &lt;script>" in text


def test_the_page_names_no_time_and_no_folder(out):
    """Nothing in the files depends on when or where they were rendered."""
    for name in FILES:
        assert str(out) not in (out / name).read_text()
