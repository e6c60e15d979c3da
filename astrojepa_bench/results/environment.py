"""Where and how a run was made: enough to repeat it, nothing that names a person or a machine."""

from __future__ import annotations

import platform
import re
import shlex
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

from astrojepa_bench.options import legible

CODE = ("astrojepa_bench", "plugins", "pyproject.toml")
"""What a commit must equal for a run to be repeated from it; pages and records may differ."""
PACKAGES = ("astrojepa-bench", "numpy", "scikit-learn", "scipy", "timm", "torch", "torchvision")
_ABSOLUTE = re.compile(r"(?<![^='\",\[( ])(?:~[^/\\]*|[A-Za-z]:)?[/\\](?:[^='\",/\\]*[/\\])*")


def describe_environment(
    device: torch.device | str, libraries: Iterable[str] = (), world_size: int = 1
) -> dict[str, object]:
    """Describe versions, threads and device; no host name, no user name, no absolute path.

    Args:
        device: where it is computed.
        libraries: installed packages that may move numbers too, by name.
        world_size: how many processes train together.
    """
    on_gpu = torch.device(device).type == "cuda"
    releases: dict[str, str] = {}
    for package in sorted({*PACKAGES, *libraries}):
        with suppress(metadata.PackageNotFoundError):
            releases[package] = metadata.version(package)
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "packages": releases,
        "threads": torch.get_num_threads(),
        "world_size": world_size,
        "device": torch.device(device).type,
        "device_name": torch.cuda.get_device_name(device) if on_gpu else platform.machine(),
        "platform": f"{platform.system()}-{platform.machine()}",
    }


def provenance(command: str) -> dict[str, object]:
    """Describe when, by which command and from which commit a run was made.

    Absolute paths in the command keep only their last part, as path options do.

    Args:
        command: the command line as one string (`shlex.join(sys.argv)`), or a call in words.
    """
    commit = _git("rev-parse", "HEAD") if _git("ls-files", "--error-unmatch", "environment.py") else None
    dirty = [] if commit is None else changed_files()
    return {
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": legible(without_paths(command)),
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(dirty),
        "dirty_files": [legible(name) for name in dirty],
    }


def changed_files() -> list[str]:
    """List the files of code that differ from the commit, new ones among them, by their paths in the checkout."""
    asked = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    lines = _git(*asked, "--", *(f":/{path}" for path in CODE)) or ""
    return sorted(line[3:] for line in lines.split("\0") if line)


def without_paths(command: str) -> str:
    """Cut absolute paths in a command down to their last part.

    Example:
        >>> without_paths("run --set dataset.path=/home/vera/m31.h5 --out ~/runs")
        'run --set dataset.path=m31.h5 --out runs'
    """
    try:
        words = shlex.split(command)
    except ValueError:  # unbalanced quotes: not a shell line
        words = command.split()
    return " ".join(shlex.quote(_ABSOLUTE.sub("", word)) for word in words)


def _git(*arguments: str) -> str | None:
    """Ask git about the checkout this file is part of; None without git or outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.rstrip("\n")
