"""Public weights as timm holds them: frozen, they give timm's own features; as a start, training begins at them.

No hub is reached: the weights are random ones in models that timm made, as it would save the published ones.
"""

import re
from pathlib import Path

import pytest
import timm
import torch
from astrojepa_frozen import Frozen
from astrojepa_vit import AstroJEPAViT
from safetensors.torch import save_file
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import nn

from astrojepa_bench.encoders.ring_vit import RingViT
from astrojepa_bench.encoders.timm_models import TimmEncoder
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.component import Component
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.types import ImageSpec

MEAN, STD = (0.2, 0.3, 0.1), (0.1, 0.2, 0.3)
MODELS = {  # class token; registers without a class token; attention pool; ConvNets
    "test_vit": 1,
    "test_vit2": 1,
    "test_vit3": 1,
    "test_convnext": 0,
    "test_resnet": 0,
}
LARGE = {
    "vit_small_patch14_reg4_dinov2": (28, 5),
    "vit_small_patch16_dinov3": (32, 5),
    "convnext_nano": (32, 0),
}


def spec_of(size_px, bands=3):
    return ImageSpec(tuple("zrguy"[:bands]), size_px, (MEAN * 2)[:bands], (STD * 2)[:bands])


def images_of(size_px):
    return torch.rand(2, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))


def normalised(images):
    return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def made_by_timm(name, size_px, classes=7):
    """Make a model whose every tensor is random, so that none can be lost unseen."""
    sized = {"img_size": size_px} if "vit" in name else {}
    with scoped_global(1, "tests"):
        model = timm.create_model(name, num_classes=classes, **sized).eval()
        for value in model.parameters():
            nn.init.normal_(value, std=0.05)
    return model


def saved(state, path):
    state = {name: value.clone().contiguous() for name, value in state.items()}
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def encoder_of(name, size_px, **options):
    with scoped_global(2, "tests"):
        return TimmEncoder.member(name)(spec_of(size_px), **options)


def frozen(name, size_px, path):
    return Frozen(encoder_of(name, size_px), None, 0, weights=path).scored_encoder.eval()


@torch.no_grad()
def assert_same_features(encoder, model, size_px, extra):
    """Compare the pooled output, the tokens and those beside them with timm's."""
    images = images_of(size_px)
    tokens = model.forward_features(normalised(images))
    pooled = model.forward_head(tokens, pre_logits=True)
    taps = encoder.taps(images)

    torch.testing.assert_close(taps.get("pooled", taps["last"]), pooled, atol=1e-5, rtol=1e-5)
    if encoder.grid is not None:
        found = encoder(images)
        torch.testing.assert_close(found.extra, tokens[:, :extra], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.values, tokens[:, extra:], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(taps["last"], found.values.mean(dim=1))


@pytest.mark.parametrize(
    ("name", "file", "classes"),
    [*((name, "w.safetensors", 7) for name in MODELS), ("test_vit", "w.pt", 0), ("test_convnext", "w.pt", 0)],
)
def test_frozen_weights_give_timms_features(tmp_path, name, file, classes):
    """As safetensors with the classifier and as a torch state dict without it."""
    model = made_by_timm(name, 32, classes)
    path = saved(model.state_dict(), tmp_path / file)

    assert_same_features(frozen(name, 32, path), model, 32, MODELS[name])


def test_what_was_tried_is_what_the_page_says():
    """Models and image sizes of the table in docs/frozen.md are those of the two tests around this one."""
    page = (Path(__file__).parents[2] / "docs" / "frozen.md").read_text().partition("## 4.")[2]
    rows = re.findall(r"^\| (`[^|]*`) \| (\d+) px \| [^|]*(?:timm's|likewise)", page, re.M)
    told = {name: int(size) for names, size in rows for name in re.findall(r"`([^`]+)`", names)}

    assert told == {**dict.fromkeys(MODELS, 32), **{name: size for name, (size, _) in LARGE.items()}}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_published_architectures_give_timms_features(tmp_path, name):
    """DINOv2 with registers, DINOv3 with rotary positions, and a ConvNeXt as Zoobot's."""
    size_px, extra = LARGE[name]
    model = made_by_timm(name, size_px)
    path = saved(model.state_dict(), tmp_path / "w.safetensors")

    assert_same_features(frozen(name, size_px, path), model, size_px, extra)


@pytest.mark.parametrize("name", ["test_vit", "test_vit2"])
def test_a_start_from_another_image_size_interpolates_positions_as_timm_does(tmp_path, name):
    """A file for 64 px serves 32 px: timm's helper makes its table of 4 x 4 positions one of 2 x 2."""
    large, model = made_by_timm(name, 64), made_by_timm(name, 32)
    state = large.state_dict()
    extra = state["pos_embed"].shape[1] - 16
    table = resample_abs_pos_embed(state["pos_embed"], [2, 2], num_prefix_tokens=extra)
    model.load_state_dict({**state, "pos_embed": table})
    encoder = encoder_of(name, 32, weights=saved(state, tmp_path / "w.safetensors")).eval()

    assert not torch.equal(table[:, extra:], state["pos_embed"][:, extra : extra + 4])
    assert_same_features(encoder, model, 32, MODELS[name])


def test_the_authors_own_layout_of_dinov2_is_understood(tmp_path):
    """A mask token that no encoder has, and positions of the published size: timm translates them."""
    model = made_by_timm("test_vit", 32, classes=0)
    path = saved({**model.state_dict(), "mask_token": torch.zeros(1, 64)}, tmp_path / "w.pt")

    assert_same_features(frozen("test_vit", 32, path), model, 32, 1)


def test_training_starts_at_the_weights_of_the_file_in_every_family(tmp_path):
    """Our transformer, by rings too, and the zoo's: what is read from a start is what was written."""
    small = {"patch": 8, "width": 32, "depth": 2, "heads": 2}
    for make in (TokenViT, RingViT, AstroJEPAViT):
        axes = {"axes": 2} if make is RingViT else {}
        with scoped_global(1, "tests"):
            first = make(spec_of(32), **axes, **small).eval()
        path = saved(first.state_dict(), tmp_path / f"{make.__name__}.safetensors")
        again = make(spec_of(32), weights=path, **axes, **small).eval()

        assert torch.equal(first(images_of(32)).values, again(images_of(32)).values)


@pytest.mark.slow
def test_a_start_is_told_from_another_by_what_the_file_holds(tmp_path):
    """Two files of other content are two runs; one file in two places is one."""
    offer = load_registry().get("encoder", "timm:test_vit")

    def identity(name, seed):
        with scoped_global(seed, "tests"):
            model = timm.create_model("test_vit", num_classes=0, img_size=32)
        path = saved(model.state_dict(), tmp_path / name)
        return Component.of(offer, {"encoder": {"weights": str(path)}}).identifying()

    first, moved, other = (
        identity("a.safetensors", 1),
        identity("b.safetensors", 1),
        identity("a.safetensors", 2),
    )
    assert first["weights"] not in (None, "a.safetensors", other["weights"])
    assert first == moved


def test_rings_start_and_freeze_from_a_file_without_a_whitening(tmp_path):
    """A file of `vit-micro` is one: the whitening is fitted after training anyway."""
    small = {"width": 32, "depth": 2, "heads": 2}
    with scoped_global(1, "tests"):
        plain = TokenViT(spec_of(32), pooling="rings", **small).eval()
    path = saved(plain.state_dict(), tmp_path / "plain.pt")
    rings = Frozen(RingViT(spec_of(32), axes=2, **small), None, 0, weights=path).scored_encoder.eval()

    torch.testing.assert_close(rings.taps(images_of(32))["last"], plain.taps(images_of(32))["last"])


def test_the_zoos_encoder_starts_from_its_checkpoint_at_any_image_size(tmp_path):
    """The target encoder of a checkpoint is taken, its positions fitted by timm's helper, the rest left out."""
    small = {"patch": 8, "width": 32, "depth": 2, "heads": 2}
    with scoped_global(1, "tests"):
        source = AstroJEPAViT(spec_of(32), **small)
    published = {
        name.replace("embed.", "patch_embed.proj.", 1)
        if name.startswith("embed.")
        else f"target_encoder.{name[5:]}": value
        for name, value in source.state_dict().items()
    }
    others = {"context_encoder.norm.weight": torch.ones(32), "mask_token": torch.zeros(1, 1, 32)}
    path = saved({**published, **others}, tmp_path / "zoo.pth")
    same, larger = (AstroJEPAViT(spec_of(size), weights=path, **small) for size in (32, 64))
    table = resample_abs_pos_embed(source.body.pos_embed, [8, 8], num_prefix_tokens=0)

    assert torch.equal(same.eval()(images_of(32)).values, source.eval()(images_of(32)).values)
    assert torch.equal(larger.body.pos_embed, table)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("test_vit2", r"weights w\.pt lack .* and have unknown"),
        ("test_resnet", r"weights w\.pt lack .* and have unknown"),
    ],
)
def test_weights_of_another_model_are_refused_in_one_line(tmp_path, name, told):
    """Names that are missing, and names that nobody knows."""
    path = saved(made_by_timm("test_vit", 32).state_dict(), tmp_path / "w.pt")
    with pytest.raises(DataError, match=told) as refusal:
        frozen(name, 32, path)

    assert "\n" not in str(refusal.value)


def test_weights_for_other_bands_and_widths_are_refused(tmp_path):
    """Public encoders read three bands; the message says so."""
    path = saved(made_by_timm("test_vit", 32).state_dict(), tmp_path / "w.pt")
    with pytest.raises(
        DataError, match=r"read 3 bands in 'model\.patch_embed\.proj\.weight', the images have 5"
    ):
        TimmEncoder.member("test_vit")(spec_of(32, bands=5), weights=path)


def test_patches_that_do_not_tile_the_images_are_refused():
    """Fourteen pixels do not divide 32; what is left over would not be seen."""
    with pytest.raises(ConfigError, match=r"cannot encode images of 32 px .*divisible by patch size \(14\)"):
        encoder_of("eva02_tiny_patch14_224", 32)


@torch.no_grad()
def test_a_trained_transformer_of_timm_leaves_as_plain_timm(tmp_path):
    """The mean of its patch tokens, which is what objectives train, is the output of the exported model."""
    encoder = encoder_of("test_vit", 32).eval()
    encoder.as_timm().write(tmp_path / "w.safetensors")
    out = encoder.as_timm()
    model = timm.create_model(**out.arguments).eval()
    model.load_state_dict(out.state)

    torch.testing.assert_close(model(normalised(images_of(32))), encoder.taps(images_of(32))["last"])
    with pytest.raises(ConfigError, match="normalised behind its pool"):
        encoder_of("test_vit2", 32).as_timm()
