"""What the commands that look at a run open: the run, and its own test galaxies or any others."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.names import registry_of, settings_of
from astrojepa_bench.explore.sample import Sample, chosen_sample, own_sample
from astrojepa_bench.runs.grid import choose_device
from astrojepa_bench.runs.open_run import open_run


@contextmanager
def looking(arguments: Namespace) -> Iterator[Sample]:
    """Open what the arguments name, and show progress on stderr meanwhile.

    Raises:
        ConfigError: the dataset is unknown, or files of the run's own galaxies were not given.
        DataError: weights or galaxies cannot be read.
    """
    registry = registry_of(arguments)
    with progress(registry):
        settings, device = settings_of(arguments), choose_device(arguments.device)
        run = open_run(arguments.run, out=arguments.out, registry=registry)
        run.objective.to(device)
        if arguments.dataset is None:
            yield own_sample(run, registry, settings, arguments.cache)
        else:
            yield chosen_sample(run, arguments.dataset, registry, settings, arguments.cache)
