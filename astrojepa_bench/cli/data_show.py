"""`data show`: a contact sheet, the first thing to look at in any dataset."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from astrojepa_bench.cli.data_target import add_target, load_target
from astrojepa_bench.errors import ConfigError

if TYPE_CHECKING:
    from astrojepa_bench.types import GalaxyTable

SUMMARY = "Draw a contact sheet: some galaxies of every class side by side."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `data show`."""
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench data show synthetic --out sheet.png\n"
        "  astrojepa-bench data show galaxies.h5"
    )
    add_target(parser)
    parser.add_argument("--out", type=Path, help="picture to write (default: TARGET.png)")
    parser.add_argument("--per-class", type=int, default=6, metavar="N", help="galaxies of each class")


def execute(arguments: Namespace) -> int:
    """Write the sheet and say where it is."""
    if arguments.per_class < 1:
        raise ConfigError(f"--per-class {arguments.per_class} shows nothing; give 1 or more")
    _, table = load_target(arguments)
    out: Path = arguments.out or Path(f"{Path(arguments.target).stem}.png")
    _write_sheet(table, arguments.per_class, out)
    facts = {
        "sheet": str(out),
        "galaxies": len(table),
        "classes": table.classes,
        "fingerprint": table.fingerprint,
    }
    if arguments.json:
        print(json.dumps(facts))
    else:
        odd = int((table.anomaly > 0).sum())
        print(f"{out}: {len(table):,} galaxies in {table.classes} classes, {odd} of them anomalies")
    return 0


def _write_sheet(table: GalaxyTable, per_class: int, out: Path) -> None:
    from astrojepa_bench.data.look.sheet import contact_sheet

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(table, per_class).save(out)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot write {out} ({error}); name a picture such as sheet.png with --out"
        ) from None
