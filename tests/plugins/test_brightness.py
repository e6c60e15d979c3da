"""Masker `brightness`: symmetries of its weights, a sky that is known, and blocks that find the galaxy."""

import math
from pathlib import Path

import astrojepa_brightness
import astrojepa_multiblock
import astrojepa_random
import h5py
import numpy as np
import pytest
import torch
from astrojepa_brightness import Brightness, patch_probability
from scipy import stats

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.plugin import MaskSizes, PatchGrid, covered, signal_to_noise

SMALL, STANDARD = PatchGrid(8, 8, 8), PatchGrid(14, 14, 16)
REAL = Path(__file__).parents[2] / "../shared/data/galaxy10_decals_sample.h5"
PUBLISHED = {SMALL: MaskSizes(16, 4, 12), STANDARD: MaskSizes(50, 4, 35)}
ALONE = {SMALL: MaskSizes(12), STANDARD: MaskSizes(49)}


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def disc(size, row, column, *, peak=0.6, scale):
    """Exponential disc, face on."""
    axis = torch.arange(size) + 0.5
    return peak * (-torch.hypot(axis[:, None] - row, axis - column) / scale).exp()


def survey(light, *, batch=1, bands=3, level=0.1, noise=0.02, seed=0):
    """Light on a noisy sky."""
    grain = torch.randn(batch, bands, *light.shape[-2:], generator=stream(seed))
    return level + light + noise * grain


def galaxies(grid=SMALL, batch=33, bands=3):
    size = grid.rows * grid.patch_px
    return survey(disc(size, 0.45 * size, 0.6 * size, scale=size / 12), batch=batch, bands=bands)


def flat(level, grid=SMALL, batch=2):
    return torch.full((batch, 3, grid.rows * grid.patch_px, grid.columns * grid.patch_px), level)


def draw(images, sizes, grid=SMALL, seed=0, **options):
    return Brightness(grid, **options).draw(images, sizes, stream(seed))


# --- sets


@pytest.mark.parametrize("signal", ["targets", "context", "both"])
@pytest.mark.parametrize(("batch", "bands"), [(1, 1), (33, 3)])
@pytest.mark.parametrize(
    ("grid", "sizes"), [*PUBLISHED.items(), *ALONE.items(), (SMALL, MaskSizes(3, 1, 4))], ids=str
)
def test_sizes_are_exact_and_sets_disjoint(grid, sizes, batch, bands, signal):
    """Every image gets exactly the patches asked for, and no context patch is a target."""
    draw(galaxies(grid, batch, bands), sizes, grid, signal=signal, min_signal=4).validate(grid, sizes)


@pytest.mark.parametrize("sizes", [PUBLISHED[SMALL], ALONE[SMALL]], ids=str)
def test_every_masker_hides_equally_much(sizes):
    """At equal sizes all maskers show and ask for the same number of patches: they differ in place alone."""
    maskers = [Brightness, astrojepa_multiblock.Multiblock, astrojepa_random.RandomPatches]
    drawn = [masker(SMALL).draw(galaxies(), sizes, stream()) for masker in maskers]
    for masks in drawn:
        masks.validate(SMALL, sizes)
    shown = {int(covered(SMALL, masks.context[:, None]).sum()) for masks in drawn}
    assert shown == {33 * sizes.context}
    assert len({masks.targets.shape for masks in drawn}) == 1


def test_images_and_stream_decide():
    """The same stream and images give the same masks; another stream gives others."""
    first, again, other = (draw(galaxies(), PUBLISHED[SMALL], seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.context, again.context)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.targets, other.targets)


@pytest.mark.parametrize("sizes", [PUBLISHED[SMALL], ALONE[SMALL]], ids=str)
def test_masks_of_an_image_do_not_depend_on_the_others(sizes):
    """At a given batch size, row i of the stream and image i alone make mask i."""
    images = galaxies()
    changed = images.flip(-1).clone()
    changed[5] = images[5]
    ours, theirs = draw(images, sizes), draw(changed, sizes)
    assert torch.equal(ours.context[5], theirs.context[5])
    assert torch.equal(ours.targets[5], theirs.targets[5])
    assert not torch.equal(ours.context, theirs.context)


# --- weights


@pytest.mark.parametrize("level", [0.0, 32 / 255, 0.5, 1.0])
@pytest.mark.parametrize("grid", [SMALL, STANDARD], ids=str)
def test_flat_image_gives_exactly_uniform_weights(grid, level):
    """Blank, grey and saturated images favour no patch, and nothing is NaN."""
    weight = patch_probability(flat(level, grid), grid)
    assert len(weight.unique()) == 1
    assert float(weight.sum(dim=1)[0]) == pytest.approx(1, abs=1e-5)


def test_pure_noise_gives_nearly_uniform_weights():
    """Noise alone lifts no patch above S = 1, so a blank field is uniform too."""
    weight = patch_probability(survey(torch.zeros(64, 64), batch=33), SMALL)
    assert float(weight.max() * 64) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("grid", [SMALL, STANDARD], ids=str)
@pytest.mark.parametrize("bands", [1, 5])
def test_weights_turn_with_the_image(grid, bands):
    """A mirrored or turned image has mirrored or turned weights."""
    images = galaxies(grid, 4, bands)
    weight = patch_probability(images, grid).view(-1, grid.rows, grid.columns)
    for change in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.rot90(1, (-2, -1))):
        moved = patch_probability(change(images), grid).view_as(weight)
        torch.testing.assert_close(moved, change(weight))


def test_weights_do_not_depend_on_the_stretch():
    """Scaling the image and adding a level leaves S as it is, while the noise exceeds one 8-bit level."""
    images = galaxies()
    stretched = signal_to_noise(0.6 * images + 0.3, SMALL)
    torch.testing.assert_close(stretched, signal_to_noise(images, SMALL), rtol=1e-4, atol=1e-3)


def test_a_point_source_has_the_largest_weight_wherever_it_is():
    """A star alone on the sky is found in each of the 64 patches."""
    spot = torch.zeros(64, 64, 64)
    for patch in range(64):
        row, column = 8 * (patch // 8) + 3, 8 * (patch % 8) + 3
        spot[patch, row : row + 3, column : column + 3] = 0.8
    images = survey(spot[:, None], batch=64)
    assert patch_probability(images, SMALL).argmax(dim=1).tolist() == list(range(64))


def test_a_bright_star_loses_against_a_fainter_central_galaxy():
    """A star patch of three times the galaxy's signal weighs less than the galaxy; without one it wins."""
    galaxy, star = disc(64, 36, 36, peak=0.3, scale=5), torch.zeros(64, 64)
    star[8:14, 49:55] = 0.85
    excess = SMALL.patch_means(galaxy + star)
    assert 2 < float(excess[14] / SMALL.patch_means(galaxy).max()) < 4
    assert int(patch_probability(survey(galaxy + star), SMALL).argmax()) == 36
    assert int(patch_probability(survey(star), SMALL).argmax()) == 14


def test_temperature_leads_from_the_peak_to_uniform():
    """Lower temperatures put more weight on the galaxy; an infinite one is uniform."""
    images, found = galaxies(), signal_to_noise(galaxies(), SMALL) > 3
    share = [
        float((patch_probability(images, SMALL, temperature=tau) * found).sum(dim=1).mean())
        for tau in (0.25, 0.5, 1.0, 2.0, 1e9)
    ]
    assert share == sorted(share, reverse=True)
    assert share[-1] == pytest.approx(float(found.float().mean()), abs=1e-5)
    assert len(patch_probability(images, SMALL, temperature=math.inf).unique()) == 1


def test_weights_of_a_known_step_agree_with_the_formula():
    """Noise-free sky with one central patch k levels up: S = k at the noise floor of one level, p by hand."""
    image, k = flat(0.2, batch=1), 9
    image[:, :, 32:40, 32:40] += k / 255
    weight = patch_probability(image, SMALL)[0]
    assert float(signal_to_noise(image, SMALL).max()) == pytest.approx(k, rel=1e-4)
    assert float(weight[36]) == pytest.approx(0.1 / 64 + 0.9 * k / (63 + k), rel=1e-4)
    assert float(weight[0]) == pytest.approx(0.1 / 64 + 0.9 / (63 + k), rel=1e-4)


@pytest.mark.skipif(not REAL.exists(), reason="no real galaxies beside the repository")
def test_weights_follow_the_light_of_real_galaxies():
    """On Galaxy10 cut-outs weight and brightness correlate above .8, where AstroJEPA's weights have -.8."""
    with h5py.File(REAL) as file:
        images = torch.from_numpy(file["images"][:64]).permute(0, 3, 1, 2) / 255
    grid = PatchGrid.tiling(256, 16)
    weight, light = patch_probability(images, grid), grid.patch_means(images.mean(dim=1))
    pairs = zip(weight.numpy(), light.numpy(), strict=True)
    assert np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs]) > 0.8
    brightest = light.topk(grid.patches // 10).indices
    assert 0.3 < float(weight.gather(1, brightest).sum(dim=1).mean()) < 0.6


# --- places


def centred_near(targets, row, column, reach=1.0):
    """Share of blocks with their centre within `reach` patches of a place, on the 8x8 grid."""
    rows, columns = (targets // 8).float().mean(dim=-1) + 0.5, (targets % 8).float().mean(dim=-1) + 0.5
    return (((rows - row).abs() <= reach) & ((columns - column).abs() <= reach)).float().mean().item()


def test_blocks_find_the_galaxy():
    """Blocks of 2x2 are centred on a galaxy at least three times as often as blocks placed uniformly."""
    images, sizes = galaxies(batch=500), MaskSizes(16, 4, 4)
    even = centred_near(
        astrojepa_multiblock.Multiblock(SMALL).draw(images, sizes, stream()).targets, 3.6, 4.8
    )
    assert centred_near(draw(images, sizes).targets, 3.6, 4.8) > 3 * even


def test_large_blocks_find_the_galaxy_as_far_as_they_can():
    """Blocks of 3x4 reach three times the area's share, and never the bound of 30 positions / 12 patches."""
    images, sizes = galaxies(batch=1000), PUBLISHED[SMALL]
    found = centred_near(draw(images, sizes, temperature=0.5).targets, 3.6, 4.8)
    even = centred_near(
        astrojepa_multiblock.Multiblock(SMALL).draw(images, sizes, stream()).targets, 3.6, 4.8
    )
    assert found > 3 * 4 / 64
    assert 1.5 * even < found < 2.5 * even


def test_blocks_on_a_flat_image_are_placed_uniformly():
    """All 60 places of a 3x4 block and its turn are equally frequent where there is no light (chi-square)."""
    targets = draw(flat(0.1, batch=2000), PUBLISHED[SMALL]).targets.flatten(0, 1)
    ends = targets[:, 0] * 64 + targets[:, -1]
    counts = ends.unique(return_counts=True)[1]
    assert len(counts) == 60
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_infinite_temperature_places_targets_like_multiblock():
    """In its limit the masker covers each patch as often as `multiblock`: it contains its own control."""
    images = galaxies(batch=3000, bands=1)
    ours = covered(SMALL, draw(images, PUBLISHED[SMALL], temperature=1e9).targets).float().mean(dim=0)
    masker = astrojepa_multiblock.Multiblock(SMALL)
    theirs = covered(SMALL, masker.draw(images, PUBLISHED[SMALL], stream(1)).targets).float().mean(dim=0)
    assert float((ours - theirs).abs().max()) < 0.05


def test_each_role_follows_the_light_when_told():
    """`signal` names the sets that gather light; the sets it does not name gather none by choice."""
    images = galaxies(batch=500)
    weight = patch_probability(images, SMALL)
    light = {}
    for signal in ("targets", "context", "both"):
        masks = draw(images, MaskSizes(12, 1, 12), signal=signal, min_signal=0)
        light[signal] = (
            float(weight.gather(1, masks.targets[:, 0]).sum(dim=1).mean()),
            float(weight.gather(1, masks.context).sum(dim=1).mean()),
        )
    assert light["targets"][0] == pytest.approx(light["both"][0], abs=0.03)
    assert light["targets"][0] > 1.3 * light["context"][0]
    assert light["context"][1] > light["both"][1] > 1.3 * light["targets"][1]


def test_without_targets_the_context_follows_the_light():
    """A local view gathers more light than a uniform one, whatever `signal` says."""
    images = galaxies(batch=500)
    weight = patch_probability(images, SMALL)
    even = astrojepa_multiblock.Multiblock(SMALL).draw(images, ALONE[SMALL], stream()).context
    views = [draw(images, ALONE[SMALL], signal=signal).context for signal in ("targets", "context")]
    assert torch.equal(*views)
    assert weight.gather(1, views[0]).sum() > 1.3 * weight.gather(1, even).sum()


@pytest.mark.parametrize("least", [1, 4])
def test_the_context_keeps_signal_patches_while_there_are_any(least):
    """At least `min_signal` patches with a source are seen, or all that the targets leave."""
    images = galaxies(batch=500)
    found = signal_to_noise(images, SMALL) > 3
    masks = draw(images, PUBLISHED[SMALL], min_signal=least)
    left = (found & ~covered(SMALL, masks.targets)).sum(dim=1)
    assert (found.gather(1, masks.context).sum(dim=1) >= left.clamp(max=least)).all()


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_blank_and_saturated_images_are_masked_like_any_other(level):
    """Images of one value have valid masks in every role."""
    for sizes in (PUBLISHED[SMALL], ALONE[SMALL]):
        draw(flat(level), sizes, signal="both").validate(SMALL, sizes)


@pytest.mark.parametrize(
    "options", [{"temperature": 0.0}, {"temperature": -1.0}, {"temperature": math.nan}, {"min_signal": -1}]
)
def test_options_out_of_range_are_refused(options):
    """The message names the option, its value and what is allowed."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        Brightness(SMALL, **options)


def test_blocks_that_are_no_rectangles_are_refused():
    """Thirteen patches are no rectangle."""
    with pytest.raises(ConfigError, match="no rectangle"):
        draw(galaxies(), MaskSizes(10, 4, 13))


def test_the_masker_is_on_offer():
    """The hook names `brightness`."""
    assert set(astrojepa_brightness.astrojepa_maskers()) == {"brightness"}
