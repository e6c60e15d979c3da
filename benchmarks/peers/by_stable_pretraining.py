"""stable-pretraining's I-JEPA step, called as it comes, on masks that are given to it."""

from __future__ import annotations

import timm
import torch
from stable_pretraining.backbone.patch_masking import IJEPAMaskOutput
from stable_pretraining.methods import ijepa
from torch import Tensor, nn

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.geometry.grids import Masks

MOMENTUM = 0.996


class GivenMasks(nn.Module):
    """Stands where it would draw masks, so that both sides have the same ones."""

    masks: Masks

    def forward(self, tokens: Tensor, _rows: int, _columns: int) -> IJEPAMaskOutput:
        targets = self.masks.targets.flatten(1)
        hidden = torch.ones(tokens.shape[:2]).scatter_(1, self.masks.context, 0.0)
        return IJEPAMaskOutput(
            context_idx=self.masks.context, target_idx=targets, target_block_masks=[], mask=hidden
        )


class StablePretrainingIJEPA:
    """Its I-JEPA at our sizes: all target blocks in one predictor sequence.

    Args:
        encoder: ours, whose sizes and weights it takes.
        width, depth: of the predictor.
    """

    def __init__(self, encoder: TokenViT, *, width: int, depth: int) -> None:
        found = encoder.as_timm()
        vit = timm.create_model(**found.arguments)
        vit.load_state_dict(dict(found.state))
        self.model = ijepa.IJEPA(vit, predictor_embed_dim=width, predictor_depth=depth)
        self.model.masking = GivenMasks()
        self.model.train()
        self.mean, self.std = encoder.mean, encoder.std
        trained = [each for each in self.model.parameters() if each.requires_grad]
        self.optimiser = torch.optim.AdamW(trained, lr=1e-5)

    def loss(self, images: Tensor, masks: Masks) -> Tensor:
        self.model.masking.masks = masks
        return self.model((images - self.mean) / self.std).loss

    def step(self, images: Tensor, masks: Masks) -> Tensor:
        """Descend once, and move the teacher."""
        loss = self.loss(images, masks)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            pair = self.model.encoder.teacher.parameters(), self.model.encoder.student.parameters()
            torch._foreach_lerp_(*map(list, pair), 1 - MOMENTUM)
        return loss.detach()
