"""`--match flops` from the request to the board: equal arithmetic, in runs and a section of their own."""

import json

import pytest

from astrojepa_bench.board.page_details import run_command
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.events import listening
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import choose_device, plan_grid, run_grid
from astrojepa_bench.runs.reproduce import rerun
from astrojepa_bench.runs.request import make_request

LOCKS = """
        import threading
        self.lock = threading.Lock()
        return Loss(self.encoder(batch.images).values.square().mean(), {})

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        import threading
        self.lock = threading.Lock()"""


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture
def ask(tmp_path, galaxies, tiny):
    """Ask for runs on the tiny galaxies."""

    def asked(**fields):
        return make_request(
            {
                "evaluators": "knn", "floors": False, "dataset": "hdf5", "maskers": "random",
                "budget": "tiny", "device": "cpu", "settings": {"dataset": {"path": str(galaxies)}},
                "out": tmp_path / "out", "cache": tmp_path / "cache", **fields,
            }
        )  # fmt: skip

    return asked


def run(request, registry):
    return run_grid(request, registry, "tests").records


def test_only_images_and_flops_can_be_matched():
    """Anything else is refused with what there is."""
    with pytest.raises(ConfigError, match="unknown match 'seconds'; use images"):
        make_request({"objectives": "untrained", "match": "seconds"})


@pytest.mark.slow
def test_a_floor_is_another_run_there_and_unmatched_runs_keep_their_ids(ask, registry):
    """The id is a hash of the arithmetic in place of the images; to ask for images is to ask for nothing."""
    (plain,) = plan_grid(ask(objectives="untrained"), registry)
    (same,) = plan_grid(ask(objectives="untrained", match="images"), registry)
    (matched,) = plan_grid(ask(objectives="untrained", match="flops"), registry)
    assert plain.run_id == same.run_id != matched.run_id
    assert (plain.images, matched.images) == (0, 0)


@pytest.mark.slow
def test_entries_spend_alike_and_stand_in_a_section_of_their_own(ask, registry):
    """What the plan says is what is seen; a rerun counts the same."""
    fields = {"objectives": "mae,vicreg,untrained", "settings": None}
    request = ask(
        **{**fields, "settings": {**ask(objectives="mae").settings, "objective": {"batch_size": 8}}}
    )
    plain, matched = request, request.model_copy(update={"match": "flops"})
    planned = plan_grid(matched, registry)
    records = {record.objective: record for record in run(matched, registry)}
    seen = {each.cell.objective.name: each.images for each in planned}
    assert seen == {name: record.training.images_seen for name, record in records.items()}
    assert seen["mae"] > 2 * seen["vicreg"] > 0 == seen["untrained"]
    total = int(records["mae"].identity["budget"].split()[2])
    for record in (records["mae"], records["vicreg"]):
        assert record.cost.flops == pytest.approx(total, abs=record.cost.flops / record.training.steps / 2)
    assert {each.state for each in plan_grid(matched, registry)} == {"cached"}
    told = {name: record.training.recipe.get("base_augmentation") for name, record in records.items()}
    base = {"quarter_turns": True, "mirrored": True, "shift_px": 2}  # of whatever trains
    assert told == {"mae": base, "vicreg": base, "untrained": None}

    unmatched = run(plain, registry)
    sections = build_board([*unmatched, *records.values()]).sections
    assert [section.budget for section in sections] == ["tiny", "tiny, FLOP-matched"]
    assert [len(section.rows) for section in sections] == [3, 3]
    assert "--match flops" in run_command([records["mae"]])
    assert "--match" not in run_command(unmatched[:1])

    given = {"dataset": {"path": matched.settings["dataset"]["path"]}}
    found = rerun(records["vicreg"], registry, given, matched.cache, choose_device("cpu"), "tests")
    assert found.again.run_id == records["vicreg"].run_id
    assert found.again.training.loss_curve == records["vicreg"].training.loss_curve


@pytest.mark.slow
def test_another_process_counts_the_same(ask, registry):
    """A cell of its own process finds the id that its parent planned; otherwise it would refuse."""
    request = ask(objectives="untrained", match="flops", budget="smoke", isolate=True)
    (planned,) = plan_grid(request, registry)
    (record,) = run(request, registry)
    assert (record.status, record.run_id) == ("ok", planned.run_id)


@pytest.mark.slow
def test_what_cannot_be_counted_is_skipped_with_the_reason(ask, plugin, registry):
    """In the plan as in the run, and a note tells why it cannot be copied."""
    request = ask(objectives="locks", match="flops", plugins=(plugin("locks", LOCKS),))
    own, notes = load_registry(request.plugins), []
    (planned,) = plan_grid(request, own)
    with listening(lambda event: notes.append(event.fields.get("text") or "")):
        (record,) = run(request, own)
    assert (planned.state, planned.reason) == ("skipped", record.skip_reason)
    assert record.status == "skipped"
    assert "cannot be counted, so it cannot be matched" in record.skip_reason
    assert any("cannot be copied" in note for note in notes)


@pytest.mark.slow
def test_the_command_line_takes_it(tmp_path, galaxies, tiny, capsys):
    """`--match flops` reaches the record and the board; `show` names it."""
    places = ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    words = ["-o", "untrained", "-d", "hdf5", "--set", f"dataset.path={galaxies}", "--budget", "tiny",
             "--device", "cpu", "-E", "collapse", "--no-floors", "--match", "flops"]  # fmt: skip
    assert main(["run", *words, *places, "--json"]) == 0
    capsys.readouterr()
    (record,) = Store(tmp_path / "out").records()
    assert record.identity["budget"].endswith(" FLOP")
    assert "FLOP-matched" in (tmp_path / "out" / "README.md").read_text()
    assert main(["show", record.run_id, "--out", str(tmp_path / "out")]) == 0
    assert "budget tiny, FLOP-matched" in capsys.readouterr().out
    assert main(["plan", *words[:-1], "time", *places]) == 2
    assert json.dumps("unknown match")[1:-1] in capsys.readouterr().err
