"""The floor: an encoder as it was initialised, scored like any other.

A random network already separates galaxies well above chance (centred objects, simple colours), so a trained
encoder means nothing until it is compared with itself before training, at the same seed. Costs no training.

Expected: 0.62 to 0.64 linear accuracy on the five classes of Galaxy Zoo 2, where the largest class has 0.41; with
encoder `vit-micro-rings` 0.79, so that much is in how tokens are read.

Source: Saxe et al. 2011 (On random weights and unsupervised feature learning, ICML 2011), who compare architectures
with random weights. Deviations: none; the weights are those that training would start from.
"""

from __future__ import annotations

from collections.abc import Mapping

from astrojepa_bench.plugin import Draw, GalaxyBatch, Loss, Objective, Streams, hookimpl


class Untrained(Objective):
    """No training at all: scores the encoder's initial weights."""

    masks = "ignored"
    trains = False
    standing = "floor"
    version = 1

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Return zero: there is nothing to learn."""
        nothing = batch.images.new_zeros(())
        return Loss(nothing, {})


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `untrained`."""
    return {"untrained": Untrained}
