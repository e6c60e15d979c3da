"""The types that flow through a run: galaxies, tokens, losses, scores.

Each is a frozen dataclass that checks its own invariants when it is made, without reading values from the device,
which would stall a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Float16, Int, Shaped, UInt8
from torch import Tensor

from astrojepa_bench.checked import described, misnamed, one_number
from astrojepa_bench.errors import ContractError, DataError

Split: TypeAlias = Literal["train", "val", "test", "pool"]
SPLITS: tuple[Split, ...] = ("train", "val", "test", "pool")
ANOMALY_KINDS = ("none", "physical", "artefact")
ORIENTATION = np.dtype([("north_deg", "f4"), ("mirrored", "?"), ("bottom_up", "?")])
"""How a picture lies: where north is, counter-clockwise from up (NaN: unknown); whether east lies on its wrong side
(a mirrored sky); whether the first row of its file is the lowest, as in FITS."""
UNSTATED = "see the source"
"""What a card says where a source states no licence, or no citation."""


@dataclass(frozen=True)
class ImageSpec:
    """Format of every image of a dataset, and the statistics that normalise it.

    Attributes:
        bands: band names in channel order, e.g. `("z", "r", "g")`.
        size_px: side of the square image [pixel].
        mean: mean of each band over the training images, on the [0, 1] scale; of flux in its own unit.
        std: standard deviation of each band, likewise, positive.
        mirror_safe: whether a mirrored galaxy keeps its label (false where spin handedness is the label).
    """

    bands: tuple[str, ...]
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mirror_safe: bool = True

    def __post_init__(self) -> None:
        if not len(self.bands) == len(self.mean) == len(self.std):
            raise ContractError(f"{len(self.bands)} bands with {len(self.mean)} means, {len(self.std)} stds")
        if min(self.std, default=0.0) <= 0:
            raise ContractError(f"band standard deviations must be positive, found {self.std}")


@dataclass(frozen=True)
class Card:
    """Origin of a dataset and its terms of use."""

    name: str
    licence: str
    citation: str
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def terms(self) -> dict[str, str]:
        """What the galaxies are called, their licence and how to cite them; empty where neither is stated."""
        facts = {"licence": self.licence, "citation": self.citation}
        stated = {key: text for key, text in facts.items() if text.strip() not in ("", UNSTATED, "unknown")}
        return {"name": self.name, **stated} if stated else {}


Images: TypeAlias = (
    UInt8[np.ndarray, "galaxy band height width"] | Float16[np.ndarray, "galaxy band height width"]
)


def class_name(names: Sequence[str], number: int) -> str:
    """Return the name of a class, its number where nobody named it.

    Example:
        >>> class_name(("disc",), 0), class_name(("disc",), 1)
        ('disc', 'class 1')
    """
    return names[number] if number < len(names) else f"class {number}"


@dataclass(frozen=True, repr=False)
class GalaxyTable:
    """All galaxies of a dataset: images in memory or memory-mapped, one row of facts each.

    Attributes:
        images: uint8 images, or float16 flux in a unit of its own, channels first; an array or a memory map.
        ids: unique names.
        split: `train`, `val`, `test`, or `pool` (unlabelled, pretraining only), per row.
        spec: bands, size and training statistics.
        card: provenance and class names.
        fingerprint: hash of the content; two tables with one fingerprint hold the same galaxies.
        label: class index, -1 unknown.
        anomaly: index into `ANOMALY_KINDS`; anything but 0 lies in `test` and has no label.
        anomaly_type: name of the anomaly ("lens"), empty for ordinary galaxies.
        redshift, ra, dec, pixel_scale: NaN where unknown [-, deg, deg, arcsec/px]; None if all are unknown.
        group: sky group; rows of one group show overlapping sky and share a split. None: every row is its own.
        factors: physical truth by name (simulated galaxies), NaN where undefined.
        columns: further numbers by name, one or several a galaxy (spectra, features of another model), NaN where
            unknown; objectives may be told them while they learn, and no evaluator is.
        block: so many rows behind one another are best read together, and all rows were put in random order before
            they were stored so; training then reads blocks. 0 where any order of reading is as good.
        orientation: how each picture lies (`ORIENTATION`); None where first rows are on top and north is unknown.
    """

    images: Images
    ids: np.ndarray
    split: np.ndarray
    spec: ImageSpec
    card: Card
    fingerprint: str
    label: np.ndarray
    anomaly: np.ndarray
    anomaly_type: np.ndarray
    redshift: np.ndarray | None = None
    ra: np.ndarray | None = None
    dec: np.ndarray | None = None
    pixel_scale: np.ndarray | None = None
    group: np.ndarray | None = None
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    block: int = 0
    orientation: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._check_lengths()
        self._check_values()
        self._check_groups()

    def _check_lengths(self) -> None:
        columns = {
            "ids": self.ids, "split": self.split, "label": self.label, "anomaly": self.anomaly,
            "anomaly_type": self.anomaly_type, "redshift": self.redshift, "ra": self.ra, "dec": self.dec,
            "pixel_scale": self.pixel_scale, "orientation": self.orientation, "group": self.group,
            **self.factors, **self.columns,
        }  # fmt: skip
        for name, column in columns.items():
            if column is not None and len(column) != len(self.images):
                raise DataError(f"column '{name}' has {len(column)} rows for {len(self.images)} images")
        bands, size = self.images.shape[1], self.images.shape[2:]
        if bands != len(self.spec.bands) or size != (self.spec.size_px, self.spec.size_px):
            raise DataError(f"images of {bands} bands and {size} px do not fit {self.spec}")

    def _check_values(self) -> None:
        if len(np.unique(self.ids)) != len(self.ids):
            raise DataError(f"{len(self.ids) - len(np.unique(self.ids))} ids are not unique; ids must be")
        strange = sorted(set(self.split.tolist()) - set(SPLITS))
        if strange:
            raise DataError(f"unknown splits {strange}; use {', '.join(SPLITS)}")
        if ((self.anomaly > 0) & ((self.split != "test") | (self.label >= 0))).any():
            raise DataError("anomalies must lie in the test split and carry no label")

    def _check_groups(self) -> None:
        if self.group is None:
            return
        pairs = np.unique(np.stack([self.group.astype(str), self.split.astype(str)]), axis=1)
        if pairs.shape[1] != len(np.unique(self.group)):
            raise DataError("a sky group lies in two splits; overlapping images must share one")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        spec = self.spec
        return (
            f"<{len(self):,} galaxies of {self.card.name}: {spec.size_px} px, bands {', '.join(spec.bands)}>"
        )

    @property
    def classes(self) -> int:
        """Number of class indices: labels are below it, whether or not a galaxy of each class is here."""
        return max(len(self.card.class_names), int(self.label.max(initial=-1)) + 1)

    @property
    def present(self) -> Int[np.ndarray, " class"]:
        """Indices of the classes that some galaxy belongs to, ascending."""
        return np.unique(self.label[self.label >= 0])

    def rows(self, *splits: Split) -> Int[np.ndarray, " row"]:
        """Row numbers of the given splits, in table order."""
        return np.flatnonzero(np.isin(self.split, splits))

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        """Every column of numbers that an objective may ask for, by name."""
        facts = {name: getattr(self, name) for name in ("redshift", "ra", "dec", "pixel_scale")}
        known = {name: column for name, column in facts.items() if column is not None}
        return {**known, **self.factors, **self.columns}

    @property
    def pretraining_rows(self) -> Int[np.ndarray, " row"]:
        """Rows an encoder may learn from: `train` and `pool`, never `val` or `test`."""
        return self.rows("train", "pool")


@dataclass(frozen=True)
class GalaxyBatch:
    """A batch on the device, un-normalised: normalisation belongs to the encoder.

    Attributes:
        images: float32 in [0, 1]; flux in its own unit, where the table holds flux.
        rows: row numbers in the table.
        labels: class index, -1 unknown or not told; told only to objectives whose `labels` is "some" or "all".
        columns: numbers by name, float32, (batch,) or (batch, width), NaN where unknown; those that the objective
            declares as `columns`, while it trains.
        galaxies: how many galaxies there are to learn from, while it trains; else 0.
        places: which of these each is, from 0, for a memory of one row a galaxy; None where nothing trains.
        ids: their names; None where nothing trains.
    """

    images: Float[Tensor, "batch band height width"]
    rows: Int[Tensor, " batch"]
    labels: Int[Tensor, " batch"]
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    galaxies: int = 0
    places: Int[Tensor, " batch"] | None = None
    ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.rows) == len(self.labels):
            raise ContractError(
                f"batch of {len(self.images)} images, {len(self.rows)} rows, {len(self.labels)} labels"
            )
        for name, column in self.columns.items():
            if len(column) != len(self.images):
                raise ContractError(f"batch of {len(self.images)} images, {len(column)} rows of '{name}'")


@dataclass(frozen=True)
class Tokens:
    """Output of an encoder for the visible patches.

    Attributes:
        values: one vector a token.
        positions: flat patch index of each token.
        extra: class and register tokens, which belong to no patch; None for an encoder without any.
    """

    values: Float[Tensor, "batch token dim"]
    positions: Int[Tensor, "batch token"]
    extra: Float[Tensor, "batch extra dim"] | None = None

    def __post_init__(self) -> None:
        if self.values.shape[:2] != self.positions.shape:
            raise ContractError(
                f"tokens {tuple(self.values.shape)} at positions {tuple(self.positions.shape)}"
            )
        extra, values = self.extra, self.values.shape
        if extra is not None and (extra.ndim, extra.shape[0], extra.shape[-1]) != (3, values[0], values[-1]):
            raise ContractError(
                f"extra tokens {tuple(extra.shape)} beside tokens {tuple(values)}; expected (batch, extra, dim)"
            )


@dataclass(frozen=True)
class Prediction:
    """Predicted and actual latents, block by block, so that errors can be computed for each galaxy.

    Attributes:
        predicted, actual: latents of the same shape.
        positions: flat patch index of each token, or None where one vector stands for the image.
    """

    predicted: Float[Tensor, "batch block token dim"]
    actual: Float[Tensor, "batch block token dim"]
    positions: Int[Tensor, "batch block token"] | None = None

    def __post_init__(self) -> None:
        for name in ("predicted", "actual"):
            value: object = getattr(self, name)
            if not isinstance(value, Tensor) or not value.is_floating_point() or value.ndim != 4:
                raise ContractError(
                    f"{name} latents are {described(value)}; expected real numbers, (batch, block, token, dim)"
                )
        if self.predicted.shape != self.actual.shape:
            raise ContractError(
                f"predicted {tuple(self.predicted.shape)} against actual {tuple(self.actual.shape)}; expected "
                "equal shapes"
            )


@dataclass(frozen=True)
class Loss:
    """The total to minimise and the named terms to record.

    A tensor of one element counts as a number whatever its shape. A term may also be a plain number, and may come
    and go from step to step: its curve has the steps at which it was there.

    Attributes:
        total: what is descended, of a floating type.
        terms: what is recorded beside it, by name; `total` itself is taken.
    """

    total: Float[Tensor, ""]
    terms: Mapping[str, Shaped[Tensor, ""]]

    def __post_init__(self) -> None:
        if not isinstance(self.total, Tensor) or not self.total.is_floating_point():
            raise ContractError(
                f"the total of a loss is {described(self.total)}; expected a tensor of one real number"
            )
        total = one_number("the total of a loss", self.total, self.total)
        if not isinstance(self.terms, Mapping):
            raise ContractError(
                f"the terms of a loss are {described(self.terms)}; expected a mapping of names to numbers"
            )
        for name in self.terms:
            reason = "'total' is the name of the total itself" if name == "total" else misnamed(name)
            if reason is not None:
                raise ContractError(f"term of a loss: {reason}")
        terms = {name: one_number(f"loss term '{name}'", value, total) for name, value in self.terms.items()}
        object.__setattr__(self, "total", total)
        object.__setattr__(self, "terms", terms)

    def first_non_finite(self) -> str | None:
        """Return the name of the first term that is not finite, or None (reads values from the device)."""
        named = {**self.terms, "total": self.total}
        return next((name for name, value in named.items() if not math.isfinite(float(value.detach()))), None)


@dataclass(frozen=True)
class Progress:
    """Progress of a training run: `step` of `steps` optimiser steps are done."""

    step: int
    steps: int

    @property
    def share(self) -> float:
        """Share of the run that is done, 0 to 1."""
        return self.step / self.steps


@dataclass(frozen=True)
class Score:
    """One number about one encoder.

    Attributes:
        evaluator, metric: names of both.
        value: the number, finite.
        higher_is_better: its direction.
        n: number of test galaxies it is computed from.
        chance: the value for uninformative features; None where that has no meaning.
        item_se: standard error from the finite test set, where a formula exists.
        correct: which test galaxies were right, in the order of the evaluation's `ids`, where the value is their
            share; it lets others check what is said of the value.
    """

    evaluator: str
    metric: str
    value: float
    higher_is_better: bool
    n: int
    chance: float | None = None
    item_se: float | None = None
    correct: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ContractError(
                f"score {self.evaluator}.{self.metric} is {self.value}; scores must be finite"
            )


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluator.

    Attributes:
        scores: the numbers.
        predictions: predictions per galaxy by name, aligned with `ids`.
        ids: ids of the galaxies predicted, or of which a score says which were right.
        selection: choices made on the validation split ("C": 0.1, "tap": "last4").
        warnings: caveats for readers of the scores.
    """

    scores: tuple[Score, ...]
    predictions: Mapping[str, np.ndarray] = field(default_factory=dict)
    ids: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=str))
    selection: Mapping[str, float | str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values in self.predictions.items():
            if len(values) != len(self.ids):
                raise ContractError(f"prediction '{name}' has {len(values)} rows for {len(self.ids)} ids")

    def __iter__(self) -> Iterator[Score]:
        return iter(self.scores)
