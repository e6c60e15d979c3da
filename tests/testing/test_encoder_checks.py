"""Each rule for encoders is broken once, by an encoder that breaks it."""

import pytest
import torch
from torch import nn

from astrojepa_bench.testing import checks_of
from astrojepa_bench.testing.templates.encoder import TemplateEncoder
from astrojepa_bench.types import Tokens


class Wider(TemplateEncoder):
    def __init__(self, spec):
        super().__init__(spec)
        self.dim += 4

    def forward(self, images, keep=None):
        self.dim -= 4
        tokens = super().forward(images, keep)
        self.dim += 4
        return tokens


class NoLast(TemplateEncoder):
    def taps(self, images):
        return {"mean": self(images).values.mean(dim=1)}


class Centred(TemplateEncoder):
    def forward(self, images, keep=None):
        tokens = super().forward(images, keep)
        return Tokens(tokens.values - tokens.values.mean(dim=0), tokens.positions)


class ThreeBands(TemplateEncoder):
    def __init__(self, spec):
        super().__init__(spec)
        self.enter = nn.Linear(3 * self.patch**2, self.dim)


class OneSize(TemplateEncoder):
    def forward(self, images, keep=None):
        if images.shape[-1] != self.spec.size_px:
            raise ValueError("another size")
        return super().forward(images, keep)


class Leaking(TemplateEncoder):
    def forward(self, images, keep=None):
        tokens = super().forward(images, keep)
        return Tokens(tokens.values + images.mean(dim=(1, 2, 3))[:, None, None], tokens.positions)


class Idle(TemplateEncoder):
    def __init__(self, spec):
        super().__init__(spec)
        self.spare = nn.Linear(4, 4)


class Forgetful(TemplateEncoder):
    def __init__(self, spec):
        super().__init__(spec)
        self.offset = torch.rand(())  # neither parameter nor buffer: no state dict holds it

    def forward(self, images, keep=None):
        tokens = super().forward(images, keep)
        return Tokens(tokens.values + self.offset, tokens.positions)


class Scribbling(TemplateEncoder):
    def forward(self, images, keep=None):
        return super().forward(images.sub_(0.1), keep)


class Registers(TemplateEncoder):
    """One class token, which is the mean of what is seen."""

    def forward(self, images, keep=None):
        tokens = super().forward(images, keep)
        return Tokens(tokens.values, tokens.positions, tokens.values.mean(dim=1, keepdim=True))


class Uneven(Registers):
    def forward(self, images, keep=None):
        tokens = super().forward(images, keep)
        return tokens if keep is None else Tokens(tokens.values, tokens.positions)


class Telling(Registers):
    def forward(self, images, keep=None):
        tokens = super().forward(images, keep)
        return Tokens(tokens.values, tokens.positions, tokens.extra + images.mean())


class Deep(Registers):
    """Two layers: what enters, and what leaves."""

    def layers(self, images, keep=None):
        output = self(images, keep)
        return Tokens(output.values / 2, output.positions), output


class Unfinished(Deep):
    def layers(self, images, keep=None):
        first, output = super().layers(images, keep)
        return first, Tokens(output.values * 2, output.positions, output.extra)


class Remembering(Deep):
    def layers(self, images, keep=None):
        first, output = super().layers(images, keep)
        return Tokens(first.values + images.mean(), first.positions), output


BROKEN = {
    "encoder-extra": (Uneven, "1 extra tokens of all patches, 0 of a few"),
    "encoder-layers": (Unfinished, "the last layer is not what forward returns"),
    "encoder-tokens": (Wider, "dim = 68"),
    "encoder-taps": (NoLast, "taps mean without 'last'"),
    "encoder-batch": (Centred, "a galaxy alone differs"),
    "encoder-bands": (ThreeBands, "raised RuntimeError"),
    "encoder-image-sizes": (OneSize, "another size"),
    "encoder-hidden": (Leaking, "hidden pixels leak"),
    "encoder-gradients": (Idle, "no gradient on spare.weight"),
    "encoder-state": (Forgetful, "gives other tokens"),
    "encoder-input": (Scribbling, "in place"),
}


def test_template_keeps_every_rule(outcomes):
    """What `new encoder` writes passes before anything is changed."""
    assert [str(outcome) for outcome in outcomes("encoder", TemplateEncoder).values() if outcome.fix] == []


class NoisyTaps(TemplateEncoder):
    def taps(self, images):
        return {name: values + torch.rand(()) for name, values in super().taps(images).items()}


class CentredTaps(TemplateEncoder):
    def taps(self, images):
        return {name: values - values.mean(dim=0) for name, values in super().taps(images).items()}


class TrainingTaps(TemplateEncoder):
    def taps(self, images):
        return self.train() and super().taps(images)


class WideTaps(TemplateEncoder):
    def taps(self, images):
        return {name: values.double() for name, values in super().taps(images).items()}


@pytest.mark.parametrize(
    ("check", "factory", "words"),
    [
        ("repeatable", NoisyTaps, "gave something else"),
        ("encoder-batch", CentredTaps, "in tap 'last'"),
        ("encoder-taps", TrainingTaps, "left it in training mode"),
        ("encoder-taps", WideTaps, "torch.float64; expected torch.float32"),
    ],
    ids=["random", "batch mates", "training mode", "double"],
)
def test_taps_are_examined_as_tokens_are(fault, check, factory, words):
    """They are what is scored."""
    assert words in fault("encoder", check, factory)


@pytest.mark.parametrize(
    ("check", "factory", "words"),
    [
        ("encoder-layers", Remembering, "hidden pixels leak into layer 0 of 2"),
        ("encoder-hidden", Telling, "leak into the extra tokens"),
    ],
)
def test_hidden_patches_are_looked_for_in_layers_and_extra_tokens(fault, check, factory, words):
    """They are read by evaluators and predicted by objectives, as the output is."""
    assert words in fault("encoder", check, factory)


def test_an_encoder_with_layers_and_a_class_token_keeps_the_rules(outcomes):
    """Whoever says what the role asks is not found fault with; whoever has none is not asked."""
    rules = ("encoder-extra", "encoder-layers", "encoder-hidden")

    assert [outcomes("encoder", Deep, rule)[rule].verdict for rule in rules] == ["passed"] * 3
    assert [outcomes("encoder", TemplateEncoder, rule)[rule].verdict for rule in rules[:2]] == ["skipped"] * 2


@pytest.mark.parametrize("check", BROKEN)
def test_check_finds_the_encoder_that_breaks_it(fault, check):
    """A rule that nothing can break is no rule."""
    factory, words = BROKEN[check]

    assert words in fault("encoder", check, factory)


def test_every_encoder_check_has_a_control():
    """A new check comes with an encoder that it finds."""
    assert {check.id for check in checks_of("encoder") if check.id.startswith("encoder-")} == set(BROKEN)
