"""`latents`: what a run sees of one galaxy, what it predicts, and how well."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.figures import check_picture, write_figure
from astrojepa_bench.explore.latents_figure import latents_figure


def execute(arguments: Namespace) -> int:
    """Write the picture and print where it is."""
    check_picture(arguments.picture)
    with looking(arguments) as sample:
        row = sample.row_of(arguments.index)
        write_figure(latents_figure(sample, arguments.index), arguments.picture)
    name = str(sample.table.ids[row])
    facts = {"picture": str(arguments.picture), "index": arguments.index, "id": name}
    print(
        json.dumps(facts)
        if arguments.json
        else f"{arguments.picture}: galaxy {name} (index {arguments.index})"
    )
    return 0
