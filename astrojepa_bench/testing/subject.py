"""A component under check, with what was costly to make for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from astrojepa_bench.runs.component import Component
from astrojepa_bench.signatures import made_by

Made = TypeVar("Made")


@dataclass(frozen=True)
class Subject(Component):
    """A component with resolved options; checks share what takes long to make, such as loaded galaxies.

    Attributes:
        kept: these things, by name.
    """

    kept: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def file(self) -> Path | None:
        """The file of the module that its factory was written in; None if it has none."""
        file = getattr(sys.modules.get(made_by(self.offer.factory).__module__), "__file__", None)
        return None if file is None else Path(file)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return something, made at the first call."""
        if key not in self.kept:
            self.kept[key] = make()
        made: Made = self.kept[key]
        return made
