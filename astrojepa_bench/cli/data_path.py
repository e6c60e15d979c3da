"""A path where a dataset is named: which dataset reads it follows from what lies there."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from astrojepa_bench.cli.names import announce, catalogue_of
from astrojepa_bench.errors import ConfigError


def name_the_reader(arguments: Namespace) -> None:
    """Replace a path given with `--dataset` by the name of the dataset that reads it, and set that one's options.

    A name that is on offer is that name, whatever lies in the working folder.

    Raises:
        ConfigError: a path was given, and nothing lies there.
        DataError: nothing reads what lies there.
    """
    given = getattr(arguments, "dataset", None)
    if not isinstance(given, str):
        return
    is_path = os.sep in given and ":" not in given  # with a colon, it may be of a family: hub:OWNER/NAME
    if not Path(given).expanduser().exists():
        if is_path:
            raise ConfigError(
                f"-d {given}: nothing lies there; give a file or a folder of galaxies, or a name (list datasets)"
            )
        return
    # a copy where a configuration may name more plugins: then all are loaded later, with them
    alone = Namespace(**vars(arguments)) if getattr(arguments, "config", None) else arguments
    if not is_path and given in {each.name for each in catalogue_of(alone).offers("dataset")}:
        return
    announce(arguments)
    from astrojepa_bench.data.sources.layouts import recognise  # reads files: heavy, and seldom needed

    arguments.dataset, options = recognise(Path(given).expanduser())
    arguments.set = [*(f"dataset.{name}={value}" for name, value in options.items()), *arguments.set]
