"""Galaxy-valid augmentations, batched on the device.

A galaxy may be turned, mirrored, moved a little, brought a little nearer and seen through more noise; it stays
the same galaxy. Hue and greyscale never change here: colour is redshift and star formation. Turned images are
filled by reflection, since a black corner would tell the angle.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F


def base_augment(
    images: Shaped[Tensor, "batch band height width"],
    generator: torch.Generator,
    *,
    mirror: bool,
    shift_px: int = 2,
) -> Shaped[Tensor, "batch band height width"]:
    """Turn by quarter turns, mirror where allowed, and shift by whole pixels: exact, so any dtype will do.

    This is the one augmentation that the training loop applies to every entry.

    Args:
        images: square images.
        generator: on the images' device.
        mirror: whether mirrored galaxies keep their label; if not, only proper rotations are drawn.
        shift_px: largest shift along each axis; the border is filled by reflection.
    """
    batch, size = len(images), images.shape[-1]
    coins = torch.randint(0, 2, (3, batch), generator=generator, device=images.device).bool()
    transpose, flip_rows, flip_columns = coins
    if not mirror:
        flip_columns = transpose ^ flip_rows  # an even number of reflections is a rotation
    shifts = torch.randint(-shift_px, shift_px + 1, (2, batch), generator=generator, device=images.device)
    rows = _indices(size, shifts[0], flip_rows)
    columns = _indices(size, shifts[1], flip_columns)
    galaxy = torch.arange(batch, device=images.device)[:, None, None, None]
    band = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    moved = images[galaxy, band, rows[:, None, :, None], columns[:, None, None, :]]
    return torch.where(transpose[:, None, None, None], moved.transpose(2, 3), moved)


def _indices(size: int, shifts: Tensor, flips: Tensor) -> Tensor:
    places = torch.arange(size, device=shifts.device) + shifts[:, None]
    places = (size - 1) - ((size - 1) - places.abs()).abs()  # reflect at both borders
    return torch.where(flips[:, None], size - 1 - places, places)


def augment(
    images: Float[Tensor, "batch band height width"],
    generator: torch.Generator,
    *,
    mirror: bool = True,
    scale: tuple[float, float] = (0.6, 1.0),
    shift: float = 0.05,
    noise: float = 0.02,
    size_px: int | None = None,
) -> Float[Tensor, "batch band out out"]:
    """Draw one view of each galaxy: free rotation, mirror, scale, shift and noise, bilinear with reflection.

    Args:
        images: in [0, 1].
        generator: on the images' device.
        mirror: whether mirrored galaxies keep their label.
        scale: shown share of the side, uniform in this range (0.6 brings the galaxy nearer).
        shift: largest shift of the centre, as a share of the side.
        noise: standard deviation of added Gaussian noise is uniform in [0, noise].
        size_px: side of the view; the images' own if None.
    """
    size = size_px or images.shape[-1]
    grid = F.affine_grid(
        _transforms(len(images), images.device, generator, mirror=mirror, scale=scale, shift=shift),
        [len(images), images.shape[1], size, size],
        align_corners=False,
    )
    views = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    if noise == 0:
        return views
    levels = noise * torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
    return views + levels * torch.randn(views.shape, generator=generator, device=images.device)


def _transforms(
    batch: int,
    device: torch.device,
    generator: torch.Generator,
    *,
    mirror: bool,
    scale: tuple[float, float],
    shift: float,
) -> Float[Tensor, "batch 2 3"]:
    drawn = torch.rand(5, batch, generator=generator, device=device)
    angle = drawn[0] * 2 * math.pi
    zoom = scale[0] + (scale[1] - scale[0]) * drawn[1]
    hand = torch.where(drawn[2] < 0.5, -1.0, 1.0) if mirror else torch.ones(batch, device=device)
    moves = 2 * shift * (2 * drawn[3:] - 1)  # the sampling grid spans [-1, 1], so a side is 2 long
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    rows = [torch.stack([hand * cos, -sin, moves[0]]), torch.stack([hand * sin, cos, moves[1]])]
    return torch.stack(rows).permute(2, 0, 1)
