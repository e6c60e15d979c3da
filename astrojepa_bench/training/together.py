"""What the ranks of one training do together at each step: share gradients, tell numbers, stay alike."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.ranks import Ranks, Share
from astrojepa_bench.training.checkpoint import placed_on

SLOTS = 64
"""Numbers a step that ranks tell one another: the loss and its terms, and the norm of the gradients."""
_LIKE = 1e-3  # relative: other processors round otherwise; what learns by itself is soon further off


def share_of_part(rank: int, size: int, batch_size: int, parts: int) -> Share | None:
    """Return which galaxies of a batch, or of each of its parts, are this rank's; None where one process trains.

    Raises:
        ConfigError: ranks cannot have equally many.
    """
    if size == 1:
        return None
    part = batch_size // parts
    if part % size:
        what = f"{batch_size} galaxies" if parts == 1 else f"{part} galaxies ({batch_size} in {parts} parts)"
        raise ConfigError(
            f"a batch of {what} cannot be dealt to {size} ranks equally; set objective.batch_size to a "
            f"multiple of {size * parts}, or start another number of processes"
        )
    return Share(rank, size, part // size)


def share_gradients(ranks: Ranks, parameters: Iterator[nn.Parameter]) -> None:
    """Average gradients over ranks, those of one type together.

    A parameter that the loss of one rank does not reach has none there and counts 0; one that none reaches keeps
    none. Only where some are missing is it read from the device which.
    """
    alike: dict[torch.dtype, list[nn.Parameter]] = {}
    for each in parameters:
        if each.requires_grad:
            alike.setdefault(each.dtype, []).append(each)
    for members in alike.values():
        _share_alike(ranks, members)


def _share_alike(ranks: Ranks, members: Sequence[nn.Parameter]) -> None:
    """Average the gradients of parameters of one type in one flat vector; behind them stands who has one."""
    device = members[0].device
    has = torch.tensor([float(each.grad is not None) for each in members], device=device)
    flat = [torch.zeros_like(each) if each.grad is None else each.grad for each in members]
    total = ranks.add_up(torch.cat([*(each.reshape(-1) for each in flat), has.to(members[0].dtype)]))
    *averages, reached = (total / ranks.size).split([*(each.numel() for each in flat), len(members)])
    complete = all(each.grad is not None for each in members)
    kept = [True] * len(members) if complete else (reached > 0).tolist()
    for parameter, average, is_reached in zip(members, averages, kept, strict=True):
        if parameter.grad is not None:
            parameter.grad.copy_(average.view_as(parameter))
        elif is_reached:
            parameter.grad = average.view_as(parameter).clone()


def share_numbers(
    ranks: Ranks, names: Sequence[str], values: Float[Tensor, " number"]
) -> Float[Tensor, " number"]:
    """Average numbers over those ranks that have one of the same name; nothing is read from the device.

    Raises:
        ContractError: there are too many.
    """
    if len(names) > SLOTS:
        raise ContractError(f"a loss has {len(names)} terms; several ranks can tell one another {SLOTS - 2}")
    known = torch.zeros(2, SLOTS, dtype=torch.float64, device=values.device)
    digests = [hashlib.sha256(name.encode()).digest()[:6] for name in names]
    known[0, : len(names)] = torch.tensor(
        [int.from_bytes(each, "big") + 1.0 for each in digests], dtype=torch.float64
    )  # none is 0
    known[1, : len(names)] = values
    told = torch.stack(ranks.collect(known))  # rank, name or value, slot
    same = told[:, 0, None, :] == known[0, : len(names), None]  # rank, own name, slot
    found = torch.where(same, told[:, 1, None, :], 0.0).sum(dim=(0, 2)) / same.sum(dim=(0, 2))
    # what only another rank has a name for is not averaged; not finite, it must be seen by all the same
    spoilt = (~same.any(dim=1) & ~told[:, 1].isfinite()).any()
    found[0] = torch.where(spoilt, torch.nan, found[0])
    return found


def check_alike(ranks: Ranks, module: nn.Module) -> None:
    """Look whether all ranks hold the same weights and buffers (reads them from the device).

    Raises:
        ContractError: they do not: something learns from the rows of one rank alone.
    """
    state = {
        name: torch.view_as_real(each) if each.is_complex() else each
        for name, each in module.state_dict().items()
        if torch.is_tensor(each) and each.numel()
    }
    if not state:
        return
    sums = [torch.stack([each.double().sum(), each.double().norm()]) for each in state.values()]
    told = torch.stack(ranks.collect(torch.stack([each.to(sums[0].device) for each in sums])))
    apart = (told - told[0]).abs().amax(dim=(0, 2)) > _LIKE * (told[0, :, 1] + 1e-6)
    if bool(apart.any()):
        raise ContractError(
            f"'{[*state][int(apart.int().argmax())]}' differs between ranks: something learns from the galaxies of "
            "one rank alone; bring what spans the batch together with `averaged` or `gathered` of "
            "astrojepa_bench.plugin"
        )


def rows_of(rows: Int[np.ndarray, " part"], share: Share | None) -> Int[np.ndarray, " own"]:
    """Keep this rank's rows of a part of a batch; ranks have disjoint ones."""
    return rows if share is None else np.split(rows, share.size)[share.rank]


def state_of_first(ranks: Ranks, state: Mapping[str, Any], device: torch.device) -> Mapping[str, Any]:
    """Hand the state of the first rank to all, as a checkpoint holds it; the first keeps its own."""
    sent = io.BytesIO()
    if ranks.rank == 0:
        torch.save(dict(state), sent)
    found = io.BytesIO(ranks.from_first(sent.getvalue(), device))
    if ranks.rank == 0:
        return state
    told: dict[str, Any] = torch.load(found, map_location=placed_on(device), weights_only=True)
    return told
