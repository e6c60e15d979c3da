"""What the bench asks of an objective, and whether the answer is what its role promises.

Each question is asked in a block that names the objective (`border.blamed_on`), so that whatever goes wrong within,
and whatever an answer lacks, bears its owner's name. Nothing here reads a value from the device.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from astrojepa_bench.border import blamed_on, owned, owner_of
from astrojepa_bench.checked import described, misnamed
from astrojepa_bench.errors import ContractError
from astrojepa_bench.events import emit
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Draw, Encoder, Objective
from astrojepa_bench.streams import Streams
from astrojepa_bench.types import GalaxyBatch, Loss, Prediction


def scored_encoder(objective: Objective) -> Encoder:
    """Ask which encoder is scored; one that no factory of its own made belongs to its objective.

    Raises:
        ContractError: it is none.
    """
    with blamed_on(objective):
        encoder: object = objective.scored_encoder
        if not isinstance(encoder, Encoder):
            raise ContractError(
                f"scored_encoder of {type(objective).__name__} is {described(encoder)}; expected an Encoder"
            )
    offer = owner_of(objective)
    return encoder if offer is None or owner_of(encoder) is not None else owned(encoder, offer)


def recipe_of(objective: Objective) -> Recipe:
    """Ask how it is optimised, and whether there is anything to optimise.

    Raises:
        ContractError: the answer is no recipe, or every parameter is frozen.
    """
    with blamed_on(objective):
        recipe: object = objective.recipe()
        if not isinstance(recipe, Recipe):
            raise ContractError(f"recipe() returned {described(recipe)}; expected a Recipe")
        if not any(parameter.requires_grad for parameter in objective.parameters()):
            raise ContractError(
                f"{type(objective).__name__} has no parameter that learns; leave some unfrozen, or declare "
                "trains = False on its class"
            )
        return recipe


def loss_of(
    objective: Objective, batch: GalaxyBatch, draw: Draw, streams: Streams, device: torch.device
) -> Loss:
    """Ask for the loss of a batch.

    Raises:
        ContractError: the answer is no loss that can be descended on the device.
    """
    with blamed_on(objective):
        loss: object = objective.loss(batch, draw, streams)
        if not isinstance(loss, Loss):
            raise ContractError(f"loss() returned {described(loss)}; expected Loss(total, terms)")
        if loss.total.device.type != device.type:
            raise ContractError(f"the total of a loss is on {loss.total.device}; expected it on {device}")
        if not loss.total.requires_grad:
            raise ContractError(
                "the total of a loss has no gradient; compute it from what the encoder returned, without detach(), "
                "no_grad() or item()"
            )
        return loss


def prediction_of(
    objective: Objective, batch: GalaxyBatch, draw: Draw, streams: Streams
) -> Prediction | None:
    """Ask for predicted and actual latents; None for an objective that predicts nothing.

    Raises:
        ContractError: the answer is no prediction for each galaxy of the batch.
    """
    with blamed_on(objective):
        prediction: object = objective.predict(batch, draw, streams)
        if prediction is None:
            return None
        if not isinstance(prediction, Prediction):
            raise ContractError(f"predict() returned {described(prediction)}; expected a Prediction or None")
        if len(prediction.predicted) != len(batch.images):
            raise ContractError(
                f"predict() returned {len(prediction.predicted)} predictions for {len(batch.images)} galaxies; "
                "expected one for each"
            )
        return prediction


def health_of(objective: Objective, taken: Collection[str]) -> dict[str, float]:
    """Ask for numbers worth recording.

    Those that are not finite, and those that claim a name of the ruler's own, are left out with a note: a run is
    not lost for what only describes it.

    Args:
        objective: trained.
        taken: the names of what the ruler itself measures.

    Raises:
        ContractError: the answer is no mapping of names to numbers.
    """
    with blamed_on(objective):
        health: object = objective.health()
        if not isinstance(health, Mapping):
            raise ContractError(
                f"health() returned {described(health)}; expected a mapping of names to numbers"
            )
        numbers = {}
        for name, value in health.items():
            reason = misnamed(name)
            if reason is not None:
                raise ContractError(f"health(): {reason}")
            number = _number(name, value)
            if not math.isfinite(number):
                _leave_out(name, f"is {number}")
            elif name in taken:
                _leave_out(name, "has the name of one that the bench measures itself")
            else:
                numbers[name] = number
        return numbers


def _number(name: str, value: object) -> float:
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ContractError(f"health number '{name}' is {described(value)}; expected one number")
    try:
        number = value.detach() if isinstance(value, Tensor) else value
        return number if type(number) in (int, float) else float(number)  # type: ignore[arg-type,return-value]
    except (TypeError, ValueError, OverflowError):
        raise ContractError(f"health number '{name}' is {described(value)}; expected one number") from None


def _leave_out(name: str, why: str) -> None:
    emit("note", text=f"the objective's health number '{name}' {why}; the record goes without it")
