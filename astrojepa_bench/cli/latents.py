"""`latents`: what a run sees of one galaxy, what it predicts, and how well."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from astrojepa_bench.cli.run_target import add_run, looking

SUMMARY = (
    "Draw one galaxy: itself, context, targets, and how well each patch is predicted (or views compared)."
)


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `latents`."""
    parser.epilog = "example:\n  astrojepa-bench latents 3f9a2c --index 3 --out latents.png"
    add_run(parser, "picture to write: .png, .pdf, .svg or .jpg")
    parser.add_argument("--index", type=int, required=True, metavar="N", help="place of the galaxy, from 0")


def execute(arguments: Namespace) -> int:
    """Write the picture and say where it is."""
    from astrojepa_bench.explore.figures import check_picture, write_figure
    from astrojepa_bench.explore.latents_figure import latents_figure

    check_picture(arguments.out)
    with looking(arguments) as sample:
        row = sample.row_of(arguments.index)
        write_figure(latents_figure(sample, arguments.index), arguments.out)
    name = str(sample.table.ids[row])
    facts = {"picture": str(arguments.out), "index": arguments.index, "id": name}
    print(
        json.dumps(facts) if arguments.json else f"{arguments.out}: galaxy {name} (index {arguments.index})"
    )
    return 0
