"""`data verify`: is this file or prepared folder whole, and is it what it claims to be."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from tabulate import tabulate

from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.printing import print
from astrojepa_bench.data.manifest import MANIFEST, verify_prepared
from astrojepa_bench.data.published.verification import Verification, verify

DEFECTS = {
    "conflicting_by_pixels": "pixels that occur under two classes",
    "conflicting_by_position": "positions that occur under two classes",
    "overlapping": "sky or pixels shared with another image",
    "blank": "blank",
    "without_redshift": "redshift unknown",
    "without_position": "position unknown",
}


def execute(arguments: Namespace) -> int:
    """Print what was found.

    Returns:
        0 if the file is whole, published or not; 2 if it is damaged or of no layout that can be read.
    """
    if (arguments.file.expanduser() / MANIFEST).is_file():
        return _verify_prepared(arguments.file.expanduser(), as_json=arguments.json)
    with progress():
        found = verify(arguments.file.expanduser())
    if arguments.json:
        print(json.dumps({**vars(found), "path": str(found.path), "ok": found.ok}, indent=2))
    else:
        print(tabulate(_facts(found), tablefmt="plain", disable_numparse=True))
        if found.ok:
            print("\n" + tabulate(found.classes.items(), headers=["class", "images"]))
            defects = [(DEFECTS[name], count) for name, count in found.defects.items()]
            print("\n" + tabulate(defects, headers=["defect", "images"]))
    return 0 if found.ok else 2


def _verify_prepared(folder: Path, *, as_json: bool) -> int:
    with progress():
        manifest = verify_prepared(folder)
    facts = {
        "path": str(folder),
        "ok": True,
        "galaxies": manifest.index.galaxies,
        "shards": len(manifest.shards),
        "bytes": sum(shard.size for shard in manifest.shards),
        "fingerprint": manifest.fingerprint,
    }
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        print(f"{manifest.title(folder)}: whole; every checksum is that of when it was written")
        print(
            f"{facts['galaxies']:,} galaxies in {facts['shards']} shards of {facts['bytes']:,} bytes together"
        )
    return 0


def _facts(found: Verification) -> list[tuple[str, str]]:
    what = "not a published file"
    if found.published is not None:
        what = f"{found.published}, as published"
    elif found.layout is not None:
        what += f"; read it as {'dataset hdf5' if found.layout == 'hdf5' else found.layout}"
    facts = [
        ("file", f"{found.path} ({found.size_bytes:,} bytes)"),
        ("sha256", found.sha256),
        ("state", found.problem or "whole: every image can be read"),
        ("what", what),
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
