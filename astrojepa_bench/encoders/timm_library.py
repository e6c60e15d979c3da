"""The parts of timm that encoders are built of, imported when a model is first built: that takes seconds.

What asks for a model pays for it, and whoever looks at galaxies, or reads a list, does not.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from astrojepa_bench.events import track

if TYPE_CHECKING:
    from timm import create_model, get_pretrained_cfg, is_model, list_models, model_entrypoint
    from timm.layers.norm import LayerNorm
    from timm.models.vision_transformer import Block

__all__ = [
    "Block",
    "LayerNorm",
    "create_model",
    "get_pretrained_cfg",
    "is_model",
    "list_models",
    "model_entrypoint",
]

_HOMES = {
    "Block": "timm.models.vision_transformer",
    "LayerNorm": "timm.layers.norm",  # with the epsilon of published transformers, 1e-6
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(_HOMES.get(name, "timm")), name)


def load() -> None:
    """Import it now: that sets a variable of the environment, a filter and a name of torch, by no cell's doing."""
    homes = sorted({"timm", *_HOMES.values()})
    if sys.modules.keys() >= {*homes}:
        return
    was_on = gc.isenabled()
    gc.disable()  # what is imported stays, and looking through it again and again takes a third of the time
    try:
        for home in track(homes, task="importing timm", total=len(homes), unit="modules"):
            import_module(home)
    finally:
        if was_on:
            gc.enable()
