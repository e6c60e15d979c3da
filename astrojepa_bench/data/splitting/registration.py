"""One galaxy laid over another: shift, rotation, mirror and scale to a fraction of a pixel, then correlation.

Two crops of one exposure share more than the galaxy: neighbours, and the noise itself. Two galaxies that
merely look alike share neither, so pixels are compared after whitening, where sky counts as much as core.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

SIDE_PX = 64
NOISE_LEVELS = 2.0  # rounding and JPEG leave about this much [of 255]; structure below it is not amplified
DISC = 0.95  # radius of what is compared [half sides]
FAINTEST_LEVELS = 0.25  # local rms [of 255] where an image still shows something
LONGEST_STEP = 0.08  # of one Gauss-Newton iteration [half sides, or radian]
PixelImages = Float[Tensor, "batch height width"]


class Passband(NamedTuple):
    """Which structure is compared: Gaussian widths [px] of smoothing, of what is subtracted, of the local rms."""

    smooth_px: float
    subtracted_px: float
    window_px: float


CAPTURE = Passband(1.0, 4.0, 6.0)  # broad enough to be caught from two pixels away
COMPARED = Passband(0.7, 2.5, 4.0)


class Similarity(NamedTuple):
    """Where the points of one image lie in another: `matrix @ point + offset`, in half sides from the centre."""

    matrix: Float[Tensor, "batch 2 2"]
    offset: Float[Tensor, "batch 2"]

    @classmethod
    def turned(
        cls, scale: Float[Tensor, " batch"], angle: Float[Tensor, " batch"], mirrored: Bool[Tensor, " batch"]
    ) -> Similarity:
        """Mirror up and down, rotate by `angle` [radian] and magnify, about the centre."""
        cos, sin = scale * angle.cos(), scale * angle.sin()
        sign = 1 - 2 * mirrored.float()
        rows = torch.stack([cos, -sin * sign], -1), torch.stack([sin, cos * sign], -1)
        return cls(torch.stack(rows, -2), torch.zeros(len(scale), 2))

    @property
    def scale(self) -> Float[Tensor, " batch"]:
        """Magnification."""
        return torch.linalg.det(self.matrix).abs().sqrt()

    def inverse_where(self, chosen: Bool[Tensor, " batch"]) -> Similarity:
        """Invert some of them."""
        inverse = torch.linalg.inv(self.matrix)
        back = -(inverse @ self.offset[..., None])[..., 0]
        matrix = torch.where(chosen[:, None, None], inverse, self.matrix)
        return Similarity(matrix, torch.where(chosen[:, None], back, self.offset))

    def after(self, step: Float[Tensor, "batch 4"]) -> Similarity:
        """Undo a small motion (right, down, magnify, rotate) of the image that is laid under."""
        right_down, grow, turn = step[:, :2], 1 + step[:, 2], step[:, 3]
        moved = torch.stack([torch.stack([grow, -turn], -1), torch.stack([turn, grow], -1)], -2)
        back = torch.linalg.inv(moved)
        shift = self.matrix @ back @ right_down[..., None]
        return Similarity(self.matrix @ back, self.offset - shift[..., 0])


def register(
    images_a: PixelImages, images_b: PixelImages, start: Similarity, native_px: int = SIDE_PX
) -> tuple[Float[Tensor, " batch"], Similarity]:
    """Lay each image of `a` over its partner in `b` and correlate where they overlap.

    The one that shows the galaxy larger is resampled to the other, so that nothing is invented. The result is
    the geometric mean of two correlations, 0 if either is negative:

    - of detail, as it is, so that the features of the galaxy count by their contrast;
    - of detail whitened, so that faint neighbours and noise count as much: the smaller of the correlation of
      all pixels and that of their part that changes sign under a half turn, in which no smooth galaxy, round
      or edge-on, has a share. It is discounted, in Fisher's z, by the square root of the share of the disc's
      pixels that both images cover: chance correlates few pixels more easily than many.

    Args:
        images_a: grey levels of `SIDE_PX` pixels a side.
        images_b: as many.
        start: where points of `b` lie in `a`, to within about two pixels at the rim.
        native_px: side of the images before they were brought to `SIDE_PX`: how many pixels are independent.

    Returns:
        How well they agree, 0 to 1, and where points of `b` lie in `a`.

    Source: S. Baker and I. Matthews 2004, IJCV 56, 221, section 3.2 (inverse compositional alignment), with
    the images whitened first; R. A. Fisher 1915, Biometrika 10, 507 (z, and its variance per sample).
    """
    fine, coarse, found, smaller = _by_sharpness(images_a, images_b, start)
    for passband in (CAPTURE, COMPARED):
        found = _descend(fine, coarse, found, passband, iterations=4)
    independent = min(1.0, native_px / SIDE_PX)
    return _correlation(fine, coarse, found, independent), found.inverse_where(smaller)


def agreement(images_a: PixelImages, images_b: PixelImages, start: Similarity) -> Float[Tensor, " batch"]:
    """Correlate whitened images where `start` lays them, -1 to 1, at a fraction of the cost of `register`."""
    fine, coarse, onto, _ = _by_sharpness(images_a, images_b, start)
    above, inside = _overlaid(fine, onto)
    return _normalised(whiten(above, CAPTURE), whiten(coarse, CAPTURE), inside)


def _by_sharpness(
    images_a: PixelImages, images_b: PixelImages, start: Similarity
) -> tuple[PixelImages, PixelImages, Similarity, Bool[Tensor, " batch"]]:
    """Order each pair by the size of the galaxy.

    Returns:
        What shows it larger; the other; where points of the other lie in the first; whether the first is `b`.
    """
    smaller = start.scale < 1
    chosen = smaller[:, None, None]
    fine, coarse = torch.where(chosen, images_b, images_a), torch.where(chosen, images_a, images_b)
    return fine, coarse, start.inverse_where(smaller), smaller


def covered(images: PixelImages) -> Float[Tensor, " batch"]:
    """Compute the share of the disc where an image shows anything at all, be it only the noise of its sky."""
    detail = _detail(images, COMPARED)
    seen = blur(detail.square(), COMPARED.window_px) > FAINTEST_LEVELS**2
    return (seen & in_disc()).sum((1, 2)) / in_disc().sum()


def whiten(images: PixelImages, passband: Passband) -> PixelImages:
    """Subtract what is smooth and divide by the local rms, so that all parts of an image weigh alike."""
    detail = _detail(images, passband)
    return detail / (blur(detail.square(), passband.window_px) + NOISE_LEVELS**2).sqrt()


def _detail(images: PixelImages, passband: Passband) -> PixelImages:
    return blur(images, passband.smooth_px) - blur(images, passband.subtracted_px)


def blur(images: PixelImages, width_px: float) -> PixelImages:
    """Convolve with a Gaussian; beyond its edges an image is continued by reflection."""
    kernel = gaussian_matrix(images.shape[-1], width_px)
    return kernel @ images @ kernel.T


@lru_cache(maxsize=64)
def gaussian_matrix(side: int, width: float, circular: bool = False) -> Float[Tensor, "side side"]:
    """Return the matrix that convolves `side` samples with a Gaussian of standard deviation `width`.

    The samples are continued by reflection or, where `circular`, around the circle.
    """
    reach = torch.arange(-side, 2 * side)
    weight = torch.exp(-((reach[None, :] - torch.arange(side)[:, None]) ** 2) / (2 * width**2))
    mirrored = torch.minimum(reach % (2 * side), 2 * side - 1 - reach % (2 * side))
    source = reach % side if circular else mirrored
    matrix = torch.zeros(side, side).index_add_(1, source, weight)
    return matrix / matrix.sum(dim=1, keepdim=True)


@lru_cache(maxsize=4)
def pixel_points(side: int) -> Float[Tensor, "height width 2"]:
    """Return the position (right, down) of every pixel, in half sides from the centre."""
    line = (torch.arange(side) + 0.5) / side * 2 - 1
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)


@lru_cache(maxsize=1)
def in_disc() -> Bool[Tensor, "height width"]:
    """Mark the pixels whose surroundings are inside the image whichever way it is turned."""
    return pixel_points(SIDE_PX).norm(dim=-1) < DISC


def resample(
    images: PixelImages, points: Float[Tensor, "batch row column 2"]
) -> Float[Tensor, "batch row column"]:
    """Interpolate images at points, in half sides from the centre; beyond its edges the last pixel repeats."""
    sampled = F.grid_sample(images[:, None], points, align_corners=False, padding_mode="border")
    return sampled[:, 0]


def _overlaid(images: PixelImages, onto: Similarity) -> tuple[PixelImages, PixelImages]:
    """Resample images; also return 1 where the result lies in the image and in the disc, 0 elsewhere."""
    points = pixel_points(images.shape[-1])
    target = torch.einsum("nij,yxj->nyxi", onto.matrix, points) + onto.offset[:, None, None]
    inside = (target.abs() < 1 - 2 / images.shape[-1]).all(-1) & in_disc()
    return resample(images, target), inside.float()


def _descend(
    fine: PixelImages, coarse: PixelImages, onto: Similarity, passband: Passband, iterations: int
) -> Similarity:
    below = whiten(coarse, passband)
    motions = _motions(below)
    for _ in range(iterations):
        above, inside = _overlaid(fine, onto)
        residual = whiten(above, passband) - below
        weighed = motions * inside.flatten(1)[:, None]
        curvature = weighed @ motions.mT
        ridge = 1e-3 * (torch.diag_embed(curvature.diagonal(dim1=1, dim2=2)) + torch.eye(4))
        step = torch.linalg.solve(curvature + ridge, (weighed @ residual.flatten(1)[..., None])[..., 0])
        onto = onto.after(step.clamp(-LONGEST_STEP, LONGEST_STEP))
    return onto


def _motions(images: PixelImages) -> Float[Tensor, "batch 4 dim"]:
    """Differentiate images by shift to the right, shift down, magnification and rotation."""
    points = pixel_points(images.shape[-1])
    across, down = points[..., 0], points[..., 1]
    along_y, along_x = torch.gradient(images, spacing=2 / images.shape[-1], dim=(1, 2))
    motions = along_x, along_y, across * along_x + down * along_y, across * along_y - down * along_x
    return torch.stack(motions, 1).flatten(2)


def _correlation(
    fine: PixelImages, coarse: PixelImages, onto: Similarity, independent: float
) -> Float[Tensor, " batch"]:
    above, inside = _overlaid(fine, onto)
    one, other = whiten(above, COMPARED), whiten(coarse, COMPARED)
    both = inside * inside.flip(1, 2)
    whole, odd = _normalised(one, other, inside), _normalised(_odd(one), _odd(other), both)
    share = independent * (both.sum((1, 2)) / in_disc().sum()).sqrt()
    whitened = (torch.minimum(whole, odd).clamp(0, 0.9999).atanh() * share).tanh()
    plain = _normalised(_detail(above, COMPARED), _detail(coarse, COMPARED), inside)
    return (whitened * plain.clamp(0, 1)).sqrt()


def _odd(images: PixelImages) -> PixelImages:
    return images - images.flip(1, 2)


def _normalised(one: PixelImages, other: PixelImages, inside: PixelImages) -> Float[Tensor, " batch"]:
    count = inside.sum((1, 2), keepdim=True).clamp_min(1)
    one, other = ((x - (x * inside).sum((1, 2), keepdim=True) / count) * inside for x in (one, other))
    power = one.square().sum((1, 2)) * other.square().sum((1, 2))
    return (one * other).sum((1, 2)) / power.sqrt().clamp_min(1e-6)
