"""The command that writes a table, to stand in the table."""

from __future__ import annotations

import shlex
import sys


def command_line() -> str:
    """Return the command as it was typed."""
    return shlex.join(["astrojepa-bench", *sys.argv[1:]])
