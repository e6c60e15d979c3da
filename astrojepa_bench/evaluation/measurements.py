"""What an image itself shows of a galaxy: size, brightness, noise of the sky, scale of the pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench import events
from astrojepa_bench.encoders.profile import RINGS, Profile
from astrojepa_bench.evaluation.extract import BATCH, ENCODED
from astrojepa_bench.evaluation.kept_extra import ExtrasContext, KeptExtra
from astrojepa_bench.evaluation.store import Arrays
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.geometry.sky import sky
from astrojepa_bench.types import Split


class Measurements(KeptExtra):
    """Half-light radius, magnitude and sky noise, measured on each image; the pixel scale from the table."""

    name = "measurements"
    version = 1

    def rows(self, context: ExtrasContext) -> Int[np.ndarray, " row"]:
        """Return the galaxies of train, val and test, in this order."""
        return np.concatenate([context.table.rows(split) for split in ENCODED])

    @torch.no_grad()
    def compute(self, context: ExtrasContext) -> Arrays:
        """Measure every image."""
        rows, images = self.rows(context), context.galaxies.images
        profile = Profile(context.table.spec).to(images.device)
        starts, parts = range(0, len(rows), BATCH), list[Tensor]()
        for start in events.track(starts, task="measuring galaxies", total=len(starts), unit="batches"):
            parts.append(measured(profile, images.batch(rows[start : start + BATCH])).cpu())
        columns = torch.cat(parts).double().numpy().T
        found = dict(zip(("half_light_radius", "magnitude", "sky_noise"), columns, strict=True))
        scale = context.table.pixel_scale
        return found if scale is None else {**found, "pixel_scale": scale[rows]}

    def attach(self, features: Features, arrays: Arrays, context: ExtrasContext) -> Features:
        """Attach them to every split."""
        ends = np.cumsum([len(features.split(split).ids) for split in ENCODED])[:-1]
        columns = {name: np.split(values, ends) for name, values in arrays.items()}

        def known(place: int, split: Split) -> SplitFeatures:
            found = {name: parts[place] for name, parts in columns.items()}
            return dataclasses.replace(features.split(split), measurements=found)

        train, val, test = (known(place, split) for place, split in enumerate(ENCODED))
        return dataclasses.replace(features, train=train, val=val, test=test)


def measured(
    profile: Profile, images: Float[Tensor, "batch band height width"]
) -> Float[Tensor, "batch radius_magnitude_noise"]:
    """Measure half-light radius [pixel], magnitude [mag] and sky noise of a batch.

    The light is that above the sky within 1.5 Petrosian radii; the magnitude is -2.5 log10 of its sum over the
    bands, in units of the image's scale; the noise is that of one pixel of the mean over bands.

    Source: the encoder `profile`, whose first numbers are log10 of the flux of each band, and the first of
    whose nine structural ones is the half-light radius as a share of half the side.
    """
    bands, side_px = images.shape[1], images.shape[-1]
    values = profile(images).values[:, 0]
    flux = (10 ** values[:, :bands]).sum(dim=1)
    radius = values[:, bands + (bands - 1) + RINGS * bands] * side_px / 2
    return torch.stack([radius, -2.5 * flux.log10(), sky(images.float().mean(dim=1))[1]], dim=1)
