"""Masks for an objective: of the sizes asked for, or an error that says who is to blame."""

from dataclasses import replace

import pytest
import torch
from astrojepa_random import NoMasks, RandomPatches
from torch.utils._python_dispatch import TorchDispatchMode

from astrojepa_bench.border import blamed_on, owned, owner_of
from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid
from astrojepa_bench.options import Offer
from astrojepa_bench.roles import Encoder, Masker, Objective
from astrojepa_bench.streams import Streams
from astrojepa_bench.training.draw import MaskDraw, UnreadMasks


class HostReads(TorchDispatchMode):
    """Counts how often a value is read from the device, each of which holds a GPU up."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


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


# --- masks of every draw --------------------------------------------------------------------------------------


class Late(RandomPatches):
    """Draws sound masks, and from the draw `sound` on whatever `spoil` makes of them."""

    def __init__(self, grid, spoil, sound=0):
        super().__init__(grid)
        self.spoil, self.left = spoil, sound

    def draw(self, images, sizes, generator):
        masks = super().draw(images, sizes, generator)
        self.left -= 1
        return masks if self.left >= 0 else self.spoil(masks)


def overlapping(masks):
    masks.targets[0, 0, 0] = masks.context[0, 0]
    return masks


def beyond(masks):
    masks.targets[1, 0, 1] = 16
    return masks


def negative(masks):
    masks.context[1, 0] = -1
    return masks


def repeated(masks):
    masks.targets[1, 0, 1] = masks.targets[1, 0, 0]
    return masks


FAULTS = {
    overlapping: "both context and target",
    beyond: r"patch index 0?\d?..16 on a grid of 0..15",
    negative: r"patch index -1",
    repeated: "appears twice",
    lambda masks: Masks(masks.context[:, 1:], masks.targets): r"masks of sizes \(3, 1, 4\)",
    lambda masks: Masks(masks.context[:1], masks.targets[:1]): "masks of 1 images on cpu; expected 2",
    lambda masks: masks.context: "returned Tensor; expected Masks",
}
OFFER = Offer("masker", "late", Late, "hostile", "hostile", "", "", ())


@pytest.mark.parametrize(("spoil", "found"), FAULTS.items())
def test_masks_of_every_draw_are_checked_and_blamed_on_the_masker(spoil, found):
    """Whatever the objective does around the draw, and however many draws were sound."""
    draw, sizes = MaskDraw(owned(Late(GRID, spoil, sound=3), OFFER), streams()), MaskSizes(4, 1, 4)
    for _ in range(3):
        draw(IMAGES, sizes)
    with pytest.raises(ContractError, match=found) as caught, blamed_on(replace(OFFER, kind="objective")):
        draw(IMAGES, sizes)
    assert owner_of(caught.value) is OFFER


@pytest.mark.parametrize("spoil", [overlapping, beyond, negative, repeated])
def test_masks_that_are_read_late_are_checked_all_the_same(spoil):
    """Nothing is read in a draw, no index leaves the grid, and the reading names the first step at fault."""
    unread, masker, sizes = UnreadMasks(), owned(Late(GRID, spoil, sound=12), OFFER), MaskSizes(4, 1, 4)
    given = []
    for step in range(10):
        draw = MaskDraw(masker, Streams(0, step, torch.device("cpu")), unread=unread)
        with HostReads() as reads:
            given += [draw(IMAGES, sizes), draw(IMAGES, MaskSizes(4))] if step < 4 else [draw(IMAGES, sizes)]
        assert reads.count == 0
    with pytest.raises(ContractError, match="draw of step 8: ") as caught:
        unread.read(masker)

    assert owner_of(caught.value) is OFFER
    assert not unread.drawn
    assert all(0 <= int(each.min()) <= int(each.max()) < 16 for masks in given for each in (masks.context,))
    assert all(
        0 <= int(masks.targets.min()) <= int(masks.targets.max()) < 16
        for masks in given
        if masks.targets.numel()
    )


def test_sound_masks_are_read_once_for_many_steps():
    """One value for all draws of ten steps, of whatever sizes; and they are the masks that were drawn."""
    unread, masker, other = UnreadMasks(), RandomPatches(GRID), UnreadMasks()
    for step in range(10):
        for sizes in (MaskSizes(4, 1, 4), MaskSizes(5)):
            now = MaskDraw(masker, Streams(0, step, torch.device("cpu")))(IMAGES, sizes)
            late = MaskDraw(masker, Streams(0, step, torch.device("cpu")), unread=unread)(IMAGES, sizes)
            assert torch.equal(now.context, late.context)
            assert torch.equal(now.targets, late.targets)
    with HostReads() as reads:
        unread.read(masker)
        other.read(masker)

    assert reads.count == 1


@pytest.mark.parametrize(
    ("context", "targets"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 1, 3, dtype=torch.long)),
        (torch.zeros(2, 3, dtype=torch.int32), torch.zeros(2, 1, 3, dtype=torch.long)),
        (torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3, dtype=torch.long)),
        (torch.zeros(2, 3, dtype=torch.long), torch.zeros(1, 1, 3, dtype=torch.long)),
    ],
)
def test_masks_are_whole_numbers_of_one_batch(context, targets):
    """Which is seen without reading a value, where they are made."""
    masks = object.__new__(Masks)  # as plugins make them, whose calls nothing checks against the annotations
    object.__setattr__(masks, "context", context)
    object.__setattr__(masks, "targets", targets)
    with pytest.raises(ContractError, match="expected"):
        masks.__post_init__()


class Attentive(RandomPatches):
    """Notes what it is told besides images and sizes; it takes hints and knows how far the run is."""

    told: list = []  # noqa: RUF012 read once by the test

    def draw(self, images, sizes, generator, hint=None, progress=0.0):
        self.told.append((hint, progress))
        return super().draw(images, sizes, generator)


def test_maskers_are_told_what_their_signature_names():
    """A hint of the objective and the progress of the run, as they are; others draw as they did."""
    sizes, hint = MaskSizes(4, 1, 4), torch.rand(2, 16, requires_grad=True)
    half = Streams(0, 0, torch.device("cpu"), progress=0.5)

    told = MaskDraw(Attentive(GRID), half)(IMAGES, sizes, hint)
    untold = MaskDraw(RandomPatches(GRID), streams())(IMAGES, sizes, hint)

    (given, progress) = Attentive.told.pop()
    assert progress == 0.5
    assert torch.equal(given, hint)
    assert not given.requires_grad
    assert torch.equal(told.context, untold.context)


@pytest.mark.parametrize(
    "hint", [torch.rand(2, 15), torch.full((2, 16), -1.0), torch.full((2, 16), torch.nan)]
)
def test_a_hint_that_is_no_weight_a_patch_is_refused(hint):
    """As a fault of the objective, before the masker is asked."""
    with pytest.raises(ContractError, match="hint for the masks"):
        MaskDraw(Untouched(GRID), streams())(IMAGES, MaskSizes(4), hint)


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
