"""A path where a dataset is named: which dataset reads it follows from what lies there."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from astrojepa_bench.cli.names import registry_of


def name_the_reader(arguments: Namespace) -> None:
    """Replace a path given with `--dataset` by the name of the dataset that reads it, and set that one's options.

    A name that is on offer is that name, whatever lies in the working folder.

    Raises:
        DataError: nothing reads what lies there.
    """
    given = getattr(arguments, "dataset", None)
    if not isinstance(given, str) or not Path(given).expanduser().exists():
        return
    # a copy: a configuration may name more plugins, and then the registry is loaded with them
    if given in {offer.name for offer in registry_of(Namespace(**vars(arguments))).offers("dataset")}:
        return
    from astrojepa_bench.data.sources.layouts import recognise  # reads files: heavy, and seldom needed

    arguments.dataset, options = recognise(Path(given).expanduser())
    arguments.set = [*(f"dataset.{name}={value}" for name, value in options.items()), *arguments.set]
