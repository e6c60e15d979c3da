"""`report`: everything about a run as one HTML page."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from astrojepa_bench.cli.run_target import add_run, looking
from astrojepa_bench.errors import ConfigError

SUMMARY = "Write everything about a run into one HTML page that needs no network."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `report`."""
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench report 3f9a2c --out report.html\n"
        "  astrojepa-bench report RECORD.json -d hdf5 --set dataset.path=FILE.h5 --out report.html"
    )
    add_run(parser, "page to write: .html")


def execute(arguments: Namespace) -> int:
    """Write the page and say where it is."""
    from astrojepa_bench.explore.report import report
    from astrojepa_bench.results.store import write_atomically

    if arguments.out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(
            f"--out {arguments.out}: '{arguments.out.suffix}' is no page; use a name that ends in .html"
        )
    with looking(arguments) as sample:
        page = report(sample).encode()
    write_atomically(arguments.out, page)
    facts = {"report": str(arguments.out), "galaxies": len(sample), "bytes": len(page)}
    print(
        json.dumps(facts) if arguments.json else f"{arguments.out}: {len(page) / 1e6:.1f} MB, {sample.title}"
    )
    return 0
