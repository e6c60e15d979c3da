"""Where converted and fetched galaxies are kept unless somebody says otherwise."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path


def default_cache() -> Path:
    """Give the user's cache folder for this program."""
    return user_cache_path("astrojepa-bench")
