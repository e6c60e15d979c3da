"""Whose fault an exception is that no verb expected: a plugin's, or ours."""

from __future__ import annotations

import traceback
from argparse import Namespace

from astrojepa_bench.border import owner_of, raised_from
from astrojepa_bench.errors import named
from astrojepa_bench.loading import known_as
from astrojepa_bench.neighbours import folder_of


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
    for each in reversed([*raised_from(error)]):
        for frame, _ in reversed([*traceback.walk_tb(each.__traceback__)]):
            module = str(frame.f_globals.get("__name__"))
            plugin = known_as(module)
            if folder_of(module) or (plugin in plugins and not module.startswith("astrojepa_bench.")):
                return f"plugin {plugin} raised {named(error)}; ask its author"
    return None
