"""The command that is running, to stand in what it writes: records and tables."""

from __future__ import annotations

import shlex
import sys


def command_line() -> str:
    """Return the command as it was typed."""
    return shlex.join(["astrojepa-bench", *sys.argv[1:]])
