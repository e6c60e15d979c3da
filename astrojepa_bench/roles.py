"""Who acts: five roles with one verb each.

Positional arguments of a constructor are what the bench gives; keyword-only arguments are what the user may
set (`--set masker.tau=0.5`). The signature *is* the option schema. Subclass only what is abstract.

| role | verb | given to the constructor |
|---|---|---|
| Dataset | `load` | nothing |
| Encoder | `forward` | the image specification |
| Masker | `draw` | the encoder's patch grid |
| Objective | `loss` | encoder, patch grid, number of classes |
| Evaluator | `evaluate` | nothing |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid
from astrojepa_bench.groups import SELF_SUPERVISED
from astrojepa_bench.metric import Metric
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.types import (
    Evaluation,
    GalaxyBatch,
    GalaxyTable,
    ImageSpec,
    Loss,
    Prediction,
    Progress,
    Tokens,
)

if TYPE_CHECKING:
    from astrojepa_bench.features import Extra, Features
    from astrojepa_bench.streams import Streams

Standing: TypeAlias = Literal["contestant", "floor", "ceiling"]


class Draw(Protocol):
    """The run's masker as an objective sees it: called with images and sizes, it returns masks, always.

    What an objective can rely on:

    - `draw(images, sizes)` returns `Masks` of exactly these sizes and never None. Sizes that the grid cannot hold
      are refused before the masker is asked.
    - `draw(images, sizes, hint)` also tells the masker how much each patch matters to the objective, by its own
      attention or error. Where the masks lie stays the masker's choice: one that takes no hints draws as ever.
    - Where there are no masks (masker `none`, an encoder without patches) a call raises `ConfigError`, and
      `draw.hides` is False. An objective with `masks = "required"` never meets that case: such a pair is skipped
      (`Objective.skip`). One with `masks = "optional"` asks `draw.hides` first and does without masks where it is
      False.
    - Successive calls within one step continue one random stream.
    """

    @property
    def hides(self) -> bool:
        """Whether there are masks to be had."""
        ...

    def __call__(
        self,
        images: Float[Tensor, "batch band height width"],
        sizes: MaskSizes,
        hint: Float[Tensor, "batch patch"] | None = None,
    ) -> Masks:
        """Draw masks on the images' device.

        Args:
            images: the very images that will be encoded.
            sizes: how many patches are seen and predicted.
            hint: how much each patch of the grid matters, 0 or more, on any scale; no gradient flows through it.

        Raises:
            ConfigError: there are no masks to be had, or the grid cannot hold the sizes.
            ContractError: the hint is no weight for each patch of each image.
        """
        ...


class Dataset(ABC):
    """Galaxies from somewhere.

    Attributes:
        version: raise it whenever the same options start to give other galaxies.
    """

    version: ClassVar[int | None] = None

    @abstractmethod
    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """Load every galaxy at `size_px` pixels; slow conversions are cached below `cache_dir`.

        Raises:
            DataError: the source is missing, unreadable or not what it says.
        """

    def shifted(self) -> Dataset | None:
        """Return the dataset of the same galaxies, row by row, seen by another instrument; None without one."""
        return None


class Encoder(nn.Module, ABC):
    """Images to tokens. Takes un-normalised images in [0, 1] and normalises them itself.

    Attributes:
        spec: what the images look like.
        dim: width of a token.
        grid: the patch grid, or None for an encoder without patches.
        standing: `floor` for encoders that only mark the bottom of the board.
        group: which contestants a floor stands beside, one of `GROUPS`.
        version: raise it whenever the same options start to give other features.
    """

    dim: int
    grid: PatchGrid | None
    standing: ClassVar[Standing] = "contestant"
    group: ClassVar[str] = SELF_SUPERVISED
    version: ClassVar[int | None] = None

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Encode the patches in `keep` (all if None) and see nothing of the others."""

    def layers(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Sequence[Tokens]:
        """Compute the tokens after every block, those of the last as `forward` returns them.

        An encoder that does not say otherwise has one layer, its output.
        """
        return (self(images, keep),)

    def taps(self, images: Float[Tensor, "batch band height width"]) -> Mapping[str, Tensor]:
        """Compute the named image-level features that evaluators may read, each (batch, dim of the tap)."""
        return {"last": self(images).values.mean(dim=1)}

    def fit_inputs(self, images: Float[Tensor, "galaxy band height width"]) -> None:
        """Fit whatever is fitted without gradients, on training images only (PCA). By default nothing."""

    def fit_readout(self, images: Float[Tensor, "galaxy band height width"]) -> None:
        """Fit how features are read (whitening), after training, on training images only. By default nothing."""


class Masker(ABC):
    """Decides where the patches that an objective asks for lie. No state, no global randomness.

    `draw` is given images, sizes and a generator. A masker whose `draw` also has a parameter of one of these names,
    with a default, is given by name:

    - `hint`: how much each patch matters to the objective, (batch, patch), 0 or more; None where it does not say.
    - `progress`: share of the run that is done, 0 to 1, for masks that change while a run trains.

    Attributes:
        hides: false for a masker that hands out no masks at all.
        version: raise it whenever the same stream starts to give other masks.
    """

    hides: ClassVar[bool] = True
    version: ClassVar[int | None] = None

    def __init__(self, grid: PatchGrid) -> None:
        self.grid = grid

    @abstractmethod
    def draw(
        self,
        images: Float[Tensor, "batch band height width"],
        sizes: MaskSizes,
        generator: torch.Generator,
    ) -> Masks | None:
        """Draw masks of exactly `sizes` on the images' device; None means this masker never masks."""


class Objective(nn.Module, ABC):
    """A self-supervised objective around an encoder.

    Attributes:
        masks: whether it needs a masker (`required`: `draw` always returns masks), can use one (`optional`: ask
            `draw.hides` first), or pays no attention to it (`ignored`).
        labels: what it reads of them: `none`; `some`, beside galaxies without any (all of train and pool are seen);
            or `all`, and then only labelled galaxies are seen. Only those of train are ever told.
        columns: names of the numbers that it reads beside the images (redshift, a spectrum); by name how many a
            galaxy has, where its layers depend on that: `{"spectrum": 256}`.
        trains: false for floors, which are scored as they are.
        standing: contestants are ranked; floors and ceilings frame them.
        group: what it is told beyond the images, and so whom it is ranked with: `self-supervised`, `told by
            measurements` (hand-made ones, as targets or inputs) or `uses labels`. What `labels` and `columns`
            declare counts whatever stands here.
        version: raise it whenever the same options start to learn other weights.
    """

    masks: ClassVar[Literal["required", "optional", "ignored"]] = "required"
    labels: ClassVar[Literal["none", "some", "all"]] = "none"
    columns: ClassVar[tuple[str, ...] | Mapping[str, int]] = ()
    trains: ClassVar[bool] = True
    standing: ClassVar[Standing] = "contestant"
    group: ClassVar[str] = SELF_SUPERVISED
    version: ClassVar[int | None] = None

    def __init__(self, encoder: Encoder, grid: PatchGrid | None, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.grid = grid
        self.classes = classes

    @classmethod
    def skip(cls, encoder: Encoder | type[Encoder], masker: type[Masker]) -> str | None:
        """Return why this objective cannot run with an encoder and a masker, or None where it can.

        Asked with classes before anything is built, and with the built encoder afterwards; so read class
        attributes only, and `encoder.grid`, which is None (on the class too) for an encoder without patches. A
        subclass that adds a reason also returns those of `super().skip(encoder, masker)`.
        """
        if getattr(encoder, "grid", "patches") is not None:
            needy = cls.masks == "required" and not masker.hides
            return "the objective needs masks and the masker hands out none" if needy else None
        if cls.masks == "required":
            return "the objective needs patches to mask and the encoder has none"
        return "the encoder has no patches to mask; use masker 'none'" if masker.hides else None

    @abstractmethod
    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute the loss of one batch.

        Args:
            batch: galaxies in [0, 1], already rotated, flipped and shifted.
            draw: the run's masker; call it on the very images that will be encoded.
            streams: named random generators of this step; nothing else may be random.

        On a GPU, and with `--precision bf16` on a CPU, this runs under autocast to bfloat16: what linear layers,
        convolutions and attention return is bfloat16 there, and float32 elsewhere. Cast with `.float()` what is
        compared, summed or kept between steps.
        """

    @property
    def patch_grid(self) -> PatchGrid:
        """The patch grid, for an objective that needs patches.

        Raises:
            ConfigError: the encoder has none; the bench skips such a pair, so this meets direct callers only.
        """
        if self.grid is None:
            raise ConfigError(
                f"objective {type(self).__name__} needs an encoder with patches; choose a vision transformer"
            )
        return self.grid

    @property
    def scored_encoder(self) -> Encoder:
        """The encoder that is scored: the online one unless a method says otherwise."""
        return self.encoder

    def recipe(self) -> Recipe:
        """Return how this objective is optimised."""
        return Recipe(learning_rate=2e-3)

    def before_step(self, progress: Progress) -> None:
        """Act once between gradient and optimiser step, with the gradients in place. By default nothing.

        This is where a gradient is stopped, scaled or projected; it is clipped afterwards. As in `after_step`,
        `progress` counts this step as done.
        """

    def after_step(self, progress: Progress) -> None:
        """Act once after each optimiser step (moving averages, queues, inner optimisers). By default nothing.

        It runs outside autocast, on a GPU too: what `loss` left on the objective for it may be bfloat16, so cast
        it with `.float()` before it meets weights or buffers.
        """

    def extra_state(self) -> Mapping[str, object]:
        """Return what training changes besides parameters and buffers, so that a killed run resumes exactly.

        By name, the same names always: objects with `state_dict` and `load_state_dict`, whose state is put back
        into them; or plain values (tensors, arrays, numbers, text, None, and lists, tuples and dicts of these),
        which are put back as the attribute of that name. By default nothing. Optimisers, their schedules and random
        generators that are attributes of the objective are kept without being named here. What scoring or `predict`
        needs belongs in a buffer, since this state is no part of the weights.

        Example:
            >>> def extra_state(self):
            ...     return {"seen": self.seen, "queue": self.queue}
        """
        return {}

    def health(self) -> Mapping[str, float]:
        """Return numbers worth recording at the end of training (what is left of a teacher's start).

        Names are printable text of at most 100 letters. A number that is not finite, or that has the name of one of
        the bench's own, is left out with a note.
        """
        return {}

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction | None:
        """Predict and compare latents galaxy by galaxy; None for objectives that predict nothing."""
        return None


class Evaluator(ABC):
    """Measures one thing about frozen features. Fits on train, chooses on val, reports on test.

    Attributes:
        requires: what it is skipped without, with the reason: `label`, `anomaly`, `factors`, a numeric column by
            name ("redshift"), a tap of the encoder ("tap:last4"), or one of its requests.
        requests: the extras that the ruler is to compute for it: `augmented_views`, `shifted_test`,
            `prediction_errors`, `band_fluxes`, `tokens`, `layers`, `measurements`, `trainable`, `other_survey`. One
            that is requested and not required may be missing from the features.
        metrics: how its scores are shown; of several that describe a metric the first counts. Metrics that none
            describes stand in the table of all metrics as they are.
        costly: true for one that takes as long as training does: `full` leaves it out, and it runs where its name
            is asked for.
        version: raise it whenever the same features start to give other scores.
    """

    requires: tuple[str, ...] = ()  # an option may change either
    requests: tuple[Extra, ...] = ()
    metrics: ClassVar[tuple[Metric, ...]] = ()
    costly: ClassVar[bool] = False
    version: ClassVar[int] = 1

    @abstractmethod
    def evaluate(self, features: Features) -> Evaluation:
        """Score the features; nothing of the test split may influence a fit or a choice."""


ROLES: Mapping[str, type] = {
    "dataset": Dataset,
    "encoder": Encoder,
    "masker": Masker,
    "objective": Objective,
    "evaluator": Evaluator,
}
"""The role of each kind of component; it holds what a component declares unless it says otherwise."""
