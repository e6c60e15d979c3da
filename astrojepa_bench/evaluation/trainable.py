"""The scored encoder and the images, for evaluators that train the encoder further on labels."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.border import blamed_on
from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.evaluation.extract import checked_taps
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.features import Features, Trainable
from astrojepa_bench.roles import Encoder


class TrainableEncoder:
    """Copies of the scored encoder that may learn, and the images of the galaxies; nothing is kept."""

    version = 1

    def attached(self, features: Features, context: ExtrasContext, path: Path) -> Features:
        """Let features hand out copies and images on demand.

        Raises:
            DataError: the encoder has no weights.
        """
        encoder = context.encoder
        if not any(parameter.is_floating_point() for parameter in encoder.parameters()):
            raise DataError("the encoder has no weights that could learn")

        def copied() -> Encoder:
            with blamed_on(encoder):
                try:
                    made = copy.deepcopy(encoder)
                except Exception as error:
                    raise ContractError(
                        f"the encoder cannot be copied ({type(error).__name__}: {error}); keep nothing on it that "
                        "Python cannot copy"
                    ) from error
                for parameter in made.parameters():
                    parameter.requires_grad_(parameter.is_floating_point())
                return made.train()

        def read(made: Encoder, batch: Float[Tensor, "galaxy band height width"]) -> Tensor:
            with blamed_on(encoder):
                return checked_taps(made, batch)["last"]

        found = Trainable(copied, context.images_by_id(), read, context.table.spec.mirror_safe)
        return dataclasses.replace(features, trainable=found)
