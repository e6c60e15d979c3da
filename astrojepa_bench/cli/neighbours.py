"""`neighbours`: similarity search."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.figures import check_picture, write_figure
from astrojepa_bench.explore.neighbours import find_neighbours, neighbours_figure


def execute(arguments: Namespace) -> int:
    """Write the strip and print who is in it."""
    check_picture(arguments.picture)
    with looking(arguments) as sample:
        frame = find_neighbours(sample, arguments.index)
        write_figure(neighbours_figure(sample, arguments.index), arguments.picture)
    shown = frame.columns.intersection(
        ["rank", "index", "id", "class", "anomaly_type", "redshift", "similarity"]
    )
    if arguments.json:
        found = json.loads(frame[shown].to_json(orient="records"))
        print(json.dumps({"picture": str(arguments.picture), "neighbours": found}))
    else:
        print(frame[shown].to_string(index=False))
        print(f"\n{arguments.picture}: the strip")
    return 0
