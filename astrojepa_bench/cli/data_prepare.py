"""`data prepare`: write a data set once, in random order, so that it is trained on from the disk."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.data_target import component_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.stdout import plugins_at_work
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.galaxies import load_table
from astrojepa_bench.data.manifest import Manifest
from astrojepa_bench.data.prepare import prepare


def execute(arguments: Namespace) -> int:
    """Load the galaxies, write them, and print where they are."""
    folder = arguments.out.expanduser()
    manifest, written = _prepared(arguments, folder)
    facts = {
        "path": str(folder),
        "written": written,
        "galaxies": manifest.index.galaxies,
        "shards": len(manifest.shards),
        "bytes": sum(shard.size for shard in manifest.shards),
        "fingerprint": manifest.fingerprint,
    }
    if arguments.json:
        print(json.dumps(facts))
        return 0
    state = "" if written else ", as they were; nothing is written"
    size = f"{facts['galaxies']:,} galaxies, {facts['bytes']:,} bytes in {facts['shards']} shards"
    print(f"{folder}: {size}{state}")
    # a bare word may be the name of a data set
    print(f"Take it with -d {folder if len(folder.parts) > 1 else f'./{folder}'}")
    return 0


@plugins_at_work()
def _prepared(arguments: Namespace, folder: Path) -> tuple[Manifest, bool]:
    """Do it while nothing that a plugin prints gets into what this command prints."""
    component = component_of(arguments)
    dataset = component.build()
    with progress():
        table = load_table(dataset, arguments.size, arguments.cache or default_cache())
        source = {"dataset": component.name, "options": component.recorded()}
        return prepare(table, folder, arguments.seed, source)
