"""lightly's steps, assembled from its modules as its examples do, with the weights of ours.

Each returns the loss of a batch, so that it can be held against ours before anything is timed.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import timm
import torch
from astrojepa_ijepa import IJEPA
from astrojepa_lejepa import LeJEPA
from astrojepa_mae import MAE
from astrojepa_vicreg import VICReg
from lightly.loss import VICRegLoss
from lightly.loss.lejepa_loss import LeJEPALoss
from lightly.models import utils
from lightly.models.modules import MAEDecoderTIMM, MaskedVisionTransformerTIMM
from lightly.models.modules.heads import LeJEPAProjectionHead, VICRegProjectionHead
from lightly.models.modules.ijepa_timm import IJEPAPredictorTIMM
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.geometry.grids import Masks
from astrojepa_bench.plugin import sincos_positions

MOMENTUM = 0.996


class Peer(nn.Module):
    """A model of lightly's modules with an optimiser.

    Args:
        encoder: ours, whose weights it takes.
    """

    def __init__(self, encoder: TokenViT) -> None:
        super().__init__()
        self.register_buffer("mean", encoder.mean.clone())
        self.register_buffer("std", encoder.std.clone())

    def normalised(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std

    def loss(self, *given: object) -> Tensor:
        raise NotImplementedError

    def after_step(self) -> None:
        """Do what follows a step."""

    def step(self, *given: object) -> None:
        """Descend once."""
        if not hasattr(self, "optimiser"):
            trained = [each for each in self.parameters() if each.requires_grad]
            self.optimiser = torch.optim.AdamW(trained, lr=1e-5)
        loss = self.loss(*given)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.after_step()


def vit_of(encoder: TokenViT) -> nn.Module:
    """Make timm's model of an encoder, for any size of image: positions are ours, where timm resamples a table."""
    found = encoder.as_timm()
    model = timm.create_model(**found.arguments, dynamic_img_size=True)
    model.load_state_dict(dict(found.state))
    model.pos_embed.requires_grad_(False)
    codes = {side: sincos_positions(side, side, encoder.dim) for side in range(1, encoder.grid.rows + 1)}
    model._pos_embed = lambda tokens: tokens.flatten(1, 2) + codes[tokens.shape[1]]
    return model


def masked_vit_of(encoder: TokenViT) -> MaskedVisionTransformerTIMM:
    """Wrap a fixed-size model of an encoder by lightly's."""
    found = encoder.as_timm()
    model = MaskedVisionTransformerTIMM(timm.create_model(**found.arguments))
    model.vit.load_state_dict(dict(found.state))
    return model


class LightlyIJEPA(Peer):
    """I-JEPA."""

    def __init__(self, objective: IJEPA) -> None:
        super().__init__(objective.encoder)
        ours, grid = objective.predictor, objective.encoder.grid
        self.encoder = masked_vit_of(objective.encoder)
        self.teacher = copy.deepcopy(self.encoder).requires_grad_(False)
        self.predictor = IJEPAPredictorTIMM(
            grid.patches, len(ours.blocks), objective.encoder.dim, ours.enter.out_features,
            ours.blocks[0].attn.num_heads, norm_layer=nn.LayerNorm,
        )  # fmt: skip
        self.predictor.load_state_dict(
            {
                **{f"decoder.{name}": value for name, value in _parts(ours, "blocks.", "norm.").items()},
                "decoder.mask_token": ours.mask_token.detach()[None, None],
                "decoder.pos_embed": ours.codes[None],
                **_renamed(ours, enter="predictor_embed", leave="predictor_proj"),
            }
        )

    def loss(self, images: Tensor, masks: Masks) -> Tensor:
        pixels, targets = self.normalised(images), list(masks.targets.unbind(1))
        with torch.no_grad():
            whole = self.teacher.encode(pixels)
            actual = utils.apply_masks(F.layer_norm(whole, whole.shape[-1:]), targets)
        context = self.encoder.encode(pixels, idx_keep=masks.context)
        return F.smooth_l1_loss(self.predictor(context, masks.context, targets), actual)

    def after_step(self) -> None:
        utils.update_momentum(self.encoder, self.teacher, MOMENTUM)


class LightlyMAE(Peer):
    """MAE, against pixels in units of the bands' spread."""

    def __init__(self, objective: MAE) -> None:
        super().__init__(objective.encoder)
        ours, grid = objective.decoder, objective.encoder.grid
        self.patch = grid.patch_px
        self.encoder = masked_vit_of(objective.encoder)
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # renamed, not changed, in 1.7
            self.decoder = MAEDecoderTIMM(
                grid.patches, self.patch, 3, objective.encoder.dim, ours.enter.out_features, len(ours.blocks),
                ours.blocks[0].attn.num_heads, num_prefix_tokens=0, norm_layer=nn.LayerNorm,
            )  # fmt: skip
        order = (
            torch.arange(3 * self.patch**2).view(3, -1).T.flatten()
        )  # their pixels have the bands innermost
        leave = {"decoder_pred.weight": ours.leave.weight[order], "decoder_pred.bias": ours.leave.bias[order]}
        self.decoder.load_state_dict(
            {
                **{f"decoder_{name}": value for name, value in _parts(ours, "blocks.", "norm.").items()},
                "mask_token": ours.mask_token.detach()[None, None],
                "decoder_pos_embed": ours.codes[None],
                **_renamed(ours, enter="decoder_embed"),
                **leave,
            }
        )

    def loss(self, images: Tensor, keep: Tensor, hidden: Tensor) -> Tensor:
        pixels = self.normalised(images)
        entered = self.decoder.embed(self.encoder.encode(pixels, idx_keep=keep))
        shape = (len(images), self.encoder.sequence_length)
        full = utils.repeat_token(self.decoder.mask_token, shape)
        decoded = self.decoder.decode(utils.set_at_index(full, keep, entered.type_as(full)))
        painted = self.decoder.predict(utils.get_at_index(decoded, hidden))
        return F.mse_loss(painted, utils.get_at_index(utils.patchify(pixels, self.patch), hidden))


class LightlyLeJEPA(Peer):
    """LeJEPA on views that are given."""

    def __init__(self, objective: LeJEPA) -> None:
        super().__init__(objective.encoder)
        first, last = objective.projector[0], objective.projector[-1]
        self.vit = vit_of(objective.encoder)
        self.head = LeJEPAProjectionHead(first.in_features, first.out_features, last.out_features)
        _load_head(self.head, objective.projector)
        self.criterion = LeJEPALoss(objective.lam, sigreg_num_vectors=objective.slices)

    def projected(self, whole: Tensor, local: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        pooled = torch.cat([self.vit(self.normalised(views)) for views in (whole, local)])
        views = self.head(pooled).unflatten(0, (-1, batch))
        return views[: len(whole) // batch], views[len(whole) // batch :]

    def loss(self, whole: Tensor, local: Tensor, batch: int) -> Tensor:
        seen, small = self.projected(whole, local, batch)
        return self.criterion(local_proj=small, global_proj=seen)


class LightlyVICReg(Peer):
    """VICReg on views that are given."""

    def __init__(self, objective: VICReg) -> None:
        super().__init__(objective.encoder)
        first, last = objective.projector[0], objective.projector[-1]
        self.vit = vit_of(objective.encoder)
        self.head = VICRegProjectionHead(first.in_features, first.out_features, last.out_features)
        _load_head(self.head, objective.projector)
        self.criterion = VICRegLoss()

    def loss(self, views: Tensor) -> Tensor:
        return self.criterion(*self.head(self.vit(self.normalised(views))).chunk(2))


def slices_as(directions: Tensor) -> Callable[..., Tensor]:
    """Return what draws given slices, for holding two losses against one another."""
    return lambda *_args, **_named: directions


def _parts(module: nn.Module, *starts: str) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if name.startswith(starts)}


def _renamed(module: nn.Module, **names: str) -> dict[str, Tensor]:
    return {
        f"{new}.{part}": getattr(getattr(module, old), part)
        for old, new in names.items()
        for part in ("weight", "bias")
    }


def _load_head(head: nn.Module, ours: nn.Sequential) -> None:
    """Copy a projector; a layer before a batch norm has no bias there, which the norm would take away anyhow."""
    linear = [each for each in head.modules() if isinstance(each, nn.Linear)]
    for theirs, own in zip(linear, (each for each in ours if isinstance(each, nn.Linear)), strict=True):
        theirs.weight.data.copy_(own.weight)
        if theirs.bias is not None:
            theirs.bias.data.copy_(own.bias)
