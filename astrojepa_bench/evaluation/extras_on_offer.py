"""Which extras there are, and how those that evaluators request come into their features."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from astrojepa_bench.border import owner_of
from astrojepa_bench.errors import BenchError, StorageError, named
from astrojepa_bench.evaluation.block_layers import BlockLayers
from astrojepa_bench.evaluation.extras import (
    AugmentedViews,
    BandFluxes,
    PatchTokens,
    PredictionErrors,
    ShiftedTest,
)
from astrojepa_bench.evaluation.kept_extra import ExtrasContext, KeptExtra
from astrojepa_bench.evaluation.measurements import Measurements
from astrojepa_bench.evaluation.other_survey import EncodedSurvey
from astrojepa_bench.evaluation.trainable import TrainableEncoder
from astrojepa_bench.features import Extra, Features
from astrojepa_bench.files import LeaseLostError
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.versions import OWN, chain_of


class AnyExtra(Protocol):
    """An extra, kept or not."""

    version: int

    def attached(self, features: Features, context: ExtrasContext, path: Path) -> Features:
        """Attach it to features, from what is kept in the file of the run where anything is.

        Raises:
            DataError: it is not available for this run or these galaxies.
        """


@dataclass(frozen=True)
class WithExtras:
    """Features with the extras that could be had.

    Attributes:
        features: with more in them.
        missing: why the other extras are not there.
        seconds: how long each took [s].
    """

    features: Features
    missing: Mapping[Extra, str]
    seconds: Mapping[str, float]


def requested(evaluators: Iterable[Evaluator]) -> tuple[Extra, ...]:
    """Collect the extras that some evaluators request, each once."""
    return tuple(dict.fromkeys(extra for evaluator in evaluators for extra in evaluator.requests))


def extras_chain(names: Iterable[Extra]) -> dict[str, str]:
    """Collect the versions of some extras and of the helpers that compute them: part of an evaluator's version."""
    chains = {name: chain_of(type(_EXTRAS[name])) for name in names}
    helpers = {key: version for chain in chains.values() for key, version in chain.items() if key != OWN}
    return helpers | {f"extras.{name}": chain[OWN] for name, chain in chains.items()}


def with_extras(
    features: Features, wanted: Iterable[Extra], context: ExtrasContext, path: Path
) -> WithExtras:
    """Attach extras to features, read from the file of the run or else computed and kept there."""
    missing: dict[Extra, str] = {}
    seconds: dict[str, float] = {}
    for name in wanted:
        began = time.perf_counter()
        try:
            features = _EXTRAS[name].attached(features, context, path)
        except (StorageError, LeaseLostError):
            raise  # nothing is wrong with the extra
        except BenchError as error:
            missing[name] = str(error)
        except (OSError, MemoryError, torch.OutOfMemoryError):
            raise  # of this machine, and not for good
        except Exception as error:  # a plugin's; whoever can do without is scored
            owner = owner_of(error)
            missing[name] = named(error) if owner is None else f"{owner.title} raised {named(error)}"
        seconds[name] = time.perf_counter() - began
    return WithExtras(features, missing, seconds)


_KEPT: tuple[KeptExtra, ...] = (
    AugmentedViews(), ShiftedTest(), PredictionErrors(), BandFluxes(), BlockLayers(), Measurements(),
)  # fmt: skip
_EXTRAS: Mapping[Extra, AnyExtra] = {
    **{extra.name: extra for extra in _KEPT},
    "tokens": PatchTokens(),
    "trainable": TrainableEncoder(),
    "other_survey": EncodedSurvey(),
}
