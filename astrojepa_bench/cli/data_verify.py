"""`data verify`: is this file whole, and is it what it is said to be."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astrojepa_bench.data.published.verification import Verification

SUMMARY = "Read all of an HDF5 file: is it whole, is it the published one, which known defects has it."
DEFECTS = {
    "conflicting_by_pixels": "pixels that occur under two classes",
    "conflicting_by_position": "positions that occur under two classes",
    "overlapping": "sky or pixels shared with another image",
    "blank": "blank",
    "without_redshift": "redshift unknown",
    "without_position": "position unknown",
}


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `data verify`."""
    parser.epilog = "examples:\n  astrojepa-bench data verify Galaxy10_DECals.h5"
    parser.add_argument("file", type=Path, metavar="FILE", help="an HDF5 file of Galaxy10's layout")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(arguments: Namespace) -> int:
    """Print what was found.

    Returns:
        0 if the file is whole, published or not; 2 if it is damaged or of no layout that can be read.
    """
    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.data.published.verification import verify
    from astrojepa_bench.events import listening

    with console_listener() as listener, listening(listener):
        found = verify(arguments.file.expanduser())
    if arguments.json:
        print(json.dumps({**vars(found), "path": str(found.path), "ok": found.ok}, indent=2))
    else:
        _print_tables(found)
    return 0 if found.ok else 2


def _print_tables(found: Verification) -> None:
    from tabulate import tabulate

    print(tabulate(_facts(found), tablefmt="plain", disable_numparse=True))
    if found.ok:
        print("\n" + tabulate(found.classes.items(), headers=["class", "images"]))
        defects = [(DEFECTS[name], count) for name, count in found.defects.items()]
        print("\n" + tabulate(defects, headers=["defect", "images"]))


def _facts(found: Verification) -> list[tuple[str, str]]:
    facts = [
        ("file", f"{found.path} ({found.size_bytes:,} bytes)"),
        ("sha256", found.sha256),
        ("state", found.problem or "whole: every image can be read"),
        ("what", _what(found)),
    ]
    if not found.ok:
        return facts
    scales = ", ".join(f"{count:,} at {scale} arcsec" for scale, count in found.pixel_scales.items())
    return [
        *facts,
        ("images", " x ".join(f"{length:,}" for length in found.shape)),
        ("holds", ", ".join(f"{name} ({dtype})" for name, dtype in found.dtypes.items())),
        ("pixels", scales or "of unknown scale"),
    ]


def _what(found: Verification) -> str:
    if found.published is not None:
        return f"{found.published}, as published"
    if found.layout is None:
        return "not a published file"
    return f"not a published file; read it as {'dataset hdf5' if found.layout == 'hdf5' else found.layout}"
