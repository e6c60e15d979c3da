"""One cell: what is kept is used if it fits, nothing is trained twice, and no scored record is lost."""

import signal
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from astrojepa_bench.errors import DivergedError, PluginError
from astrojepa_bench.events import listening
from astrojepa_bench.files import LockedError, locked
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs import cell as cell_module
from astrojepa_bench.runs import component as component_module
from astrojepa_bench.runs import train as train_module
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.cell import CellResult, run_cell
from astrojepa_bench.runs.component import RunContext
from astrojepa_bench.runs.executors import dispatch
from astrojepa_bench.runs.grid import GridResult
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request

LEARNS = """
        tokens = self.encoder.taps(batch.images)["last"]
        return Loss((tokens.mean(0) ** 2).mean(), {})"""


@pytest.fixture
def world(tmp_path, galaxies, tiny, plugin):
    """Plan two seeds of an objective that learns a little; give the context and the cells."""
    file = plugin("learns", LEARNS)
    request = make_request(
        {
            "objectives": "learns", "evaluators": "knn", "floors": False, "dataset": "hdf5", "budget": "tiny",
            "settings": {"dataset": {"path": str(galaxies)}}, "seeds": "2", "plugins": (file,),
        }
    )  # fmt: skip
    plan = make_plan(request, load_registry([file]))
    sky = load_galaxies(plan.dataset, 32, tmp_path / "cache", torch.device("cpu"))
    return RunContext(sky, plan.budget, plan.evaluators, Store(tmp_path / "out"), "tests"), plan.cells


def more(context, *names):
    """Ask for other evaluators."""
    offers = [load_registry().get("evaluator", name) for name in names]
    evaluators = tuple(cell_module.Component.of(offer, {}) for offer in offers)
    return RunContext(context.galaxies, context.budget, evaluators, context.store, context.command)


def weights_of(context, record):
    kept = load_file(context.store.weights_path(record.run_id))
    return {name: value.clone() for name, value in kept.items()}  # the file itself is overwritten below


@pytest.mark.parametrize(
    "damage",
    [
        "another shape",
        *(pytest.param(more, marks=pytest.mark.slow) for more in ("a name too many", "cut off")),
    ],
)
def test_weights_that_do_not_fit_seed_no_training(world, damage):
    """Refused weights must not reach the objective, not even those before the one that does not fit."""
    context, (cell, _) = world
    first = run_cell(cell, context).record
    path, expected, heard = context.store.weights_path(first.run_id), weights_of(context, first), []
    if damage == "cut off":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        wrong = {name: torch.full_like(value, 3.0) for name, value in expected.items()}
        *_, last = wrong
        wrong["stranger" if damage == "a name too many" else last] = torch.zeros(3, 5, 7)
        save_file(wrong, path, metadata={"galaxies": "{}"})
    with listening(heard.append):
        again = run_cell(cell, more(context, "knn", "collapse"))

    assert again.is_trained
    assert any("is trained again" in event.fields.get("text", "") for event in heard)
    found = weights_of(context, first)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_a_run_that_lost_its_weights_says_which_scores_it_will_not_have(world):
    """It is trained again and scored by those asked for now; nobody loses a score without a word."""
    context, (cell, _) = world
    first, heard = run_cell(cell, context).record, []
    context.store.weights_path(first.run_id).unlink()
    with listening(heard.append):
        again = run_cell(cell, more(context, "collapse"))

    assert again.is_trained
    assert any("replaces its scores by knn" in event.fields.get("text", "") for event in heard)


def test_two_commands_never_train_one_cell(world):
    """The second waits, and then finds what the first has written."""
    context, (cell, _) = world
    first = run_cell(cell, context)
    content = context.store.path(first.record).read_text()
    context.store.path(first.record).unlink()
    results, lease = [], context.store.lease_path(first.record.run_id)
    with locked(lease):
        with pytest.raises(LockedError):
            run_cell(cell, context, wait=False)
        second = threading.Thread(target=lambda: results.append(run_cell(cell, context)))
        second.start()
        second.join(1.0)
        assert second.is_alive()  # it waits
        context.store.path(first.record).write_text(content)
    second.join(60)

    assert first.is_trained
    assert [each.is_trained for each in results] == [False]
    assert results[0].record == first.record


@pytest.mark.slow
def test_cells_that_others_run_come_last_and_the_first_that_is_free_first(world, monkeypatch):
    """A grid goes on with the cells that are free, and waits for all of the others at once."""
    context, cells = world
    cells = [*cells, cells[0]]
    record, asked, busy, notes = run_cell(cells[0], context).record, [], {1: 2, 2: 1}, []

    def run(cell, context, *, index, total, wait):
        asked.append((index, wait))
        if busy.get(index, 0):
            busy[index] -= 1
            raise LockedError
        return CellResult(record.model_copy(update={"seed": index}))

    monkeypatch.setattr(dispatch, "run_cell", run)
    with (
        dispatch.running(make_request({"objectives": "learns"})) as run_cells,
        listening(lambda event: notes.append(event.fields["text"])),
    ):
        results = run_cells(cells, context, plan=0)

    assert asked == [(index, False) for index in (1, 2, 3, 1, 2, 1)]
    assert [result.record.seed for result in results] == [1, 2, 3]
    assert [note[:5] for note in notes] == ["[1/3]", "[2/3]"]


def test_a_failure_never_replaces_a_scored_record(world, monkeypatch):
    """What was scored stays on disk when a later evaluation of it fails; the failure is returned."""
    context, (cell, _) = world
    first = run_cell(cell, context).record

    def fails(*_):
        raise RuntimeError("no space for features")

    monkeypatch.setattr(cell_module, "score", fails)
    second = run_cell(cell, more(context, "knn", "collapse")).record

    assert second.status == "failed"
    assert context.store.find(first.run_id) == first


@pytest.mark.slow
def test_features_of_earlier_weights_never_outlive_them(world, monkeypatch):
    """A command that is killed just after it wrote new weights leaves no features of the old ones."""
    context, (cell, _) = world
    run_id = run_cell(cell, context).record.run_id
    context.store.weights_path(run_id).unlink()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cell_module, "write_weights", killed)
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell, more(context, "knn", "collapse"))

    assert not context.store.features_path(run_id).exists()
    assert not context.store.lease_path(run_id).with_name(f"{run_id}.lock").exists()


@pytest.mark.slow
def test_a_health_number_that_no_record_can_hold_costs_no_run(world, monkeypatch):
    """It is left out with a note; the training behind it counts."""
    context, (cell, _) = world
    heard = []
    monkeypatch.setattr(
        cell.objective.offer.cls, "health", lambda self: {"left": float("nan"), "kept": 2.0}, raising=False
    )
    with listening(heard.append):
        record = run_cell(cell, context).record

    assert record.status == "ok"
    assert record.health["kept"] == 2.0
    assert "left" not in record.health
    assert any("'left' is nan" in event.fields.get("text", "") for event in heard)


def test_a_diverged_run_leaves_no_checkpoint(world, monkeypatch):
    """It is never resumed."""
    context, (cell, _) = world
    path = context.store.checkpoint_path(RunIdentity.of(cell, context.galaxies, context.budget).run_id)

    def diverges(*_, **__):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"a step before")
        raise DivergedError(3, "total")

    monkeypatch.setattr(cell_module, "train", diverges)

    assert run_cell(cell, context).record.status == "diverged"
    assert not path.exists()


@pytest.mark.slow
def test_drafts_of_killed_processes_are_removed(world):
    """A run that was killed while it wrote leaves half a file; the run that follows leaves none."""
    context, (cell, _) = world
    run_id = run_cell(cell, context).record.run_id
    store = context.store
    drafts = [
        path.with_name(f".{path.name}.12ab.partial")
        for path in (store.weights_path(run_id), store.checkpoint_path(run_id), store.features_path(run_id))
    ]
    for draft in drafts:
        draft.parent.mkdir(exist_ok=True)
        draft.write_bytes(b"half")
    run_cell(cell, more(context, "knn", "collapse"))

    assert not [path for path in store.out.rglob("*") if path.suffix in (".partial", ".lock")]


def test_identity_and_record_are_looked_up_once(world, monkeypatch):
    """A finished grid is issued again at the cost of one look at each record."""
    context, (cell, _) = world
    run_cell(cell, context)
    looked = []
    find = Store.find
    monkeypatch.setattr(Store, "find", lambda self, run_id: looked.append(run_id) or find(self, run_id))
    run_cell(cell, context)

    assert len(looked) == 1


# --- whatever happens -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_no_record_can_hold_costs_its_cell_alone(world, monkeypatch):
    """A standing that there is not: its record says so, under the names alone."""
    context, (cell, _) = world
    monkeypatch.setattr(component_module.Cell, "standing", "winner")
    first = run_cell(cell, context).record

    assert (first.status, first.failure.phase, first.failure.plugin) == (
        "failed",
        "recording",
        "plugin_learns",
    )
    assert "standing" in first.failure.message
    assert context.store.find(first.run_id) == first


def test_a_cell_that_cannot_be_identified_has_a_record(world, monkeypatch):
    """Its id is made of what is known of it."""
    context, (cell, _) = world

    def unreadable(factory):
        raise PluginError("the version cannot be told")

    monkeypatch.setattr(component_module, "chain_of", unreadable)
    record = run_cell(cell, context).record

    assert (record.status, record.failure.plugin) == ("failed", "plugin_learns")
    assert record.failure.message == "the version cannot be told"
    assert record.identity_faults() == []
    assert context.store.find(record.run_id) == record


@pytest.mark.slow
def test_a_record_that_cannot_be_written_costs_its_cell_alone(world, monkeypatch):
    """A name too long, a full disk: the cell failed, no path is given out for it, and the next one runs."""
    context, cells = world
    writes = cell_module.write_record

    def full(record, *given):
        if record.seed == 0:
            raise OSError(36, "File name too long")
        return writes(record, *given)

    monkeypatch.setattr(cell_module, "write_record", full)
    results = [run_cell(cell, context) for cell in cells]

    assert [each.record.status for each in results] == ["failed", "ok"]
    assert results[0].record.failure.origin == "infrastructure"
    assert not GridResult(tuple(each.record for each in results), ()).all_well
    assert context.store.find(results[0].record.run_id) is None


@pytest.mark.slow
def test_surroundings_that_cannot_be_told_cost_no_run(world, monkeypatch):
    """A plugin may spoil what they are asked of."""
    context, (cell, _) = world

    def spoilt(*_):
        raise RuntimeError("who asks")

    monkeypatch.setattr(train_module, "describe_environment", spoilt)
    record = run_cell(cell, context).record

    assert record.status == "ok"
    assert record.environment.torch == ""


@pytest.mark.slow
def test_an_interrupt_of_a_plugin_costs_its_cell(world, monkeypatch):
    """No signal came, so nobody at the keyboard meant it; the next command tries again."""
    context, cells = world
    cls = cells[0].objective.offer.cls

    def interrupts(self, batch, draw, streams):
        raise KeyboardInterrupt

    monkeypatch.setattr(cls, "loss", interrupts)
    results = [run_cell(cell, context) for cell in cells]
    monkeypatch.undo()

    assert [each.record.status for each in results] == ["interrupted", "interrupted"]
    assert results[0].record.failure.plugin == "plugin_learns"
    assert run_cell(cells[0], context).record.status == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("answer", [None, RuntimeError, SystemExit])
def test_a_person_interrupts_whatever_a_plugin_makes_of_it(world, monkeypatch, answer):
    """A signal that was swallowed, or turned into another error, ends the command all the same."""
    context, (cell, _) = world
    loss = cell.objective.offer.cls.loss

    def swallows(self, batch, draw, streams):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if answer is not None:
                raise answer from None
        return loss(self, batch, draw, streams)

    monkeypatch.setattr(cell.objective.offer.cls, "loss", swallows)
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell, context)

    found = [context.store.read(path).status for path in context.store.paths()]
    assert found == (["ok"] if answer is None else [])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
