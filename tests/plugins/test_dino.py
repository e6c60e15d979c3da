"""DINO: the cross-entropy by hand and against lightly; schedules; centring is what keeps prototypes in use."""

import math

import pytest
import torch
from astrojepa_dino import DINO, cross_entropy, entropies, takes
from torch.nn import functional as F

from astrojepa_bench.encoders.timm_models import TimmEncoder
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.types import Progress

SMALL = {"outputs": 32, "hidden": 48, "bottleneck": 16}


def assignments(views, galaxies=12, outputs=32, seed=0):
    return torch.randn(views, galaxies, outputs, generator=torch.Generator().manual_seed(seed)).softmax(
        dim=-1
    )


def shapes_encoded(method, bench, no_draw):
    """List views times galaxies and image side of whatever student and teacher are given."""
    seen = {"student": [], "teacher": []}
    for name, encoder in (("student", method.encoder), ("teacher", method.teacher)):
        encoder.register_forward_hook(
            lambda _m, given, _t, n=name: seen[n].append((len(given[0]), given[0].shape[-1]))
        )
    method.loss(bench.batch(), no_draw, bench.streams()).total.backward()
    return seen


def test_equal_assignments_cost_their_entropy():
    """A student that answers as its teacher does pays nothing beyond what the teacher leaves open."""
    same = assignments(1).expand(2, -1, -1)
    expected = torch.special.entr(same).sum(dim=-1).mean()

    torch.testing.assert_close(cross_entropy(same, same.log()), expected)
    assert float(entropies(same)[0]) == pytest.approx(float(expected))


def test_uniform_answers_cost_log_k_whatever_the_teacher_says():
    """Collapsed and at the start alike."""
    uniform = torch.full((3, 12, 32), -math.log(32))

    assert float(cross_entropy(assignments(2), uniform)) == pytest.approx(math.log(32), rel=1e-5)
    assert entropies(uniform[:2].exp()).tolist() == pytest.approx([math.log(32)] * 2, rel=1e-5)


def test_a_view_is_never_compared_with_itself():
    """Of 2 x 4 pairs the two on the diagonal are left out; each of the others counts the same."""
    taught, answers = assignments(2), assignments(4, seed=1).log()
    pairs = [-(taught[t] * answers[v]).sum(dim=-1).mean() for t in range(2) for v in range(4) if t != v]

    torch.testing.assert_close(cross_entropy(taught, answers), torch.stack(pairs).mean())


def test_entropies_tell_the_two_collapses_apart():
    """One prototype for all: 0 and 0. One each, all in use: 0 and log K."""
    one, each = torch.eye(32)[torch.zeros(32, dtype=torch.long)], torch.eye(32)

    assert entropies(one[None]).tolist() == [0, 0]
    assert entropies(each[None]).tolist() == pytest.approx([0, math.log(32)], rel=1e-5)


def test_lightly_agrees(lightly_losses, bench):
    """Its DINOLoss centres, sharpens and averages alike, and moves its centre as ours moves at that memory."""
    numbers = torch.Generator().manual_seed(0)
    method = bench.build(DINO, "linear", centre_horizon=0.1, **SMALL)
    theirs = lightly_losses.DINOLoss(output_dim=32, center_momentum=0.9)
    for _ in range(3):
        taught, student = torch.randn(2, 12, 32, generator=numbers), torch.randn(5, 12, 32, generator=numbers)
        ours = cross_entropy(method.assigned(taught, 0.5), F.log_softmax(student / 0.1, dim=-1))
        expected = theirs(list(taught), list(student), teacher_temp=0.07)
        method.unseen.append(taught.mean(dim=(0, 1)))
        method.after_step(Progress(1, 100))  # a memory of ten steps

        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(method.centre, theirs.center.flatten(), rtol=1e-5, atol=1e-6)


def test_teacher_temperature_rises_over_the_first_part_of_the_run(bench):
    """From .04 to .07 over 30 % of it, then it stays: the sharpest logit tells."""
    method = bench.build(DINO, "linear", **SMALL)
    taught = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(0))
    for progress, temperature in ((0.0, 0.04), (0.15, 0.055), (0.3, 0.07), (1.0, 0.07)):
        torch.testing.assert_close(method.assigned(taught, progress), (taught / temperature).softmax(dim=-1))


def test_what_equals_the_centre_is_uniform(bench):
    """Outputs that all galaxies share say nothing."""
    method = bench.build(DINO, "linear", **SMALL)
    method.centre.copy_(torch.linspace(0, 1, 32))

    torch.testing.assert_close(
        method.assigned(method.centre.expand(2, 3, -1), 0.0), torch.full((2, 3, 32), 1 / 32)
    )


def test_prototypes_have_unit_length_and_outputs_are_cosines(bench):
    """However long the weights are."""
    head = bench.build(DINO, **SMALL).head
    values = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    before = head(values)
    with torch.no_grad():
        head.prototypes.weight.mul_(7)

    torch.testing.assert_close(head(values), before)
    assert float(before.detach().abs().max()) <= 1


def test_the_last_layer_rests_at_first(bench, no_draw):
    """Over the first hundredth of the run, one step at least, it has no gradient and so no decay either."""
    method = bench.build(DINO, **SMALL)
    rested = []
    for step in (2, 3):
        method.loss(bench.batch(), no_draw, bench.streams()).total.backward()
        method.before_step(Progress(step, 200))
        rested.append(method.head.prototypes.weight.grad is None)
        method.zero_grad()
    awake = bench.build(DINO, frozen=0.0, **SMALL)
    awake.loss(bench.batch(), no_draw, bench.streams()).total.backward()
    awake.before_step(Progress(1, 200))

    assert rested == [True, False]
    assert awake.head.prototypes.weight.grad is not None


def test_the_teacher_sees_global_views_only_and_gets_no_gradient(bench, no_draw):
    """Two views of the whole image for both, and local views of half the side for the student alone."""
    method = bench.build(DINO, **SMALL)

    assert shapes_encoded(method, bench, no_draw) == {"student": [(48, 32), (96, 16)], "teacher": [(48, 32)]}
    assert all(
        each.grad is None for each in (*method.teacher.parameters(), *method.teacher_head.parameters())
    )
    assert all(each.grad is not None for each in (*method.encoder.parameters(), *method.head.parameters()))


def test_an_encoder_of_one_size_sees_local_views_nearer(bench, no_draw):
    """A linear encoder of 8 px takes no 4 px: its local views have 8 px and show as little of the sky."""
    method = bench.build(DINO, "linear", local_views=3, **SMALL)
    given = bench.batch(24, 8)
    sides = []
    method.encoder.register_forward_hook(lambda _m, images, _t: sides.append(tuple(images[0].shape)))
    method.loss(given, no_draw, bench.streams())

    assert method.local_px == 8
    assert sides == [(48, 3, 8, 8), (72, 3, 8, 8)]


def test_trying_a_size_leaves_a_convnet_as_it_was(bench):
    """Neither its mode nor its running statistics move."""
    encoder = TimmEncoder.member("test_resnet")(bench.spec)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}

    assert takes(encoder, 16)
    assert encoder.training
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_without_local_views_two_views_are_enough(bench, no_draw):
    """Then a step costs two passes of each."""
    method = bench.build(DINO, local_views=0, **SMALL)
    assert shapes_encoded(method, bench, no_draw)["student"] == [(48, 32)]


def test_what_is_predicted_are_roots_of_assignments(bench, no_draw):
    """Their squares sum to 1, so their squared distance is Hellinger's; one block a direction."""
    found = bench.build(DINO, **SMALL).eval().predict(bench.batch(), no_draw, bench.streams())

    assert found.predicted.shape == (24, 2, 1, 32)
    for each in (found.predicted, found.actual):
        torch.testing.assert_close(each.square().sum(dim=-1), torch.ones(24, 2, 1))


@pytest.mark.slow
def test_without_centring_one_prototype_takes_all_galaxies(bench):
    """Sharpening alone ends at one prototype; centring keeps all of them in use."""
    health = {}
    for name, horizon in (("centred", 0.004), ("not", math.inf)):
        method = bench.build(DINO, "linear", local_views=2, centre_horizon=horizon, **SMALL)
        health[name] = bench.train(method, 200).health()

    assert health["centred"]["teacher_mean_entropy"] > 0.7
    assert health["not"]["teacher_mean_entropy"] < 0.1
    assert health["not"]["centre_norm"] == 0


def test_the_teacher_is_scored_unless_the_student_is_asked_for(bench):
    """As published."""
    method, student = bench.build(DINO, **SMALL), bench.build(DINO, judge="student", **SMALL)

    assert method.scored_encoder is method.teacher
    assert student.scored_encoder is student.encoder


@pytest.mark.parametrize(
    "wrong",
    [
        {"local_views": -1},
        {"student_temperature": 0.0},
        {"teacher_temperature": (0.04, 0.0)},
        {"centre_horizon": 0.0},
    ],
)
def test_impossible_options_are_refused(bench, wrong):
    """Temperatures and horizons are above 0, and views are counted from 0."""
    with pytest.raises(ConfigError, match="expected 0 or more local views"):
        bench.build(DINO, **wrong)
