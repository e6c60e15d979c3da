"""Where converted and fetched galaxies are kept by default."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path


def default_cache() -> Path:
    """Return the user's cache folder for this program."""
    return user_cache_path("astrojepa-bench")
