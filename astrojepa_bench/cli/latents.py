"""`latents`: what a run sees of one galaxy, what it predicts, and how well."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.asked_files import asked_files
from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.query import asked_for, check_query, facts_of, told_of
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.figures import write_figure
from astrojepa_bench.explore.latents_figure import latents_figure
from astrojepa_bench.explore.latents_map import patch_table
from astrojepa_bench.explore.table_formats import TableOrigin
from astrojepa_bench.explore.tables import facts_table, write_table


def execute(arguments: Namespace) -> int:
    """Write picture and table, and print where they are."""
    picture, table, named = arguments.picture, arguments.table, asked_files(arguments)
    check_query(arguments)
    with looking(arguments) as sample:
        asked = asked_for(arguments, sample)
        if table is not None:
            origin = TableOrigin.of(asked.sample, command_line())
            write_table(patch_table(asked.sample, asked.index), table, origin)
        if picture is not None:
            write_figure(latents_figure(asked.sample, asked.index), picture)
        galaxy = facts_table(asked.sample).iloc[asked.index]
    if arguments.json:
        print(json.dumps({**named, **facts_of(asked, galaxy)}))
    else:
        print(f"{' and '.join(named.values())}: {told_of(asked, galaxy)}")
    return 0
