"""What a morphologist measures on a galaxy: centre, radii, concentration, asymmetry, smoothness, Gini, M20, shape.

All functions take sky-subtracted light of a batch and work on the whole batch at once. Radii are in pixels, from
circular apertures about the image centre, to which galaxies are moved first. The galaxy is what lies within 1.5
Petrosian radii, where the light has fallen to a fifth of its mean further in:

    concentration  C = 5 log10(r80 / r20)
    asymmetry      A = sum |I - I180| / sum |I| - the same of the sky
    smoothness     S = sum |I - box(I)| / sum |I| - the same of the sky, beyond a quarter of the Petrosian radius
    Gini           G = sum (2i - n - 1) |X_i| / (mean |X| n (n - 1)), pixels in ascending order
    M20            log10 of the second moment of the brightest pixels that hold 20 % of the light, over that of all

Expected: C = 2.8 for an exponential disc and 5.3 for a de Vaucouleurs profile of unlimited extent (2.7, 4.3 within
the aperture); A and S of a smooth symmetric galaxy are 0.

Source: Conselice 2003 (ApJS 147, 1) for C, A and the aperture; Lotz, Primack & Madau 2004 (AJ 128, 163) for S, G
and M20. Deviations: the centre is the windowed centroid instead of the least asymmetric one; one width of the
smoothing box for all galaxies, 1/12 of the image; the sky's share of A and S comes from the image's corners; G and
M20 are taken over the aperture instead of an isophote.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

version = 1  # raise it whenever a number changes
PETROSIAN = 0.2
EXTENT = 1.5
CORE = 0.25
_SUBPIXELS = 8
_CENTRING_ROUNDS = 8
_TINY = 1e-12
_MEAN_OVER_MEDIAN = math.sqrt(2 / math.pi) / 0.67448975  # of the absolute value of a Gaussian variable


# --- apertures -------------------------------------------------------------------------------------------


def aperture_radii(size: int) -> Float[Tensor, " radius"]:
    """Return the radii at which light is summed: every half pixel from 0 to the edge of the image [pixel]."""
    return torch.arange(size + 1) / 2


def aperture_weights(size: int) -> Float[Tensor, "pixel radius"]:
    """Compute how much of each pixel lies within each of the radii, on a grid of subpixels."""
    places = (torch.arange(size * _SUBPIXELS) + 0.5) / _SUBPIXELS - size / 2
    distance = torch.hypot(places[:, None], places)[None, None]
    covered = [F.avg_pool2d((distance < radius).float(), _SUBPIXELS) for radius in aperture_radii(size)]
    return torch.cat(covered).flatten(1).T.contiguous()


def growth_curve(
    light: Float[Tensor, "*batch height width"], weights: Float[Tensor, "pixel radius"]
) -> Float[Tensor, "*batch radius"]:
    """Sum the light within each radius."""
    return light.flatten(-2) @ weights


def petrosian_radius(
    growth: Float[Tensor, "batch radius"], areas: Float[Tensor, " radius"]
) -> Float[Tensor, " batch"]:
    """Find where the light of a ring first falls to a fifth of the mean within; the edge if it never does.

    Rings are two pixels wide, so that a faint pixel does not end a galaxy.
    """
    ring = (growth[:, 4:] - growth[:, :-4]) / (areas[4:] - areas[:-4]).clamp(min=_TINY)
    within = growth[:, 2:-2] / areas[2:-2].clamp(min=_TINY)
    fallen = ring <= PETROSIAN * within
    first = torch.where(fallen.any(dim=1), fallen.int().argmax(dim=1), fallen.shape[1])
    return (2 + first) / 2


def light_within(
    growth: Float[Tensor, "batch radius"], radius: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Read a growth curve at one radius each, between its points linearly."""
    place = (2 * radius).clamp(max=growth.shape[1] - 1)
    below = place.floor().long().clamp(max=growth.shape[1] - 2)
    low, high = growth.gather(1, below[:, None])[:, 0], growth.gather(1, below[:, None] + 1)[:, 0]
    return low + (place - below) * (high - low)


def radius_holding(
    growth: Float[Tensor, "batch radius"], light: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Find the radius that holds that much light, between the points of the growth curve linearly."""
    rising = growth.cummax(dim=1).values
    above = torch.searchsorted(rising, light[:, None].contiguous()).clamp(1, growth.shape[1] - 1)
    low, high = rising.gather(1, above - 1)[:, 0], rising.gather(1, above)[:, 0]
    share = ((light - low) / (high - low).clamp(min=_TINY)).clamp(0, 1)
    return (above[:, 0] - 1 + share) / 2


# --- the centre ------------------------------------------------------------------------------------------


def centroid(light: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch 2"]:
    """Find the centre of the central source as (x, y) from the image's centre [pixel].

    Gaussian-windowed, iterated; the window of an eighth of the shorter side keeps neighbours out. At most that far
    away.

    Source: the windowed positions of SExtractor (Bertin & Arnouts 1996, A&AS 117, 393). Deviations: one width of
    the window for all, and plain steps instead of doubled ones.
    """
    height, width = light.shape[1:]
    reach = min(height, width) / 8
    rows, columns = (torch.arange(side, device=light.device) - (side - 1) / 2 for side in (height, width))
    centre = light.new_zeros(len(light), 2)
    for _ in range(_CENTRING_ROUNDS):
        across, down = columns - centre[:, :1], rows - centre[:, 1:]
        x, y = (torch.exp(-away.square() / (2 * reach**2)) for away in (across, down))
        # a Gaussian is a product of its axes; weights of the total, the mean of x and of y
        weights = [(x, y), (x * across, y), (x, y * down)]
        sums = [torch.einsum("nyx,nx,ny->n", light, *pair) for pair in weights]
        step = torch.stack(sums[1:], dim=1) / sums[0].clamp(min=_TINY)[:, None]
        centre = (centre + torch.where(sums[0][:, None] > _TINY, step, 0.0)).clamp(-reach, reach)
    return centre


def moved_to_centre(
    images: Float[Tensor, "batch band height width"], centre: Float[Tensor, "batch 2"]
) -> Float[Tensor, "batch band height width"]:
    """Shift images so that their centre is the image's centre, bilinearly; the edge is continued."""
    turn = torch.eye(2, device=images.device).expand(len(images), 2, 2)
    theta = torch.cat([turn, (2 * centre / images.shape[-1])[..., None]], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def distances(size: int, device: torch.device) -> Float[Tensor, "height width"]:
    """Compute the distance of each pixel from the image's centre [pixel]."""
    places = torch.arange(size, device=device) - (size - 1) / 2
    return torch.hypot(places[:, None], places)


@cache
def corners(size: int, device: torch.device) -> Int[Tensor, " pixel"]:
    """List the pixels beyond the inscribed circle, row by row; once, for counting them holds a GPU up."""
    return (distances(size, device) > size / 2).flatten().nonzero()[:, 0]


# --- structure -------------------------------------------------------------------------------------------


def concentration(r20: Float[Tensor, " batch"], r80: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Compute C = 5 log10(r80 / r20); 0 where there is no light."""
    ratio = r80 / r20.clamp(min=_TINY)
    return torch.where((r20 > 0) & (r80 > 0), 5 * ratio.clamp(min=1).log10(), 0.0)


def asymmetry(
    light: Float[Tensor, "batch height width"], inside: Bool[Tensor, "batch height width"]
) -> Float[Tensor, " batch"]:
    """Compare a galaxy with itself turned by half a turn: 0 for a symmetric one, at most 2."""
    return _residue(light, (light - light.flip(1, 2)).abs(), inside)


def smoothness(
    light: Float[Tensor, "batch height width"], inside: Bool[Tensor, "batch height width"]
) -> Float[Tensor, " batch"]:
    """Compare a galaxy with itself smoothed by a box: the share of light in clumps."""
    box = 2 * (light.shape[-1] // 24) + 1
    smooth = F.avg_pool2d(light[:, None], box, 1, box // 2, count_include_pad=False)[:, 0]
    return _residue(light, (light - smooth).abs(), inside)


def _residue(light: Tensor, residue: Tensor, inside: Tensor) -> Float[Tensor, " batch"]:
    """Sum a residue inside, less what the noise of the sky leaves there, in units of the light."""
    outside = residue.flatten(1)[:, corners(light.shape[-1], light.device)]
    of_noise = _MEAN_OVER_MEDIAN * outside.median(dim=1).values
    total = (light.abs() * inside).sum(dim=(1, 2))
    excess = ((residue - of_noise[:, None, None]) * inside).sum(dim=(1, 2))
    return torch.where(total > _TINY, excess / total.clamp(min=_TINY), 0.0)


def gini(
    light: Float[Tensor, "batch height width"], inside: Bool[Tensor, "batch height width"]
) -> Float[Tensor, " batch"]:
    """Measure how unequally the light is spread over pixels: 0 for even light, 1 for a single bright pixel."""
    values = (light.abs() * inside).flatten(1).sort(dim=1).values
    count = inside.flatten(1).sum(dim=1, keepdim=True)
    rank = torch.arange(1, values.shape[1] + 1, device=light.device) - (values.shape[1] - count)
    weighted = ((2 * rank - count - 1) * values).sum(dim=1)
    scale = values.sum(dim=1) * (count[:, 0] - 1)  # pixels outside are zeros: they add nothing anywhere
    return torch.where(scale > _TINY, weighted / scale.clamp(min=_TINY), 0.0)


def m20(
    light: Float[Tensor, "batch height width"], inside: Bool[Tensor, "batch height width"]
) -> Float[Tensor, " batch"]:
    """Compute log10 of the moment of the brightest 20 % of the light over the moment of all; 0 without light."""
    values, order = (light.clamp(min=0) * inside).flatten(1).sort(dim=1, descending=True)
    moments = values * distances(light.shape[-1], light.device).flatten().square()[order]
    before = values.cumsum(dim=1) - values
    bright = (before < 0.2 * values.sum(dim=1, keepdim=True)) * moments
    total = moments.sum(dim=1)
    share = (bright.sum(dim=1) / total.clamp(min=_TINY)).clamp(1e-4, 1)
    return torch.where(total > _TINY, share.log10(), 0.0)


def ellipticity(
    light: Float[Tensor, "batch height width"], inside: Bool[Tensor, "batch height width"]
) -> Float[Tensor, " batch"]:
    """Compute 1 - b/a from the second moments of the light: 0 for a round galaxy, 0 without light."""
    places = torch.arange(light.shape[-1], device=light.device) - (light.shape[-1] - 1) / 2
    inner = light * inside
    xx = (inner.sum(dim=1) * places.square()).sum(dim=1)
    yy = (inner.sum(dim=2) * places.square()).sum(dim=1)
    xy = (inner * places[:, None] * places).sum(dim=(1, 2))
    middle, spread = (xx + yy) / 2, torch.hypot((xx - yy) / 2, xy)
    squared = ((middle - spread) / (middle + spread).clamp(min=_TINY)).clamp(0, 1)
    return torch.where(middle > spread, 1 - squared.sqrt(), 0.0)
