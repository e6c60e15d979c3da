"""An encoder as plain timm sees it: what to create, and the tensors to load into it.

This is the form in which encoders leave the bench. Anyone with timm, and nothing of ours, can use them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from safetensors.torch import save_file
from torch import Tensor

from astrojepa_bench.files import replacing

METADATA = "encoder"


@dataclass(frozen=True)
class TimmModel:
    """A timm model without a classifier; its output is the encoder's tap `last`.

    Attributes:
        arguments: for `timm.create_model`.
        state: its state dict.
        mean, std: per band; images in [0, 1] are normalised by them first.
    """

    arguments: Mapping[str, object]
    state: Mapping[str, Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def facts(self) -> dict[str, object]:
        """Return what the metadata of the file holds."""
        return {"create_model": dict(self.arguments), "mean": list(self.mean), "std": list(self.std)}

    def write(self, path: Path, about: Mapping[str, object] | None = None) -> None:
        """Write a safetensors file, whole or not at all; `about` joins the facts in its metadata."""
        state = {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in self.state.items()
        }
        metadata = {METADATA: json.dumps({**self.facts(), **(about or {})})}
        with replacing(path, sum(value.nbytes for value in state.values())) as draft:
            write_tensors(state, draft, metadata)


def write_tensors(state: Mapping[str, Tensor], draft: Path, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file with the rights of any new file: the library makes it for its owner alone."""
    draft.touch()
    rights = draft.stat().st_mode
    save_file(dict(state), draft, metadata=dict(metadata))
    draft.chmod(rights)


@runtime_checkable
class HasTimmForm(Protocol):
    """An encoder that can be written as a timm model."""

    def as_timm(self) -> TimmModel:
        """Return the same function as a timm model.

        Raises:
            ConfigError: with these options there is none.
        """
