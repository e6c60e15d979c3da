"""Any model of timm as an encoder: ConvNets, vision transformers, whatever has a global pool at its end.

Asked for as `timm:resnet18`. Most have no patches to hide: objectives that need masks skip them, the others see
whole images and crops, and one vector an image is all that can be read. Plain vision transformers (those of timm's
modules `vision_transformer` and `eva`, with DINOv2's and DINOv3's) have patch tokens, so any objective trains them.

ResNets halve the image five times, so 64 px end as a map of 2 x 2, which is fine. Nothing is ever downloaded:
pretrained weights come from a file (docs/frozen.md).
"""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from astrojepa_bench.encoders import timm_library
from astrojepa_bench.encoders.timm_model import TimmModel
from astrojepa_bench.encoders.weights import load_weights
from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import ImageSpec, Tokens

PREFIX = "model."
PLAIN = ("timm.models.vision_transformer", "timm.models.eva")  # whose models gather patches in one place


class TimmEncoder(Encoder):
    """Any model of timm by name, without its classifier, ended by its own global pool: one token an image.

    Args:
        spec: bands, size and training statistics; images are normalised by these, whatever the weights.
        weights: file to start from, in safetensors or as a torch state dict, with timm's names or those that timm
            translates; its classifier is left out. None: a random start.

    Source: Wightman 2019 (PyTorch Image Models, timm), doi 10.5281/zenodo.4414861. Deviations: none.
    """

    grid: PatchGrid | None
    version = 1
    model_name: ClassVar[str] = ""
    mean: Tensor
    std: Tensor

    def __init__(self, spec: ImageSpec, *, weights: Path | None = None) -> None:
        super().__init__(spec)
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(1, -1, 1, 1))
        self.model, self.dim = _created(self.arguments(), spec.size_px)
        self.grid = None
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
        has_fixed_size = getattr(timm_library.get_pretrained_cfg(self.model_name), "fixed_input_size", False)
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
        """Understand timm's own names and what timm translates; leave the classifier out.

        Files of other programs leave the normalisation to the images at hand. Tables of positions that were made
        for another image size are interpolated by timm's helper.
        """
        ours = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
        given = _as_timm_names(ours or state, self.model)
        facts: Mapping[str, Any] = getattr(self.model, "pretrained_cfg", {})
        names = facts.get("classifier") or ()
        classifiers = tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))
        kept = {f"{PREFIX}{name}": value for name, value in given.items() if not name.startswith(classifiers)}
        others = {name: value for name, value in state.items() if not name.startswith(PREFIX)} if ours else {}
        return {"mean": self.mean, "std": self.std, **others, **kept}

    def as_timm(self) -> TimmModel:
        """Return the timm model itself."""
        mean, std = (tuple(buffer.flatten().tolist()) for buffer in (self.mean, self.std))
        return TimmModel(self.arguments(), self.model.state_dict(), mean, std)


class TimmViT(TimmEncoder):
    """A plain vision transformer of timm by name: a token a patch, class and register tokens beside them.

    Tap `last` is the mean of the patch tokens, which is what objectives train; `pooled` is timm's own output, which
    is the class token in most published models. Hidden patches are dropped before the first block.

    Source: Dosovitskiy et al. 2021 (arXiv 2010.11929); Fang et al. 2023 (arXiv 2303.11331) for `eva`. Deviation:
        images of any size that the patch tiles are welcome (timm's `dynamic_img_size`).
    """

    version = 2
    model: Any

    def __init__(self, spec: ImageSpec, **options: Any) -> None:
        super().__init__(spec, **options)
        self.grid = PatchGrid.tiling(spec.size_px, self.model.patch_embed.patch_size[0])
        self.dim = self.model.embed_dim
        self.model.patch_drop = _Kept(self.model)

    def arguments(self) -> dict[str, Any]:
        """Return what `timm.create_model` is called with."""
        return {**super().arguments(), "dynamic_img_size": True}

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Encode the patches in `keep`, or all of them."""
        with self._keeping(keep):
            return self._tokens(self.model.forward_features((images - self.mean) / self.std), keep)

    def layers(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Sequence[Tokens]:
        """Compute the tokens after every block, those of the last as `forward` returns them."""
        has_extra = self.model.num_prefix_tokens > 0
        with self._keeping(keep):
            last, blocks = self.model.forward_intermediates(
                (images - self.mean) / self.std, return_prefix_tokens=has_extra, output_fmt="NLC"
            )
        earlier = [torch.cat(block[::-1], dim=1) if has_extra else block for block in blocks[:-1]]
        return [self._tokens(values, keep) for values in (*earlier, last)]

    def taps(self, images: Float[Tensor, "batch band height width"]) -> Mapping[str, Tensor]:
        """Return `last`, the mean of the patch tokens, and `pooled`, timm's own output."""
        values = self.model.forward_features((images - self.mean) / self.std)
        return {
            "last": self._tokens(values, None).values.mean(dim=1),
            "pooled": self.model.forward_head(values),
        }

    def as_timm(self) -> TimmModel:
        """Return the timm model, ended by the mean of its patch tokens.

        Raises:
            ConfigError: timm normalises this model behind its pool.
        """
        norm = "use_fc_norm" if type(self.model).__module__ == PLAIN[1] else "fc_norm"
        arguments = {**self.arguments(), "global_pool": "avg", norm: False}
        state = self.model.state_dict()
        wanted = timm_library.create_model(pretrained=False, **arguments).state_dict()
        if not wanted.keys() <= state.keys():
            raise ConfigError(
                f"the mean patch token of 'timm:{self.model_name}' has no timm form: it is normalised behind its "
                "pool; export a run of another model"
            )
        mean, std = (tuple(buffer.flatten().tolist()) for buffer in (self.mean, self.std))
        return TimmModel(arguments, {name: state[name] for name in wanted}, mean, std)

    @contextmanager
    def _keeping(self, keep: Int[Tensor, "batch token"] | None) -> Iterator[None]:
        self.model.patch_drop.keep = keep
        try:
            yield
        finally:
            self.model.patch_drop.keep = None

    def _tokens(self, values: Float[Tensor, "batch token dim"], keep: Tensor | None) -> Tokens:
        count = self.model.num_prefix_tokens
        extra, patches = values[:, :count], values[:, count:]
        if keep is None:
            keep = torch.arange(patches.shape[1], device=values.device).expand(len(values), -1)
        return Tokens(patches, keep, extra if count else None)


class _Kept(nn.Module):
    """Stands where timm drops patches at random, after positions and before the first block; keeps those asked for.

    Args:
        model: whose patches; a model of `eva` is also told which were kept, for its rotary positions.
    """

    keep: Tensor | None = None

    def __init__(self, model: Any) -> None:  # noqa: ANN401 timm has no types
        super().__init__()
        self.extra, self.tells = model.num_prefix_tokens, type(model).__module__ == PLAIN[1]

    def forward(self, values: Float[Tensor, "batch token dim"]) -> Tensor | tuple[Tensor, Tensor | None]:
        if self.keep is not None:
            seen = values[:, self.extra :].gather(1, self.keep[..., None].expand(-1, -1, values.shape[-1]))
            values = torch.cat([values[:, : self.extra], seen], dim=1)
        return (values, self.keep) if self.tells else values


def _as_timm_names(state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
    """Let timm translate the names of a file and interpolate its positions, where it can; it does so by module."""
    translate = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if translate is None:
        return state
    try:
        found: Mapping[str, Tensor] = translate(dict(state), model)
    except Exception:  # written for files that fit; one that does not is refused by name later
        return state
    return found


@functools.cache
def _member(name: str) -> type[TimmEncoder]:
    _check_known(name)
    facts = {"__module__": __name__, "model_name": name}
    if timm_library.model_entrypoint(name).__module__ in PLAIN:
        summary = (
            f"timm's {name} without its classifier: a token a patch, class and register tokens beside them."
        )
        return type(f"Timm_{name}", (TimmViT,), {**facts, "__doc__": summary})
    summary = f"timm's {name} without its classifier, ended by its global pool: one token an image."
    return type(f"Timm_{name}", (TimmEncoder,), {**facts, "__doc__": summary, "grid": None})


def _check_known(name: str) -> None:
    base, dot, tag = name.partition(".")
    if dot and timm_library.is_model(base):
        raise ConfigError(
            f"encoder 'timm:{name}': the tag '{tag}' names weights, and nothing is downloaded; ask for timm:{base} "
            f"and give the file as --set encoder.weights=FILE"
        )
    if not timm_library.is_model(name):
        close = difflib.get_close_matches(name, timm_library.list_models(), n=3)
        question = f"did you mean {' or '.join(f'timm:{match}' for match in close)}? " if close else ""
        raise ConfigError(
            f"unknown timm model '{name}'; {question}timm.list_models() in Python names them all"
        )


def _created(arguments: Mapping[str, Any], size_px: int) -> tuple[nn.Module, int]:
    """Create a model and try it on a blank image: some cannot take small ones, and the output tells the width."""
    try:
        model = timm_library.create_model(pretrained=False, **arguments)
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
