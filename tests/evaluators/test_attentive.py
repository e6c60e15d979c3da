"""A query that looks at patches: what it finds where the mean hides it, and what it equals elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.evaluators import attentive
from astrojepa_bench.evaluators.attentive import Attentive
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.probes.attention import AttentionPool, TokenScaling
from astrojepa_bench.types import Tokens

TOKENS, DIM = 16, 8


def with_tokens(make_answers, draw, counts=(800, 300, 600)):
    """Draw tokens (galaxy, token, dim) and classes; the pooled features are the tokens' mean."""
    drawn = [draw(np.random.default_rng(seed), count) for seed, count in enumerate(counts)]
    found = make_answers(*[(tokens.mean(axis=1), label) for tokens, label in drawn], classes=3)
    parts = [found.train, found.val, found.test]
    known = {
        name: torch.as_tensor(row).float()
        for part, (tokens, _) in zip(parts, drawn, strict=True)
        for name, row in zip(part.ids.tolist(), tokens, strict=True)
    }

    def encode(ids):
        values = torch.stack([known[name] for name in ids.tolist()])
        return Tokens(values, torch.arange(values.shape[1]).expand(len(ids), -1))

    return replace(found, encode_tokens=encode)


def needle(stream, count):
    """Mark one token of each galaxy, anywhere, that bears the class; the others bear noise and no mark."""
    label, place = stream.integers(0, 3, count), stream.integers(0, TOKENS, count)
    tokens = stream.normal(size=(count, TOKENS, DIM))
    tokens[:, :, 0] = 0.3 * stream.normal(size=(count, TOKENS))
    tokens[np.arange(count), place, 0] = 4.0
    tokens[np.arange(count), place, 1:4] = 2.0 * np.eye(3)[label]
    return tokens, label


def everywhere(stream, count):
    """Give every token of a galaxy the same overlapping cloud."""
    label = stream.integers(0, 3, count)
    centres = 1.2 * np.eye(DIM)[:3]
    features = centres[label] + stream.normal(size=(count, DIM))
    return np.repeat(features[:, None], TOKENS, axis=1), label


def accuracy_of(found):
    """Read the first score."""
    return found.scores[0].value


@pytest.mark.slow
def test_the_informative_token_is_found_where_the_mean_hides_it(make_answers):
    """One token of sixteen, anywhere: a linear probe of the mean sees a sixteenth of it among noise."""
    features = with_tokens(make_answers, needle)
    found = Attentive().evaluate(features)

    assert accuracy_of(found) > 0.97
    assert accuracy_of(Linear().evaluate(features)) < 0.65


@pytest.mark.slow
def test_tokens_that_are_equal_everywhere_are_read_as_the_linear_probe_reads_them(make_answers):
    """There is nothing to choose, so both stand within the error of one test set."""
    features = with_tokens(make_answers, everywhere)
    found, linear = Attentive().evaluate(features), Linear().evaluate(features)

    assert 0.5 < accuracy_of(linear) < 0.85
    assert abs(accuracy_of(found) - accuracy_of(linear)) < 2 * linear.scores[0].item_se


def test_the_pool_is_cross_attention_of_one_query(make_answers):
    """Against torch's own multi-head attention, whose query and key weights are merged into one vector a head."""
    heads, width = 2, DIM // 2
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        theirs = nn.MultiheadAttention(DIM, heads, bias=False, batch_first=True)
        query, tokens = torch.randn(1, 1, DIM), torch.randn(5, TOKENS, DIM)
    ours = AttentionPool(DIM, 3, heads)
    of_query, of_key, of_value = theirs.in_proj_weight.detach().split(DIM)
    with torch.no_grad():
        theirs.out_proj.weight.copy_(torch.eye(DIM))
        for head in range(heads):
            rows = slice(head * width, (head + 1) * width)
            ours.query[:, head] = of_key[rows].T @ (of_query[rows] @ query[0, 0]) / width**0.5
            ours.value[head] = of_value[rows].T
        pooled = theirs(query.expand(5, -1, -1), tokens, tokens)[0][:, 0]
        ours.head.weight.copy_(torch.eye(3, DIM))

        assert torch.allclose(ours(tokens), ours.norm(pooled)[:, :3], atol=1e-5)


def test_scaling_is_numpys_over_all_tokens():
    """Streamed in parts, with a feature that never changes."""
    tokens = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4, 3))
    tokens[..., 2] = 7.0
    found = TokenScaling.fit(iter(torch.as_tensor(tokens).float().split(20)))

    assert found.mean.numpy() == pytest.approx(tokens.mean(axis=(0, 1)), abs=1e-5)
    assert found.std.numpy()[:2] == pytest.approx(tokens.std(axis=(0, 1))[:2], rel=1e-5)
    assert found.std[2] == 1


def test_tokens_that_do_not_fit_into_memory_are_encoded_again_with_the_same_answer(make_answers, monkeypatch):
    """What is kept is a matter of time, not of numbers."""
    monkeypatch.setattr(attentive, "RATES", (3e-3,))
    features = with_tokens(make_answers, needle, (60, 30, 30))
    kept = Attentive(epochs=2).evaluate(features)
    monkeypatch.setattr(attentive, "HELD_BYTES", 0)
    again = Attentive(epochs=2).evaluate(features)

    assert kept.scores == again.scores
    assert kept.selection == again.selection


def test_tokens_that_are_not_there_or_not_finite_are_refused(make_answers):
    """A probe of NaN would name the first class."""
    features = with_tokens(make_answers, everywhere, (9, 9, 9))
    encode = features.encode_tokens

    def broken(ids):
        found = encode(ids)
        return Tokens(found.values * torch.nan, found.positions)

    with pytest.raises(ContractError, match="tokens of train are not finite"):
        Attentive().evaluate(replace(features, encode_tokens=broken))
    with pytest.raises(DataError, match="no patch tokens"):
        Attentive().evaluate(replace(features, encode_tokens=None))
