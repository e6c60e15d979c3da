"""`data`: look at a dataset before anything is trained on it."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from astrojepa_bench.errors import ConfigError

if TYPE_CHECKING:
    from astrojepa_bench.types import GalaxyTable

SUMMARY = "Look at a dataset: a contact sheet of every class."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `data`."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench data show synthetic --out sheet.png\n"
        "  astrojepa-bench data show hdf5 --set dataset.path=galaxies.h5 --out sheet.png"
    )
    parser.add_argument("action", choices=["show"], help="what to do: show draws a contact sheet")
    parser.add_argument("dataset", metavar="DATASET", help="name of a dataset, see `list datasets`")
    parser.add_argument("--out", type=Path, help="picture to write (default: DATASET.png)")
    parser.add_argument("--size", type=int, default=64, metavar="PX", help="image size (default: 64)")
    parser.add_argument("--per-class", type=int, default=6, metavar="N", help="galaxies of each class")
    parser.add_argument(
        "--set", action="append", default=[], metavar="dataset.OPTION=VALUE", help="set an option"
    )
    parser.add_argument("--cache", type=Path, help="folder for converted data (default: the user's cache)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(arguments: Namespace) -> int:
    """Write the sheet and say where it is."""
    if arguments.per_class < 1:
        raise ConfigError(f"--per-class {arguments.per_class} shows nothing; give 1 or more")
    table = _load(arguments)
    out: Path = arguments.out or Path(f"{arguments.dataset}.png")
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


def _load(arguments: Namespace) -> GalaxyTable:
    from platformdirs import user_cache_path

    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.events import listening
    from astrojepa_bench.options import check_all_used, parse_settings, resolve, settings_for
    from astrojepa_bench.registry import load_registry

    offer = load_registry(arguments.plugin, arguments.strict_plugins).get("dataset", arguments.dataset)
    settings = parse_settings(arguments.set)
    check_all_used(settings, [offer])
    dataset = offer.factory(**resolve(offer, settings_for(settings, offer)))
    with console_listener() as listener, listening(listener):
        table: GalaxyTable = dataset.load(
            arguments.size, arguments.cache or user_cache_path("astrojepa-bench")
        )
    return table


def _write_sheet(table: GalaxyTable, per_class: int, out: Path) -> None:
    from astrojepa_bench.data.sheet import contact_sheet

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(table, per_class).save(out)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot write {out} ({error}); name a picture such as sheet.png with --out"
        ) from None
