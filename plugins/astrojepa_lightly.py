"""Family `lightly:<name>`: the losses of the library lightly, each as an objective on views of whole galaxies.

Asked for by the name of lightly's class, `lightly:NTXentLoss`, whose options are options here:

    pip install 'astrojepa-bench[lightly]'
    astrojepa-bench run -o lightly:DCLLoss,lightly:FroSSLLoss -m none
    astrojepa-bench show lightly:DCLLoss

Nothing of lightly is imported before one of its losses is asked for. Its release is part of a run's identity.

| loss | is given |
|---|---|
| `NTXentLoss`, `DCLLoss`, `DCLWLoss`, `MACLLoss`, `BarlowTwinsLoss`, `VICRegLoss` | the projections of two views |
| `DirectCLRLoss` | the features of two views, without a projector |
| `FroSSLLoss` | a list of both projections |
| `MMCRLoss` | both projections at unit length, as one manifold a galaxy |
| `WMSELoss` | both projections, one after the other |
| `LeJEPALoss`, `VISRegLoss` | two global views, and a local one that shows half of the side |
| `NegativeCosineSimilarity` | a predictor's answers and the other view, gradient stopped (SimSiam) |
| `TiCoLoss` | one view of the student, the other of a moving-average teacher |
| `SwaVLoss` | likenesses of both views with learnt prototypes |

Losses of tokens, masks, regions or prior distributions are refused with the reason (`REFUSED`).

Expected: those of the losses' papers; `show lightly:NAME` names them. Where this project has the method itself
(`simclr`, `barlow-twins`, `vicreg`, `lejepa`, `visreg`), the same loss stands there on its own views and recipe,
and the tests hold it against lightly's.

Cost: two token-passes per patch; three for `LeJEPALoss` and `VISRegLoss`; for `TiCoLoss` one is the teacher's.

Source: lightly (MIT), https://github.com/lightly-ai/lightly, and the papers that its classes name. Deviations:
one projector for all (three layers, BatchNorm), galaxy-valid views without colour jitter, AdamW at the ruler's
rate of 2e-3; no memory banks. Losses are computed in float32.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as release_of
from importlib.util import find_spec
from typing import Any, ClassVar

import torch
from astrojepa_two_views import Taught, TwoViews, perceptron
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.plugin import (
    ConfigError,
    Draw,
    Encoder,
    GalaxyBatch,
    Loss,
    Objective,
    PatchGrid,
    Streams,
    drawn_alike,
    gathered,
    hookimpl,
)

EXTRA = "pip install 'astrojepa-bench[lightly]'"
"""What brings lightly with everything that it needs."""

PLACES = ("encoder", "grid", "classes", "lightly")  # what the bench gives, and the release

SET_HERE = frozenset({"dim", "embedding_dim", "num_samples", "track_running_stats"})
"""Arguments of losses that follow from how they are fed."""


class LightlyLoss(TwoViews):
    """A loss of lightly on projections of two views.

    Args:
        encoder: the encoder to train.
        grid: unused.
        classes: unused.
        lightly: its release.
        projector: width of the projector's hidden layers.
        embedding: width of the projector's output.
    """

    version = 1
    loss_name: ClassVar[str] = ""
    preset: ClassVar[Mapping[str, int]] = {}  # defaults that differ from those of the loss or the others
    unused: ClassVar[tuple[str, ...]] = ()  # options that mean nothing to it
    is_mean: ClassVar[bool] = False  # over galaxies, and no statistic that spans the batch

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        lightly: str = "",
        *,
        projector: int = 512,
        embedding: int = 128,
        **options: Any,
    ) -> None:
        own = {name: options.pop(name) for name in loss_options(self.loss_name) if name in options}
        super().__init__(encoder, grid, classes, **options)
        self.projector = self.make_projector(encoder.dim, projector, embedding)
        try:
            self.criterion = loss_class(self.loss_name)(**own, **self.given(embedding))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"lightly's {self.loss_name} refuses its options: {error}") from error

    @classmethod
    def member(cls, name: str) -> Callable[..., LightlyLoss]:
        """Return what makes the objective of one loss; its release counts as a part of it.

        Raises:
            ConfigError: lightly is not installed, or has no such loss, or one that cannot be fed.
        """
        return functools.partial(_member(name), lightly=installed())

    def make_projector(self, dim: int, hidden: int, out: int) -> nn.Module:
        """Make what follows the encoder."""
        return perceptron(dim, hidden, hidden, out)

    def given(self, embedding: int) -> dict[str, Any]:
        """Return the arguments of the loss that follow from how it is fed."""
        return {}

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Feed the loss, in float32."""
        projections = self.projected(batch, streams).float()
        with torch.autocast(projections.device.type, enabled=False), drawn_alike():
            value = self.compared(projections if self.is_mean else gathered(projections, dim=1))
        return Loss(value, {self.loss_name: value})

    def projected(self, batch: GalaxyBatch, streams: Streams) -> Float[Tensor, "view galaxy embedding"]:
        """Project each view; the projector normalises over one view at a time."""
        return torch.stack([self.projector(view) for view in self.pooled(batch, streams)])

    def compared(self, projections: Float[Tensor, "view galaxy embedding"]) -> Tensor:
        """Feed it one view and the other."""
        return self.criterion(*projections)


class UnprojectedLoss(LightlyLoss):
    """A loss of lightly that acts on some of the features themselves."""

    unused = ("projector", "embedding")

    def make_projector(self, dim: int, hidden: int, out: int) -> nn.Module:
        """Make nothing."""
        return nn.Identity()


class ListedLoss(LightlyLoss):
    """A loss of lightly that takes a list of views."""

    def compared(self, projections: Float[Tensor, "view galaxy embedding"]) -> Tensor:
        """Feed it both views in a list."""
        return self.criterion(list(projections))


class ManifoldLoss(LightlyLoss):
    """A loss of lightly that takes the views of a galaxy as a manifold on the sphere."""

    def compared(self, projections: Float[Tensor, "view galaxy embedding"]) -> Tensor:
        """Feed it both views at unit length, as the paper has it: it has no least value otherwise."""
        return self.criterion(*F.normalize(projections, dim=-1)[:, :, None])


class WhiteningLoss(LightlyLoss):
    """A loss of lightly that whitens each view over parts of the batch."""

    # parts of at least two galaxies a dimension, and one part a batch
    preset: ClassVar[Mapping[str, int]] = {"embedding": 64, "w_size": 128}

    def given(self, embedding: int) -> dict[str, Any]:
        """Return the width of the embeddings."""
        return {"embedding_dim": embedding}

    def compared(self, projections: Float[Tensor, "view galaxy embedding"]) -> Tensor:
        """Feed it one view after the other."""
        return self.criterion(projections.flatten(0, 1))


class MultiCropLoss(LightlyLoss):
    """A loss of lightly that takes global and local views."""

    def projected(self, batch: GalaxyBatch, streams: Streams) -> Float[Tensor, "view galaxy embedding"]:
        """Project two global views and one local view, which shows half of the side at full size."""
        views = self.views(batch, streams), self.views(batch, streams, 1, scale=(0.3, 0.55), shift=0.15)
        pooled = self.encoder(torch.cat(views)).values.mean(dim=1)
        return torch.stack([self.projector(view) for view in pooled.chunk(3)])

    def compared(self, projections: Float[Tensor, "view galaxy embedding"]) -> Tensor:
        """Feed it the views by name."""
        return self.criterion(global_proj=projections[:2], local_proj=projections[2:])


class PredictedLoss(LightlyLoss):
    """A loss of lightly between a prediction from one view and the other view, as in SimSiam."""

    is_mean = True

    def __init__(self, *given: Any, embedding: int = 128, **options: Any) -> None:
        super().__init__(*given, embedding=embedding, **options)
        self.predictor = perceptron(embedding, embedding // 4, embedding)

    def compared(self, projections: Float[Tensor, "view galaxy embedding"]) -> Tensor:
        """Average both directions; no gradient flows through what is predicted."""
        first, second = projections
        answers = (self.predictor(first), second.detach()), (self.predictor(second), first.detach())
        return torch.stack([self.criterion(*each) for each in answers]).mean()


class SortedLoss(LightlyLoss):
    """A loss of lightly that sorts views among learnt prototypes, as in SwAV.

    Args:
        prototypes: how many.
    """

    def __init__(self, *given: Any, embedding: int = 128, prototypes: int = 256, **options: Any) -> None:
        super().__init__(*given, embedding=embedding, **options)
        self.prototypes = nn.Linear(embedding, prototypes, bias=False)

    def compared(self, projections: Float[Tensor, "view galaxy embedding"]) -> Tensor:
        """Feed it the cosines of both views with the prototypes."""
        directions = F.normalize(self.prototypes.weight, dim=-1)
        return self.criterion(list(F.linear(F.normalize(projections, dim=-1), directions)), []).squeeze()


class TaughtLoss(LightlyLoss, Taught):
    """A loss of lightly between a student and the moving average of it.

    Args:
        judge: which encoder is scored, the `student` as published or the `teacher`.
    """

    def __init__(self, *given: Any, embedding: int = 128, **options: Any) -> None:
        super().__init__(*given, embedding=embedding, **options)
        self.teach(self.projector)
        del self.criterion.C  # the loss remembers it, so it belongs with the weights
        self.criterion.register_buffer("C", torch.zeros(embedding, embedding))

    def projected(self, batch: GalaxyBatch, streams: Streams) -> Float[Tensor, "view galaxy embedding"]:
        """Project one view by the student and the other by the teacher."""
        one, other = self.views(batch, streams).chunk(2)
        student = self.projector(self.encoder(one).values.mean(dim=1))
        with torch.no_grad():
            taught = self.teacher_head(self.teacher(other).values.mean(dim=1))
        return torch.stack([student, taught])


SERVED: Mapping[str, type[LightlyLoss]] = {
    "NTXentLoss": LightlyLoss,
    "DCLLoss": LightlyLoss,
    "DCLWLoss": LightlyLoss,
    "MACLLoss": LightlyLoss,
    "BarlowTwinsLoss": LightlyLoss,
    "VICRegLoss": LightlyLoss,
    "DirectCLRLoss": UnprojectedLoss,
    "FroSSLLoss": ListedLoss,
    "MMCRLoss": ManifoldLoss,
    "WMSELoss": WhiteningLoss,
    "LeJEPALoss": MultiCropLoss,
    "VISRegLoss": MultiCropLoss,
    "NegativeCosineSimilarity": PredictedLoss,
    "SwaVLoss": SortedLoss,
    "TiCoLoss": TaughtLoss,
}
"""How each loss is fed."""

REFUSED: Mapping[str, str] = {
    "EMPSSLLoss": "its coding rate has the sign that rewards collapse: one point costs less than spread embeddings",
    "KoLeoLoss": "it compares no views: it spreads features and is no objective by itself",
    "SIGReg": "it compares no views; ask for lightly:LeJEPALoss or lejepa",
    "DINOLoss": "it needs prototypes, a teacher and crops; ask for dino",
    "IBOTPatchLoss": "it compares tokens of hidden patches",
    "IBOTPlusPlusPatchLoss": "it compares tokens of hidden patches",
    "CAPILoss": "it compares tokens of hidden patches",
    "PatchKernelAlignmentLoss": "it compares tokens with those of a trained teacher",
    "VICRegLLoss": "it needs maps of features and where they lie in the image",
    "DetConBLoss": "it needs regions of each image",
    "DetConSLoss": "it needs regions of each image",
    "MSNLoss": "it needs masked views, prototypes and a teacher",
    "PMSNLoss": "it needs masked views, prototypes and a teacher",
    "PMSNCustomLoss": "it needs masked views, prototypes and a teacher",
    "LeWMLoss": "it needs sequences of images",
    "Whitening2d": "it is no loss",
    "VISRegLossComponents": "it is no loss",
}
"""Why a loss cannot be fed."""


# --- from a name to an objective ----------------------------------------------------------------------------


def installed() -> str:
    """Return lightly's release.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return release_of("lightly")
    except PackageNotFoundError:
        raise ConfigError(f"the losses of lightly need the package lightly; run {EXTRA}") from None


def loss_class(name: str) -> type[nn.Module]:
    """Return a loss of lightly.

    Raises:
        ConfigError: this release has no such loss, or cannot be imported.
    """
    try:
        losses = importlib.import_module("lightly.loss")
    except ImportError as error:
        raise ConfigError(f"lightly {installed()} cannot be imported ({error}); run {EXTRA}") from error
    found: type[nn.Module] | None = getattr(losses, name, None)
    if found is None:
        raise ConfigError(f"lightly {installed()} has no {name}; run {EXTRA} for another release")
    return found


@functools.cache
def loss_options(name: str) -> dict[str, inspect.Parameter]:
    """Collect the plain arguments of a loss that are left to the user, as keyword-only parameters."""
    signature = inspect.signature(loss_class(name), eval_str=True)
    return {
        each.name: each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for each in signature.parameters.values()
        if each.annotation in (bool, int, float) and each.name not in SET_HERE and "gather" not in each.name
    }


@functools.cache
def _member(name: str) -> type[LightlyLoss]:
    if name not in SERVED:
        installed()
        raise _unserved(name)
    base, loss = SERVED[name], loss_class(name)
    words = [inspect.getdoc(each) or "" for each in (base, loss, loss.__init__)]
    fed = words[0].replace("A loss of lightly that", f"lightly's {name}, which", 1)
    told = "\n\n".join([fed.replace("A loss of lightly", f"lightly's {name}", 1), *words[1:]])
    facts = {
        "__doc__": re.sub(r"^(    \w+):\n +", r"\1: ", told, flags=re.MULTILINE),  # an argument and its words
        "__module__": __name__,
        "__signature__": _signature(base, name),
        "loss_name": name,
    }
    return type(f"Lightly_{name}", (base,), facts)


def __getattr__(name: str) -> type[LightlyLoss]:
    """Find the class of one loss, as pickle does in another process."""
    kind, _, loss = name.partition("_")
    if kind != "Lightly":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _member(loss)


def _signature(base: type[LightlyLoss], name: str) -> inspect.Signature:
    """Join the options of an objective and of its loss."""
    keywords: dict[str, inspect.Parameter] = {}
    for owner in (
        each for each in reversed(base.__mro__) if "__init__" in vars(each) and issubclass(each, TwoViews)
    ):
        own = inspect.signature(owner.__init__, eval_str=True).parameters
        keywords |= {option: each for option, each in own.items() if each.kind is each.KEYWORD_ONLY}
    offered = loss_options(name) | {
        option: keywords[option] for option in keywords if option not in base.unused
    }
    places = [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in PLACES]
    options = [each.replace(default=base.preset.get(each.name, each.default)) for each in offered.values()]
    return inspect.Signature([*places, *options])


def _unserved(name: str) -> ConfigError:
    """Phrase why a name stands for no objective."""
    if name in REFUSED:
        return ConfigError(f"lightly's {name} cannot be fed with views of whole galaxies: {REFUSED[name]}")
    close = difflib.get_close_matches(name.lower(), {each.lower(): each for each in SERVED}, n=3, cutoff=0.4)
    near = [each for each in SERVED if each.lower() in close]
    question = f"did you mean {' or '.join(f'lightly:{each}' for each in near)}? " if near else ""
    return ConfigError(f"no loss of lightly '{name}' is offered; {question}offered are {', '.join(SERVED)}")


if find_spec("lightly") is None:  # `list` tells
    LightlyLoss.__doc__ = f"Not installed, {EXTRA} brings it. {LightlyLoss.__doc__}"


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer the family."""
    return {"lightly:<name>": LightlyLoss}
