"""Options as a caller gives them: `{"dataset.path": …}`, as on the command line, or by kind."""

from __future__ import annotations

from collections.abc import Mapping

from astrojepa_bench.errors import ConfigError


def by_address(settings: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Sort options by the component that they are set on; `kind.option` becomes an entry of `kind`.

    Raises:
        ConfigError: a key is neither.

    Example:
        >>> by_address({"dataset.path": "a.h5", "masker": {"temperature": 2}})
        {'dataset': {'path': 'a.h5'}, 'masker': {'temperature': 2}}
    """
    found: dict[str, dict[str, object]] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found.setdefault(key, {}).update(value)
        else:
            address, dot, option = key.rpartition(".")
            if not dot:
                raise ConfigError(f"settings: found '{key}'; expected 'kind.option', such as 'dataset.path'")
            found.setdefault(address, {})[option] = value
    return found
