"""`embed`: the latents of any galaxies, in a file."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.endings import LATENT_FORMATS
from astrojepa_bench.explore.latents import write_latents
from astrojepa_bench.explore.tables import check_format


def execute(arguments: Namespace) -> int:
    """Write the latents and print where they are."""
    check_format(arguments.latents, LATENT_FORMATS)
    with looking(arguments) as sample:
        write_latents(sample, arguments.latents, command_line())
        facts = {"latents": str(arguments.latents), "galaxies": len(sample), "dim": sample.latents.shape[1]}
    if arguments.json:
        print(json.dumps(facts))
    else:
        print(f"{arguments.latents}: {facts['dim']} features of {sample.title}")
    return 0
