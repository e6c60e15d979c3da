"""How badly an objective predicts each galaxy: averaged over several seeded draws of masks.

Most of what a prediction costs is what it is compared with: the whole image, as a teacher sees it. Under every draw
of masks that is the same, so encoders are asked for it once a batch (`encoded_once`), whatever the objective is.
Predictions from the visible patches differ from draw to draw and are made anew, and so are augmented views.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial, wraps
from itertools import chain
from operator import is_
from types import MethodType
from typing import TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.errors import ContractError
from astrojepa_bench.roles import Encoder, Masker, Objective
from astrojepa_bench.streams import Streams, moved_generators, stream_seed
from astrojepa_bench.training.asked import prediction_of
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, Prediction, Tokens

version = 1  # raise it whenever a number changes
DRAWS = 16
BATCH = 256
WORTH_SAYING_S = 10.0
Errors = Mapping[str, Float[Tensor, " galaxy"]]
_Encoding: TypeAlias = Tokens | Sequence[Tokens]


@torch.no_grad()
def prediction_errors(
    objective: Objective,
    masker: Masker | None,
    images: DeviceImages,
    rows: Int[np.ndarray, " row"],
    *,
    draws: int = DRAWS,
) -> dict[str, Float[np.ndarray, " row"]] | None:
    """Predict every galaxy under several masks and average its errors over them.

    For each draw, each predicted token has a squared error (mean over its dimensions) and a cosine with the
    truth. A galaxy's draw is summarised by `mean_squared`, `max_squared`, `mean_cosine` and `min_cosine` over its
    tokens, and these are averaged over draws. A single draw is dominated by where its masks fell. The streams
    do not depend on the run's seed: all runs with one masker are shown the same masks.

    Args:
        objective: in evaluation mode, on the images' device.
        masker: the run's masker; None for an encoder without patches.
        images: of the galaxies.
        rows: which of them.
        draws: how many masks each galaxy is predicted under.

    Returns:
        one value a row for each summary; None for an objective that predicts nothing.

    Raises:
        ContractError: an error is not finite.
    """
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    if not batches or _errors_of(objective, masker, images, batches[0][:2], 0) is None:
        return None
    with blamed_on(objective):
        parts = [*_averaged(objective, masker, images, batches, draws)]
        return {name: _joined(name, [part[name] for part in parts]) for name in parts[0]}


def _averaged(
    objective: Objective,
    masker: Masker | None,
    images: DeviceImages,
    batches: Sequence[np.ndarray],
    draws: int,
) -> Iterator[Errors]:
    """Average the errors of each batch over its draws, and say after the first two how long all will take."""
    every = chain.from_iterable(_draws(objective, masker, images, batch, draws) for batch in batches)
    total, found, began = len(batches) * draws, list[Errors](), [time.perf_counter()]
    for errors in events.track(every, task="predicting galaxies", total=total, unit="draws"):
        found.append(errors)
        if len(began) <= min(draws, 2):
            errors["mean_squared"].cpu()  # a GPU has only been told what to do, and not yet done it
            began.append(time.perf_counter())
            if len(began) > min(draws, 2):
                _announce(np.diff(began), batches, draws)
        if len(found) == draws:
            stacks = {name: torch.stack([each[name] for each in found]) for name in errors}
            yield {name: values.double().mean(dim=0) for name, values in stacks.items()}
            found.clear()


def _announce(seconds: Float[np.ndarray, " draw"], batches: Sequence[Sized], draws: int) -> None:
    """Announce how long all will take, by the first draw of the first batch and another, which encodes less."""
    galaxies = sum(map(len, batches))
    needed = float(seconds[0] + seconds[-1] * (draws - 1)) * galaxies / len(batches[0])
    if needed >= WORTH_SAYING_S:
        masks = "one draw" if draws == 1 else f"{draws} draws"
        about = f"{needed:.0f} s" if needed < 120 else f"{needed / 60:.0f} min"
        events.emit(
            "note", text=f"predicting {galaxies:,} galaxies under {masks} of masks takes about {about}"
        )


def _draws(
    objective: Objective,
    masker: Masker | None,
    images: DeviceImages,
    rows: Int[np.ndarray, " row"],
    draws: int,
) -> Iterator[Errors]:
    with encoded_once(objective, images.batch(rows)):
        for draw in range(draws):
            errors = _errors_of(objective, masker, images, rows, draw)
            if errors is None:
                raise ContractError(
                    "an objective predicted some galaxies and not others; it must do all or none"
                )
            yield errors


def _errors_of(
    objective: Objective, masker: Masker | None, images: DeviceImages, rows: np.ndarray, draw: int
) -> Errors | None:
    streams = Streams(stream_seed(0, f"prediction errors/{rows[0]}"), draw, images.device)
    index = torch.from_numpy(rows).to(images.device)
    batch = GalaxyBatch(images.batch(rows), index, torch.full_like(index, -1))
    prediction = prediction_of(objective, batch, MaskDraw(masker, streams), streams)
    return None if prediction is None else token_errors(prediction)


@contextmanager
def encoded_once(objective: Objective, images: Float[Tensor, "batch band height width"]) -> Iterator[None]:
    """Let the encoders of an objective remember what they say of these images as a whole.

    A frozen encoder says the same of equal images; so what it said first is handed out again, bit for bit. It is
    asked anew of a part of the images, of any others (crops and views among them), while it trains or is to pass a
    gradient on, with other weights or settings than before, and where somebody wrote into what it had said. One
    that draws random numbers, leaves something behind, or is watched by hooks is asked every time.

    Args:
        objective: in evaluation mode.
        images: the images, in a tensor of their own.
    """
    with ExitStack() as stack:
        for encoder in (module for module in objective.modules() if isinstance(module, Encoder)):
            own = vars(encoder)  # what stands there goes before what its class defines
            for verb in ("forward", "layers"):
                before: dict[str, object] = {verb: own[verb]} if verb in own else {}
                stack.callback(own.update, before)
                stack.callback(own.pop, verb)
                own[verb] = MethodType(_remembering(verb, before.get(verb), encoder, images), encoder)
        yield


def _remembering(verb: str, replaced: object, encoder: Encoder, whole: Tensor) -> Callable[..., _Encoding]:
    said: list[tuple[_Encoding, list[int] | None, _Condition]] = []

    @wraps(getattr(type(encoder), verb))
    def ask(this: Encoder, images: Tensor, *rest: object, **more: object) -> _Encoding:
        answer = cast(Callable[..., _Encoding], replaced or partial(getattr(type(this), verb), this))
        is_part = (
            len(rest) > 1 or {*more} - {"keep"} or any(each is not None for each in (*rest, *more.values()))
        )
        is_copy = this is not encoder  # that somebody made since
        alike = images.shape == whole.shape and images.dtype == whole.dtype
        if is_part or is_copy or not _is_at_rest(encoder) or not alike or not torch.equal(images, whole):
            return answer(images, *rest, **more)
        now = _Condition.of(encoder)
        if said and _writes(said[0][0]) == said[0][1] and now == said[0][2]:
            return said[0][0]
        now = now.copied()
        with moved_generators(images.device) as moved:
            found = answer(images)
        writes = _writes(found)
        is_lasting = writes is not None and not moved and now == _Condition.of(encoder)
        said[:] = [(found, writes, now)] if is_lasting else []
        return found

    return ask


@dataclass(frozen=True, eq=False)
class _Condition:
    """What an encoder's answer may depend on beside the images.

    Attributes:
        weights: parameters and buffers.
        settings: everything else that its modules hold.
        precision: whether products are computed in another than float32.
    """

    weights: tuple[Tensor, ...]
    settings: tuple[object, ...]
    precision: tuple[object, ...]

    @classmethod
    def of(cls, encoder: Encoder) -> _Condition:
        held = [value for module in encoder.modules() for value in vars(module).values()]
        weights = [*encoder.parameters(), *encoder.buffers()]
        kind = next((each.device.type for each in weights), "cpu")
        precision = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        return cls(tuple(each.detach() for each in weights), tuple(held), precision)

    def copied(self) -> _Condition:
        """Return it with weights of its own, which nobody can write into."""
        return replace(self, weights=tuple(each.clone() for each in self.weights))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Condition)
            and self.precision == other.precision
            and len(self.settings) == len(other.settings)
            and all(map(is_, self.settings, other.settings))
            and len(self.weights) == len(other.weights)
            and all(map(_same, self.weights, other.weights))
        )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and one.device == other.device and torch.equal(one, other)


def _is_at_rest(encoder: Encoder) -> bool:
    """Whether no part of an encoder trains, wants a gradient, or tells a hook what it is asked."""
    parts = [*encoder.modules()]
    watched = any(part._forward_hooks or part._forward_pre_hooks for part in parts[1:])
    return not (watched or torch.is_grad_enabled() or any(part.training for part in parts))


def _writes(encoding: _Encoding) -> list[int] | None:
    """Count how often each tensor of an encoding was written into; None where torch does not keep count."""
    layers = [encoding] if isinstance(encoding, Tokens) else encoding
    parts = [part for each in layers for part in (each.values, each.positions, each.extra)]
    tensors = [part for part in parts if part is not None]
    return None if any(map(torch.is_inference, tensors)) else [each._version for each in tensors]


def token_errors(prediction: Prediction) -> Errors:
    """Summarise squared errors and cosines over all predicted tokens of each galaxy.

    Source: the ingredients (mean and largest squared error, cosine) of AstroJEPA's anomaly score. Deviation:
    kept apart instead of added with fixed weights, since their spreads differ by an order of magnitude.
    """
    predicted, actual = prediction.predicted.float().flatten(1, 2), prediction.actual.float().flatten(1, 2)
    squared = (predicted - actual).square().mean(dim=-1)
    cosine = F.cosine_similarity(predicted, actual, dim=-1)
    return {
        "mean_squared": squared.mean(dim=1),
        "max_squared": squared.amax(dim=1),
        "mean_cosine": cosine.mean(dim=1),
        "min_cosine": cosine.amin(dim=1),
    }


def _joined(name: str, parts: list[Tensor]) -> Float[np.ndarray, " row"]:
    values: Float[np.ndarray, " row"] = torch.cat(parts).cpu().numpy()
    if not np.isfinite(values).all():
        raise ContractError(
            f"prediction error '{name}' is not finite for {(~np.isfinite(values)).sum()} galaxies"
        )
    return values
