"""Galaxy-valid augmentations, batched on the device.

A galaxy may be turned, mirrored, moved a little, brought a little nearer, seen through more air and more noise; it
stays the same galaxy. Hue and greyscale never change here: colour is redshift and star formation. Turned images
are filled by reflection, since a black corner would tell the angle.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.ranks import drawn

version = 1  # raise it whenever a number changes
BASE_SHIFT_PX = 2


def base_augment(
    images: Shaped[Tensor, "batch band height width"],
    generator: torch.Generator,
    *,
    mirror: bool,
    shift_px: int = BASE_SHIFT_PX,
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
    coins = drawn(partial(torch.randint, 0, 2), (3, batch), generator, dim=1).bool()
    transpose, flip_rows, flip_columns = coins
    if not mirror:
        flip_columns = transpose ^ flip_rows  # an even number of reflections is a rotation
    shifts = drawn(partial(torch.randint, -shift_px, shift_px + 1), (2, batch), generator, dim=1)
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
    blur: float = 0.0,
    size_px: int | None = None,
) -> Float[Tensor, "batch band out out"]:
    """Draw one view of each galaxy: free rotation, mirror, scale, shift, blur and noise, bilinear with reflection.

    Args:
        images: in [0, 1].
        generator: on the images' device.
        mirror: whether mirrored galaxies keep their label.
        scale: shown share of the side, uniform in this range (0.6 brings the galaxy nearer).
        shift: largest shift of the centre, as a share of the side.
        noise: standard deviation of added Gaussian noise is uniform in [0, noise].
        blur: width sigma of an added point spread is uniform in [0, blur] [pixel of the view]; 0 draws nothing.
        size_px: side of the view; the images' own if None.
    """
    size = size_px or images.shape[-1]
    grid = F.affine_grid(
        _transforms(len(images), images.device, generator, mirror=mirror, scale=scale, shift=shift),
        [len(images), images.shape[1], size, size],
        align_corners=False,
    )
    views = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    if blur > 0:
        widths = blur * drawn(torch.rand, (len(images),), generator)
        views = blurred(views, widths)  # before the noise: the sky's noise arises in the detector
    if noise == 0:
        return views
    levels = noise * drawn(torch.rand, (len(images), 1, 1, 1), generator)
    return views + levels * drawn(torch.randn, tuple(views.shape), generator)


def _transforms(
    batch: int,
    device: torch.device,
    generator: torch.Generator,
    *,
    mirror: bool,
    scale: tuple[float, float],
    shift: float,
) -> Float[Tensor, "batch 2 3"]:
    found = drawn(torch.rand, (5, batch), generator, dim=1)
    angle = found[0] * 2 * math.pi
    zoom = scale[0] + (scale[1] - scale[0]) * found[1]
    hand = torch.where(found[2] < 0.5, -1.0, 1.0) if mirror else torch.ones(batch, device=device)
    moves = 2 * shift * (2 * found[3:] - 1)  # the sampling grid spans [-1, 1], so a side is 2 long
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    rows = [torch.stack([hand * cos, -sin, moves[0]]), torch.stack([hand * sin, cos, moves[1]])]
    return torch.stack(rows).permute(2, 0, 1)


def blurred(
    images: Float[Tensor, "batch band size size"], widths: Float[Tensor, " batch"]
) -> Float[Tensor, "batch band size size"]:
    """Convolve each image with a round Gaussian point spread of its own width, reflected at the borders.

    In the cosine transform, whose waves reflect at the borders as the views themselves do, a Gaussian of width s
    leaves exp(-s² w²/2) of a wave of frequency w. So a whole batch, each image with its own width, is four
    matrix products; flux is conserved, and widths add in squares. Below about .7 pixel a lone bright
    pixel is ringed, as any point source that the pixels do not resolve; real images hold none.

    Args:
        images: square images.
        widths: standard deviation s of the point spread of each image [pixel], 0 or more.

    Source: the convolution theorem for the even extension (Strang 1999, doi 10.1137/S0036144598336745).
    """
    waves = _cosines(images.shape[-1], images.device)
    left = _survival(widths, images.shape[-1])
    with torch.autocast(images.device.type, enabled=False):  # half precision would show as noise
        spectrum = waves @ images.float() @ waves.T
        damped = spectrum * left[:, None, :, None] * left[:, None, None, :]
        return (waves.T @ damped @ waves).to(images.dtype)


def _cosines(size: int, device: torch.device) -> Float[Tensor, "size size"]:
    """Compute the orthonormal cosine transform (DCT-II), one wave a row: the waves that reflect at pixel edges."""
    index = torch.arange(size, device=device, dtype=torch.float64)
    waves = torch.cos(math.pi / size * index[:, None] * (index + 0.5)) * math.sqrt(2 / size)
    waves[0] = math.sqrt(1 / size)
    return waves.float()


def _survival(widths: Float[Tensor, " batch"], size: int) -> Float[Tensor, "batch size"]:
    """Compute what a blur leaves of each wave's amplitude."""
    frequency = torch.arange(size, device=widths.device) * (math.pi / size)
    return torch.exp(-(widths[:, None] * frequency).square() / 2)
