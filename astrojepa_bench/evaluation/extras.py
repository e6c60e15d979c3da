"""What evaluators request beyond pooled features: each computed once a run, kept in its file, given to all.

Extras that are made of other parts of the ruler stand in files of their own: what this file imports counts into
the versions of all that stand here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on
from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.evaluation.extract import (
    BATCH,
    ENCODED,
    check_finite,
    checked_taps,
    encode_rows,
    pieces,
    split_features,
)
from astrojepa_bench.evaluation.kept_extra import ExtrasContext, KeptExtra
from astrojepa_bench.evaluation.prediction_errors import prediction_errors
from astrojepa_bench.evaluation.store import Arrays
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.geometry.views import augment
from astrojepa_bench.streams import numpy_stream, stream_seed
from astrojepa_bench.types import Split, Tokens

VIEWED = 512
VIEWS = 4


class PatchTokens:
    """Token-level features, encoded again whenever an evaluator reads them: they would not fit into memory."""

    version = 1

    def attached(self, features: Features, context: ExtrasContext, path: Path) -> Features:
        """Let features encode tokens on demand; nothing is computed now and nothing kept.

        Raises:
            DataError: the encoder has no patches.
        """
        encoder = context.encoder
        if encoder.grid is None:
            raise DataError("the encoder has no patch tokens")
        images_of = context.images_by_id()

        @torch.no_grad()
        def encode_tokens(ids: np.ndarray) -> Tokens:
            batch = images_of(ids)
            with blamed_on(encoder):
                found: object = encoder(batch)
                if not isinstance(found, Tokens) or len(found.values) != len(batch):
                    raise ContractError(
                        f"forward returned {type(found).__name__} for {len(batch)} images; expected Tokens of each"
                    )
            extra = None if found.extra is None else found.extra.float().cpu()
            return Tokens(found.values.float().cpu(), found.positions.cpu(), extra)

        return dataclasses.replace(features, encode_tokens=encode_tokens)


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
                for piece in pieces(len(seen), seen.device):
                    with blamed_on(encoder):
                        taps = checked_taps(encoder, seen[piece])
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
