"""`data fetch`: download a published set, once."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

SUMMARY = "Download a published set; a download that was cut off goes on where it stopped."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `data fetch`."""
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench data fetch galaxy10\n"
        "  astrojepa-bench data fetch galaxy10 --release sdss"
    )
    parser.add_argument("dataset", metavar="DATASET", choices=["galaxy10"], help="galaxy10")
    parser.add_argument(
        "--release", choices=["decals", "sdss"], default="decals", help="which (default: decals, 2.5 GB)"
    )
    parser.add_argument("--from", dest="mirror", metavar="URL", help="another server; the checksum decides")
    parser.add_argument("--cache", type=Path, help="folder to keep it in (default: the user's cache)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(arguments: Namespace) -> int:
    """Fetch it and say where it is."""
    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.data.cache_folder import default_cache
    from astrojepa_bench.data.published.download import fetch
    from astrojepa_bench.data.published.releases import RELEASES
    from astrojepa_bench.events import listening

    release = RELEASES[arguments.release]
    cache = (arguments.cache or default_cache()).expanduser()
    with console_listener() as listener, listening(listener):
        path = fetch(release, release.path(cache).parent, arguments.mirror)
    if arguments.json:
        print(json.dumps({"release": release.name, "path": str(path), "sha256": release.sha256}))
    else:
        print(f"{path}: {release.title}, SHA-256 as published; use it with -d galaxy10")
    return 0
