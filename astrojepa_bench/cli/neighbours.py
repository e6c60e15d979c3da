"""`neighbours`: similarity search."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from astrojepa_bench.cli.run_target import add_run, looking

SUMMARY = "Find the galaxies whose latents are most like those of a given one, and draw them as a strip."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `neighbours`."""
    parser.epilog = "example:\n  astrojepa-bench neighbours 3f9a2c --index 3 --out neighbours.png"
    add_run(parser, "picture to write: .png, .pdf, .svg or .jpg")
    parser.add_argument("--index", type=int, required=True, metavar="N", help="place of the query, from 0")


def execute(arguments: Namespace) -> int:
    """Write the strip and print who is in it."""
    from astrojepa_bench.explore.figures import check_picture, write_figure
    from astrojepa_bench.explore.neighbours import find_neighbours, neighbours_figure

    check_picture(arguments.out)
    with looking(arguments) as sample:
        frame = find_neighbours(sample, arguments.index)
        write_figure(neighbours_figure(sample, arguments.index), arguments.out)
    shown = frame.columns.intersection(
        ["rank", "index", "id", "class", "anomaly_type", "redshift", "similarity"]
    )
    if arguments.json:
        found = json.loads(frame[shown].to_json(orient="records"))
        print(json.dumps({"picture": str(arguments.out), "neighbours": found}))
    else:
        print(frame[shown].to_string(index=False))
        print(f"\n{arguments.out}: the strip")
    return 0
