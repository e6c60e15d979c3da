"""What extras are computed from, and how their arrays are kept in the file of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.evaluation.extract import same_galaxies
from astrojepa_bench.evaluation.store import Arrays, FeatureFile
from astrojepa_bench.features import Extra, Features
from astrojepa_bench.roles import Encoder, Masker, Objective
from astrojepa_bench.training.asked import scored_encoder
from astrojepa_bench.types import GalaxyTable
from astrojepa_bench.versions import chain_of, version_text


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

    def images_by_id(self) -> Callable[[np.ndarray], Float[Tensor, "galaxy band height width"]]:
        """Return what reads the images of some ids, in their order."""
        ids, images = self.table.ids, self.galaxies.images
        by_id = np.argsort(ids, kind="stable")
        return lambda asked: images.batch(by_id[np.searchsorted(ids, asked, sorter=by_id)])

    @property
    def table(self) -> GalaxyTable:
        """All galaxies."""
        return self.galaxies.table

    @property
    def test(self) -> Int[np.ndarray, " row"]:
        """Rows of the test galaxies."""
        return self.table.rows("test")


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
