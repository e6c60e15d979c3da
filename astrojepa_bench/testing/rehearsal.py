"""Rehearsals: each kind of component built as the bench builds it, doing its verb once on invented galaxies."""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ContractError
from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid
from astrojepa_bench.geometry.patches import choose_patches
from astrojepa_bench.roles import Dataset, Encoder, Masker, Objective
from astrojepa_bench.streams import Streams, scoped_global, stream_seed
from astrojepa_bench.testing import galaxies
from astrojepa_bench.testing.features import features_of, hint
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.testing.watching import LENT, disturbed_by, files_written
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.training.optimisers import gradient_norm, make_optimiser
from astrojepa_bench.training.schedule import set_schedule
from astrojepa_bench.types import Evaluation, GalaxyBatch, GalaxyTable, Loss, Progress, Tokens

GRID = PatchGrid.tiling(galaxies.SIZE_PX, galaxies.PATCH_PX)
CPU = torch.device("cpu")
BATCH = 12
FEW = 4  # images for an encoder, which may be large


def generator(seed: int = 0) -> torch.Generator:
    """Return a generator; every seed has its own."""
    return torch.Generator().manual_seed(stream_seed(seed, "check"))


def build(piece: Subject, seed: int = 0, *, anew: bool = False) -> Any:  # noqa: ANN401 the role depends on the kind
    """Build a component as the bench does, an encoder fitted and in evaluation mode.

    Args:
        piece: the component.
        seed: of its weights.
        anew: whether an encoder is made once more instead of copied, which for a large one takes seconds.
    """
    if piece.offer.kind != "encoder":
        return construct(piece, seed)
    if anew:
        return _fitted(piece, seed)
    original = piece.once(("fitted", seed), lambda: _fitted(piece, seed))
    try:
        return copy.deepcopy(original)
    except Exception:  # the rule `picklable` reports it
        return _fitted(piece, seed)


def construct(piece: Subject, seed: int = 0, *, bands: int = 3) -> Any:  # noqa: ANN401 the role depends on the kind
    """Call the factory with the arguments of its role; weights come from the seed's stream."""
    with scoped_global(seed, f"check {piece.offer.kind}"):
        match piece.offer.kind:
            case "masker":
                return piece.build(GRID)
            case "encoder":
                return piece.build(galaxies.image_spec(bands))
            case "objective":
                encoder = small_encoder(seed)
                return piece.build(encoder, encoder.grid, galaxies.CLASSES)
    return piece.build()


def _fitted(piece: Subject, seed: int) -> Encoder:
    encoder: Encoder = construct(piece, seed)
    encoder.fit_inputs(galaxies.images(128, seed=1))
    encoder.fit_readout(galaxies.images(128, seed=1))
    return encoder.eval()


def small_encoder(seed: int = 0) -> TokenViT:
    """Build the encoder for checks of objectives: 8x8 patches, milliseconds a batch."""
    with scoped_global(seed, "check encoder"):
        return TokenViT(galaxies.image_spec(), patch=galaxies.PATCH_PX, width=32, depth=2, heads=2)


@dataclass(frozen=True)
class Act:
    """One use of a component.

    Attributes:
        made: the component.
        output: its output.
        disturbed: global random generators whose state changed.
        written: files that were written.
        printed: what it printed.
    """

    made: Any
    output: tuple[object, ...]
    disturbed: tuple[str, ...]
    written: tuple[str, ...]
    printed: str


def act_of(piece: Subject) -> Act:
    """Use a component once and watch for side effects; later calls return the same act."""

    def watched() -> Act:
        outputs: list[tuple[object, ...]] = []
        with files_written() as written, contextlib.redirect_stdout(io.StringIO()) as printed:
            made = build(piece)
            disturbed = disturbed_by(lambda: outputs.append(act_again(piece, made)))
        return Act(made, outputs[0], tuple(disturbed), tuple(written), printed.getvalue())

    return piece.once("act", watched)


def act_again(piece: Subject, made: Any) -> tuple[object, ...]:  # noqa: ANN401 the role depends on the kind
    """Let a component, or another instance of it, do its verb, and return the output."""
    match piece.offer.kind:
        case "masker":
            masks = made.draw(galaxies.images(BATCH), MaskSizes(16, 4, 12), generator())
            return () if masks is None else (masks.context, masks.targets)
        case "encoder":
            with torch.no_grad():
                tokens: Tokens = made(galaxies.images(FEW))
                taps = made.taps(galaxies.images(FEW))
            return tokens.values, tokens.positions, *(taps[name] for name in sorted(taps))
        case "objective":
            loss = loss_of(made.train(), labelled_batch(made))
            return loss.total.detach(), *(loss.terms[name].detach() for name in sorted(loss.terms))
        case "evaluator":
            found: object = made.evaluate(features_of(hint))
            if not isinstance(found, Evaluation):
                raise TypeError(f"evaluate returned {type(found).__name__}; expected Evaluation")
            return found.scores, dict(found.selection)
    table = load_into_memory(made, galaxies.SIZE_PX)
    return table.fingerprint, torch.from_numpy(table.images), tuple(table.ids.tolist())


def load_into_memory(dataset: Dataset, size_px: int) -> GalaxyTable:
    """Load galaxies through an empty cache, which is removed again with its memory maps."""
    with cache_folder() as folder:
        table: object = dataset.load(size_px, folder)
        if not isinstance(table, GalaxyTable):
            raise TypeError(f"load returned {type(table).__name__}; expected GalaxyTable")
        return replace(table, images=np.array(table.images))


@contextlib.contextmanager
def cache_folder() -> Iterator[Path]:
    """Make a temporary folder for converted galaxies."""
    with tempfile.TemporaryDirectory(prefix=LENT, ignore_cleanup_errors=True) as name:
        yield Path(name)


# --- inputs of an objective --------------------------------------------------------------------------


class Anywhere(Masker):
    """Draws uniform random masks."""

    def draw(
        self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes, generator: torch.Generator
    ) -> Masks:
        """Draw the context, then the targets from the patches outside it."""
        anywhere = torch.zeros(len(images), self.grid.patches)
        context = choose_patches(anywhere, sizes.context, generator)
        outside = anywhere.scatter(1, context, -torch.inf)[:, None].expand(-1, sizes.targets, -1)
        targets: Int[Tensor, "batch block target"] = choose_patches(outside, sizes.target, generator)
        return Masks(context, targets)


class Nowhere(Masker):
    """Draws no masks."""

    hides = False

    def draw(
        self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes, generator: torch.Generator
    ) -> None:
        """Return None."""


class Drawer:
    """Draws uniform random masks for an objective, and records them.

    Attributes:
        hides: whether there are masks to be had.
        asked: the images and masks of each request, in order.
    """

    def __init__(self, streams: Streams, *, hides: bool = True, grid: PatchGrid = GRID) -> None:
        self.streams, self.hides = streams, hides
        self.asked: list[tuple[Tensor, Masks]] = []
        self._draw = MaskDraw(
            Anywhere(grid) if hides else None,
            streams,
            watch=lambda images, masks: self.asked.append((images, masks)),
        )

    def __call__(
        self,
        images: Float[Tensor, "batch band height width"],
        sizes: MaskSizes,
        hint: Float[Tensor, "batch patch"] | None = None,
    ) -> Masks:
        """Draw the sizes asked for."""
        return self._draw(images, sizes, hint)


def labelled_batch(objective: Objective, count: int = BATCH, seed: int = 0) -> GalaxyBatch:
    """Return a batch of galaxies, with the labels and columns that the objective declares."""
    return told_batch(objective, galaxies.images(count, seed=seed))


def told_batch(objective: Objective, images: Float[Tensor, "batch band height width"]) -> GalaxyBatch:
    """Put images into a batch with what the objective declares that it reads beside them."""
    return galaxies.batch_of(images, labels=objective.labels, columns=objective.columns)


def loss_of(objective: Objective, batch: GalaxyBatch, draw: Drawer | None = None, step: int = 0) -> Loss:
    """Compute a loss as the training loop does, with the layers' own random numbers."""
    streams = draw.streams if draw is not None else streams_of(step)
    with scoped_global(0, "layers", step):
        loss: object = objective.loss(batch, draw or drawer_for(objective, streams), streams)
    if not isinstance(loss, Loss):
        raise TypeError(f"loss returned {type(loss).__name__}; expected Loss")
    if objective.trains and torch.is_grad_enabled() and not loss.total.requires_grad:
        raise ContractError("the total has no gradient; expected one on the encoder")
    return loss


def streams_of(step: int = 0) -> Streams:
    """Return the streams of one step."""
    return Streams(0, step, CPU, progress=0.0)


def drawer_for(objective: Objective, streams: Streams) -> Drawer:
    """Return a drawer, without masks for objectives that cannot use them."""
    return Drawer(streams, hides=objective.masks != "ignored" and objective.grid is not None)


def descend(objective: Objective, batch: GalaxyBatch, steps: int, *, still: bool = False) -> list[float]:
    """Take optimiser steps on one batch, always with the same masks and views; return the losses.

    Args:
        objective: what learns.
        batch: what it sees.
        steps: how many.
        still: whether all that no gradient trains is put back before each loss, and `after_step` left out.
    """
    recipe, losses = objective.recipe(), []
    recipe = recipe.at_batch(recipe.batch_size)
    optimiser = make_optimiser(objective, recipe)
    put_back = _stillness(objective) if still else lambda: None
    for step in range(steps):
        put_back()
        set_schedule(optimiser, recipe, step, steps)
        loss = loss_of(objective, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        objective.before_step(Progress(step + 1, steps))
        gradient_norm(objective, recipe.clip)
        optimiser.step()
        if not still:
            objective.after_step(Progress(step + 1, steps))
        losses.append(float(loss.total.detach()))
    put_back()
    return [*losses, float(loss_of(objective, batch).total.detach())]


def _stillness(objective: Objective) -> Callable[[], None]:
    """Remember buffers and weights without gradient; what is returned puts them back."""
    others = [*objective.buffers(), *(value for value in objective.parameters() if not value.requires_grad)]
    kept = [(value, value.detach().clone()) for value in others]

    def put_back() -> None:
        with torch.no_grad():
            for value, before in kept:
                value.copy_(before)

    return put_back


def equal_values(first: object, second: object) -> bool:
    """Whether two outputs, or two entries of state dicts, are the same to the last bit."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return torch.equal(first, second)
    return bool(first == second)
