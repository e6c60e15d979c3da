"""Frozen: any encoder with weights from a file, scored as it is.

Nothing is trained. The weights of the run's encoder are read from a file and scored like those of encoders that
were trained here: the way onto the board for a model trained elsewhere, or for one of an earlier run.
What it has seen, for how long and with which labels is not known here: its row compares features, not methods.

The file must hold every tensor of the encoder, in safetensors or as a torch state dict; it is read without
running any code in it. What it holds besides, such as a head, or a student beside its teacher, is left out and
named in a note. Weights of timm enter encoders that speak timm's names.

Cost: none in training; one pass over the galaxies, as for every entry. Expected: what the weights were worth
elsewhere, less what the change of survey costs.

Source: Kornblith, Shlens & Le 2019 (arXiv 1805.08974), who read the frozen features of networks trained on ImageNet
on other data by logistic regression. Deviations: no fine-tuning; all evaluators read the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from astrojepa_bench.plugin import (
    Draw,
    Encoder,
    GalaxyBatch,
    Loss,
    Objective,
    PatchGrid,
    Streams,
    hookimpl,
    load_weights,
)


class Frozen(Objective):
    """No training: scores the encoder with weights from a file.

    Args:
        encoder: takes the weights.
        grid: unused.
        classes: unused.
        weights: safetensors or torch state-dict file that holds this encoder.
    """

    masks = "ignored"
    trains = False
    version = 1
    taken: Tensor

    def __init__(self, encoder: Encoder, grid: PatchGrid | None, classes: int, *, weights: Path) -> None:
        super().__init__(encoder, grid, classes)
        self.weights = weights
        self.register_buffer("taken", torch.tensor(False))  # kept with a run, which then needs no file

    @property
    def scored_encoder(self) -> Encoder:
        """The encoder, with the weights of the file from the first time that it is asked for.

        Raises:
            ConfigError: there is no such file.
            DataError: it cannot be read without running code, or does not fit the encoder.
        """
        if not self.taken:
            load_weights(self.encoder, self.weights.expanduser(), "objective 'frozen'")
            self.taken.fill_(True)
        return self.encoder

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Return zero: there is nothing to learn."""
        return Loss(batch.images.new_zeros(()), {})


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `frozen`."""
    return {"frozen": Frozen}
