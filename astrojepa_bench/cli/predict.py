"""`predict`: class and redshift of any galaxies, by the probes of a run."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.names import registry_of, settings_of
from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.query import PLACES
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.explore.endings import TABLE_FORMATS
from astrojepa_bench.explore.predict import prediction_table
from astrojepa_bench.explore.probes import fit_probes
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.table_formats import TableOrigin
from astrojepa_bench.explore.tables import check_format, write_table
from astrojepa_bench.runs.open_run import Reopened, reopen_galaxies

SHOWN = 10
COLUMNS = [
    "id", "ra", "dec", "class", "predicted_class", "probability", "redshift", "predicted_redshift",
    "redshift_scatter",
]  # fmt: skip


def execute(arguments: Namespace) -> int:
    """Write the table, and print its first rows and what the probes are."""
    if arguments.table is not None:
        check_format(arguments.table, TABLE_FORMATS)
    with looking(arguments) as sample:
        probes = fit_probes(sample.run, lambda: _own_galaxies(arguments, sample))
        frame = prediction_table(sample, probes, latents=arguments.latents)
        if arguments.table is not None:
            write_table(frame, arguments.table, TableOrigin.of(sample, command_line()))
    shown = frame[frame.columns.intersection(COLUMNS)].head(SHOWN)
    written = {} if arguments.table is None else {"table": str(arguments.table)}
    if arguments.json:
        first = json.loads(shown.to_json(orient="records"))
        print(json.dumps({**written, "galaxies": len(frame), "probes": [*probes.told], "first": first}))
        return 0
    print(shown.to_string(index=False, formatters=PLACES))
    print("", *probes.told, sep="\n")
    where = "give --table FILE for all of them" if arguments.table is None else str(arguments.table)
    print(f"{where}: {sample.title}{f', the first {SHOWN} above' if len(frame) > SHOWN else ''}")
    return 0


def _own_galaxies(arguments: Namespace, sample: Sample) -> Reopened:
    """Load the galaxies of the run itself; options that were typed are of the galaxies to be looked at."""
    settings = settings_of(arguments) if arguments.dataset is None else {}
    cache, device = arguments.cache or default_cache(), sample.run.device
    return reopen_galaxies(sample.run, registry_of(arguments), settings, cache, device, resident_bytes=0)
