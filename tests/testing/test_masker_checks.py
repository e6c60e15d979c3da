"""Each rule for maskers is broken once, by a masker that breaks it."""

import pytest
import torch

from astrojepa_bench.geometry.grids import Masks
from astrojepa_bench.testing import checks_of
from astrojepa_bench.testing.templates.masker import TemplateMasker as Template


class Silent(Template):
    def draw(self, images, sizes, generator):
        return None


class TooFew(Template):
    def draw(self, images, sizes, generator):
        masks = super().draw(images, sizes, generator)
        return Masks(masks.context[:, 1:], masks.targets)


class OffTheGrid(Template):
    def draw(self, images, sizes, generator):
        masks = super().draw(images, sizes, generator)
        return Masks(masks.context + 1, masks.targets + self.grid.patches)


class Twice(Template):
    def draw(self, images, sizes, generator):
        masks = super().draw(images, sizes, generator)
        masks.context[:, 1] = masks.context[:, 0]
        return masks


class Seen(Template):
    def draw(self, images, sizes, generator):
        masks = super().draw(images, sizes, generator)
        masks.context[:, 0] = masks.targets[:, 0, 0]
        return masks


class Obliging(Template):
    def draw(self, images, sizes, generator):
        context = torch.zeros(len(images), sizes.context, dtype=torch.long)
        return Masks(context, torch.zeros(len(images), sizes.targets, sizes.target, dtype=torch.long))


class OneStream(Template):
    def draw(self, images, sizes, generator):
        return super().draw(images, sizes, torch.Generator().manual_seed(0))


class InStep(Template):
    def draw(self, images, sizes, generator):
        masks = super().draw(images[:1], sizes, generator)
        batch = len(images)
        return Masks(masks.context.expand(batch, -1), masks.targets.expand(batch, -1, -1))


class NeedsLight(Template):
    def draw(self, images, sizes, generator):
        light = self.grid.patch_means(images.mean(dim=1))
        torch.multinomial(light, 1, generator=generator)  # refuses weights of 0 and those that are no numbers
        return super().draw(images, sizes, generator)


class ThirdBand(Template):
    def draw(self, images, sizes, generator):
        assert images[:, 2].ndim == 3
        return super().draw(images, sizes, generator)


class Dimming(Template):
    def draw(self, images, sizes, generator):
        images.mul_(0.5)
        return super().draw(images, sizes, generator)


class Tiring(Template):
    def draw(self, images, sizes, generator, hint=None, progress=0.0):
        masks = super().draw(images, sizes, generator)
        return masks if progress < 1 else Masks(masks.context[:, 1:], masks.targets)


BROKEN = {
    "masker-guided": (Tiring, "no hint, progress 1: "),
    "masker-declares": (Silent, "hides = True, but draw returned None"),
    "masker-sizes": (TooFew, "asked for"),
    "masker-range": (OffTheGrid, "on a grid of 64 patches"),
    "masker-repeats": (Twice, "125 of 125 context sets repeat"),
    "masker-disjoint": (Seen, "125 of 125 images share a patch"),
    "masker-refuses": (Obliging, "were drawn on a grid of 64"),
    "masker-streams": (OneStream, "two streams gave the same masks"),
    "masker-independent": (InStep, "all images of a batch got the same masks"),
    "masker-edge-cases": (NeedsLight, "all-zero image"),
    "masker-bands": (ThirdBand, "IndexError"),
    "masker-input": (Dimming, "in place"),
}


def test_template_keeps_every_rule(outcomes):
    """What `new masker` writes passes before anything is changed."""
    assert [str(outcome) for outcome in outcomes("masker", Template).values() if outcome.fix] == []


@pytest.mark.parametrize("check", BROKEN)
def test_check_finds_the_masker_that_breaks_it(fault, check):
    """A rule that nothing can break is no rule."""
    factory, words = BROKEN[check]

    assert words in fault("masker", check, factory)


def test_every_masker_check_has_a_control():
    """A new check comes with a masker that it finds."""
    assert {check.id for check in checks_of("masker") if check.id.startswith("masker-")} == set(BROKEN)
