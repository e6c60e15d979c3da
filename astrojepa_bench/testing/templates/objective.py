"""Objective `template`: predicts the mean colour of the whole image from a few visible patches.

Source: nothing to cite yet; name the paper, the equation and every deviation.
"""

from torch import nn

from astrojepa_bench import plugin as bench


class TemplateObjective(bench.Objective):
    """Regresses the mean of each band on the pooled visible tokens.

    Args:
        visible: share of the patches that the encoder sees.
    """

    masks = "required"
    version = 1

    def __init__(
        self, encoder: bench.Encoder, grid: bench.PatchGrid, classes: int, *, visible: float = 0.25
    ) -> None:
        super().__init__(encoder, grid, classes)
        self.sizes = bench.MaskSizes.rounded(grid, context=visible)
        self.head = nn.Linear(encoder.dim, len(encoder.spec.bands))

    def loss(self, batch: bench.GalaxyBatch, draw: bench.Draw, streams: bench.Streams) -> bench.Loss:
        """Compute the mean squared error of the colours."""
        masks = draw(batch.images, self.sizes)
        seen = self.encoder(batch.images, keep=masks.context).values.mean(dim=1)
        error = (self.head(seen) - batch.images.mean(dim=(2, 3))).square().mean()
        return bench.Loss(error, {"colour": error})


@bench.hookimpl
def astrojepa_objectives() -> dict[str, type[bench.Objective]]:
    """Offer `template`."""
    return {"template": TemplateObjective}
