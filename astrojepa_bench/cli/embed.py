"""`embed`: the latents of any galaxies, in a file."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from astrojepa_bench.cli.run_target import add_run, looking

SUMMARY = "Encode galaxies with a finished run, and write the latents with ids, labels and positions."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `embed`."""
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench embed 3f9a2c --out latents.h5\n"
        "  astrojepa-bench embed RECORD.json -d folder --set dataset.path=images --out latents.fits"
    )
    add_run(parser, "latents to write: .h5, .npz, .parquet or .fits")


def execute(arguments: Namespace) -> int:
    """Write the latents and say where they are."""
    from astrojepa_bench.explore.latents import LATENT_FORMATS, write_latents
    from astrojepa_bench.explore.tables import check_format

    check_format(arguments.out, LATENT_FORMATS)
    with looking(arguments) as sample:
        write_latents(sample, arguments.out)
        facts = {"latents": str(arguments.out), "galaxies": len(sample), "dim": sample.latents.shape[1]}
    if arguments.json:
        print(json.dumps(facts))
    else:
        print(f"{arguments.out}: {facts['dim']} features of {sample.title}")
    return 0
