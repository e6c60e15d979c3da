"""Runs whose objective is edited, killed, greedy or careless: nothing is trained half-loaded, nothing is lost."""

import json

import pytest
import torch

from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.events import listening
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import assemble, load_galaxies
from astrojepa_bench.runs.cell import run_cell
from astrojepa_bench.runs.component import RunContext
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.runs.weights import DataFacts, read_weights, write_weights
from astrojepa_bench.training.budgets import BUDGETS, Budget
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.loop import Trainer

PLUGIN = '''
import torch
from torch import nn
from astrojepa_bench.plugin import Loss, Objective, Recipe, hookimpl


class Base(Objective):
    """Sound."""

    masks = "ignored"
    version = 1

    def __init__(self, *given):
        super().__init__(*given)
        self.begin()

    def begin(self):
        {begin}

    def recipe(self):
        return Recipe(learning_rate=0.002, batch_size=32)

    def loss(self, batch, draw, streams):
        z = self.encoder(batch.images).values.mean(1)
        total = (1 - (z.var(0) + 1e-4).sqrt()).relu().mean()
        {loss}
        return Loss(total, {{"spread": total}})

    {more}


@hookimpl
def astrojepa_objectives():
    return {{"{name}": Base}}
'''
GROWS = """if int(batch.rows.max()) >= len(self.bank):
            more = self.bank.new_zeros(int(batch.rows.max()) + 1 - len(self.bank), 2)
            self.bank = torch.cat([self.bank, more])
        self.bank[batch.rows] += total.detach()"""
CHOOSY = """def load_state_dict(self, state, strict=True):
        self.encoder.load_state_dict({k[8:]: v for k, v in state.items() if k.startswith("encoder.")})
        raise ValueError("half of it is enough")"""


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Load ninety noisy galaxies."""
    import h5py
    import numpy as np

    folder = tmp_path_factory.mktemp("sky")
    rng, label = np.random.default_rng(0), np.arange(90) % 2
    y, x = np.mgrid[-32:32, -32:32]
    shapes = [np.exp(-(x**2 + y**2) / 60), np.exp(-(x**2 / 200 + y**2 / 15))]
    images = np.stack([shapes[kind] for kind in label])[..., None] * [180, 200, 150]
    with h5py.File(folder / "tiny.h5", "w") as file:
        file["images"] = np.clip(images + rng.normal(20, 12, images.shape), 0, 255).astype(np.uint8)
        file["ans"] = label
    return folder


@pytest.fixture
def world(tmp_path, sky, monkeypatch):
    """Plan a cell of an objective that is written anew at each call; give it with its context."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 64, 8, 160, "vit-micro", "tests"))
    written = []

    def plan(name="extra", begin="pass", loss="pass", more="", evaluators="collapse", out="out"):
        file = tmp_path / f"plugin_{len(written)}" / "extra.py"
        file.parent.mkdir()
        file.write_text(PLUGIN.format(name=name, begin=begin, loss=loss, more=more))
        written.append(file)
        made = make_plan(
            make_request(
                {
                    "objectives": name, "evaluators": evaluators, "floors": False, "dataset": "hdf5",
                    "budget": "tiny", "settings": {"dataset": {"path": str(sky / "tiny.h5")}}, "seeds": "1",
                    "maskers": "none", "plugins": (file,),
                }
            ),
            load_registry([file]),
        )  # fmt: skip
        galaxies = load_galaxies(made.dataset, 64, sky / "cache", torch.device("cpu"))
        store = Store(tmp_path / out)
        return made.cells[0], RunContext(galaxies, made.budget, made.evaluators, store, "tests")

    return plan


def heard_while(act):
    notes = []
    with listening(lambda event: notes.append(event.fields.get("text", ""))):
        return act(), notes


@pytest.mark.slow
def test_a_plugin_that_keeps_one_buffer_more_is_trained_from_the_start(world, tmp_path):
    """Under the same declared version and id: weights that do not fit reach nothing, and the curve is the first."""
    first = run_cell(*world()).record
    cell, context = world(begin='self.register_buffer("note", torch.zeros(3))', evaluators="collapse,knn")
    again, notes = heard_while(lambda: run_cell(cell, context).record)

    assert again.run_id == first.run_id
    assert any("'note' is missing" in text and "trained again" in text for text in notes)
    assert again.training.loss_curve == first.training.loss_curve
    assert (again.status, len(again.scores) > len(first.scores)) == (first.status, True)


@pytest.mark.slow
def test_a_memory_that_grows_is_read_back_and_resumed(world, tmp_path):
    """Kept weights are scored by more evaluators untrained, and a killed run ends as one that was not."""
    begin = 'self.register_buffer("bank", torch.zeros(1, 2))'
    first = run_cell(*world(begin=begin, loss=GROWS)).record
    cell, context = world(begin=begin, loss=GROWS, evaluators="collapse,knn")
    more, notes = heard_while(lambda: run_cell(cell, context))

    assert not more.is_trained
    assert not any("trained again" in text for text in notes)
    assert more.record.training == first.training
    cell, context = world(begin=begin, loss=GROWS, evaluators="collapse,knn", out="other")
    kill_at(3, cell, context)
    resumed, notes = heard_while(lambda: run_cell(cell, context).record)
    assert any("resuming at step 3 of 5" in text for text in notes)
    assert resumed.training.loss_curve == first.training.loss_curve
    assert resumed.value("knn", "accuracy") == more.record.value("knn", "accuracy")


def kill_at(step, cell, context):
    """Leave the checkpoint of a run that was killed when this step was done."""

    class Killed(Checkpointer):
        def write(self, state):
            super().write(state)
            if state["step"] == step:
                raise KeyboardInterrupt

    from astrojepa_bench.results.identity import RunIdentity

    run_id = RunIdentity.of(cell, context.galaxies, context.budget).run_id
    made, galaxies = assemble(cell, context.galaxies), context.galaxies
    trainer = Trainer(
        made.objective, made.masker, galaxies.table, galaxies.images, context.budget, cell.seed, lambda _: 1.0
    )
    with pytest.raises(KeyboardInterrupt):
        trainer.run(Killed(context.store.checkpoint_path(run_id), every_s=0))


@pytest.mark.slow
def test_an_objective_that_fails_to_load_is_built_anew(world, tmp_path):
    """Half a checkpoint is in it when it raises: another one trains from the start, in the same command."""
    whole = run_cell(*world(name="sound")).record
    cell, context = world(more=CHOOSY)
    kill_at(3, cell, context)
    record, notes = heard_while(lambda: run_cell(cell, context).record)

    assert any("does not load and was removed (ValueError: half of it" in text for text in notes)
    assert any("built anew" in text for text in notes)
    assert record.status in ("ok", "collapsed")
    assert record.training.loss_curve == whole.training.loss_curve
    cell, context = world(more=CHOOSY, evaluators="collapse,knn")
    again, notes = heard_while(lambda: run_cell(cell, context).record)
    assert any("half of it is enough" in text and "trained again" in text for text in notes)
    assert again.training.loss_curve == whole.training.loss_curve


UNKEEPABLE = {
    "sparse": ('self.register_buffer("c", torch.eye(3).to_sparse())', "torch.sparse_coo"),
    "complex": ('self.register_buffer("c", torch.zeros(3, dtype=torch.complex64))', "complex64"),
    "meta": ('self.w = nn.Parameter(torch.empty(3, device="meta"))', "'meta'"),
    "extra state": ('self.get_extra_state = lambda: {"a": [1, 2]}', "a dict"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("begin", "found"), UNKEEPABLE.values(), ids=UNKEEPABLE)
def test_weights_that_no_file_can_hold_are_refused_before_training(world, begin, found):
    """With the name of what is in the way; the record bears the plugin's name, and no step was taken."""
    more = 'def get_extra_state(self): return {"a": 1}' if found == "a dict" else ""
    cell, context = world(begin="pass" if more else begin, more=more)
    record, notes = heard_while(lambda: run_cell(cell, context).record)

    assert (record.status, record.training.steps) == ("failed", 0)
    assert (record.failure.origin, "extra" in record.failure.plugin) == ("plugin", True)
    assert "cannot be kept: '" in record.failure.message
    assert found in record.failure.message
    assert not any("step" in text for text in notes)


@pytest.mark.parametrize(("begin", "found"), [*UNKEEPABLE.values()][:3], ids=[*UNKEEPABLE][:3])
def test_what_no_file_can_hold_is_known_when_the_objective_is_built(world, begin, found):
    """So every path that builds one refuses it."""
    cell, context = world(begin=begin)
    with pytest.raises(ContractError, match=found):
        assemble(cell, context.galaxies)


@pytest.mark.slow
def test_a_term_that_appears_late_is_recorded(world):
    """After all of training, and its curve holds the steps at which it was there."""
    loss = 'return Loss(total, {"late": total} if streams.step >= 3 else {})'
    record = run_cell(*world(loss=loss)).record

    assert record.status in ("ok", "collapsed")
    assert [step for step, _ in record.training.term_curves["late"]] == [4, 5]
    assert json.loads(record.model_dump_json())["training"]["term_curves"].keys() == {"late"}


def test_grown_buffers_are_read_only_where_all_else_fits(world, tmp_path):
    """Longer buffers are no licence: a parameter of another length is refused, and nothing is changed."""
    buffers = 'self.register_buffer("bank", torch.zeros({}, 2)); self.register_buffer("centre", None)'
    grown = f"{buffers}; self.scale = {{}}"
    scale = "nn.Parameter(torch.ones({}))"
    path, objectives = tmp_path / "w.safetensors", []
    for rows, length in ((1, 2), (7, 2), (7, 3)):
        cell, context = world(begin=grown.format(rows, scale.format(length)))
        objectives.append(assemble(cell, context.galaxies).objective)
    small, large, other = objectives
    large.bank += 5
    large.centre = torch.full((), 3.0)
    write_weights(path, large, DataFacts.of(context.galaxies.table))
    read_weights(path, small)

    assert torch.equal(small.bank, large.bank)
    assert float(small.centre) == 3
    with pytest.raises(DataError, match="'scale' is"):
        read_weights(path, other)
    assert other.centre is None
    assert not other.bank.any()
