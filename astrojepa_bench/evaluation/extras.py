"""What evaluators request beyond pooled features: each computed once a run, kept in its file, given to all."""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on, owner_of
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import BenchError, ContractError, DataError, StorageError, named
from astrojepa_bench.evaluation.extract import (
    BATCH,
    ENCODED,
    check_finite,
    checked_taps,
    encode_rows,
    same_galaxies,
    split_features,
)
from astrojepa_bench.evaluation.prediction_errors import prediction_errors
from astrojepa_bench.evaluation.store import Arrays, FeatureFile
from astrojepa_bench.features import Extra, Features, SplitFeatures
from astrojepa_bench.geometry.views import augment
from astrojepa_bench.roles import Encoder, Evaluator, Masker, Objective
from astrojepa_bench.streams import numpy_stream, stream_seed
from astrojepa_bench.training.asked import scored_encoder
from astrojepa_bench.types import GalaxyTable, Split, Tokens
from astrojepa_bench.versions import OWN, chain_of, version_text

VIEWED = 512
VIEWS = 4


@dataclass(frozen=True)
class ExtrasContext:
    """What extras are computed from.

    Attributes:
        objective: trained, in evaluation mode.
        masker: the run's; None for an encoder without patches.
        galaxies: the dataset.
    """

    objective: Objective
    masker: Masker | None
    galaxies: Galaxies

    @property
    def encoder(self) -> Encoder:
        """The encoder that is scored."""
        return scored_encoder(self.objective)

    @property
    def table(self) -> GalaxyTable:
        """All galaxies."""
        return self.galaxies.table

    @property
    def test(self) -> Int[np.ndarray, " row"]:
        """Rows of the test galaxies."""
        return self.table.rows("test")


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
        except StorageError:
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


class PatchTokens:
    """Token-level features, encoded again whenever an evaluator reads them: they would not fit into memory."""

    version = 1

    def attached(self, features: Features, context: ExtrasContext, path: Path) -> Features:
        """Let features encode tokens on demand; nothing is computed now and nothing kept.

        Raises:
            DataError: the encoder has no patches.
        """
        encoder, images, table = context.encoder, context.galaxies.images, context.table
        if encoder.grid is None:
            raise DataError("the encoder has no patch tokens")
        by_id = np.argsort(table.ids, kind="stable")

        @torch.no_grad()
        def encode_tokens(ids: np.ndarray) -> Tokens:
            rows = by_id[np.searchsorted(table.ids, ids, sorter=by_id)]
            batch = images.batch(rows)
            with blamed_on(encoder):
                found: object = encoder(batch)
                if not isinstance(found, Tokens) or len(found.values) != len(batch):
                    raise ContractError(
                        f"forward returned {type(found).__name__} for {len(batch)} images; expected Tokens of each"
                    )
            return Tokens(found.values.float().cpu(), found.positions.cpu())

        return dataclasses.replace(features, encode_tokens=encode_tokens)


class KeptExtra(ABC):
    """An extra whose arrays are computed once a run and kept in its file.

    Attributes:
        name: under which evaluators request it.
        version: raised whenever it makes other arrays; kept ones are then computed anew.
    """

    name: Extra
    version: int

    @abstractmethod
    def rows(self, context: ExtrasContext) -> Int[np.ndarray, " row"]:
        """Return the rows of the table that it is about."""

    @abstractmethod
    def compute(self, context: ExtrasContext) -> Arrays:
        """Compute its arrays.

        Raises:
            DataError: it is not available for this run or these galaxies.
        """

    @abstractmethod
    def attach(self, features: Features, arrays: Arrays, context: ExtrasContext) -> Features:
        """Put its arrays into features."""

    def attached(self, features: Features, context: ExtrasContext, path: Path) -> Features:
        """Attach what is kept in the file of the run, or compute it and keep it there.

        Raises:
            DataError: it is not available for this run or these galaxies.
        """
        file, ids = FeatureFile(path, context.table.fingerprint), context.table.ids[self.rows(context)]
        kept, version = file.read(f"extras/{self.name}"), version_text(chain_of(type(self))).encode()
        if kept is None or np.asarray(kept.get("version")).item() != version or not same_galaxies(kept, ids):
            kept = {**self.compute(context), "ids": ids, "version": np.array(version)}
            file.write({f"extras/{self.name}": kept})
        arrays = {name: values for name, values in kept.items() if name not in ("ids", "version")}
        return self.attach(features, arrays, context)


class AugmentedViews(KeptExtra):
    """The same galaxies turned, mirrored, moved, nearer, noisier: `VIEWS` views of `VIEWED` test galaxies."""

    name = "augmented_views"
    version = 2

    def rows(self, context: ExtrasContext) -> Int[np.ndarray, " row"]:
        """Choose a fixed sample of ordinary test galaxies, the same for every run."""
        ordinary = context.test[context.table.anomaly[context.test] == 0]
        return np.sort(numpy_stream(0, "viewed").permutation(ordinary)[:VIEWED])

    @torch.no_grad()
    def compute(self, context: ExtrasContext) -> Arrays:
        """Encode every view of every galaxy in the sample."""
        rows, images, encoder = self.rows(context), context.galaxies.images, context.encoder
        if not len(rows):
            raise DataError("test has no ordinary galaxy to view")
        views = []
        for view in events.track(range(VIEWS), task="encoding views", total=VIEWS, unit="views"):
            generator, parts = torch.Generator(images.device).manual_seed(stream_seed(0, "view", view)), []
            for start in range(0, len(rows), BATCH):
                batch = images.batch(rows[start : start + BATCH])
                seen = augment(batch, generator, mirror=context.table.spec.mirror_safe)
                with blamed_on(encoder):
                    taps = checked_taps(encoder, seen)
                    check_finite(taps, "seen in another view")
                parts.append(taps["last"].float().cpu())
            views.append(torch.cat(parts))
        return {"last": torch.stack(views, dim=1).numpy()}

    def attach(self, features: Features, arrays: Arrays, context: ExtrasContext) -> Features:
        """Attach them as (galaxy, view, dim)."""
        return dataclasses.replace(features, augmented_views=torch.from_numpy(arrays["last"]))


class ShiftedTest(KeptExtra):
    """The test galaxies seen by another instrument."""

    name = "shifted_test"
    version = 2

    def rows(self, context: ExtrasContext) -> Int[np.ndarray, " row"]:
        """Return all test galaxies."""
        return context.test

    def compute(self, context: ExtrasContext) -> Arrays:
        """Encode every tap of the galaxies as the other instrument sees them."""
        shifted = context.galaxies.shifted
        if shifted is None:
            raise DataError("the dataset has no shift twin: its galaxies were seen by one instrument only")
        if not np.array_equal(shifted.table.ids, context.table.ids):
            raise DataError(
                "the shift twin holds other galaxies, or in another order; correct the dataset's shifted()"
            )
        encoder = context.encoder
        features = encode_rows(encoder, shifted.images, context.test)
        with blamed_on(encoder):
            check_finite(features, "seen by another instrument")
        return {tap: values.numpy() for tap, values in features.items()}

    def attach(self, features: Features, arrays: Arrays, context: ExtrasContext) -> Features:
        """Attach the taps, with the facts of the survey's own galaxies."""
        taps = {tap: torch.from_numpy(arrays[tap]) for tap in features.taps}
        return dataclasses.replace(features, shifted_test=split_features(context.table, context.test, taps))


class PredictionErrors(KeptExtra):
    """How badly the objective predicts each test galaxy."""

    name = "prediction_errors"
    version = 2

    def rows(self, context: ExtrasContext) -> Int[np.ndarray, " row"]:
        """Return all test galaxies."""
        return context.test

    def compute(self, context: ExtrasContext) -> Arrays:
        """Predict every test galaxy under several draws of masks."""
        with blamed_on(context.objective):
            found = prediction_errors(
                context.objective, context.masker, context.galaxies.images, context.test
            )
        if found is None:
            raise DataError("the objective predicts nothing")
        return found

    def attach(self, features: Features, arrays: Arrays, context: ExtrasContext) -> Features:
        """Attach them to the test split."""
        test = dataclasses.replace(features.test, prediction_errors=arrays)
        return dataclasses.replace(features, test=test)


class BandFluxes(KeptExtra):
    """The mean of each band, which a control by colour alone reads."""

    name = "band_fluxes"
    version = 2

    def rows(self, context: ExtrasContext) -> Int[np.ndarray, " row"]:
        """Return all galaxies."""
        return np.arange(len(context.table))

    def compute(self, context: ExtrasContext) -> Arrays:
        """Average each band of each image."""
        rows, images = self.rows(context), context.galaxies.images
        starts = range(0, len(rows), BATCH)
        parts = [images.batch(rows[start : start + BATCH]).mean(dim=(2, 3)).cpu() for start in starts]
        return {"fluxes": torch.cat(parts).numpy()}

    def attach(self, features: Features, arrays: Arrays, context: ExtrasContext) -> Features:
        """Attach them to every split."""

        def coloured(split: Split) -> SplitFeatures:
            fluxes = arrays["fluxes"][context.table.rows(split)]
            return dataclasses.replace(features.split(split), band_fluxes=fluxes)

        train, val, test = map(coloured, ENCODED)
        return dataclasses.replace(features, train=train, val=val, test=test)


_KEPT = (AugmentedViews(), ShiftedTest(), PredictionErrors(), BandFluxes())
_EXTRAS: Mapping[Extra, KeptExtra | PatchTokens] = {
    **{extra.name: extra for extra in _KEPT},
    "tokens": PatchTokens(),
}
