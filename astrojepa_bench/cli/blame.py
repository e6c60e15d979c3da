"""Whose fault an exception is that no verb expected: a plugin's, or ours."""

from __future__ import annotations

import traceback
from argparse import Namespace

from astrojepa_bench.border import owner_of, raised_from
from astrojepa_bench.errors import named


def plugin_at_fault(error: BaseException, arguments: Namespace) -> str | None:
    """Phrase which plugin raised an exception; None where it was none, or one that is shipped with the bench.

    Who is named at the border counts, and else the innermost module of a plugin that was running.

    Args:
        error: what a verb raised.
        arguments: of the command; they hold the plugins that were loaded.
    """
    owner = owner_of(error)
    if owner is not None:
        return None if owner.is_shipped else f"{owner.title} raised {named(error)}; ask its author"
    plugins = arguments.registry.plugins if "registry" in arguments else ()
    modules = {name: plugin for plugin in plugins for name in (plugin, f"astrojepa_file_{plugin}")}
    for each in reversed([*raised_from(error)]):
        for frame, _ in reversed([*traceback.walk_tb(each.__traceback__)]):
            module = str(frame.f_globals.get("__name__"))
            if module in modules and not module.startswith("astrojepa_bench."):
                return f"plugin {modules[module]} raised {named(error)}; ask its author"
    return None
