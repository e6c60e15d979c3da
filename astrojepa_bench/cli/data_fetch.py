"""`data fetch`: download a published set, once."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.printing import print
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.published.download import fetch
from astrojepa_bench.data.published.releases import RELEASES


def execute(arguments: Namespace) -> int:
    """Fetch it and print where it is."""
    release = RELEASES[arguments.release]
    cache = (arguments.cache or default_cache()).expanduser()
    with progress():
        path = fetch(release, release.path(cache).parent, arguments.mirror)
    if arguments.json:
        print(json.dumps({"release": release.name, "path": str(path), "sha256": release.sha256}))
    else:
        print(f"{path}: {release.title}, SHA-256 as published; use it with -d galaxy10")
    return 0
