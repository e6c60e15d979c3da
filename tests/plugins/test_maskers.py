"""All maskers together: exact sizes on any grid, nothing random but the stream, symmetries, and what they find."""

import math
from functools import partial
from importlib.metadata import entry_points

import astrojepa_brightness
import astrojepa_brightness_seed
import astrojepa_inverse
import astrojepa_radial
import astrojepa_saliency
import pytest
import torch
from astrojepa_brightness import Brightness
from astrojepa_brightness_seed import BrightnessSeed, patch_weight
from astrojepa_inverse import Inverse
from astrojepa_multiblock import Multiblock
from astrojepa_radial import Radial
from astrojepa_random import RandomPatches
from astrojepa_saliency import Saliency

from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.geometry.sky import galaxy_light
from astrojepa_bench.plugin import MaskSizes, PatchGrid, covered, draw_blocks

SMALL = PatchGrid(8, 8, 8)
MASKERS = {
    "random": RandomPatches,
    "multiblock": Multiblock,
    "multiblock raster": partial(Multiblock, truncation="raster"),
    "brightness": Brightness,
    "brightness context": partial(Brightness, signal="context"),
    "brightness both": partial(Brightness, signal="both"),
    "inverse": partial(Inverse, signal="both"),
    "radial": partial(Radial, signal="both"),
    "saliency": partial(Saliency, signal="both"),
    "brightness-seed": BrightnessSeed,
}
GRIDS = [PatchGrid(side, side, 4) for side in (2, 3, 8, 9, 14)] + [PatchGrid(5, 7, 4)]
every_masker = pytest.mark.parametrize("name", MASKERS)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def galaxies(grid=SMALL, batch=5, bands=3, noise=0.02):
    """Exponential discs off the centre of a noisy sky."""
    height, width = grid.rows * grid.patch_px, grid.columns * grid.patch_px
    rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    radius = torch.hypot(rows[:, None] - 0.45 * height, columns - 0.6 * width)
    grain = torch.randn(batch, bands, height, width, generator=stream(7))
    return 0.1 + 0.6 * (-12 * radius / height).exp() + noise * grain


def sizes_on(grid):
    """A local view, a quarter and blocks where they fit, and sets that leave no patch over."""
    one, block = grid.rectangle(0.15 * grid.patches), grid.rectangle(0.16 * grid.patches)
    area = block[0] * block[1]
    blocks = min(4, (grid.patches - 1) // area)
    return [
        MaskSizes(one[0] * one[1]),
        MaskSizes(max(1, grid.patches // 5), blocks - 1, area),
        MaskSizes(grid.patches - blocks * area, blocks, area),
    ]


def weights_of(name, images, grid=SMALL):
    masker = MASKERS[name](grid)
    return patch_weight(images, grid) if name == "brightness-seed" else masker.weight(masker.ratio(images))


# --- sets


@every_masker
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: f"{grid.rows}x{grid.columns}")
def test_sizes_are_exact_and_sets_disjoint_on_any_grid(name, grid):
    """From 2x2 to 14x14, down to the last patch, every image gets exactly what was asked for."""
    for sizes, bands in zip(sizes_on(grid), (1, 3, 5), strict=True):
        MASKERS[name](grid).draw(galaxies(grid, 5, bands), sizes, stream()).validate(grid, sizes)


@pytest.mark.parametrize("sizes", sizes_on(SMALL), ids=str)
def test_every_masker_hides_equally_much(sizes):
    """At equal sizes all maskers show and ask for the same number of patches: they differ in place alone."""
    drawn = [masker(SMALL).draw(galaxies(), sizes, stream()) for masker in MASKERS.values()]
    assert {int(covered(SMALL, masks.context[:, None]).sum()) for masks in drawn} == {5 * sizes.context}
    blocks = [covered(SMALL, masks.targets.flatten(0, 1)[:, None]).sum(dim=1) for masks in drawn]
    assert {int(count) for counts in blocks for count in counts} <= {sizes.target}


@every_masker
def test_images_of_one_value_are_masked_like_any_other(name):
    """Black, middle grey and white images have valid masks."""
    flat = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(-1, 3, 64, 64)
    for sizes in (MaskSizes(9), MaskSizes(16, 4, 12)):
        MASKERS[name](SMALL).draw(flat, sizes, stream()).validate(SMALL, sizes)


# --- what decides


@every_masker
def test_stream_and_images_decide(name):
    """The same stream gives the same masks; another stream, others."""
    masker, images, sizes = MASKERS[name](SMALL), galaxies(), MaskSizes(16, 4, 9)
    first, again, other = (masker.draw(images, sizes, stream(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.context, again.context)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.context, other.context)
    assert not torch.equal(first.targets, other.targets)


@every_masker
def test_nothing_is_drawn_from_the_global_generator(name):
    """Masks leave PyTorch's own generator as it was."""
    before = torch.random.get_rng_state()
    MASKERS[name](SMALL).draw(galaxies(), MaskSizes(16, 4, 9), stream())
    assert torch.equal(before, torch.random.get_rng_state())


@every_masker
@pytest.mark.parametrize("sizes", [MaskSizes(16, 4, 9), MaskSizes(9)], ids=str)
def test_masks_of_an_image_do_not_depend_on_the_others(name, sizes):
    """At a given batch size, row i of the stream and image i alone make mask i."""
    images = galaxies(batch=9)
    changed = images.flip(-1).clone()
    changed[5] = images[5]
    ours, theirs = (MASKERS[name](SMALL).draw(batch, sizes, stream()) for batch in (images, changed))
    assert torch.equal(ours.context[5], theirs.context[5])
    assert torch.equal(ours.targets[5], theirs.targets[5])


@every_masker
def test_masks_do_not_depend_on_the_number_of_threads(name):
    """One thread and two give the same masks."""
    masker, images, threads, drawn = MASKERS[name](SMALL), galaxies(batch=64), torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            drawn.append(masker.draw(images, MaskSizes(16, 4, 9), stream()))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(drawn[0].context, drawn[1].context)
    assert torch.equal(drawn[0].targets, drawn[1].targets)


# --- weights

WEIGHTED = ["brightness", "inverse", "radial", "saliency", "brightness-seed"]


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("bands", [1, 3, 5])
def test_weights_turn_with_the_image_and_sum_to_one(name, bands):
    """A mirrored or turned image has mirrored or turned weights; those of `radial` are their own mirror."""
    images = galaxies(bands=bands)
    weight = weights_of(name, images).view(-1, 8, 8)
    torch.testing.assert_close(weight.sum(dim=(1, 2)), torch.ones(len(images)))
    for change in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.rot90(1, (-2, -1))):
        torch.testing.assert_close(weights_of(name, change(images)).view_as(weight), change(weight))


@pytest.mark.parametrize("name", WEIGHTED[:4])
def test_weights_do_not_depend_on_the_stretch(name):
    """Scaling the image and adding a level changes no weight while the noise exceeds one 8-bit level."""
    images = galaxies()
    stretched = weights_of(name, 0.6 * images + 0.3)
    torch.testing.assert_close(stretched, weights_of(name, images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["brightness", "inverse", "saliency", "brightness-seed"])
def test_flat_image_gives_exactly_uniform_weights(name):
    """Where there is no light no patch is favoured, and nothing is NaN."""
    levels = torch.tensor([0.0, 32 / 255, 0.5, 1.0])
    weight = weights_of(name, levels[:, None, None, None].expand(-1, 3, 64, 64))
    assert torch.equal(weight, weight[:, :1].expand_as(weight))
    torch.testing.assert_close(weight, torch.full_like(weight, 1 / 64))


@pytest.mark.parametrize(("name", "extreme"), [("brightness", "argmax"), ("inverse", "argmin")])
def test_a_point_source_is_found_or_avoided_wherever_it_is(name, extreme):
    """A star alone on the sky has the largest weight of `brightness` and the least of `inverse`."""
    spot = 0.1 + 0.02 * torch.randn(64, 1, 64, 64, generator=stream())
    for patch in range(64):
        row, column = 8 * (patch // 8) + 3, 8 * (patch % 8) + 3
        spot[patch, :, row : row + 3, column : column + 3] += 0.8
    assert getattr(weights_of(name, spot), extreme)(dim=1).tolist() == list(range(64))


@pytest.mark.parametrize("masker", [Brightness, Inverse, Radial, Saliency])
def test_infinite_temperature_is_uniform(masker):
    """Each weighted masker holds uniform blocks as its limit."""
    blocks = masker(SMALL, temperature=1e9)
    weight = blocks.weight(blocks.ratio(galaxies()))
    torch.testing.assert_close(weight, torch.full_like(weight, 1 / 64))


# --- against the truth of simulated galaxies


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Images of 96 centred galaxies at 64 px, and whether a galaxy covers most of a cell of 16x16."""
    dataset, cache = Synthetic(galaxies=96, anomaly_fraction=0), tmp_path_factory.mktemp("cache")
    images = torch.from_numpy(dataset.load(64, cache).images.copy()).float() / 255
    return images, torch.from_numpy(dataset.coverage(64, cache)) > 0.5


def centres(targets):
    """Centres of blocks on the 8x8 grid, in patches from its corner."""
    return (targets // 8).float().mean(dim=-1) + 0.5, (targets % 8).float().mean(dim=-1) + 0.5


def places(size):
    """Centres of all positions of a block and of its turn: what is drawn uniformly."""
    shape = SMALL.rectangle(float(size))
    listed = [
        (top + height / 2, left + width / 2)
        for height, width in (shape, shape[::-1])
        for top in range(9 - height)
        for left in range(9 - width)
    ]
    return torch.tensor(listed).T


def drawn_centres(masker, images, size):
    """Centres of ten blocks per image, the draws last."""
    draws = [masker.draw(images, MaskSizes(1, 1, size), stream(seed)).targets for seed in range(10)]
    return centres(torch.cat(draws, dim=1))


def on_galaxy(row, column, covers):
    """Share of block centres (galaxy, draw) on the galaxy; between cells, half counts for either side."""
    hits = []
    for down, right in ((-0.01, -0.01), (-0.01, 0.01), (0.01, -0.01), (0.01, 0.01)):
        cell = ((2 * row + down).long().clamp(0, 15), (2 * column + right).long().clamp(0, 15))
        hits.append(covers[torch.arange(len(covers))[:, None], *cell].float().mean())
    return float(torch.stack(hits).mean())


def evenly_on_galaxy(size, covers):
    return on_galaxy(*places(size)[:, None].expand(-1, len(covers), -1), covers)


def in_core(row, column):
    """Share of block centres within one patch of the image centre, where the galaxies are."""
    return float((((row - 4).abs() <= 1) & ((column - 4).abs() <= 1)).float().mean())


@pytest.mark.parametrize(
    ("size", "temperature", "least"),
    [(1, 1.0, 4.0), (4, 0.5, 3.0), (9, 0.5, 2.7), (9, 0.25, 3.0), (12, 0.5, 1.8)],
)
def test_brightness_centres_blocks_on_the_galaxy(simulated, size, temperature, least):
    """Three times the uniform rate is reached up to the 3x3 of local views; 3x4 blocks cannot exceed 2.5."""
    found = in_core(*drawn_centres(Brightness(SMALL, temperature=temperature), simulated[0], size))
    assert found > least * in_core(*places(size))


def test_single_patches_fall_on_the_galaxy_as_truth_has_it(simulated):
    """At tau = 0.5 four of five drawn patches are truly covered by the galaxy, of which one in five is."""
    images, covers = simulated
    even = evenly_on_galaxy(1, covers)
    assert even == pytest.approx(float(covers.float().mean()), abs=1e-6)
    for temperature, least in ((0.5, 3.2), (1.0, 2.4)):
        found = on_galaxy(*drawn_centres(Brightness(SMALL, temperature=temperature), images, 1), covers)
        assert found > least * even


@pytest.mark.parametrize("size", [1, 4, 9, 12])
def test_inverse_and_seed_centre_blocks_off_the_galaxy(simulated, size):
    """`inverse` by intention and AstroJEPA's collator by accident meet the galaxy less often than chance."""
    images, covers = simulated
    even = evenly_on_galaxy(size, covers)
    assert on_galaxy(*drawn_centres(Inverse(SMALL), images, size), covers) < 0.9 * even
    assert on_galaxy(*drawn_centres(BrightnessSeed(SMALL), images, size), covers) < 0.85 * even


def test_radial_weights_are_brightness_on_average(simulated):
    """On centred galaxies the control puts its weight where `brightness` puts it on average, within 5 % of it."""
    mean = weights_of("brightness", simulated[0]).mean(dim=0)
    control = weights_of("radial", simulated[0])[0]
    assert float((mean - control).abs().sum() / 2) < 0.05
    assert math.isclose(float(mean.max()), float(control.max()), rel_tol=0.15)


def test_radial_ignores_where_the_galaxy_is(simulated):
    """Rolling the images by half a frame moves the blocks of `brightness` and leaves those of `radial`."""
    images, sizes = simulated[0], MaskSizes(1, 1, 9)
    rolled = images.roll((24, 24), dims=(-2, -1))
    for masker, stays in ((Radial(SMALL), True), (Brightness(SMALL), False)):
        drawn = [masker.draw(batch, sizes, stream()).targets for batch in (images, rolled)]
        assert torch.equal(*drawn) == stays


def test_the_context_gets_the_light_when_it_is_told_to(simulated):
    """By default an eighth of it, four fifths being hidden, as I-JEPA asks; `signal=context` gives it more."""
    images, sizes = simulated[0], MaskSizes(16, 4, 12)
    light = galaxy_light(images, SMALL)
    light = light / light.sum(dim=1, keepdim=True)

    def seen(masker):
        return float(light.gather(1, masker.draw(images, sizes, stream()).context).sum(dim=1).mean())

    hidden = covered(SMALL, Multiblock(SMALL).draw(images, sizes, stream()).targets)
    assert seen(Multiblock(SMALL)) == pytest.approx(1 / 8, abs=0.02)
    assert float((light * hidden).sum(dim=1).mean()) == pytest.approx(4 / 5, abs=0.05)
    for masker in (Brightness, Radial, Saliency):
        assert seen(masker(SMALL, signal="context")) > 1.15 * seen(Multiblock(SMALL))
        assert seen(masker(SMALL, signal="context")) > 1.2 * seen(masker(SMALL))
    assert seen(Brightness(SMALL, signal="context")) > 1.5 * seen(Brightness(SMALL))


# --- how they are offered


def test_every_masker_is_installed_with_a_version():
    """An entry point names the module of each, and each declares the version its records are filed under."""
    modules = [
        astrojepa_brightness, astrojepa_brightness_seed, astrojepa_inverse, astrojepa_radial, astrojepa_saliency,
    ]  # fmt: skip
    installed = {point.value for point in entry_points(group="astrojepa_bench")}
    offered = {name: masker for module in modules for name, masker in module.astrojepa_maskers().items()}
    assert installed >= {module.__name__ for module in modules}
    assert set(offered) == {"brightness", "brightness-seed", "inverse", "radial", "saliency"}
    assert {masker.version for masker in offered.values()} == {1}


def test_blocks_of_weighted_maskers_are_those_of_the_ruler():
    """`inverse` places its blocks by exactly its weights: the ruler's own sampler gives the same ones."""
    images, sizes = galaxies(), MaskSizes(16, 4, 9)
    masker = Inverse(SMALL)
    weight = masker.weight(masker.ratio(images))
    expected = draw_blocks(SMALL, weight, blocks=4, size=9, generator=stream())
    assert torch.equal(masker.draw(images, sizes, stream()).targets, expected)
