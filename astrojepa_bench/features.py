"""What evaluators are given: frozen features of a run, facts about its galaxies, and extras that they requested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.types import Split, Tokens

Extra: TypeAlias = Literal[
    "augmented_views", "shifted_test", "prediction_errors", "band_fluxes", "tokens", "layers", "measurements",
    "trainable", "other_survey",
]  # fmt: skip
"""What the ruler computes beyond pooled features, for evaluators that name it in `requests`."""

if TYPE_CHECKING:
    from astrojepa_bench.roles import Encoder

TOKEN_BATCH = 256


@dataclass(frozen=True)
class SplitFeatures:
    """Features and facts of one split, row by row.

    Attributes:
        ids: galaxy ids.
        features: tap name to features.
        label: class index, -1 unknown.
        anomaly: index into `ANOMALY_KINDS`, 0 for ordinary galaxies (only test has others).
        redshift: NaN where unknown; None if nobody knows any.
        factors: numeric columns by name (physical truth, vote fractions), NaN where undefined.
        band_fluxes: mean of each band of the image, in [0, 1]; None unless requested.
        prediction_errors: how badly the objective predicts each galaxy, by name; only in test, and only if
            requested. Averages over 16 draws of masks of `mean_squared`, `max_squared` (over a draw's tokens),
            `mean_cosine` and `min_cosine`.
        layers: features after each block of the encoder, the first block first; empty unless requested.
        measurements: what the image itself shows of each galaxy, by name: `half_light_radius` [pixel], `magnitude`
            [mag, of an arbitrary zero point], `sky_noise` [on the scale of the image, 0 to 1] and, where the data
            set knows it, `pixel_scale` [arcsec/px]; empty unless requested.
    """

    ids: np.ndarray
    features: Mapping[str, Float[Tensor, "galaxy dim"]]
    label: Int[np.ndarray, " galaxy"]
    anomaly: Int[np.ndarray, " galaxy"]
    redshift: Float[np.ndarray, " galaxy"] | None = None
    factors: Mapping[str, Float[np.ndarray, " galaxy"]] = field(default_factory=dict)
    band_fluxes: Float[np.ndarray, "galaxy band"] | None = None
    prediction_errors: Mapping[str, Float[np.ndarray, " galaxy"]] = field(default_factory=dict)
    layers: tuple[Float[Tensor, "galaxy _"], ...] = ()
    measurements: Mapping[str, Float[np.ndarray, " galaxy"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for tap, features in self.features.items():
            if len(features) != len(self.ids):
                raise ContractError(f"tap '{tap}' has {len(features)} rows for {len(self.ids)} galaxies")

    def labelled(
        self, tap: str
    ) -> tuple[Float[Tensor, "galaxy dim"], Int[np.ndarray, " galaxy"], np.ndarray]:
        """Return features, labels and ids of the galaxies that carry a label."""
        known = np.flatnonzero(self.label >= 0)
        return self.features[tap][known], self.label[known], self.ids[known]

    @property
    def columns(self) -> Mapping[str, Float[np.ndarray, " galaxy"]]:
        """Numeric columns that can be regressed on features: `redshift` and the factors, by name."""
        known = {} if self.redshift is None else {"redshift": self.redshift}
        return {**known, **self.factors}


@dataclass(frozen=True)
class TokenBatch:
    """Token-level features of a few galaxies of one split.

    Attributes:
        values: one vector a patch token, float32 on the CPU.
        positions: flat patch index of each token.
        rows: which rows of the split they are.
        ids: galaxy ids.
        label: class index, -1 unknown.
        extra: class and register tokens beside the patches, float32 on the CPU; None for an encoder without any.
    """

    values: Float[Tensor, "galaxy token dim"]
    positions: Int[Tensor, "galaxy token"]
    rows: Int[np.ndarray, " galaxy"]
    ids: np.ndarray
    label: Int[np.ndarray, " galaxy"]
    extra: Float[Tensor, "galaxy extra dim"] | None = None


@dataclass(frozen=True)
class Trainable:
    """The scored encoder and the galaxies' images, for evaluators that train it further.

    Attributes:
        encoder: makes a copy of the scored encoder, in training mode and with every weight free to learn; whatever
            is done to it, the scored one stays as it is.
        images: returns the images of the galaxies of some ids, in [0, 1], on the encoder's device.
        read: computes the tap `last` of a copy for some images, with gradients.
        mirror_safe: whether a mirrored galaxy keeps its label.
    """

    encoder: Callable[[], Encoder]
    images: Callable[[np.ndarray], Float[Tensor, "galaxy band height width"]]
    read: Callable[[Encoder, Tensor], Float[Tensor, "galaxy dim"]]
    mirror_safe: bool = True


@dataclass(frozen=True)
class OtherSurvey:
    """Galaxies of another survey as the same encoder sees them, and the groups of classes that both surveys share.

    Attributes:
        train, val, test: its splits; `label` is the group, -1 for a class in none.
        groups: names of the groups.
        group_of_class: for each class of the run's own galaxies its group, -1 for none.
        left_out: how many of its test galaxies were left out, since the run's own data set holds them.
    """

    train: SplitFeatures
    val: SplitFeatures
    test: SplitFeatures
    groups: tuple[str, ...]
    group_of_class: Int[np.ndarray, " class"]
    left_out: int = 0


@dataclass(frozen=True)
class Features:
    """Everything evaluators read; computed once per run and kept.

    Attributes:
        train, val, test: the labelled splits (test holds the anomalies too, unlabelled).
        classes: number of classes that some galaxy of the dataset belongs to; an unused name or number is none.
        seed: names the evaluator's random streams (k-means starts, label permutations).
        augmented_views: features (tap `last`) of several augmented views of a fixed sample of ordinary test
            galaxies; None unless requested.
        shifted_test: the test galaxies, row by row, seen by another instrument; None unless
            requested and available.
        encode_tokens: encodes the galaxies of some ids, patch by patch; None unless `tokens` were requested and
            the encoder has patches. Evaluators call `tokens` instead.
        trainable: the scored encoder with the images; None unless requested.
        other_survey: encodes the galaxies of a file or folder, given its path (None raises `DataError`) and which
            class, of either survey, is in which group ("Elliptical=smooth"; without any, classes of equal names
            meet); None unless requested.
    """

    train: SplitFeatures
    val: SplitFeatures
    test: SplitFeatures
    classes: int
    seed: int = 0
    augmented_views: Float[Tensor, "galaxy view dim"] | None = None
    shifted_test: SplitFeatures | None = None
    encode_tokens: Callable[[np.ndarray], Tokens] | None = None
    trainable: Trainable | None = None
    other_survey: Callable[[Path | None, tuple[str, ...]], OtherSurvey] | None = None

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the feature taps, `last` (pooled last layer) first."""
        return tuple(self.train.features)

    def private(self) -> Features:
        """Return a copy that shares no array with this: its holder may change it in place without harm to others.

        A tensor cannot be made read-only, and a change through `.numpy()` cannot be noticed; a copy takes
        milliseconds (13 MB for 17,000 galaxies of 192 numbers).
        """
        return replace(self, **{each.name: _copied(getattr(self, each.name)) for each in fields(self)})

    def split(self, name: Split) -> SplitFeatures:
        """Look a split up by name."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    def tokens(
        self, split: Split, rows: Int[np.ndarray, " row"] | None = None, batch_size: int = TOKEN_BATCH
    ) -> Iterator[TokenBatch]:
        """Encode the galaxies of a split again, patch by patch, one batch in memory at a time.

        Args:
            split: whose galaxies.
            rows: which of them, in the order in which they are wanted; all in table order if None.
            batch_size: galaxies a batch.

        Raises:
            DataError: tokens were not requested, or the encoder has none.
        """
        if self.encode_tokens is None:
            raise DataError("there are no patch tokens: the encoder has none, or `requests` lacks 'tokens'")
        part = self.split(split)
        wanted = np.arange(len(part.ids)) if rows is None else rows
        for start in range(0, len(wanted), batch_size):
            here = wanted[start : start + batch_size]
            found = self.encode_tokens(part.ids[here])
            yield TokenBatch(
                found.values, found.positions, here, part.ids[here], part.label[here], found.extra
            )


def _copied(value: Any) -> Any:  # noqa: ANN401 whatever a field of features holds
    """Copy arrays, and what holds arrays; anything else cannot be changed in place."""
    match value:
        case Tensor():
            return value.clone()
        case np.ndarray():
            return value.copy()
        case SplitFeatures():
            return replace(value, **{each.name: _copied(getattr(value, each.name)) for each in fields(value)})
        case Mapping():
            return {name: _copied(each) for name, each in value.items()}
        case tuple():
            return tuple(map(_copied, value))
    return value
