"""Linear layers through oneDNN: what torch computes, forward and backward, and torch itself wherever it must be."""

from contextlib import nullcontext

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from astrojepa_bench.training import linear_layers
from astrojepa_bench.training.linear_layers import LEAST_OPERATIONS, LinearByOneDNN, _Linear, formulas, linear

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")


class Marked(torch.Tensor):
    """A tensor that may mean something else by a product."""


def given(*rows, inside=96, outside=160, seed=0):
    """Inputs, weight and bias in float64, for the truth, and in float32."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((*rows, inside), (outside, inside), (outside,))
    wide = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [each.requires_grad_() for each in wide], [each.float().detach().requires_grad_() for each in wide]


def by_one_dnn(compute):
    """Run with the mode; tell whether oneDNN was asked."""
    answer = compute()
    return answer, "_Linear" in type(answer.grad_fn).__name__


@pytest.mark.parametrize(
    ("rows", "inside", "outside"), [((512,), 96, 160), ((8, 64), 160, 96), ((256, 3), 96, 96)]
)
def test_values_and_gradients_are_those_of_float64(rows, inside, outside):
    """Of input, weight and bias, for layers that widen and that narrow: an error of a few float32 digits."""
    wide, narrow = given(*rows, inside=inside, outside=outside)
    truth = F.linear(*wide)
    with LinearByOneDNN():
        found, asked = by_one_dnn(lambda: F.linear(*narrow))
    assert asked

    weights = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (truth * weights).sum().backward()
    (found * weights.float()).sum().backward()

    torch.testing.assert_close(found.double(), truth, rtol=1e-5, atol=1e-4)
    for mine, true in zip(narrow, wide, strict=True):
        torch.testing.assert_close(mine.grad.double(), true.grad, rtol=1e-4, atol=1e-3)
        assert mine.grad.shape == mine.shape
        assert mine.grad.is_contiguous()


def test_gradients_can_be_differentiated_again():
    """A penalty on gradients gets the gradient that torch gives it, and not silently none."""
    (_, narrow), (_, plain) = given(512), given(512)
    losses = []
    for tensors, compute in ((narrow, linear), (plain, F.linear)):
        inputs, weight, bias = tensors
        slope = torch.autograd.grad(compute(inputs, weight, bias).square().sum(), inputs, create_graph=True)[
            0
        ]
        slope.square().mean().backward()
        losses.append(weight.grad)
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-2)
    assert losses[0].abs().max() > 1


def test_a_transposed_input_and_a_frozen_weight():
    """Rows that do not lie one after the other are read right, and what needs no gradient gets none."""
    _, (inputs, weight, bias) = given(96, inside=512, outside=160)
    turned = inputs.detach().t()  # 512 rows of 96, column by column in memory
    narrow = weight.detach()[:, :96]
    with LinearByOneDNN():
        found = F.linear(turned, narrow, bias)
    torch.testing.assert_close(found, F.linear(turned, narrow, bias), rtol=1e-5, atol=1e-4)
    found.sum().backward()
    assert inputs.grad is None
    assert weight.grad is None
    assert bias.grad is not None


def test_equal_inputs_give_equal_bits():
    """Twice the same layer, forward and backward, on as many threads."""
    answers = []
    for _ in range(2):
        _, (inputs, weight, bias) = given(700)
        with LinearByOneDNN():
            F.linear(inputs, weight, bias).square().sum().backward()
        answers.append((inputs.grad, weight.grad, bias.grad))
    assert all(torch.equal(one, other) for one, other in zip(*answers, strict=True))


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit.script:FutureWarning", "ignore:.*torch.jit.script:DeprecationWarning"
)
@pytest.mark.parametrize(
    "case", ["small", "float64", "bfloat16", "autocast", "functional", "forward", "subclass", "off"]
)
def test_torch_computes_what_it_alone_can(case, monkeypatch):
    """Small layers, other types, autocast, transforms, dual numbers, other classes, no oneDNN."""
    _, (inputs, weight, bias) = given(512)
    monkeypatch.setattr(_Linear, "apply", lambda *_: pytest.fail("oneDNN was asked"))
    with LinearByOneDNN():
        if case == "small":
            rows = LEAST_OPERATIONS // weight.numel()
            F.linear(inputs[:rows], weight, bias)
        elif case in ("float64", "bfloat16"):
            F.linear(*(each.to(getattr(torch, case)) for each in (inputs, weight, bias)))
        elif case == "autocast":
            with torch.autocast("cpu", torch.bfloat16):
                assert F.linear(inputs, weight, bias).dtype == torch.bfloat16
        elif case == "functional":
            torch.func.vmap(lambda row: F.linear(row, weight, bias))(inputs.expand(2, -1, -1))
        elif case == "forward":
            with torch.autograd.forward_ad.dual_level():
                dual = torch.autograd.forward_ad.make_dual(inputs, torch.ones_like(inputs))
                slope = torch.autograd.forward_ad.unpack_dual(F.linear(dual, weight, bias)).tangent
            torch.testing.assert_close(slope[0], weight.sum(dim=1), rtol=1e-4, atol=1e-4)
        elif case == "subclass":
            F.linear(inputs.detach().as_subclass(Marked), weight, bias)
        else:
            monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
            F.linear(inputs, weight, bias)


def test_its_operations_are_counted_as_torch_counts_its_own():
    """Forward and backward: the arithmetic of an entry does not depend on who does it."""
    counts = []
    for mode in (nullcontext(), LinearByOneDNN()):
        _, (inputs, weight, bias) = given(8, 64)
        with FlopCounterMode(display=False, custom_mapping=formulas()) as counter, mode:
            F.linear(inputs, weight, bias).square().sum().backward()
        counts.append(counter.get_total_flops())
    assert counts == [3 * 2 * 8 * 64 * 96 * 160] * 2


def test_training_goes_through_it_and_learns_what_torch_learns(make_trainer, monkeypatch):
    """Every layer above the least size is oneDNN's; cost and first losses are those of torch's own layers."""
    monkeypatch.setattr(linear_layers, "LEAST_OPERATIONS", 2**14)  # these networks are small
    asked, product = [], linear_layers._product
    monkeypatch.setattr(
        linear_layers, "_product", lambda *given: asked.append(given[0].shape) or product(*given)
    )
    ours = make_trainer(steps=3).run()
    assert len(asked) > 3 * 20

    asked.clear()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    torchs = make_trainer(steps=3).run()
    assert not asked
    assert ours.cost == torchs.cost
    for (_, mine), (_, theirs) in zip(ours.state.curve, torchs.state.curve, strict=True):
        assert mine["total"] == pytest.approx(theirs["total"], rel=1e-4)
