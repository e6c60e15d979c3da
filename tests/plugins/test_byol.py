"""BYOL: 2 - 2 cos by hand and against lightly; predictor and stopped gradient are what prevents collapse."""

import math

import pytest
import torch
from astrojepa_byol import BYOL, apart

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.types import Progress

SMALL = {"projector": 64, "embedding": 16}


class Bare(BYOL):
    """Without predictor and stopped gradient: the student agrees with itself."""

    def answers(self, batch, streams):
        seen = self.encoder(self.views(batch, streams)).values.mean(dim=1).chunk(2)
        first, second = (self.head(view) for view in seen)
        return torch.stack([first, second]), torch.stack([second, first])


@pytest.mark.parametrize(
    ("other", "cost"), [([2.0, 0.0], 0), ([0.0, 5.0], 2), ([-1.0, 0.0], 4), ([1.0, 1.0], 2 - 2**0.5)]
)
def test_parallel_orthogonal_and_opposite_vectors_have_their_values(other, cost):
    """0, 2 and 4, whatever the lengths; 45 degrees cost 2 - √2."""
    assert float(apart(torch.tensor([3.0, 0.0]), torch.tensor(other))) == pytest.approx(cost, abs=1e-6)


def test_strangers_cost_two():
    """Random directions in D dimensions are orthogonal but for 1/√D."""
    generator = torch.Generator().manual_seed(0)
    found = apart(*torch.randn(2, 4000, 64, generator=generator))

    assert float(found.mean()) == pytest.approx(2, abs=0.02)
    assert float(found.std()) == pytest.approx(2 / 8, rel=0.05)


def test_lightly_agrees(lightly_losses):
    """Its NegativeCosineSimilarity is -cos, so each direction is 2 + 2 of it; value and gradient are the same."""
    generator = torch.Generator().manual_seed(0)
    predicted = torch.randn(2, 20, 8, generator=generator).requires_grad_()
    targets = torch.randn(2, 20, 8, generator=generator)
    ours = apart(predicted, targets).sum(dim=0).mean()
    cosine = lightly_losses.NegativeCosineSimilarity()
    theirs = 4 + 2 * (cosine(predicted[0], targets[0]) + cosine(predicted[1], targets[1]))

    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    slopes = [torch.autograd.grad(each, predicted, retain_graph=True)[0] for each in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-6)


def test_each_view_predicts_the_teachers_other_view(bench):
    """The targets are the teacher's projections in reversed order, and carry no gradient."""
    method = bench.build(BYOL, **SMALL).eval()
    predicted, targets = method.answers(bench.batch(), bench.streams())
    views = method.views(bench.batch(), bench.streams())
    first, second = (method.teacher_head(method.teacher(view).values.mean(dim=1)) for view in views.chunk(2))

    torch.testing.assert_close(targets, torch.stack([second, first]))
    assert predicted.requires_grad
    assert not targets.requires_grad


def test_gradient_reaches_the_student_and_never_the_teacher(bench, no_draw):
    """Encoder, projector and predictor learn from the loss."""
    method = bench.build(BYOL, **SMALL)
    method.loss(bench.batch(), no_draw, bench.streams()).total.backward()
    silent = {name for name, each in method.named_parameters() if each.grad is None or not each.grad.any()}
    teachers = {name for name, _ in method.named_parameters() if name.startswith("teacher")}

    assert teachers <= silent
    assert silent - teachers <= {"head.0.bias", "predictor.0.bias", "head.3.bias"}  # BatchNorm subtracts them


@pytest.mark.parametrize("steps", [50, 5000])
def test_the_teachers_start_fades_alike_in_short_and_long_runs(bench, steps):
    """exp(-1/(2h)) of its initial weights is left at the end: .7 % at a horizon of a tenth."""
    method = bench.build(BYOL, "linear", **SMALL, horizon=0.1)
    momenta = [method.momentum(Progress(step + 1, steps)) for step in range(steps)]

    assert momenta[0] == pytest.approx(1 - 1 / (0.1 * steps))
    assert momenta == sorted(momenta)
    assert momenta[-1] > 1 - 1e-2 / steps
    assert math.prod(momenta) == pytest.approx(math.exp(-5), rel=0.5 if steps == 50 else 0.02)


def test_the_teacher_moves_once_a_step_by_its_momentum(bench):
    """Each weight goes the same share of the way to the student's, heads included."""
    method = bench.build(BYOL, "linear", **SMALL, horizon=0.1)
    with torch.no_grad():
        for each in (*method.encoder.parameters(), *method.head.parameters()):
            each.add_(1.0)
    before = [each.clone() for each in (*method.teacher.parameters(), *method.teacher_head.parameters())]
    method.after_step(Progress(1, 100))  # m₀ = 1 - 1/10

    for was, now in zip(
        before, (*method.teacher.parameters(), *method.teacher_head.parameters()), strict=True
    ):
        torch.testing.assert_close(now, was + 0.1)
    assert method.health() == pytest.approx({"teacher_start_left": 0.9})


@pytest.mark.slow
def test_without_predictor_and_stopped_gradient_it_collapses(bench):
    """On a linear encoder: the published method keeps galaxies apart, its bare loss draws them together."""
    spreads = {}
    for kind in (BYOL, Bare):
        method = bench.train(bench.build(kind, "linear", **SMALL), 200)
        projected = method.head(method.encoder(bench.batch(64, 8).images).values[:, 0])
        spreads[kind.__name__] = bench.spread(projected)

    assert spreads["BYOL"] > 0.3
    assert spreads["Bare"] < 0.1


def test_either_may_be_scored(bench):
    """The student, as published, or its teacher."""
    student, teacher = bench.build(BYOL, **SMALL), bench.build(BYOL, judge="teacher", **SMALL)

    assert student.scored_encoder is student.encoder
    assert teacher.scored_encoder is teacher.teacher


def test_a_teacher_that_never_lets_go_of_its_start_is_refused(bench):
    """Beyond a tenth of the run more than 1 % of the untrained weights would be scored."""
    with pytest.raises(ConfigError, match=r"horizon=0\.5"):
        bench.build(BYOL, horizon=0.5)
