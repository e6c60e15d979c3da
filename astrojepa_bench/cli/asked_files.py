"""The picture and the table that a command is asked to write."""

from __future__ import annotations

from argparse import Namespace

from astrojepa_bench.explore.endings import TABLE_FORMATS
from astrojepa_bench.explore.figures import check_picture
from astrojepa_bench.explore.tables import check_format


def asked_files(arguments: Namespace) -> dict[str, str]:
    """Return which of both are asked for, each with its path, before anything is read for them.

    Raises:
        ConfigError: a name has an ending of another format.
    """
    if arguments.picture is not None:
        check_picture(arguments.picture)
    if arguments.table is not None:
        check_format(arguments.table, TABLE_FORMATS)
    both = {"picture": arguments.picture, "table": arguments.table}
    return {name: str(path) for name, path in both.items() if path is not None}
