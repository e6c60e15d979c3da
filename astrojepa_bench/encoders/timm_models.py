"""Any model of timm as an encoder: ConvNets, hierarchical transformers, whatever has a global pool at its end.

Asked for as `timm:resnet18`. Such an encoder has no patches of ours to hide: objectives that need masks skip it,
the others see whole images and crops. It is one vector an image, and that vector is all that can be read.

ResNets halve the image five times, so 64 px end as a map of 2 x 2, which is fine. Nothing is ever downloaded:
pretrained weights come from a file.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import timm
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from astrojepa_bench.encoders.timm_model import TimmModel
from astrojepa_bench.encoders.weights import load_weights
from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import ImageSpec, Tokens

PREFIX = "model."


class TimmEncoder(Encoder):
    """Any model of timm by name, without its classifier, ended by its own global pool: one token an image.

    Args:
        spec: bands, size and training statistics; images are normalised by these, whatever the weights.
        weights: file to start from, in safetensors or as a torch state dict, with timm's names; its classifier
            is left out. None: a random start.

    Source: Wightman 2019 (PyTorch Image Models, timm), doi 10.5281/zenodo.4414861. Deviations: none.
    """

    grid = None
    version = 1
    model_name: ClassVar[str] = ""
    mean: Tensor
    std: Tensor

    def __init__(self, spec: ImageSpec, *, weights: Path | None = None) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(1, -1, 1, 1))
        self.model, self.dim = _created(self.arguments(), spec.size_px)
        if weights is not None:
            load_weights(self, weights, f"encoder 'timm:{self.model_name}'")

    @classmethod
    def member(cls, name: str) -> type[TimmEncoder]:
        """Return the encoder class of one model, the same one each time.

        Raises:
            ConfigError: timm has no model of that name.
        """
        return _member(name)

    def arguments(self) -> dict[str, Any]:
        """Return what `timm.create_model` is called with."""
        has_fixed_size = getattr(timm.get_pretrained_cfg(self.model_name), "fixed_input_size", False)
        sized = {"img_size": self.spec.size_px} if has_fixed_size else {}
        return {"model_name": self.model_name, "num_classes": 0, "in_chans": len(self.spec.bands), **sized}

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Encode whole images: one token an image.

        Raises:
            ContractError: some patches were to be hidden.
        """
        if keep is not None:
            raise ContractError(
                f"encoder 'timm:{self.model_name}' has no patches; it cannot keep some of them"
            )
        values = self.model((images - self.mean) / self.std)
        return Tokens(values[:, None], torch.zeros(len(values), 1, dtype=torch.long, device=values.device))

    def translated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Understand timm's own names, and leave the classifier out; normalisation stays that of the images."""
        if any(name.startswith(PREFIX) for name in state):
            return dict(state)
        facts: Mapping[str, Any] = getattr(self.model, "pretrained_cfg", {})
        names = facts.get("classifier") or ()
        classifiers = tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))
        kept = {f"{PREFIX}{name}": value for name, value in state.items() if not name.startswith(classifiers)}
        return {"mean": self.mean, "std": self.std, **kept}

    def as_timm(self) -> TimmModel:
        """Return the timm model itself."""
        mean, std = (tuple(buffer.flatten().tolist()) for buffer in (self.mean, self.std))
        return TimmModel(self.arguments(), self.model.state_dict(), mean, std)


@functools.cache
def _member(name: str) -> type[TimmEncoder]:
    _check_known(name)
    facts = {
        "__doc__": f"timm's {name} without its classifier, ended by its global pool: one token an image.",
        "__module__": __name__,
        "model_name": name,
    }
    return type(f"Timm_{name}", (TimmEncoder,), facts)


def _check_known(name: str) -> None:
    base, dot, tag = name.partition(".")
    if dot and timm.is_model(base):
        raise ConfigError(
            f"encoder 'timm:{name}': the tag '{tag}' names weights, and nothing is downloaded; ask for timm:{base} "
            f"and give the file as --set encoder.weights=FILE"
        )
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        question = f"did you mean {' or '.join(f'timm:{match}' for match in close)}? " if close else ""
        raise ConfigError(
            f"unknown timm model '{name}'; {question}timm.list_models() in Python names them all"
        )


def _created(arguments: Mapping[str, Any], size_px: int) -> tuple[nn.Module, int]:
    """Create a model and try it on a blank image: some cannot take small ones, and the output tells the width."""
    try:
        model = timm.create_model(pretrained=False, **arguments)
        with torch.no_grad():
            shape = model.eval()(torch.zeros(1, arguments["in_chans"], size_px, size_px)).shape
    except Exception as error:  # timm's models fail in many ways
        reason = " ".join(str(error).split())[:150]
        raise _unfit(arguments, size_px, f"{type(error).__name__}: {reason}") from error
    if len(shape) != 2:
        raise _unfit(arguments, size_px, f"its output has the shape {tuple(shape)}, not one vector an image")
    return model.train(), int(shape[1])


def _unfit(arguments: Mapping[str, Any], size_px: int, reason: str) -> ConfigError:
    return ConfigError(
        f"encoder 'timm:{arguments['model_name']}' cannot encode images of {size_px} px and "
        f"{arguments['in_chans']} bands ({reason}); take another model or a budget of larger images"
    )
