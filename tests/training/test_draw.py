"""Masks for an objective: of the sizes asked for, or an error that says who is to blame."""

import pytest
import torch
from astrojepa_random import NoMasks, RandomPatches

from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid
from astrojepa_bench.roles import Encoder, Masker, Objective
from astrojepa_bench.streams import Streams
from astrojepa_bench.training.draw import MaskDraw

GRID = PatchGrid(4, 4, 8)
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Untouched(Masker):
    """Fails the test as soon as it is asked."""

    def draw(self, images, sizes, generator):
        raise AssertionError("asked for sizes that the grid cannot hold")


class Forgetful(Masker):
    """Hides, so it says, and returns nothing."""

    def draw(self, images, sizes, generator):
        return None


class Repeats(Masker):
    """Shows one patch twice."""

    def draw(self, images, sizes, generator):
        return Masks(torch.zeros(2, 2, dtype=torch.long), torch.empty(2, 0, 0, dtype=torch.long))


def streams():
    return Streams(0, 0, torch.device("cpu"))


def test_draws_follow_one_stream_of_the_step():
    """Two draws of one step differ, and are those of the stream `masks`."""
    draw, generator = MaskDraw(RandomPatches(GRID), streams()), streams().local("masks")
    sizes = MaskSizes(4, 1, 4)
    first, second = draw(IMAGES, sizes), draw(IMAGES, sizes)

    assert draw.hides
    assert torch.equal(first.context, RandomPatches(GRID).draw(IMAGES, sizes, generator).context)
    assert not torch.equal(first.context, second.context)


def test_sizes_are_refused_before_the_masker_is_asked():
    """A masker may rely on the grid holding what it is asked for."""
    with pytest.raises(ConfigError, match="do not fit a grid of 4x4"):
        MaskDraw(Untouched(GRID), streams())(IMAGES, MaskSizes(10, 2, 4))


def test_no_masks_is_an_error_that_names_the_masker():
    """An objective that asks although there are none is told by whom, and never gets None."""
    nobody, blind = MaskDraw(None, streams()), MaskDraw(NoMasks(GRID), streams())

    assert not nobody.hides
    assert not blind.hides
    with pytest.raises(ConfigError, match=r"its encoder has no patches"):
        nobody(IMAGES, MaskSizes(4))
    with pytest.raises(ConfigError, match=r"NoMasks \(plugin astrojepa_random\) hands out none"):
        blind(IMAGES, MaskSizes(4))


def test_a_masker_that_breaks_its_word_is_named():
    """None from a masker that hides, and masks that repeat a patch where they are validated."""
    with pytest.raises(ContractError, match=r"Forgetful .* returned NoneType"):
        MaskDraw(Forgetful(GRID), streams())(IMAGES, MaskSizes(4))
    with pytest.raises(ContractError, match="twice"):
        MaskDraw(Repeats(GRID), streams())(IMAGES, MaskSizes(2))


class Needy(Objective):
    masks = "required"

    def loss(self, batch, draw, streams): ...


class Choosy(Needy):
    masks = "optional"


class Flat(Encoder):
    grid = None

    def forward(self, images, keep=None): ...


@pytest.mark.parametrize(
    ("objective", "encoder", "masker", "reason"),
    [
        (Needy, Encoder, RandomPatches, None),
        (Needy, Encoder, NoMasks, "the masker hands out none"),
        (Needy, Flat, NoMasks, "the encoder has none"),
        (Choosy, Encoder, NoMasks, None),
        (Choosy, Flat, NoMasks, None),
        (Choosy, Flat, RandomPatches, "use masker 'none'"),
    ],
)
def test_what_cannot_run_says_why(objective, encoder, masker, reason):
    """Known from the classes alone, before anything is built."""
    found = objective.skip(encoder, masker)

    assert found == reason if reason is None else reason in found
