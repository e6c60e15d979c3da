"""A suite on its own galaxies: which seeds, which files, and what is only an experiment."""

import json
from pathlib import Path

import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.runs.suite_board import make_plans

PLUGIN = '''
from astrojepa_bench.plugin import Block, Data, Suite, hookimpl

DATA = {
    "drawn": Data(title="Drawn galaxies", dataset="synthetic", options={"galaxies": 60}, grid="few"),
    "real": Data(title="Real galaxies", dataset="hdf5", files={"path": "g.h5", "pool": "pool.zip"}, grid="all"),
}
FILE = Data(title="Real galaxies", dataset="hdf5", files={"path": "tiny.h5"})
FIXED = Data(title="Real galaxies", dataset="hdf5", files={"path": "tiny.h5"}, fingerprint="f00d")


@hookimpl
def astrojepa_suites():
    """Offer a board, the same without galaxies that need no file, and a suite that is none."""
    floor = [Block(objectives=["untrained"])]
    uneven = [Block(objectives=["mae"], seeds=2), Block(objectives=["vicreg"])]
    all_of = [Block(objectives=["untrained"], options={"encoder": {"width": 48}}), *floor]
    rules = dict(seeds=[20, 21, 22, 23], tuning_seeds=[0, 1], evaluators=["knn"])
    return {
        "board": Suite(summary="s", data=DATA, grids={"all": all_of, "few": floor}, **rules),
        "file": Suite(summary="s", data={"real": FIXED}, blocks=floor, **rules),
        "both": Suite(summary="s", data={"drawn": DATA["drawn"], "real": FILE}, grids={"few": floor}, **rules),
        "plain": Suite(summary="s", blocks=floor, evaluators=["knn"]),
        "short": Suite(summary="s", data={"drawn": DATA["drawn"]}, grids={"few": uneven[:1]}, **rules),
        "uneven": Suite(summary="s", data={"drawn": DATA["drawn"]}, grids={"few": uneven}, **rules),
    }
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "boards_for_tests.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture(scope="module")
def registry(plugin):
    return load_registry([plugin])


@pytest.fixture
def folder(tmp_path):
    """A folder with both files of the real galaxies."""
    for name in ("g.h5", "pool.zip"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def plans(registry, suite="board", **fields):
    return make_plans(make_request({"suite": suite, "budget": "smoke", "floors": False, **fields}), registry)


def seeds_of(plan):
    return sorted({cell.seed for cell in plan.cells})


def test_without_files_what_needs_none_is_run_and_the_rest_is_said(registry):
    """The note names the key, the title and what to give."""
    (plan,) = plans(registry)

    assert (plan.dataset.name, plan.dataset.options["galaxies"]) == ("synthetic", 60)
    assert plan.notes == (
        "Real galaxies is skipped: give --data real=PATH, the folder that holds g.h5 and pool.zip",
    )
    with pytest.raises(
        ConfigError, match=r"suite 'file' .*: Real galaxies is skipped: give --data real=PATH"
    ):
        plans(registry, "file")


@pytest.mark.parametrize("place", [".", "g.h5"])
def test_each_data_set_runs_its_own_grid(registry, folder, place):
    """Files are found in a folder, or beside the first of them; the grid is that of the data."""
    drawn, real = plans(registry, data={"real": folder / place})

    assert (len(drawn.cells), len(real.cells)) == (1, 2)
    assert real.dataset.options["path"] == folder / "g.h5"
    assert real.dataset.options["pool"] == folder / "pool.zip"
    assert drawn.notes == real.notes == ()
    assert len(plans(registry, data={"real": folder}, grid="few")[1].cells) == 1


def cells_by_seed(plan):
    return {(cell.objective.name, cell.seed) for cell in plan.cells if cell.encoder.name == "vit-micro"}


def test_a_block_runs_at_most_its_own_seeds(registry):
    """What needs fewer seeds stops at its second one, whichever are asked for; floors go with the longest."""
    (plan,) = plans(registry, "uneven", seeds=4, floors=True)
    few = {("mae", 20), ("mae", 21)}
    many = {(name, seed) for name in ("vicreg", "untrained") for seed in (20, 21, 22, 23)}
    assert cells_by_seed(plan) == few | many

    (later,) = plans(registry, "uneven", seeds=[21, 23])
    assert cells_by_seed(later) == {("mae", 21), ("vicreg", 21), ("vicreg", 23)}
    (own,) = plans(registry, "uneven", dataset="synthetic", seeds=4)
    assert cells_by_seed(own) == {(name, seed) for name in ("mae", "vicreg") for seed in range(4)}


def test_galaxies_on_which_nothing_runs_are_left_out(registry):
    """And said: a later seed may be of one data set only."""
    with pytest.raises(ConfigError, match="nothing runs there with the seeds asked for"):
        plans(registry, "short", seeds=[23], floors=True)


def test_seeds_by_number_are_the_suites_first_ones(registry):
    """Three seeds are 20, 21 and 22, one is 20; a list names them."""
    assert seeds_of(plans(registry)[0]) == [20]
    assert seeds_of(plans(registry, seeds="3")[0]) == [20, 21, 22]
    assert seeds_of(plans(registry, seeds=[23, 21])[0]) == [21, 23]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"seeds": "0,1"}, "--seeds 0: that seed was used for tuning in suite 'board'"),
        ({"seeds": [20, 12]}, "--seeds 12: that seed is none of its board's"),
        ({"seeds": 5}, "--seeds 5: suite 'board' (plugin boards_for_tests) has 4 seeds"),
        (
            {"data": {"rael": "x"}},
            "--data rael: suite 'board' (plugin boards_for_tests) has no such galaxies; did",
        ),
        ({"data": {"drawn": "x"}}, "--data drawn: these galaxies of suite 'board'"),
        (
            {"data": {"real": "nowhere"}},
            "--data real=nowhere: nowhere is not there; give the folder that holds",
        ),
        ({"suite": "plain", "data": {"real": "x"}}, "plain: the suite names no galaxies"),
        ({"grid": "al"}, "suite 'board' has no grid 'al'; did you mean 'all'"),
    ],
)
def test_what_a_board_does_not_allow_is_refused_in_one_line(registry, fields, said):
    """Seeds that recipes were chosen with, seeds of nobody, and files that reach nothing."""
    with pytest.raises(ConfigError) as caught:
        plans(registry, **fields)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_lacks_its_companion_is_named(registry, folder):
    """One of two files is not the data set."""
    (folder / "pool.zip").unlink()
    with pytest.raises(
        ConfigError, match=r"pool\.zip is not there; give the folder that holds g\.h5 and pool"
    ):
        plans(registry, data={"real": folder})


@pytest.mark.parametrize(
    "chosen",
    [
        {"dataset": "synthetic"},
        {"settings": {"dataset": {"galaxies": "80"}}},
        {"settings": {"dataset:synthetic": {"galaxies": "80"}}},
    ],
)
def test_galaxies_of_ones_own_make_it_an_experiment(registry, chosen):
    """Its first grid on them, seeds counted from 0, any of them allowed, and no word of the board."""
    (plan,) = plans(registry, **chosen, seeds="2")

    assert len(plan.cells) == 4
    assert seeds_of(plan) == [0, 1]
    assert plan.notes == ()
    assert seeds_of(plans(registry, **chosen, seeds="7,30")[0]) == [7, 30]


def test_a_suite_without_galaxies_runs_as_ever(registry):
    """A contributor's simple suite: the usual galaxies, seeds from 0."""
    (plan,) = plans(registry, "plain", seeds=2)

    assert (plan.dataset.name, seeds_of(plan), plan.fingerprint) == ("synthetic", [0, 1], "")


def test_a_fingerprint_is_asked_for_at_its_own_size_only(registry, folder):
    """At another size the same galaxies have another one; that nothing is checked there is said."""
    (folder / "tiny.h5").write_bytes(b"")
    (small,) = plans(registry, "file", data={"real": folder})
    (large,) = plans(registry, "file", data={"real": folder}, budget="standard")

    assert (small.fingerprint, small.notes) == ("f00d", ())
    assert large.fingerprint == ""
    assert "fixed for 64 px only; what is loaded is not checked" in large.notes[0]


# --- on galaxies ----------------------------------------------------------------------------------------


@pytest.fixture
def ab(plugin, tmp_path, tiny_of_64):
    """Run a suite with a tiny budget into a folder of its own; returns the exit code."""

    def run(suite, *more):
        return main([
            "run", "--suite", suite, "--plugin", str(plugin), "--budget", "tiny", "--device", "cpu", "--no-floors",
            "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), *more,
        ])  # fmt: skip

    return run


def test_other_galaxies_than_the_suites_are_refused_before_anything_runs(ab, tmp_path, galaxies, capsys):
    """Both fingerprints are named, and the exit code is 2."""
    assert ab("file", "--data", f"real={galaxies}") == 2
    said = capsys.readouterr().err

    assert "holds galaxies with the fingerprint" in said
    assert "the suite asks for f00d" in said
    assert not Store(tmp_path / "out").paths()
    assert not (tmp_path / "out" / "suite.json").exists()


@pytest.mark.slow
def test_all_data_sets_are_run_by_one_command(ab, galaxies, capsys):
    """Records of each, in the order of the suite, all with the suite's seeds and judged by its evaluators."""
    assert ab("both", "--data", f"real={galaxies.parent}", "--seeds", "2", "--json") == 0
    paths = json.loads(capsys.readouterr().out)["records"]
    records = [json.loads(Path(path).read_text()) for path in paths]

    assert [(each["dataset"], each["seed"]) for each in records] == [
        ("synthetic", 20), ("synthetic", 21), ("hdf5", 20), ("hdf5", 21),
    ]  # fmt: skip
    assert {score["evaluator"] for each in records for score in each["scores"]} == {"knn"}
    assert {each["group"] for each in records} == {"self-supervised"}


@pytest.mark.slow
def test_the_run_of_a_board_keeps_the_suites_rules(ab, tmp_path, capsys):
    """`suite.json` lies beside the records; another suite is refused there before it runs, an experiment never."""
    assert ab("board") == 0
    file = tmp_path / "out" / "suite.json"
    kept = json.loads(file.read_text())

    assert (kept["suite"], kept["version"]) == ("board", 1)
    assert ab("board") == 0  # again: the same rules
    file.write_text(json.dumps({**kept, "version": 7}))
    assert ab("board") == 2
    assert (
        "holds the rules of suite 'board' version 7, expected suite 'board' version 1"
        in capsys.readouterr().err
    )
    assert ab("board", "--set", "dataset.galaxies=60") == 0
