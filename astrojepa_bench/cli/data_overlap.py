"""`data overlap`: which galaxies of a data set somebody's pretraining has seen."""

from __future__ import annotations

import json
from argparse import Namespace

from tabulate import tabulate

from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.data_target import load_target
from astrojepa_bench.cli.printing import print
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.overlap import find_overlap, read_list
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.files import replacing
from astrojepa_bench.results.certificate import SIDES, Certificate

WAYS = {"id": "by id", "sky": "by sky", "pixels": "by pixels"}


def execute(arguments: Namespace) -> int:
    """Print how many of each split are in the list, and write the certificate if asked."""
    if not 0 < arguments.radius <= 3600:
        raise ConfigError(f"--radius {arguments.radius:g}: expected arcseconds, above 0 and at most 3600")
    _, table = load_target(arguments)
    cache = arguments.cache or default_cache()
    with progress():
        listed = read_list(arguments.list.expanduser(), cache)
        found = find_overlap(table, listed, arguments.radius, cache)
    certificate = Certificate.of(table, listed, found, arguments.radius)
    if arguments.certificate is not None:
        with replacing(arguments.certificate.expanduser()) as draft:
            draft.write_text(certificate.to_json())
    if arguments.json:
        print(json.dumps(certificate.model_dump(mode="json"), indent=2))
        return 0
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in listed.known.items() if count)
    print(f"{table.card.name} and {listed.name} ({kinds})\n")
    lines = [
        [side, len(rows), *(int(marks[rows].sum()) if marks is not None else "" for marks in ways)]
        for ways in [[*(found.by.get(way) for way in WAYS), found.seen]]
        for side, rows in ((side, table.rows(side)) for side in SIDES)
    ]
    print(tabulate(lines, headers=["", "galaxies", *WAYS.values(), "seen"]))
    if arguments.certificate is not None:
        print(f"\nCertificate: {arguments.certificate}")
    return 0
