"""`report`: everything about a run as one HTML page."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore.endings import PAGES
from astrojepa_bench.explore.report import report
from astrojepa_bench.results.store import write_atomically


def execute(arguments: Namespace) -> int:
    """Write the page and print where it is."""
    if arguments.page.suffix.lower() not in PAGES:
        raise ConfigError(
            f"{arguments.page}: '{arguments.page.suffix}' is not an HTML page; use a name that ends in .html"
        )
    with looking(arguments) as sample:
        page = report(sample).encode("utf-8", "backslashreplace")
    write_atomically(arguments.page, page)
    facts = {"report": str(arguments.page), "galaxies": len(sample), "bytes": len(page)}
    print(
        json.dumps(facts) if arguments.json else f"{arguments.page}: {len(page) / 1e6:.1f} MB, {sample.title}"
    )
    return 0
