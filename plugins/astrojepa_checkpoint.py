"""Objective `astrojepa`: a checkpoint of AstroJEPA's model zoo, scored as it is, predictor and all.

Nothing is trained. The file gives a target encoder (the scored one: its mean token is the latent of AstroJEPA's
notebooks), the context encoder and predictor trained beside it, and one patch embedding for both encoders.

Predictions are made as published, leak included. The context encoder runs over *all* patches and forbids attending
to those outside the context; their own pixels stay in their tokens. The predictor gets every one of these tokens
with its own positions, and only at the target block of the moment a mask token instead. What it must predict is
hidden from it, but all else is not, other target blocks among it: this is easier than where the context is
gathered, and errors are to be compared between galaxies, never between objectives.

`astrojepa-bench import-checkpoint FILE.pth` reads sizes off the file and makes a run of it.

Cost: none in training; for each galaxy and draw of masks, one pass of the context encoder, one of the target
encoder and one of the predictor per target block, all over every patch.
Expected: the published linear probes are 30 to 60 % on Galaxy10 DECaLS, where an untrained vision transformer
reaches about 30 (k-NN); the pure I-JEPA models of the zoo had lost most of their rank.

Source: github.com/FurqanBhat/AstroJEPA, published module, and its masks. Deviations: sizes of blocks are fixed
(at the mean of the published draws) instead of drawn for each image; which galaxies it was trained on is not known.
"""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Callable, Mapping
from math import isqrt
from pathlib import Path
from typing import cast

import torch
from astrojepa_vit import AstroJEPAViT, Transformer
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from astrojepa_bench.plugin import (
    ConfigError,
    DataError,
    Draw,
    Encoder,
    GalaxyBatch,
    ImageSpec,
    Imported,
    Importer,
    Loss,
    MaskSizes,
    Objective,
    PatchGrid,
    Prediction,
    Streams,
    hookimpl,
    load_weights,
    read_state,
    read_torch,
)

OURS = {
    "patch_embed.proj.": "encoder.embed.",
    "target_encoder.": "encoder.body.",
    "context_encoder.": "context.",
}
KERNEL, POSITIONS = "patch_embed.proj.weight", "target_encoder.pos_embed"
PARTS = ("patch_embed", "target_encoder", "context_encoder", "predictor", "mask_token")
HEADS = {192: 3, 384: 6}  # of the published models, by width
SURVEY = "Galaxy10 DECaLS"  # what the published models were trained on
BANDS = ("z", "r", "g")
CLASS_NAMES = (
    "Disturbed Galaxies",
    "Merging Galaxies",
    "Round Smooth Galaxies",
    "In-between Round Smooth Galaxies",
    "Cigar Shaped Smooth Galaxies",
    "Barred Spiral Galaxies",
    "Unbarred Tight Spiral Galaxies",
    "Unbarred Loose Spiral Galaxies",
    "Edge-on Galaxies without Bulge",
    "Edge-on Galaxies with Bulge",
)


class AstroJEPA(Objective):
    """No training: a model of AstroJEPA's zoo with weights from its checkpoint, which also predicts.

    Args:
        encoder: an `astrojepa-vit` of the checkpoint's size; becomes the target encoder.
        grid: its patch grid.
        classes: unused.
        weights: the checkpoint, or its tensors by their published names; read without running code.
        depth: layers of the predictor.
        heads: attention heads of the predictor.
        targets: target blocks of a prediction.
        target_scale: share of the patches in a block; blocks of 3 x 3 on 14 x 14 are the published mean.
        context_scale: share of the patches in the context; .27 is the published mean.
    """

    masks = "required"
    trains = False
    version = 1
    taken: Tensor

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        weights: Path | None = None,
        depth: int = 6,
        heads: int = 3,
        targets: int = 4,
        target_scale: float = 0.05,
        context_scale: float = 0.27,
    ) -> None:
        super().__init__(encoder, grid, classes)
        if not isinstance(encoder, AstroJEPAViT):
            raise ConfigError(
                "objective 'astrojepa' is a whole model of that zoo; use encoder 'astrojepa-vit'"
            )
        own: PatchGrid = encoder.grid
        self.sizes = MaskSizes.rounded(own, context=context_scale, targets=targets, target=target_scale)
        self.sizes.check(own)
        body = encoder.body
        self.context = Transformer(
            own.patches,
            width=encoder.dim,
            depth=len(body.blocks.layers),
            heads=body.blocks.layers[0].self_attn.num_heads,
        )
        self.predictor = Transformer(own.patches, width=encoder.dim, depth=depth, heads=heads)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, encoder.dim))
        self.register_buffer("taken", torch.tensor(False))  # kept with a run, which then needs no file
        if weights is not None:
            load_weights(self, weights, "objective 'astrojepa'")

    @property
    def scored_encoder(self) -> Encoder:
        """The target encoder.

        Raises:
            ConfigError: no checkpoint was given.
        """
        if not self.taken:
            raise ConfigError(
                "objective 'astrojepa' has no weights; give objective.weights=FILE.pth, or use import-checkpoint"
            )
        return self.encoder

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Return zero: there is nothing to learn."""
        return Loss(batch.images.new_zeros(()), {})

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Predict every target block of every galaxy, as published.

        Raises:
            ConfigError: the masker hands out no masks.
        """
        masks = draw(batch.images, self.sizes)
        if masks is None:
            raise ConfigError("objective 'astrojepa' needs masks; choose a masker that hands them out")
        galaxy = torch.arange(len(batch.images), device=batch.images.device)[:, None, None]
        actual = self.encoder(batch.images).values[galaxy, masks.targets]
        predicted = self.predicted(self.seen(batch.images, masks.context), masks.targets)
        return Prediction(predicted, actual, masks.targets)

    def seen(
        self, images: Float[Tensor, "batch band height width"], context: Int[Tensor, "batch context"]
    ) -> Float[Tensor, "batch patch dim"]:
        """Encode all patches while nothing attends to those outside the context."""
        patches = cast(AstroJEPAViT, self.encoder).patches(images)
        encoded: Tensor = self.context(patches + self.context.pos_embed, hidden=~marked(patches, context))
        return encoded

    def predicted(
        self, seen: Float[Tensor, "batch patch dim"], targets: Int[Tensor, "batch block target"]
    ) -> Float[Tensor, "batch block target dim"]:
        """Hide one block at a time and predict it from all else; blocks lie along the batch axis."""
        blocks, asked = targets.shape[1], targets.flatten(0, 1)
        each = seen.repeat_interleave(blocks, dim=0)
        values = torch.where(marked(each, asked)[..., None], self.mask_token, each)
        answers = self.predictor(values + self.predictor.pos_embed)
        block = torch.arange(len(asked), device=seen.device)[:, None]
        return answers[block, asked].unflatten(0, (-1, blocks))

    def translated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Understand the published names."""
        given = {"taken": torch.tensor(True)}
        for name, value in state.items():
            prefix = next((published for published in OURS if name.startswith(published)), None)
            given[name if prefix is None else OURS[prefix] + name.removeprefix(prefix)] = value
        return given


def marked(
    tokens: Float[Tensor, "batch patch dim"], places: Int[Tensor, "batch place"]
) -> Bool[Tensor, "batch patch"]:
    """Mark the given places of a set of tokens."""
    nowhere = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    return nowhere.scatter(1, places, True)


# --- sizes, read off the file ----------------------------------------------------------------------------


def read_checkpoint(path: Path) -> Imported:
    """Read the sizes of a checkpoint off its tensors, without running any code in it.

    Raises:
        ConfigError: there is no such file.
        DataError: it is damaged, would run code, or is no checkpoint of AstroJEPA.
    """
    state = whole_model(read_state(path, "import-checkpoint"))
    missing = [name for name in (KERNEL, POSITIONS) if name not in state]
    if missing or state[KERNEL].ndim != 4 or state[POSITIONS].ndim != 3:
        found = ", ".join(sorted(state)[:3])
        raise DataError(
            f"{path.name} is no checkpoint of AstroJEPA: no usable '{KERNEL}' and '{POSITIONS}' among {found}, …"
        )
    patches, width = state[POSITIONS].shape[1:]
    bands, patch = state[KERNEL].shape[1:3]
    side = isqrt(patches)
    if side * side != patches:
        raise DataError(
            f"{path.name} has {patches} positions, which fill no square; give a checkpoint of square images"
        )
    around = what_is_around(path)
    heads, assumed = heads_of(path, around, width)
    layout: dict[str, object] = {"patch": patch, "width": width, "heads": heads}
    layout["depth"] = layers_of(state, "target_encoder")
    predicts = all(
        any(name.startswith(f"{part}.") for name in state) for part in ("context_encoder", "predictor")
    )
    predictor = {"depth": layers_of(state, "predictor"), "heads": heads} if predicts else {}
    half = (0.5,) * bands  # as published: x = (g - 0.5) / 0.5
    names = BANDS if bands == len(BANDS) else tuple(f"band {i}" for i in range(bands))
    return Imported(
        objective="astrojepa" if predicts else "frozen",
        masker="brightness-seed" if predicts else "none",
        encoder="astrojepa-vit",
        dataset="galaxy10",
        options={"objective": {"weights": path, **predictor}, "encoder": layout},
        spec=ImageSpec(names, side * patch, half, half),
        class_names=CLASS_NAMES,
        galaxies=SURVEY,
        patch_px=patch,
        warnings=(
            f"{path.name}: trained elsewhere{progress_of(around)}, as published on {SURVEY} in a random split; "
            "it has most likely seen test galaxies of that survey, without their labels",
            *not_as_published(path, state, assumed, predicts),
        ),
    )  # fmt: skip


def layers_of(state: Mapping[str, Tensor], part: str) -> int:
    """Count the layers of a transformer."""
    return len({found[1] for name in state if (found := re.match(rf"{part}\.blocks\.layers\.(\d+)\.", name))})


def what_is_around(path: Path) -> Mapping[str, object]:
    """Read what stands around the tensors; nothing in a file that holds tensors only."""
    try:
        found = read_torch(path)
    except (pickle.UnpicklingError, RuntimeError):  # safetensors
        return {}
    return found if isinstance(found, Mapping) else {}


def whole_model(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off what stands before the published names, such as `model.`; nothing where there are none."""
    fronts = (name.removesuffix(KERNEL) for name in state if name.endswith(KERNEL))
    front = next((each for each in fronts if each + POSITIONS in state), "")
    return {name.removeprefix(front): value for name, value in state.items() if name.startswith(front)}


def not_as_published(path: Path, state: Mapping[str, Tensor], assumed: str, predicts: bool) -> list[str]:
    """List what a file lacks of the published model, and the parts that it holds beside it, which are left out."""
    parts = Counter(name.partition(".")[0] for name in state)
    named = ", ".join(f"{name} ({count})" for name, count in sorted(parts.items()) if name not in PARTS)
    told = {
        f"{path.name} does not say how many attention heads it has; {assumed}": assumed,
        f"{path.name} holds no predictor: it is scored, and predicts nothing": not predicts,
        f"{path.name}: left out, by the number of tensors: {named}": named,
    }
    return [text for text, holds in told.items() if holds]


def heads_of(path: Path, around: Mapping[str, object], width: int) -> tuple[int, str]:
    """Read the number of attention heads, which no tensor tells; without it, that of the published model so wide.

    Returns:
        The number, and what was assumed; nothing where the file says it.

    Raises:
        DataError: the file does not say it, and no published model is as wide.
    """
    for key in ("config", "args", "hyper_parameters"):
        config = around.get(key)
        heads = config.get("num_heads") if isinstance(config, Mapping) else None
        if isinstance(heads, int) and heads > 0:
            return heads, ""
    if width in HEADS:
        return HEADS[width], f"the {HEADS[width]} of the published models of that width ({width}) are assumed"
    raise DataError(
        f"{path.name} does not say how many attention heads it has (config.num_heads), and its tensors cannot "
        "tell; save the published dictionary around model_state_dict"
    )


def progress_of(around: Mapping[str, object]) -> str:
    """Describe how long it was trained; empty where the file does not say."""
    named = {"epoch": around.get("epoch"), "validation loss": around.get("val_loss")}
    known = [f"{name} {value:.4g}" for name, value in named.items() if isinstance(value, int | float)]
    return f" ({', '.join(known)})" if known else ""


@hookimpl
def astrojepa_importers() -> Mapping[str, Importer]:
    """Offer the reader of AstroJEPA's checkpoints."""
    return {"astrojepa": read_checkpoint}


@hookimpl
def astrojepa_objectives() -> Mapping[str, Callable[..., Objective]]:
    """Offer `astrojepa`."""
    return {"astrojepa": AstroJEPA}
