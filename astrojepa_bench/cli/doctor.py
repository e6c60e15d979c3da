"""`doctor`: is this machine ready, and if not, what is missing."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Literal

from astrojepa_bench.cli.names import registry_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.errors import BenchError

ROOM_GB = 10.0  # Galaxy10 at 224 px takes 2.7 GB beside its 2.5 GB download, and a grid of runs some more


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    name: str
    state: Literal["ok", "warn", "broken"]
    text: str


def execute(arguments: Namespace) -> int:
    """Print one line a check.

    Returns:
        0 if nothing is broken, else 2.
    """
    checks = [
        Finding("python", "ok", f"{platform.python_version()} ({sys.implementation.name})"),
        Finding("platform", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        *_packages(),
        *_devices(),
        *_cache(),
        *_plugins(arguments),
    ]
    healthy = all(check.state != "broken" for check in checks)
    if arguments.json:
        print(json.dumps({"healthy": healthy, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        for check in checks:
            print(f"{check.state:<6}  {check.name:<18}  {check.text}")
    return 0 if healthy else 2


def _packages() -> Iterator[Finding]:
    """Find out whether every package that ours requires is installed (pip alone does not keep it so)."""
    try:
        requirements = metadata.requires("astrojepa-bench") or []
        yield Finding("astrojepa-bench", "ok", metadata.version("astrojepa-bench"))
    except metadata.PackageNotFoundError:
        yield Finding("astrojepa-bench", "broken", "not installed; run pip install -e . in the checkout")
        return
    names = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in requirements if "extra ==" not in text]
    for name in sorted(names):
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "broken", f"not installed; run pip install {name}")


def _devices() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        import torch  # here, because a machine on which it cannot be imported is examined all the same
    except (ImportError, OSError) as error:
        yield Finding("devices", "broken", f"torch cannot be imported: {error}; reinstall torch")
        return
    yield Finding("cpu", "ok", f"{cores} cores, {torch.get_num_threads()} threads in torch")
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        yield Finding(f"cuda:{index}", "ok", f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")
    if not torch.cuda.is_available():
        yield Finding("cuda", "ok", "none; runs use the CPU (smoke and small budgets are meant for it)")


def _cache() -> Iterator[Finding]:
    folder = default_cache()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if not os.access(existing, os.W_OK):
        yield Finding("cache", "broken", f"{folder} cannot be written; choose another with --cache")
    elif free < ROOM_GB:
        yield Finding(
            "cache", "warn", f"{folder} has {free:.1f} GB free; {ROOM_GB:.0f} GB or more are advisable"
        )
    else:
        yield Finding("cache", "ok", f"{folder}, {free:.0f} GB free")


def _plugins(arguments: Namespace) -> Iterator[Finding]:
    try:
        registry = registry_of(arguments)
    except BenchError as error:  # two plugins in each other's way: one finding among the others
        yield Finding("plugins", "broken", str(error))
        return
    for plugin in registry.plugins:
        count = sum(offer.plugin == plugin for offer in registry.offers())
        yield Finding("plugin", "ok", f"{plugin} offers {count} component{'' if count == 1 else 's'}")
    for failure in registry.failures:
        yield Finding("plugin", "broken", str(failure))
