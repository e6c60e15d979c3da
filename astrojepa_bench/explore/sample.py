"""A sample of galaxies, and the finished run that encodes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench import events
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.galaxies import Galaxies, loaded
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluation.extract import BATCH, encode_rows, load_features
from astrojepa_bench.features import Features
from astrojepa_bench.options import Settings, check_all_used
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.open_run import OpenRun, reopen_galaxies
from astrojepa_bench.types import GalaxyTable

Latents = Float[Tensor, "galaxy dim"]


@dataclass(frozen=True)
class Sample:
    """Some galaxies of a table and a run; latents are computed once.

    Attributes:
        run: the finished run.
        table: the galaxies, at the run's image size.
        rows: rows of the table in the sample; the `index` of a galaxy is its place in here.
        own: whether these are the run's own test galaxies.
        galaxies: the dataset on the run's device, where it was asked for by name.
    """

    run: OpenRun
    table: GalaxyTable
    rows: Int[np.ndarray, " galaxy"]
    own: bool = False
    galaxies: Galaxies | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def title(self) -> str:
        """Name the galaxies for a reader."""
        return f"{len(self):,} {'test ' if self.own else ''}galaxies of {self.table.card.name}"

    @property
    def run_title(self) -> str:
        """Name the run for a reader."""
        record = self.run.record
        return f"{record.title}, seed {record.seed}, budget {record.budget} (run {record.run_id[:8]})"

    @property
    def device(self) -> torch.device:
        """Where the run's weights are."""
        return self.run.device

    @property
    def classes(self) -> list[str]:
        """Names of the classes, by number where nobody named them."""
        names = self.table.card.class_names
        return [names[i] if i < len(names) else f"class {i}" for i in range(self.table.classes)]

    @cached_property
    def images(self) -> DeviceImages:
        """The table's images, read as they are needed."""
        if self.galaxies is not None:
            return self.galaxies.images
        return DeviceImages(self.table.images, self.device, resident_bytes=0)

    @cached_property
    def latents(self) -> Latents:
        """Features (tap `last`) of the sample, float32, on the CPU.

        Raises:
            DataError: a feature is not finite.
        """
        if self.kept is not None:
            return _finite(self.kept.test.features[self.kept.taps[0]], self.run.record)
        return self._encoded(self.rows)

    @cached_property
    def reference_rows(self) -> Int[np.ndarray, " voter"]:
        """Rows of the ordinary galaxies that distances are measured from, by id.

        The table's training galaxies; where it has none, the ordinary galaxies of the sample.
        """
        train = self.table.rows("train")
        rows = train if len(train) else self.rows[self.table.anomaly[self.rows] == 0]
        return rows[np.argsort(self.table.ids[rows], kind="stable")]

    @cached_property
    def reference(self) -> Float[Tensor, "voter dim"]:
        """Features of the reference galaxies, in the order of `reference_rows`."""
        if self.kept is None or not len(self.kept.train.ids):
            return self._encoded(self.reference_rows)
        order = torch.from_numpy(np.argsort(self.kept.train.ids, kind="stable"))
        return _finite(self.kept.train.features[self.kept.taps[0]][order], self.run.record)

    @cached_property
    def kept(self) -> Features | None:
        """What was kept when the run was scored, if it is of these galaxies: it need not be computed again."""
        record, store = self.run.record, self.run.store
        return (
            load_features(store.features_path(record.run_id), self.table, record.seed) if self.own else None
        )

    def _encoded(self, rows: Int[np.ndarray, " row"]) -> Float[Tensor, "row dim"]:
        if not len(rows):
            raise DataError(f"{self.table.card.name} holds no galaxy to encode; check its options")
        batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        watched = events.track(batches, task="encoding galaxies", total=len(batches), unit="batches")
        taps = [encode_rows(self.run.encoder, self.images, batch) for batch in watched]
        return _finite(torch.cat([next(iter(tap.values())) for tap in taps]), self.run.record)

    def row_of(self, index: int) -> int:
        """Return the table row of the galaxy at a place of the sample.

        Raises:
            ConfigError: there is no such place.
        """
        if not 0 <= index < len(self):
            raise ConfigError(f"index {index} is not among the {self.title}; give 0 to {len(self) - 1}")
        return int(self.rows[index])


def _finite(features: Latents, record: RunRecord) -> Latents:
    broken = int((~features.isfinite()).any(dim=1).sum())
    if broken:
        raise DataError(
            f"run {record.run_id} gives non-finite features for {broken} of {len(features)} galaxies; "
            "its training diverged: open another run"
        )
    return features


# --- which galaxies -----------------------------------------------------------------------------------------


def sample_of(run: OpenRun, dataset: GalaxyTable | Dataset | None = None) -> Sample:
    """Make the sample of a run and galaxies.

    Args:
        run: a finished run.
        dataset: its galaxies, all of them; None: the run's own test galaxies.

    Raises:
        ConfigError: the run's own galaxies lie in files; give them as a dataset.
        DataError: the galaxies cannot be read, or have other bands than the run's.
    """
    if dataset is None:
        return own_sample(run, load_registry())
    table = (
        dataset if isinstance(dataset, GalaxyTable) else loaded(dataset, run.spec.size_px, default_cache())
    )
    return _checked(Sample(run, table, np.arange(len(table))))


def chosen_sample(
    run: OpenRun, name: str, registry: Registry, settings: Settings, cache: Path | None = None
) -> Sample:
    """Make the sample of a run and every galaxy of a dataset, by name.

    Raises:
        ConfigError: the dataset or one of its options is unknown.
        DataError: the galaxies cannot be read, or have other bands than the run's.
    """
    offer = registry.get("dataset", name)
    check_all_used(settings, [offer])
    component = Component.of(offer, settings)
    galaxies = load_galaxies(
        component, run.spec.size_px, cache or default_cache(), run.device, resident_bytes=0
    )
    return _checked(Sample(run, galaxies.table, np.arange(len(galaxies.table)), galaxies=galaxies))


def own_sample(
    run: OpenRun, registry: Registry, settings: Settings | None = None, cache: Path | None = None
) -> Sample:
    """Make the sample of a run and the test galaxies that it was scored on.

    Args:
        run: a finished run.
        registry: offers the dataset.
        settings: where its files are: a record keeps their names and no folders.
        cache: folder of converted galaxies; the user's if None.

    Raises:
        ConfigError: a file is needed and was not given, or an option is unknown.
        DataError: the galaxies cannot be read.
    """
    settings = settings or {}
    check_all_used(settings, [registry.get("dataset", run.record.dataset)])
    reopened = reopen_galaxies(
        run, registry, settings, cache or default_cache(), run.device, resident_bytes=0
    )
    if reopened.differing is not None:
        events.emit("note", text=reopened.differing)
    table = reopened.galaxies.table
    return _checked(Sample(run, table, table.rows("test"), own=True, galaxies=reopened.galaxies))


def _checked(sample: Sample) -> Sample:
    mine, found = sample.run.spec.bands, sample.table.spec.bands
    if len(mine) != len(found):
        raise DataError(
            f"run {sample.run.record.run_id} sees {len(mine)} bands ({', '.join(mine)}); {sample.table.card.name} "
            f"has {len(found)} ({', '.join(found)}): choose galaxies with as many"
        )
    if not len(sample):
        raise DataError(f"{sample.table.card.name} has no {'test ' if sample.own else ''}galaxy to look at")
    return sample
