"""A sample of galaxies, and the finished run that encodes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from astrojepa_bench.data.looked_at import only_looked_at
from astrojepa_bench.data.sources.band_order import places_of
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluation.extract import BATCH, ENCODED, encode_rows, load_features
from astrojepa_bench.explore.domain import domain_note
from astrojepa_bench.features import Features
from astrojepa_bench.options import Settings, check_all_used
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.open_run import OpenRun, reopen_galaxies
from astrojepa_bench.types import GalaxyTable, Split, class_name

Latents = Float[Tensor, "galaxy dim"]


@dataclass(frozen=True)
class Sample:
    """Some galaxies of a table and a run; latents are computed once.

    Attributes:
        run: the finished run.
        table: the galaxies, at the run's image size.
        rows: rows of the table in the sample; the `index` of a galaxy is its place in here.
        own: whether these are the run's own galaxies, of one split.
        galaxies: the dataset on the run's device, where it was asked for by name.
        split: which split they are, if they are the run's own.
    """

    run: OpenRun
    table: GalaxyTable
    rows: Int[np.ndarray, " galaxy"]
    own: bool = False
    galaxies: Galaxies | None = None
    split: Split = "test"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def title(self) -> str:
        """Name the galaxies for a reader."""
        return f"{len(self):,} {self.split + ' ' if self.own else ''}galaxies of {self.table.card.name}"

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
        return [class_name(self.table.card.class_names, number) for number in range(self.table.classes)]

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
        return next(iter(self.taps.values()))

    @cached_property
    def taps(self) -> Mapping[str, Latents]:
        """Features of every tap of the sample, `last` first, float32, on the CPU.

        Raises:
            DataError: a feature is not finite.
        """
        return self._kept_of(self.rows) or self._encoded(self.rows)

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
        taps = self._kept_of(self.reference_rows) or self._encoded(self.reference_rows)
        return next(iter(taps.values()))

    @property
    def knows_run(self) -> bool:
        """Whether the table is the very one that the run was scored on, by its fingerprint."""
        return self.table.fingerprint == self.run.record.identity.get("fingerprint")

    @cached_property
    def kept(self) -> Features | None:
        """What was kept when the run was scored, if it is of this table: it need not be computed again."""
        record, store = self.run.record, self.run.store
        if not self.knows_run:
            return None
        return load_features(store.features_path(record.run_id), self.table, record.seed)

    def _kept_of(self, rows: Int[np.ndarray, " row"]) -> dict[str, Latents] | None:
        """Look up the kept features of some rows; None where those of one were not kept, as of a pool."""
        if self.kept is None or not len(rows):
            return None
        order = np.concatenate([self.table.rows(split) for split in ENCODED])
        places = np.full(len(self.table), -1)
        places[order] = np.arange(len(order))
        if (places[rows] < 0).any():
            return None
        parts = [self.kept.split(split).features for split in ENCODED]
        wanted = torch.from_numpy(places[rows])
        return {
            name: _finite(torch.cat([part[name] for part in parts])[wanted], self.run.record)
            for name in self.kept.taps
        }

    def _encoded(self, rows: Int[np.ndarray, " row"]) -> dict[str, Latents]:
        if not len(rows):
            raise DataError(f"{self.table.card.name} holds no galaxy to encode; check its options")
        batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        watched = events.track(batches, task="encoding galaxies", total=len(batches), unit="batches")
        taps = [encode_rows(self.run.encoder, self.images, batch) for batch in watched]
        names = taps[0] if taps else ()
        return {name: _finite(torch.cat([each[name] for each in taps]), self.run.record) for name in names}

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
    if isinstance(dataset, GalaxyTable):
        table = dataset
    else:
        with only_looked_at():
            table = loaded(dataset, run.spec.size_px, default_cache())
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
    cache = cache or default_cache()
    with only_looked_at():
        galaxies = load_galaxies(component, run.spec.size_px, cache, run.device, resident_bytes=0)
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


def own_split(sample: Sample, split: Split) -> Sample:
    """Return another split of a run's own galaxies.

    Args:
        sample: of `own_sample`.
        split: train, val or test.

    Raises:
        DataError: it is empty.
    """
    return _checked(Sample(sample.run, sample.table, sample.table.rows(split), True, sample.galaxies, split))


def _checked(sample: Sample) -> Sample:
    mine, found = sample.run.spec.bands, sample.table.spec.bands
    if len(mine) != len(found):
        raise DataError(
            f"run {sample.run.record.run_id} sees {len(mine)} bands ({', '.join(mine)}); {sample.table.card.name} "
            f"has {len(found)} ({', '.join(found)}): choose galaxies with as many"
        )
    if not len(sample):
        kind = f"{sample.split} " if sample.own else ""
        raise DataError(f"{sample.table.card.name} has no {kind}galaxy to look at")
    if sample.own:
        return sample
    table = in_bands_of(sample.table, sample.run.spec.bands)
    if table is not sample.table:
        sample = replace(sample, table=table, galaxies=None)  # these hold the bands as they were
    note = domain_note(sample.run, sample.table)
    if note is not None:
        events.emit("note", text=note)
    return sample


def in_bands_of(table: GalaxyTable, wanted: tuple[str, ...]) -> GalaxyTable:
    """Put the bands of a table into the order that a run has learnt, where they are the same, and tell so.

    "DES-G" and "g" are the same; they get the name that the run knows.
    """
    found = table.spec.bands
    order = places_of(wanted, found)
    if order is None or order == sorted(order):
        return table
    text = f"{table.card.name}: bands {', '.join(found)} were put in the order {', '.join(wanted)} of the run"
    events.emit("note", text=text)
    mean, std = (tuple(numbers[band] for band in order) for numbers in (table.spec.mean, table.spec.std))
    spec = replace(table.spec, bands=wanted, mean=mean, std=std)
    return replace(table, images=np.ascontiguousarray(np.asarray(table.images)[:, order]), spec=spec)
