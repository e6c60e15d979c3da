"""The `print` of every verb: what a plugin, a record or a data file says cannot steer the terminal."""

from __future__ import annotations

import builtins
from typing import Any

from astrojepa_bench.escaping import plain


def print(*values: object, **where: Any) -> None:
    """Print as Python does; characters that would steer a terminal are spelt out."""
    builtins.print(*(plain(str(value).replace("\r\n", "\n")) for value in values), **where)
