"""Encoders that mark the bottom of the board: pixels, their principal components, and nothing at all.

They have no trainable parameters; what they fit, they fit once on training images.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import ImageSpec, Tokens


class Pixels(Encoder):
    """The pixels themselves, area-resized and laid out in a row.

    Args:
        spec: bands and size of the images.
        size: side to which images are area-resized [pixel]. At 32 as in the literature, three bands make 3,072
            features, on which the linear probe of 5,000 galaxies takes ten times as long as at 16.

    Source: none; the usual raw-pixel baseline, at 16 instead of 32 pixels a side.
    """

    grid = None
    standing = "floor"
    version = 1

    def __init__(self, spec: ImageSpec, *, size: int = 16) -> None:
        super().__init__(spec)
        if size < 1:
            raise ConfigError(f"encoder.size={size} leaves no pixel; use 1 or more")
        self.size = size
        self.dim = len(spec.bands) * size * size

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Lay out the pixels of whole images: one token an image."""
        return _one_token(F.interpolate(images, size=(self.size, self.size), mode="area").flatten(1))


class PixelPCA(Encoder):
    """Principal components of area-resized pixels, fitted on training images only.

    Args:
        spec: bands and size of the images.
        components: how many components to keep.
        size: side to which images are area-resized first [pixel].

    Source: scikit-learn's PCA (full SVD, sign fixed by it); the floor of methods such as Stein et al. 2021.
    """

    grid = None
    standing = "floor"
    version = 1
    centre: Tensor
    axes: Tensor

    def __init__(self, spec: ImageSpec, *, components: int = 64, size: int = 32) -> None:
        super().__init__(spec)
        pixels = len(spec.bands) * size * size
        if components > pixels:
            raise ConfigError(f"encoder.components={components} exceeds the {pixels} pixels of the image")
        self.dim = components
        self.size = size
        self.register_buffer("centre", torch.zeros(pixels))
        self.register_buffer("axes", torch.zeros(components, pixels))

    def fit_inputs(self, images: Float[Tensor, "galaxy band height width"]) -> None:
        """Fit the components.

        Raises:
            ConfigError: fewer images than components.
        """
        if len(images) < self.dim:
            raise ConfigError(
                f"{len(images)} training images cannot give {self.dim} components; lower encoder.components"
            )
        pixels = self._pixels(images).cpu().double().numpy()
        fitted = PCA(self.dim, svd_solver="covariance_eigh").fit(pixels)
        self.centre.copy_(torch.from_numpy(fitted.mean_.astype(np.float32)))
        self.axes.copy_(torch.from_numpy(fitted.components_.astype(np.float32)))

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Project whole images onto the components: one token an image."""
        values = (self._pixels(images) - self.centre) @ self.axes.T
        return _one_token(values)

    def _pixels(self, images: Tensor) -> Tensor:
        return F.interpolate(images, size=(self.size, self.size), mode="area").flatten(1)


class Majority(Encoder):
    """One constant feature: whatever reads it can do no better than name the largest class.

    Args:
        spec: ignored; every encoder is given one.
    """

    grid = None
    standing = "floor"
    version = 1

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__(spec)
        self.dim = 1

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Return zero for every image."""
        return _one_token(images.new_zeros(len(images), 1))


def _one_token(values: Float[Tensor, "batch dim"]) -> Tokens:
    positions = torch.zeros(len(values), 1, dtype=torch.long, device=values.device)
    return Tokens(values[:, None], positions)
