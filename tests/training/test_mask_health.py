"""Mask health: counted shares, and light that is known because it was painted."""

import pytest
import torch
from astrojepa_brightness import Brightness
from astrojepa_inverse import Inverse
from astrojepa_multiblock import Multiblock

from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid
from astrojepa_bench.geometry.patches import choose_patches
from astrojepa_bench.training.mask_health import averaged, measure_masks

SMALL = PatchGrid(8, 8, 8)
GALAXY = {27: 0.4, 28: 0.2, 35: 0.1, 36: 0.1}  # light of the four central patches


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def painted(batch=2, light=GALAXY):
    """A noise-free sky with square patches of light on it."""
    images = torch.full((batch, 3, 64, 64), 0.1)
    for patch, level in light.items():
        row, column = 8 * (patch // 8), 8 * (patch % 8)
        images[:, :, row : row + 8, column : column + 8] += level
    return images


def test_shares_of_painted_light_are_exact():
    """Context on half of the galaxy's light, overlapping targets on an eighth: each patch counts once."""
    context = torch.tensor([[0, 27], [1, 27]])
    targets = torch.tensor([[[35, 36], [36, 63]]]).expand(2, -1, -1)
    numbers = measure_masks(painted(), Masks(context, targets), SMALL)
    assert numbers == pytest.approx(
        {
            "context_patches": 2,
            "context_share": 2 / 64,
            "context_galaxy_share": 0.4 / 0.8,
            "target_share": 3 / 64,
            "target_galaxy_share": 0.2 / 0.8,
        },
        rel=1e-4,
    )


def test_a_star_is_no_part_of_the_galaxy():
    """Light that does not touch the central source counts neither as shown nor as there."""
    masks = Masks(torch.tensor([[0, 27]]), torch.tensor([[[7, 36]]]))
    with_star = measure_masks(painted(1, GALAXY | {7: 0.8}), masks, SMALL)
    assert with_star == pytest.approx(measure_masks(painted(1), masks, SMALL), rel=1e-4)


def test_images_without_a_galaxy_do_not_count():
    """A blank image beside a galaxy changes no galaxy share; blank images alone have none."""
    masks = Masks(torch.tensor([[0, 27], [0, 27]]), torch.empty(2, 0, 0, dtype=torch.long))
    images = painted()
    images[1] = 0.1
    assert measure_masks(images, masks, SMALL)["context_galaxy_share"] == pytest.approx(0.5, rel=1e-4)
    assert set(measure_masks(images[1:].expand(2, -1, -1, -1), masks, SMALL)) == {
        "context_patches",
        "context_share",
    }


def test_uniform_masks_show_as_much_of_the_galaxy_as_of_the_grid():
    """The share of patches is what a masker that ignores the galaxy shows of it."""
    context = choose_patches(torch.zeros(4000, 64), 16, stream())
    masks = Masks(context, torch.empty(4000, 0, 0, dtype=torch.long))
    numbers = measure_masks(painted(1).expand(4000, -1, -1, -1), masks, SMALL)
    assert numbers["context_galaxy_share"] == pytest.approx(numbers["context_share"], abs=0.02)


def test_maskers_hide_the_galaxy_in_the_order_of_their_intent():
    """At equal sizes `brightness` hides more of the galaxy than blocks anywhere, and `inverse` less."""
    images, sizes = painted(500), MaskSizes(16, 1, 9)
    hidden = [
        measure_masks(images, masker(SMALL).draw(images, sizes, stream()), SMALL)["target_galaxy_share"]
        for masker in (Brightness, Multiblock, Inverse)
    ]
    assert hidden[0] > 1.3 * hidden[1] > 1.3 * 1.2 * hidden[2]


def test_draws_are_averaged_name_by_name():
    """A number that only some draws have is averaged over those."""
    assert averaged([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0, "b": 2.0}
    assert averaged([]) == {}


def test_a_run_reports_the_health_of_its_masks(make_trainer):
    """What a trainer returns holds the shares asked for, and none of targets that nobody asked for."""
    blocks = make_trainer("ijepa").run().masks
    assert blocks["context_patches"] == round(blocks["context_share"] * 16)
    assert 0 < blocks["target_share"] < 1 - blocks["context_share"] + 1e-6
    assert set(make_trainer("lejepa").run().masks) >= {"context_patches", "context_share"}
    assert "target_share" not in make_trainer("lejepa").run().masks
