"""What a suite promises of its runs: files that anybody can look at, beside the board, when the runs are done.

All are of every galaxy that was asked for, and number them alike. Scores and confusion are of the test galaxies
alone, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from astrojepa_bench import events
from astrojepa_bench.errors import reason_of
from astrojepa_bench.explore.anomalies import anomaly_table
from astrojepa_bench.explore.figures import write_figure
from astrojepa_bench.explore.latents import write_latents
from astrojepa_bench.explore.map import make_map
from astrojepa_bench.explore.map_figures import map_figure, thumbnail_map_figure
from astrojepa_bench.explore.mosaic import anomalies_figure
from astrojepa_bench.explore.report import report
from astrojepa_bench.explore.sample import Sample, own_sample
from astrojepa_bench.explore.tables import write_table
from astrojepa_bench.options import Settings
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store, write_atomically
from astrojepa_bench.runs.open_run import open_run
from astrojepa_bench.suites import Product

FILES: Mapping[Product, tuple[str, ...]] = {
    "latents": ("latents-{}.h5",),
    "map": ("map-{}.png", "map-points-{}.png"),
    "anomalies": ("anomalies-{}.csv", "anomalies-{}.png"),
    "report": ("report-{}.html",),
}
"""Names of the files of a product, with a place for the letters of the run."""
DRAWS = 4
"""Masks under which each galaxy is predicted: they are ranked by distance, and errors of all are slow."""


class OwnGalaxies(NamedTuple):
    """Where the galaxies of a run are found again.

    Attributes:
        settings: options of the dataset, its files among them.
        cache: folder of converted galaxies.
        device: what they are encoded on.
    """

    settings: Settings
    cache: Path
    device: torch.device


class Products(NamedTuple):
    """What there is of a run.

    Attributes:
        paths: the files, those included that were there already.
        absent: why a product cannot be had, a line each.
    """

    paths: tuple[Path, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """Return a line a file, and a line a product that cannot be had."""
        return [*(f"Written: {path}" for path in self.paths), *self.absent]


def write_products(
    record: RunRecord, wanted: Sequence[Product], store: Store, registry: Registry, own: OwnGalaxies
) -> Products:
    """Write what is missing of a run's products into its output folder, or is older than its record.

    Whatever fails here, the run is done: a product that cannot be made is told in a line and ends nothing.

    Args:
        record: of a finished run.
        wanted: which products.
        store: the output folder.
        registry: offers its components.
        own: where its galaxies are.
    """
    short, made = record.run_id[:8], store.path(record).stat().st_mtime
    files = {name: [store.out / file.format(short) for file in FILES[name]] for name in dict.fromkeys(wanted)}

    def is_there(path: Path) -> bool:
        return path.exists() and path.stat().st_mtime >= made

    missing = [name for name, paths in files.items() if not all(map(is_there, paths))]
    absent = list[str]()
    try:
        tested = _tested(record, store, registry, own) if missing else None
    except Exception as error:
        tested, absent = None, [f"no {', '.join(missing)} of run {short}: {reason_of(error)}"]
    if tested is not None:
        every = replace(tested, rows=np.arange(len(tested.table)), own=False)
        for name in events.track(missing, task="writing", total=len(missing), unit="products"):
            try:
                _write(name, every, files[name])
            except Exception as error:  # a few galaxies make no map, and may have a report
                absent.append(f"no {name} of run {short}: {reason_of(error)}")
    return Products(
        tuple(path for paths in files.values() for path in paths if is_there(path)), tuple(absent)
    )


def _tested(record: RunRecord, store: Store, registry: Registry, own: OwnGalaxies) -> Sample:
    """Return the test galaxies of a run.

    Raises:
        ConfigError: the galaxies lie in files that were not given.
        DataError: the galaxies, or the weights, cannot be read.
    """
    run = open_run(record.run_id, out=store.out, registry=registry)
    run.objective.to(own.device)
    with events.muted():  # they were loaded a moment ago, and all was said of them
        return own_sample(run, registry, own.settings, own.cache)


def _write(name: Product, sample: Sample, files: Sequence[Path]) -> None:
    """Write one product of a sample."""
    match name:
        case "latents":
            write_latents(sample, files[0])
        case "map":
            laid_out = make_map(sample)
            write_figure(thumbnail_map_figure(laid_out), files[0])
            write_figure(map_figure(laid_out), files[1])
        case "anomalies":
            frame = anomaly_table(sample, draws=DRAWS)
            write_table(frame, files[0])
            write_figure(anomalies_figure(sample, frame), files[1])
        case "report":
            write_atomically(files[0], report(sample).encode("utf-8", "backslashreplace"))
