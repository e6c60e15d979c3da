"""Features in units of their own spread: whitening, fitted without labels after training."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from sklearn.decomposition import PCA
from torch import Tensor, nn

from astrojepa_bench.errors import ConfigError

version = 1  # raise it whenever a number changes
LEAST_SPREAD = 1e-5
WIDE = 1000  # from this width on all axes at once take longer than the few that are kept


class Whitening(nn.Module):
    """Rotates features onto their principal axes and divides each by its standard deviation.

    Until it is fitted it changes nothing, so that a collapse is seen in the features themselves.

    Args:
        dim: width of the features.
        axes: how many axes are kept, the widest first.

    Source: principal components with unit variance (scikit-learn's PCA, `whiten=True`); for neighbour search, Jégou
    & Chum 2012 (ECCV): distances else follow the few axes along which features vary most. Deviation: an axis
    narrower than 1e-5 of the widest is rounding and gives zero, not noise.
    """

    centre: Tensor
    axes: Tensor
    fitted: Tensor

    def __init__(self, dim: int, axes: int) -> None:
        super().__init__()
        if not 1 <= axes <= dim:
            raise ConfigError(f"encoder.axes={axes}: expected 1 to {dim}, the width of the features")
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("axes", torch.zeros(axes, dim))
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, features: Float[Tensor, "galaxy dim"]) -> None:
        """Fit to features of galaxies that may be learnt from.

        Raises:
            ConfigError: fewer galaxies than axes.
        """
        if len(features) <= len(self.axes):
            raise ConfigError(
                f"{len(features)} galaxies cannot give {len(self.axes)} axes; lower encoder.axes or add galaxies"
            )
        wide = features.double().cpu()
        self.centre.copy_(wide.mean(dim=0))
        self.axes.copy_(_scaled_axes(wide.numpy(), len(self.axes)))
        self.fitted.fill_(True)

    def forward(self, features: Float[Tensor, "galaxy dim"]) -> Float[Tensor, "galaxy feature"]:
        """Whiten the features; return them as they are until fitted."""
        return (features - self.centre) @ self.axes.T if bool(self.fitted) else features


def _scaled_axes(features: Float[np.ndarray, "galaxy dim"], count: int) -> Float[Tensor, "axis dim"]:
    if not features.std(axis=0).any():
        return torch.zeros(count, features.shape[1], dtype=torch.float64)  # a constant has no axis
    is_wide = features.shape[1] >= WIDE and count < min(features.shape)
    found = PCA(count, svd_solver="arpack" if is_wide else "covariance_eigh", random_state=0).fit(features)
    spread = np.sqrt(found.explained_variance_.clip(min=0))
    wide = spread > LEAST_SPREAD * spread.max()
    return torch.from_numpy(found.components_ * np.where(wide, 1 / np.where(wide, spread, 1), 0)[:, None])
