"""What the looking commands look at: a finished run, and its own test galaxies or any others."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from astrojepa_bench.errors import ConfigError

if TYPE_CHECKING:
    from astrojepa_bench.explore.sample import Sample
    from astrojepa_bench.registry import Registry
    from astrojepa_bench.runs.open_run import OpenRun


def add_run(parser: ArgumentParser, out: str) -> None:
    """Declare the arguments that all looking commands share; `out` says what is written."""
    parser.add_argument(
        "run", metavar="RUN", help="a record's .json file, or the first letters of a run's id"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=out)
    parser.add_argument(
        "-d", "--dataset", metavar="NAME", help="galaxies (default: the run's own test galaxies)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="dataset.OPTION=VALUE",
        help="set an option of the dataset",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("astrojepa-runs"), metavar="DIR",
        help="output folder in which ids are looked up (default: astrojepa-runs)",
    )  # fmt: skip
    parser.add_argument("--cache", type=Path, metavar="DIR", help="cache folder for converted galaxies")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print JSON")


@contextmanager
def looking(arguments: Namespace) -> Iterator[Sample]:
    """Open what the arguments name, with progress on stderr meanwhile.

    Raises:
        ConfigError: the run or the dataset is unknown, or files of the run's own galaxies were not given.
        DataError: weights or galaxies cannot be read.
    """
    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.events import listening
    from astrojepa_bench.registry import load_registry

    registry = load_registry(arguments.plugin, arguments.strict_plugins)
    with console_listener() as listener, listening(listener), listening(registry.observe):
        yield _sample(arguments, registry)


def _sample(arguments: Namespace, registry: Registry) -> Sample:
    from astrojepa_bench.explore.sample import chosen_sample, own_sample
    from astrojepa_bench.options import parse_settings
    from astrojepa_bench.runs.grid import choose_device

    settings, device = parse_settings(arguments.set), choose_device(arguments.device)
    run = _opened(arguments, registry)
    run.objective.to(device)
    if arguments.dataset is None:
        return own_sample(run, registry, settings, arguments.cache)
    return chosen_sample(run, arguments.dataset, registry, settings, arguments.cache)


def _opened(arguments: Namespace, registry: Registry) -> OpenRun:
    from astrojepa_bench.runs.open_run import open_run

    try:
        return open_run(arguments.run, out=arguments.runs, registry=registry)
    except ConfigError as error:
        raise ConfigError(str(error).replace("--out", "--runs")) from None  # here --out names a file
