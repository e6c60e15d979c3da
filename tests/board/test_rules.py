"""What a suite fixes reaches the board, and a folder is judged by one set of rules."""

import json

import pytest

from astrojepa_bench.board.rules import RULES, Rules, keep_rules, read_rules, rules_of
from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.results.store import Store
from astrojepa_bench.suites import Block, Data, Suite, SuiteOffer

BOARD = Suite(
    summary="s",
    version=3,
    cite="Somebody 2026",
    blocks=[Block(objectives=["a"])],
    data={
        "real": Data(title="Real galaxies", dataset="hdf5", fingerprint="aa"),
        "drawn": Data(title="Drawn galaxies", dataset="synthetic", fingerprint="bb"),
        "open": Data(title="Not fixed", dataset="synthetic"),
    },
    seeds=[20],
    margins={"real": 0.03, "open": 0.5},
    references={"masker": "none"},
    headline="knn.accuracy",
    groups={"a": "uses labels"},
    families=["lift", "all"],
)


def rules(name="board", suite=BOARD):
    return rules_of(SuiteOffer(name, suite, "plugin", "package 1"))


def test_rules_of_a_suite_are_by_fingerprint():
    """Records know galaxies by nothing else; galaxies without a fingerprint have the usual rules."""
    found = rules()

    assert found.titles == {"aa": "Real galaxies", "bb": "Drawn galaxies"}
    assert (found.margin_of("aa"), found.margin_of("bb"), found.margin_of("cc")) == (0.03, 0.02, 0.02)
    assert (found.suite, found.version, found.headline, found.cite) == (
        "board",
        3,
        "knn.accuracy",
        "Somebody 2026",
    )
    assert (found.references, found.groups, found.families) == (
        {"masker": "none"}, {"a": "uses labels"}, ("lift", "all"),
    )  # fmt: skip


def test_how_galaxies_are_cited_moves_no_judgement(tmp_path):
    """A board that was begun before its data were cited goes on, and cites them from now on."""
    keep_rules(tmp_path, rules())
    stated = {"licence": "CC BY 4.0", "citation": "Doe 2024"}
    data = {**BOARD.data, "real": BOARD.data["real"].model_copy(update=stated)}
    keep_rules(tmp_path, rules(suite=BOARD.model_copy(update={"data": data})))

    assert read_rules(tmp_path).terms == {"aa": stated}


def test_rules_are_read_back_as_they_were_kept(tmp_path):
    """In equal bytes each time; without a file the usual ones hold."""
    assert read_rules(tmp_path) == Rules()
    keep_rules(tmp_path, rules())
    first = (tmp_path / RULES).read_bytes()
    keep_rules(tmp_path, rules())

    assert read_rules(tmp_path) == rules()
    assert (tmp_path / RULES).read_bytes() == first


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            rules("another"),
            "holds the rules of suite 'board' version 3, expected suite 'another' version 3; use",
        ),
        (rules(suite=BOARD.model_copy(update={"version": 4})), "version 3, expected suite 'board' version 4"),
        (
            rules(suite=BOARD.model_copy(update={"margins": {}})),
            "version 3, other margins; use another folder",
        ),
    ],
)
def test_a_folder_is_judged_by_one_set_of_rules(tmp_path, other, said):
    """A margin that was chosen after the runs is no margin."""
    keep_rules(tmp_path, rules())
    with pytest.raises(ConfigError) as caught:
        keep_rules(tmp_path, other)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert read_rules(tmp_path) == rules()


@pytest.mark.parametrize("text", ["[]", "{", '{"margin": -1}', '{"margn": 1}'])
def test_a_damaged_file_is_one_line(tmp_path, text):
    """Which file, and which of its fields."""
    (tmp_path / RULES).write_text(text)
    with pytest.raises(DataError, match="holds no rules of a suite") as caught:
        read_rules(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_suite_has_a_board_before_its_runs(tmp_path, capsys):
    """It says that none is in yet, and nothing else; with a damaged record alone there is still no board."""
    keep_rules(tmp_path, rules())
    assert main(["leaderboard", "build", str(tmp_path)]) == 0
    assert "No run of suite board, version 3, is in yet" in capsys.readouterr().out
    assert main(["leaderboard", "check", str(tmp_path)]) == 0
    for name in ("README.md", "index.html"):
        assert "No run of suite board, version 3, is in yet" in (tmp_path / name).read_text()
    assert json.loads((tmp_path / "board.json").read_text())["sections"] == []
    capsys.readouterr()
    assert main(["leaderboard", "compare", "lejepa+random", "mae+random", "--out", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.json").write_text("{")
    assert main(["leaderboard", "build", str(tmp_path)]) == 2


def test_command_keeps_the_rules_of_a_suite(tmp_path, six_entries, capsys):
    """Once kept, every later board is judged by them, and the check knows them."""
    store = Store(tmp_path)
    for record in six_entries:
        store.write(record)

    assert main(["leaderboard", "build", str(tmp_path), "--suite", "baseline"]) == 0
    assert json.loads((tmp_path / RULES).read_text())["suite"] == "baseline"
    assert main(["leaderboard", "build", str(tmp_path)]) == 0
    assert main(["leaderboard", "check", str(tmp_path)]) == 0
    assert main(["leaderboard", "build", str(tmp_path), "--suite", "masking"]) == 2
    assert "holds the rules of suite 'baseline'" in capsys.readouterr().err
