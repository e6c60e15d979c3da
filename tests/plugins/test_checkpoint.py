"""AstroJEPA's checkpoints answer here as they do in a module built from PyTorch's own layers alone."""

import pytest
import torch
from astrojepa_checkpoint import AstroJEPA
from astrojepa_vit import AstroJEPAViT
from torch import nn

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.geometry.grids import MaskSizes, PatchGrid
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.types import GalaxyBatch, ImageSpec

SPEC = ImageSpec(("z", "r", "g"), 32, (0.1, 0.2, 0.3), (0.29,) * 3)
WIDTH, HEADS, DEPTH, PREDICTOR_DEPTH = 24, 3, 2, 3


class Part(nn.Module):
    """Positions, PyTorch's encoder, a norm: one of the published model's three transformers."""

    def __init__(self, patches, depth):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.randn(1, patches, WIDTH))
        layer = nn.TransformerEncoderLayer(
            d_model=WIDTH, nhead=HEADS, dim_feedforward=4 * WIDTH, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, num_layers=depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)


class Original(nn.Module):
    """The published model as its key names and its description give it, with random weights."""

    def __init__(self, patches=16, patch=8):
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, patch, stride=patch)})
        self.context_encoder, self.target_encoder = Part(patches, DEPTH), Part(patches, DEPTH)
        self.predictor = Part(patches, PREDICTOR_DEPTH)
        self.mask_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        for parameter in self.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)  # layers of a stack start as clones

    def tokens(self, images):
        return self.patch_embed["proj"]((images - 0.5) / 0.5).flatten(2).transpose(1, 2)

    def target(self, images):
        part = self.target_encoder
        return part.norm(part.blocks(self.tokens(images) + part.pos_embed))

    def context(self, images, visible):
        part = self.context_encoder
        return part.norm(part.blocks(self.tokens(images) + part.pos_embed, src_key_padding_mask=~visible))

    def prediction(self, context, hidden):
        part = self.predictor
        asked = torch.where(hidden[..., None], self.mask_token, context) + part.pos_embed
        return part.norm(part.blocks(asked))


@pytest.fixture
def original():
    with scoped_global(0, "tests"):
        return Original().eval()


@pytest.fixture
def images():
    return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def checkpoint(original, tmp_path):
    path = tmp_path / "zoo.pth"
    torch.save({"model_state_dict": original.state_dict(), "epoch": 99, "config": {"num_heads": HEADS}}, path)
    return path


def imported(weights=None, spec=SPEC, **sizes):
    with scoped_global(1, "tests"):
        encoder = AstroJEPAViT(spec, patch=8, width=WIDTH, depth=DEPTH, heads=HEADS)
        options = {"depth": PREDICTOR_DEPTH, "heads": HEADS, "weights": weights, **sizes}
        return AstroJEPA(encoder, encoder.grid, 0, **options).eval()


def predicted(model, images, masks):
    batch = GalaxyBatch(images, torch.arange(len(images)), torch.full((len(images),), -1))
    return model.predict(batch, lambda images, sizes: masks, Streams(0, 0, torch.device("cpu")))


@torch.no_grad()
def test_latents_are_those_of_the_original(checkpoint, original, images):
    """The mean token of the target encoder, which is what AstroJEPA's notebooks call the latent."""
    latents = imported(checkpoint).scored_encoder.taps(images)["last"]

    assert torch.allclose(latents, original.target(images).mean(dim=1), atol=1e-5)
    assert latents.std() > 0.1  # not because both are constant


@torch.no_grad()
def test_predictions_are_those_of_the_original(checkpoint, original, images):
    """Context by key masks, predictor over all positions, one hidden block at a time."""
    from astrojepa_bench.geometry.grids import Masks

    context = torch.tensor([[0, 1, 2, 4, 5]]).repeat(5, 1)
    targets = torch.tensor([[[10, 11], [14, 15]]]).repeat(5, 1, 1)
    found = predicted(imported(checkpoint), images, Masks(context, targets))
    visible = torch.zeros(5, 16, dtype=torch.bool).scatter(1, context, True)
    seen = original.context(images, visible)

    for block in range(2):
        hidden = torch.zeros(5, 16, dtype=torch.bool).scatter(1, targets[:, block], True)
        expected = original.prediction(seen, hidden)[hidden].unflatten(0, (5, 2))
        assert torch.allclose(found.predicted[:, block], expected, atol=1e-5)
        assert torch.allclose(
            found.actual[:, block], original.target(images)[hidden].unflatten(0, (5, 2)), atol=1e-5
        )


@torch.no_grad()
def test_a_patch_outside_context_and_target_leaks_into_the_prediction(checkpoint, images):
    """The published masks hide only the block of the moment; an encoder that gathers would not move here."""
    from astrojepa_bench.geometry.grids import Masks

    masks = Masks(torch.tensor([[0, 1, 2]]).repeat(5, 1), torch.tensor([[[10]]]).repeat(5, 1, 1))
    model, other = imported(checkpoint), images.clone()
    other[..., 8:16, 24:] = 1 - other[..., 8:16, 24:]  # patch 7

    assert not torch.allclose(
        predicted(model, images, masks).predicted, predicted(model, other, masks).predicted, atol=1e-4
    )
    keep = masks.context
    assert torch.equal(model.encoder(images, keep).values, model.encoder(other, keep).values)


@torch.no_grad()
def test_gathered_patches_come_out_as_with_key_masks(checkpoint, original, images):
    """What cannot be attended to might as well not be there: the visible tokens are the same."""
    keep = torch.tensor([[3, 7, 8]]).repeat(5, 1)
    visible = torch.zeros(5, 16, dtype=torch.bool).scatter(1, keep, True)
    part = original.target_encoder
    expected = part.norm(part.blocks(original.tokens(images) + part.pos_embed, src_key_padding_mask=~visible))

    assert torch.allclose(
        imported(checkpoint).scored_encoder(images, keep).values,
        expected[visible].unflatten(0, (5, 3)),
        atol=1e-5,
    )


def test_published_sizes_have_the_published_parameters():
    """5,562,240 of them are trained in the small model and 25,290,240 in the large one, to the last."""

    def trained(width, depth, heads):
        spec = ImageSpec(("z", "r", "g"), 224, (0.5,) * 3, (0.3,) * 3)
        with torch.device("meta"):
            encoder = AstroJEPAViT(spec, width=width, depth=depth, heads=heads)
            model = AstroJEPA(encoder, encoder.grid, 10, depth=6, heads=heads)
        parts = (model.encoder, model.predictor)  # the context encoder is as large as the target encoder
        return sum(p.numel() for part in parts for p in part.parameters()) + model.mask_token.numel()

    assert trained(192, 6, 3) == 5_562_240
    assert trained(384, 8, 6) == 25_290_240


def test_published_sizes_of_masks():
    """On 14 x 14 patches the default blocks are 3 x 3, the mean of the published 2 to 4."""
    with torch.device("meta"):
        encoder = AstroJEPAViT(ImageSpec(("r",), 224, (0.5,), (0.3,)))
        sizes = AstroJEPA(encoder, encoder.grid, 0).sizes

    assert sizes == MaskSizes(context=53, targets=4, target=9)


def test_no_weights_are_told_before_anything_is_scored():
    """A random start would be scored as a published model."""
    with pytest.raises(ConfigError, match=r"objective\.weights=FILE\.pth"):
        _ = imported().scored_encoder


def test_checkpoint_of_another_size_is_refused(checkpoint):
    """Every tensor or an error: the message says which one does not fit."""
    larger = ImageSpec(SPEC.bands, 64, SPEC.mean, SPEC.std)
    with pytest.raises(DataError, match=r"zoo\.pth hold 'encoder\.body\.pos_embed' as \(1, 16, 24\)|hold"):
        imported(checkpoint, spec=larger)


def test_other_encoders_are_refused():
    """The objective is a whole model and cannot sit on another one's encoder."""
    from astrojepa_bench.encoders.vit import ViTMicro

    encoder = ViTMicro(SPEC, patch=8)
    with pytest.raises(ConfigError, match="use encoder 'astrojepa-vit'"):
        AstroJEPA(encoder, encoder.grid, 0)


@torch.no_grad()
def test_positions_follow_the_image_size():
    """A crop is encoded on its own grid; at the published size the table is used as it is."""
    with scoped_global(0, "tests"):
        encoder = AstroJEPAViT(SPEC, patch=8, width=WIDTH, depth=1, heads=HEADS).eval()
    ramp = torch.arange(4.0)[:, None, None].expand(4, 4, WIDTH)
    encoder.body.pos_embed.data = ramp.reshape(1, 16, WIDTH)
    larger = encoder._positions(64).unflatten(1, (8, 8))

    assert encoder._positions(32) is encoder.body.pos_embed
    assert encoder(torch.rand(2, 3, 24, 24)).values.shape == (2, 9, WIDTH)
    assert larger[0, 2:6, 0, 0].tolist() == pytest.approx([0.75, 1.25, 1.75, 2.25], abs=0.05)
    assert encoder.grid == PatchGrid(4, 4, 8)
