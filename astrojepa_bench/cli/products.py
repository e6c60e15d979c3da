"""What `run` makes of the runs of a suite that promises latents, pictures or a report."""

from __future__ import annotations

from collections.abc import Iterable

from astrojepa_bench.explore.products import OwnGalaxies, Products, write_products
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import choose_device
from astrojepa_bench.runs.request import RunRequest
from astrojepa_bench.suites import Suite


def made_of(records: Iterable[RunRecord], suite: Suite, request: RunRequest, registry: Registry) -> Products:
    """Write the products of the first seed of each entry that the suite names; floors have none."""
    asked = {name for block in suite.grid(request.grid) for name in block.objectives}
    firsts = dict[str, RunRecord]()
    for record in records:
        if record.objective in asked and record.status in SCORED:
            firsts.setdefault(record.entry_id, record)
    settings = {kind: each for kind, each in request.settings.items() if kind.partition(":")[0] == "dataset"}
    own, store = OwnGalaxies(settings, request.cache, choose_device(request.device)), Store(request.out)
    made = [write_products(record, suite.products, store, registry, own) for record in firsts.values()]
    paths = tuple(path for each in made for path in each.paths)
    return Products(paths, tuple(line for each in made for line in each.absent))
