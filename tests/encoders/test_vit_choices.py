"""What is read from a transformer, and the forms in which its weights come and go."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from astrojepa_bench.encoders.pooling import pool
from astrojepa_bench.encoders.projected import Projected
from astrojepa_bench.encoders.vit import TokenViT, ViTBase, ViTMicro, ViTSmall, ViTTiny
from astrojepa_bench.encoders.vit_layout import from_timm
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.types import ImageSpec

SPEC = ImageSpec(("g", "r", "z"), 32, (0.2, 0.3, 0.1), (0.1, 0.2, 0.3))
IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small(seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = TokenViT(SPEC, **{"patch": 8, "width": 32, "depth": 3, "heads": 2, **options})
        for parameter in [] if "weights" in options else encoder.parameters():
            nn.init.normal_(parameter, std=0.3)  # norms and biases too, to be told from their start
    return encoder.eval()


@pytest.mark.parametrize(
    ("cls", "width", "depth", "heads", "patch"),
    [
        (ViTMicro, 96, 4, 4, 8),
        (ViTTiny, 192, 12, 3, 16),
        (ViTSmall, 384, 12, 6, 16),
        (ViTBase, 768, 12, 12, 16),
    ],
)
def test_sizes_are_those_that_are_published(cls, width, depth, heads, patch):
    """Blocks of four projections, a fourfold MLP and two norms, the patch embedding and the last norm."""
    with torch.device("meta"):
        encoder = cls(SPEC)
    count = sum(parameter.numel() for parameter in encoder.parameters())
    block = 12 * width**2 + 13 * width  # matrices; biases and norms

    assert count == depth * block + (3 * patch**2 + 1) * width + 2 * width
    assert (encoder.heads, encoder.dim) == (heads, width)


def test_last_block_by_number_is_the_last_by_default():
    """Reading after block `depth` and reading the last block are one thing."""
    for tap in ("last", "last4"):
        torch.testing.assert_close(small(layer=3).taps(IMAGES)[tap], small().taps(IMAGES)[tap])


def test_earlier_layer_is_a_shorter_encoder():
    """Reading after block 2 equals an encoder of the same weights that ends there."""
    deep, short = small(layer=2), small(depth=2)
    state = {name: value for name, value in deep.state_dict().items() if "blocks.2." not in name}
    short.load_state_dict(state)

    torch.testing.assert_close(deep.taps(IMAGES)["last"], short.taps(IMAGES)["last"])
    assert not torch.allclose(deep.taps(IMAGES)["last"], small().taps(IMAGES)["last"])


def test_later_blocks_are_trained_whatever_is_read():
    """The layer is a choice of the reader: the objective still sees the output of all blocks."""
    torch.testing.assert_close(small(layer=1)(IMAGES).values, small()(IMAGES).values)


@pytest.mark.parametrize("layer", [0, -1, 4])
def test_layer_that_is_not_there_is_refused(layer):
    """Blocks are counted from 1."""
    with pytest.raises(ConfigError, match=rf"layer={layer} is not one of 3 blocks; use 1 to 3"):
        small(layer=layer)


def test_pooling_is_of_the_output_tokens():
    """Tap `last` pools what `forward` gives, in each way; `last4` is as much wider."""
    tokens = small()(IMAGES).values
    for how in ("mean", "max", "both", "rings"):
        taps = small(pooling=how).taps(IMAGES)
        torch.testing.assert_close(taps["last"], pool(tokens, how, small().grid))
        assert taps["last4"].shape[1] == 4 * taps["last"].shape[1]


def test_projected_features_are_the_projectors_of_the_mean_token():
    """Behind the projector the tap is what the loss saw; tokens stay the encoder's own."""
    encoder, projector = small(), nn.Sequential(nn.Linear(32, 7), nn.BatchNorm1d(7)).eval()
    both = Projected(encoder, projector).eval()

    torch.testing.assert_close(both.taps(IMAGES)["last"], projector(encoder(IMAGES).values.mean(dim=1)))
    torch.testing.assert_close(both(IMAGES).values, encoder(IMAGES).values)
    assert (both.spec, both.grid, both.dim) == (encoder.spec, encoder.grid, encoder.dim)


def as_timm(encoder):
    model = encoder.as_timm()
    plain = timm.create_model(**model.arguments).eval()
    plain.load_state_dict(model.state)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (model.mean, model.std))
    return plain((IMAGES - mean) / std)


@pytest.mark.parametrize("options", [{}, {"layer": 2}, {"pooling": "max"}, {"patch": 4, "heads": 4}])
def test_timms_transformer_computes_the_same_features(options):
    """An independent implementation, given our tensors, agrees with tap `last`."""
    with torch.no_grad():
        torch.testing.assert_close(
            as_timm(small(**options)), small(**options).taps(IMAGES)["last"], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("pooling", ["both", "rings"])
def test_what_timm_cannot_pool_is_said(pooling):
    """Only mean and maximum have a timm form."""
    with pytest.raises(ConfigError, match=f"has no '{pooling}'; set encoder.pooling=mean"):
        small(pooling=pooling).as_timm()


def test_weights_come_back_from_timms_names(tmp_path):
    """What was written for timm starts our transformer with the same features."""
    small(seed=1).as_timm().write(tmp_path / "w.safetensors")
    encoder = small(weights=tmp_path / "w.safetensors")

    torch.testing.assert_close(encoder.taps(IMAGES)["last"], small(seed=1).taps(IMAGES)["last"])


def test_weights_come_back_from_our_names(tmp_path):
    """Our own state dict brings its normalisation with it."""
    torch.save({**small(seed=1).state_dict(), "mean": torch.full((1, 3, 1, 1), 0.5)}, tmp_path / "w.pt")

    assert small(weights=tmp_path / "w.pt").mean.unique().tolist() == [0.5]


def test_learned_positions_are_refused(tmp_path):
    """Positions that are not the fixed ones cannot be dropped in silence."""
    state = {name: value.contiguous() for name, value in small().as_timm().state.items()}
    save_file({**state, "pos_embed": torch.randn(1, 16, 32)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="unknown pos_embed"):
        small(weights=tmp_path / "w.safetensors")


def test_timms_names_without_positions_are_understood():
    """A file may leave positions out, and a table of another form keeps its name, to be refused later."""
    plain = {"patch_embed.proj.weight": torch.zeros(8, 3, 2, 2), "patch_embed.proj.bias": torch.zeros(8)}

    assert set(from_timm(plain)) == {"embed.weight", "embed.bias"}
    for shape in ((16, 8), (1, 16, 6), (1, 15, 8)):
        assert "pos_embed" in from_timm({**plain, "pos_embed": torch.zeros(shape)})
