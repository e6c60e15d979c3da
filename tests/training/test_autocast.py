"""What a loss is computed in: matrix products in bfloat16; attention and convolutions on a CPU in float32."""

import pytest
import torch
from torch.nn import functional as F

from astrojepa_bench.training.autocast import autocast_to


@pytest.fixture
def heads():
    """Queries, keys and values as a linear layer returns them under autocast."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(4, 2, 30, 16, generator=generator).bfloat16().requires_grad_() for _ in range(3)]


def attended(heads, **named):
    """Attend and pass a gradient back."""
    answer = F.scaled_dot_product_attention(*heads, **named)
    return answer, torch.autograd.grad(answer.float().square().sum(), heads)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_on_a_cpu_is_that_of_float32(heads, masked):
    """Rounded once, at the end, forward and backward; plain autocast rounds on the way."""
    mask = torch.rand(30, 30, generator=torch.Generator().manual_seed(1)) < 0.7
    named = {"attn_mask": mask} if masked else {}
    exact, slopes = attended([each.detach().float().requires_grad_() for each in heads], **named)
    with autocast_to("bf16", "cpu"):
        found, gradients = attended(heads, **named)
        assert F.linear(torch.zeros(1, 2), torch.zeros(3, 2)).dtype == torch.bfloat16
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, exact.bfloat16())
    for gradient, slope in zip(gradients, slopes, strict=True):
        torch.testing.assert_close(gradient.float(), slope, rtol=0.02, atol=0.02)


def test_arguments_by_name_are_taken_too(heads):
    """And what comes in float32 goes out so."""
    query, key, value = (each.float() for each in heads)
    with autocast_to("bf16", "cpu"):
        found = F.scaled_dot_product_attention(query=query, key=key, value=value)
    assert torch.equal(found, F.scaled_dot_product_attention(query, key, value))


def test_convolutions_of_small_maps_keep_finite_gradients():
    """As in float32; in bfloat16 the weight's gradient of maps of one pixel was NaN in some runs."""
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False)
    maps = torch.randn(16, 8, 1, 1, generator=generator)
    exact = torch.autograd.grad(layer(maps).square().sum(), layer.weight)[0]
    with autocast_to("bf16", "cpu"):
        answer = layer(maps)
    assert answer.dtype == torch.float32
    assert torch.equal(torch.autograd.grad(answer.square().sum(), layer.weight)[0], exact)


def test_float32_means_float32():
    """Whatever scope surrounds it, to the last bit."""
    a, b = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16), autocast_to("float32", "cpu"):
        assert torch.equal(a @ b, torch.mm(a, b))
        assert (a @ b).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")
