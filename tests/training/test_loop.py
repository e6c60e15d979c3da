"""The loop: same seed same weights, exact resuming, fair order, honest failure, schedules and cost."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from astrojepa_bench.errors import DivergedError
from astrojepa_bench.events import listening
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Objective
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.cost import count_step
from astrojepa_bench.training.loop import READ_EVERY
from astrojepa_bench.training.optimisers import make_optimiser
from astrojepa_bench.training.order import DataOrder
from astrojepa_bench.training.schedule import learning_rate, set_schedule, weight_decay
from astrojepa_bench.types import Loss

KINDS = ["lejepa", "ijepa"]


class Explodes(Objective):
    """Learns the mean brightness until step 3, then gives a term, or only a gradient, that is not finite."""

    masks = "ignored"
    gradient_only = False

    def __init__(self, encoder):
        super().__init__(encoder, encoder.grid, 0)

    def recipe(self):
        return Recipe(learning_rate=1e-3, batch_size=16)

    def loss(self, batch, draw, streams):
        fit = self.encoder(batch.images).values.square().mean()
        other = fit.detach().clone()
        if streams.step == 3 and self.gradient_only:
            fit = fit + (0 * self.encoder.norm.bias.sum()).abs().sqrt()  # 0, with slope 0 * inf
        elif streams.step == 3:
            other = other * torch.nan
        return Loss(fit, {"fit": fit, "other": other})


class ExplodesInGradient(Explodes):
    gradient_only = True


class Watchful(Explodes):
    """Notes the progress of each loss and step, and stops every gradient of the embedding in the first half."""

    def __init__(self, encoder):
        super().__init__(encoder)
        self.progress = []

    def loss(self, batch, draw, streams):
        self.progress.append(streams.progress)
        fit = self.encoder(batch.images).values.square().mean()
        return Loss(fit, {})

    def before_step(self, progress):
        if progress.share <= 0.5:
            self.encoder.embed.weight.grad = None

    def after_step(self, progress):
        assert progress.step == len(self.progress)


class Killed(Checkpointer):
    """Writes after every step and is killed as soon as step 5 is safe."""

    def write(self, state):
        super().write(state)
        if state["step"] == 5:
            raise KeyboardInterrupt


def copied(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_weights_and_another_seed_does_not(make_trainer, kind):
    """A run is a function of its seed, whatever the global generator was doing."""
    weights = []
    for seed, disturbance in ((0, 1), (0, 2), (1, 1)):
        torch.default_generator.manual_seed(disturbance)
        trainer = make_trainer(kind, seed)
        trainer.run()
        weights.append(copied(trainer.objective))

    assert same(weights[0], weights[1])
    assert not same(weights[0], weights[2])


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_resumes_to_the_very_same_weights(make_trainer, tmp_path, kind):
    """Killed at step 5 and resumed, a run ends with the bits and the curve of one that was not."""
    whole = make_trainer(kind)
    expected = whole.run()
    with pytest.raises(KeyboardInterrupt):
        make_trainer(kind).run(Killed(tmp_path / "state.pt", every_s=0))
    resumed = make_trainer(kind)
    found = resumed.run(Checkpointer(tmp_path / "state.pt"))

    assert same(copied(whole.objective), copied(resumed.objective))
    assert found.state.curve == expected.state.curve
    assert [step for step, _ in found.state.curve] == list(range(1, 13))
    assert found.cost == expected.cost


def test_training_never_touches_a_test_galaxy(make_trainer, table):
    """Over many passes only train and pool rows are handed out."""
    order = make_trainer().order
    seen = np.unique(np.concatenate([order.at(step) for step in range(20)]))

    assert set(table.split[seen]) == {"train", "pool"}


def test_each_row_is_seen_once_a_pass():
    """Seven rows in batches of three: every seven places hold every row, batches spanning the seam."""
    rows = np.array([3, 5, 8, 9, 20, 21, 40])
    order = DataOrder(rows, 3, seed=1)
    passes = np.concatenate([order.at(step) for step in range(7)]).reshape(3, 7)

    assert (np.sort(passes, axis=1) == rows).all()
    assert not (passes[0] == passes[1]).all()


def test_order_of_a_step_does_not_depend_on_the_steps_before():
    """A fresh order asked for step 6 first gives what step 6 was in a run from the start."""
    rows = np.arange(7)
    walked = DataOrder(rows, 3, seed=1)
    batches = [walked.at(step) for step in range(10)]

    for step in (6, 2, 9):
        np.testing.assert_array_equal(DataOrder(rows, 3, seed=1).at(step), batches[step])


@pytest.mark.parametrize("state", ["damaged", "of other weights", "of another length", "of another version"])
def test_a_checkpoint_that_does_not_fit_starts_the_run_again(make_trainer, tmp_path, state):
    """The run says so and ends as if there had been no checkpoint; nothing of it reaches the weights."""
    whole, path, heard = make_trainer(), tmp_path / "state.pt", []
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        make_trainer(steps=13 if state == "of another length" else 12).run(Killed(path, every_s=0))
    if state == "damaged":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        saved = torch.load(path, weights_only=True)
        if state == "of other weights":
            *_, last = saved["objective"]
            saved["objective"] = {name: value * 0 for name, value in saved["objective"].items()}
            saved["objective"][last] = torch.zeros(3, 5)
        elif state == "of another version":
            del saved["seconds"]
        torch.save(saved, path)
    again = make_trainer()
    with listening(heard.append):
        result = again.run(Checkpointer(path))

    assert same(copied(again.objective), copied(whole.objective))
    assert [step for step, _ in result.state.curve] == list(range(1, 13))
    assert any("trains from the start" in event.fields.get("text", "") for event in heard)


def test_a_checkpoint_that_an_objective_refuses_is_removed(make_trainer, tmp_path, monkeypatch):
    """What it half loaded is not trained, and the next command does not meet it again."""
    path, trainer, heard = tmp_path / "state.pt", make_trainer(), []
    with pytest.raises(KeyboardInterrupt):
        make_trainer().run(Killed(path, every_s=0))

    def refuse(state):
        raise ValueError("not mine")

    monkeypatch.setattr(trainer.objective, "load_state_dict", refuse)
    with listening(heard.append), pytest.raises(ValueError, match="not mine"):
        trainer.run(Checkpointer(path))

    assert not path.exists()
    assert any("does not load and was removed" in event.fields.get("text", "") for event in heard)


class HostReads(TorchDispatchMode):
    """Counts how often a value is read from the device, each of which holds a GPU up."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


class Quiet(Explodes):
    """Reads nothing itself, in any step."""

    def loss(self, batch, draw, streams):
        fit = self.encoder(batch.images).values.square().mean()
        return Loss(fit, {"fit": fit.detach()})


def test_a_step_reads_nothing_from_the_device(make_trainer):
    """Terms are read together every few steps; no step waits for its own numbers."""
    trainer = make_trainer(Quiet, steps=25)
    with HostReads() as reads:
        result = trainer.run()

    assert reads.count == 0
    assert [step for step, _ in result.state.curve] == list(range(1, 26))


def test_steps_are_announced_in_order_with_their_own_numbers(make_trainer):
    """Each step has one event, however late its numbers are read."""
    heard = []
    with listening(heard.append):
        result = make_trainer(Quiet, steps=25).run()
    steps = [(event.fields["step"], event.fields["terms"]) for event in heard if event.name == "step"]

    assert steps == result.state.curve


class Stumbles(Explodes):
    """Diverges at step 3 and cannot go on at step 5."""

    def loss(self, batch, draw, streams):
        if streams.step == 5:
            raise ValueError("no convergence")
        return super().loss(batch, draw, streams)


def test_what_follows_divergence_does_not_hide_it(make_trainer):
    """An error in a step after the one that diverged is reported as the divergence that caused it."""
    with pytest.raises(DivergedError, match=r"'other'.*step 3"):
        make_trainer(Stumbles).run()


class Refuses(Quiet):
    """Cannot go on right after the numbers of all its steps were read."""

    def loss(self, batch, draw, streams):
        if streams.step == READ_EVERY:
            raise ValueError("no convergence")
        return super().loss(batch, draw, streams)


def test_an_error_with_nothing_left_to_read_is_reported_as_it_is(make_trainer):
    """The search for a step that diverged finds none, and hides nothing."""
    with pytest.raises(ValueError, match="no convergence"):
        make_trainer(Refuses, steps=READ_EVERY + 2).run()


def test_objectives_know_the_progress_and_may_act_on_gradients(make_trainer):
    """The share that is done in each loss; a gradient that is stopped before the step moves nothing."""
    trainer = make_trainer(Watchful)
    before, moved = trainer.objective.encoder.embed.weight.detach().clone(), []
    after_step = trainer.objective.after_step
    trainer.objective.after_step = lambda progress: (
        after_step(progress),
        moved.append(not torch.equal(before, trainer.objective.encoder.embed.weight)),
    )

    trainer.run()

    steps = trainer.steps
    assert trainer.objective.progress == [step / steps for step in range(steps)]
    assert moved == [step + 1 > steps / 2 for step in range(steps)]


@pytest.mark.parametrize(("explosive", "term"), [(Explodes, "other"), (ExplodesInGradient, "gradient norm")])
def test_divergence_names_its_step_and_term(make_trainer, explosive, term):
    """A term or gradient that is not finite stops the run at once and is named, before weights are spoilt."""
    trainer = make_trainer(explosive)
    with pytest.raises(DivergedError, match=f"'{term}'.*step 3") as caught:
        trainer.run()

    assert (caught.value.step, caught.value.term) == (3, term)
    assert all(bool(parameter.isfinite().all()) for parameter in trainer.objective.parameters())


def test_learning_rate_warms_up_to_its_peak_and_ends_near_zero():
    """Warm-up starts at one share of the peak, reaches it, and the cosine ends below a thousandth."""
    recipe = Recipe(learning_rate=2.0, warmup=0.1)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]

    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert 0 < rates[-1] < 2e-3
    assert (np.diff(rates[10:]) < 0).all()


def test_weight_decay_runs_from_its_start_to_its_end():
    """A cosine from 0.04 to 0.4; constant where no end is given."""
    recipe = Recipe(learning_rate=1.0, weight_decay=0.04, weight_decay_end=0.4)
    found = [weight_decay(recipe, step, 1000) for step in (0, 500, 1000)]

    assert found == pytest.approx([0.04, 0.22, 0.4])
    assert weight_decay(Recipe(learning_rate=1.0, weight_decay=0.07), 999, 1000) == 0.07


def test_weight_decay_spares_vectors_and_the_teacher(make_objective):
    """Only matrices decay, and what is frozen is not optimised at all."""
    objective = make_objective("ijepa")
    recipe = objective.recipe()
    optimiser = make_optimiser(objective, recipe)
    set_schedule(optimiser, recipe, 0, 10)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}

    assert decay[id(objective.encoder.embed.weight)] == pytest.approx(0.04)
    assert decay[id(objective.encoder.embed.bias)] == 0
    assert not any(id(parameter) in decay for parameter in objective.teacher.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_counting_the_cost_leaves_the_objective_untouched(make_trainer, kind):
    """Weights, running averages, gradients and the global generator are as before."""
    trainer = make_trainer(kind)
    trainer.objective.train()
    before, generator = copied(trainer.objective), torch.get_rng_state()
    count_step(trainer.objective, lambda rehearsal: trainer.loss_of(rehearsal, 0))

    assert same(before, copied(trainer.objective))
    assert all(parameter.grad is None for parameter in trainer.objective.parameters())
    assert torch.equal(torch.get_rng_state(), generator)


def test_tokens_are_counted_as_the_views_add_up(make_trainer):
    """Two views of 16 patches and four of 1 make 36 tokens a galaxy; more tokens, more operations."""
    trainer = make_trainer("lejepa")
    cost = count_step(trainer.objective, lambda rehearsal: trainer.loss_of(rehearsal, 0))
    matrices = sum(p.numel() for p in trainer.objective.encoder.blocks.parameters() if p.ndim == 2)

    assert cost.tokens == 16 * (2 * 16 + 4 * 1)
    assert cost.flops > 3 * 2 * matrices * cost.tokens  # forward and twice that backward, attention on top
    assert cost.flops < 2 * 3 * 2 * matrices * cost.tokens
