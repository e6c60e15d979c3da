"""Models of timm as encoders: timm's own features, whatever the images, with weights from files alone."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from astrojepa_bench.encoders.timm_models import TimmEncoder
from astrojepa_bench.errors import ConfigError, ContractError, DataError
from astrojepa_bench.types import ImageSpec

ResNet = TimmEncoder.member("resnet10t")


def spec_of(bands=3, size_px=64):
    return ImageSpec(tuple("ugrizy"[:bands]), size_px, (0.2,) * bands, (0.1,) * bands)


def images_of(batch=2, bands=3, size_px=64):
    return torch.rand(batch, bands, size_px, size_px, generator=torch.Generator().manual_seed(0))


def file_of(path, bands=3, classes=7, seed=1):
    """Write what timm would: a whole model, classifier included."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = timm.create_model("resnet10t", num_classes=classes, in_chans=bands).eval()
    model.bn1.running_mean.fill_(0.3)
    torch.save(model.state_dict(), path)
    return model


@pytest.mark.parametrize("bands", [1, 5])
def test_features_are_timms_pooled_ones(bands):
    """One token an image: the global pool of timm's own model on normalised images, for any bands."""
    encoder = ResNet(spec_of(bands)).eval()
    images = images_of(bands=bands)
    with torch.no_grad():
        maps = encoder.model.forward_features((images - 0.2) / 0.1)
        torch.testing.assert_close(encoder(images).values[:, 0], maps.mean(dim=(2, 3)))
        torch.testing.assert_close(encoder.taps(images)["last"], maps.mean(dim=(2, 3)))
    assert encoder.dim == maps.shape[1]
    assert maps.shape[2:] == (2, 2)


@pytest.mark.parametrize("name", ["convnext_atto", "swin_tiny_patch4_window7_224", "mobilenetv3_small_050"])
def test_families_of_models_fit_small_images(name):
    """ConvNets, hierarchical transformers and models whose head widens the features take 64 px and five bands."""
    encoder = TimmEncoder.member(name)(spec_of(5)).eval()

    assert encoder.taps(images_of(bands=5))["last"].shape == (2, encoder.dim)
    assert encoder.training is False


def test_models_that_do_not_fit_are_refused():
    """A network that needs larger images says so in one line, and what to do."""
    with pytest.raises(ConfigError, match=r"inception_v4' cannot encode images of 64 px .*larger images"):
        TimmEncoder.member("inception_v4")(spec_of())


def test_crops_of_another_size_are_welcome():
    """A ConvNet reads views of half the side, as objectives without masks give it."""
    assert ResNet(spec_of()).eval()(images_of(size_px=32)).values.shape[1] == 1


def test_nothing_can_be_hidden():
    """Asking for some patches only is a contract broken, not a silent look at all of them."""
    with pytest.raises(ContractError, match="has no patches"):
        ResNet(spec_of()).eval()(images_of(), keep=torch.zeros(2, 1, dtype=torch.long))


def test_weights_of_timm_are_timms_features(tmp_path):
    """A file of a whole timm model gives that model's pooled features; its classifier is left out."""
    model = file_of(tmp_path / "w.pt")
    encoder = ResNet(spec_of(), weights=tmp_path / "w.pt").eval()
    with torch.no_grad():
        expected = model.forward_head(model.forward_features((images_of() - 0.2) / 0.1), pre_logits=True)
        torch.testing.assert_close(encoder.taps(images_of())["last"], expected)


def test_weights_go_out_and_come_back(tmp_path):
    """The timm form of an encoder starts another one with the same features."""
    first = ResNet(spec_of()).eval()
    first.as_timm().write(tmp_path / "w.safetensors")
    again = ResNet(spec_of(), weights=tmp_path / "w.safetensors").eval()

    torch.testing.assert_close(first.taps(images_of())["last"], again.taps(images_of())["last"])


def test_weights_for_other_bands_are_refused(tmp_path):
    """Weights for three bands do not fit five."""
    file_of(tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"read 3 bands in 'model\.conv1\.0\.weight', the images have 5"):
        ResNet(spec_of(5), weights=tmp_path / "w.pt")


def test_weights_of_another_model_are_refused(tmp_path):
    """Names that are missing and names that nobody knows are told."""
    save_file({"stem.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"lack model\.conv1.* and have unknown model\.stem\.weight"):
        ResNet(spec_of(), weights=tmp_path / "w.safetensors")


def test_unknown_model_names_the_nearest():
    """A misspelt model is answered with those it may have meant."""
    with pytest.raises(ConfigError, match=r"unknown timm model 'resnt18'; did you mean timm:resnet18"):
        TimmEncoder.member("resnt18")


def test_tag_of_pretrained_weights_is_refused():
    """`resnet18.a1_in1k` promises weights that would not be there."""
    with pytest.raises(ConfigError, match=r"nothing is downloaded; ask for timm:resnet18 .*weights=FILE"):
        TimmEncoder.member("resnet18.a1_in1k")


def test_normalisation_by_batch_statistics_ends_with_training():
    """In evaluation mode a galaxy's features do not depend on its neighbours in the batch; in training they do."""
    encoder = ResNet(spec_of())
    images = images_of(4)
    with torch.no_grad():
        assert not torch.allclose(encoder(images).values[:2], encoder(images[:2]).values, atol=1e-3)
        encoder.eval()
        torch.testing.assert_close(
            encoder(images).values[:2], encoder(images[:2]).values, atol=1e-5, rtol=1e-4
        )
