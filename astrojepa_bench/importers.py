"""What a plugin reads off a model that was trained elsewhere, so that it becomes a run.

An importer looks at one file and returns an `Imported`: which components, with which options, hold its weights.
It raises `DataError` where the file is not of its format; the next importer is asked then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from astrojepa_bench.errors import ConfigError

if TYPE_CHECKING:  # the registry knows importers, and names are checked without torch
    from astrojepa_bench.types import ImageSpec


@dataclass(frozen=True)
class Imported:
    """A model from elsewhere, described by components of this bench.

    Attributes:
        objective, masker, encoder: names of the components; an option of the objective names the file.
        dataset: name of the dataset that it was trained on, or of one like it.
        spec: bands, size and training statistics of its images.
        options: by kind of component; what is left out has its default.
        class_names: of the galaxies that it was trained on; empty if it knows none.
        galaxies: what it was trained on, as the title of a card.
        patch_px: side of its patches [pixel].
        budget: under which name its records stand; what it has seen is not known.
        warnings: what a reader of its scores should know.
    """

    objective: str
    masker: str
    encoder: str
    dataset: str
    spec: ImageSpec
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    galaxies: str = "galaxies elsewhere"
    patch_px: int = 1
    budget: str = "imported"
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.options) - {"objective", "masker", "encoder"}
        if unknown:
            raise ConfigError(
                f"an importer sets options of '{min(unknown)}'; expected objective, masker or encoder"
            )


Importer: TypeAlias = Callable[[Path], Imported]


@dataclass(frozen=True)
class ImporterOffer:
    """An importer with its provenance.

    Attributes:
        name: of the format.
        read: the importer.
        plugin: module that offers it.
        package: the installed package it came with, and its version; for a file, its base name.
    """

    name: str
    read: Importer
    plugin: str
    package: str

    @property
    def owner(self) -> str:
        """Plugin and package, for messages."""
        return f"{self.plugin} ({self.package})"

    @property
    def title(self) -> str:
        """Name and plugin, for messages: `importer 'name' (plugin astrojepa_name)`."""
        return f"importer '{self.name}' (plugin {self.plugin})"
