"""Named pieces with their options, and the cells of a grid."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astrojepa_bench.errors import BenchError, ConfigError, PluginError
from astrojepa_bench.options import Offer, Settings, jsonable, resolve, settings_for
from astrojepa_bench.results.naming import titled
from astrojepa_bench.roles import Standing
from astrojepa_bench.versions import chain_of, version_text


@dataclass(frozen=True)
class Component:
    """An offer with resolved options: ready to be built.

    Attributes:
        offer: what it is and where it comes from.
        options: every option, defaults included.
        usual: what those are that have a default, on the signature or by the budget.
    """

    offer: Offer
    options: Mapping[str, object]
    usual: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, offer: Offer, settings: Settings, defaults: Mapping[str, object] | None = None) -> Component:
        """Resolve an offer's options: the budget's defaults below what the user set.

        Raises:
            ConfigError: an option is unknown or has the wrong type.
        """
        applicable = {name: value for name, value in (defaults or {}).items() if offer.has(name)}
        options = resolve(offer, {**applicable, **settings_for(settings, offer)})
        declared = {option.name: option.default for option in offer.options if not option.required}
        return cls(offer, options, {**declared, **applicable})

    @property
    def name(self) -> str:
        """The name it is asked for by."""
        return self.offer.name

    @property
    def chain(self) -> dict[str, str]:
        """The versions of all code behind it, by name."""
        return chain_of(self.offer.factory)

    @property
    def version(self) -> str:
        """The same in short."""
        return version_text(self.chain)

    def build(self, *given: object) -> Any:  # noqa: ANN401 the role depends on the kind
        """Build it from what the bench gives.

        Raises:
            BenchError: as the factory says.
            PluginError: the factory itself fails.
        """
        try:
            return self.offer.factory(*given, **self.options)
        except BenchError:
            raise
        except Exception as error:
            raise PluginError(
                f"{self.offer.title} cannot be built: {type(error).__name__}: {error}; ask its author"
            ) from error

    @property
    def altered(self) -> dict[str, object]:
        """Give the options that are not what they usually are, as recorded."""
        usual = jsonable(self.usual)
        return {k: v for k, v in self.recorded().items() if k not in usual or usual[k] != v}

    def recorded(self) -> dict[str, object]:
        """Render the options for a record: paths as base names."""
        return jsonable(self.options)

    def identifying(self) -> dict[str, object]:
        """Render the options that make runs differ: a file by what it holds, wherever it lies.

        Raises:
            ConfigError: a file that was asked for does not exist.
        """
        files = {k: self._content(k, v) for k, v in self.options.items() if isinstance(v, Path)}
        return jsonable({**self.options, **files})

    def _content(self, option: str, path: Path) -> str:
        """Hash a file, so that other weights under the same name are another run."""
        try:
            with path.expanduser().open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()[:16]
        except OSError as error:
            raise ConfigError(
                f"{self.offer.kind}.{option}={path} cannot be read ({error.strerror}); give the path of a file"
            ) from None


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        objective, masker, encoder: what is run.
        seed: of its random streams.
        skip: why it cannot mean anything, or None.
    """

    objective: Component
    masker: Component
    encoder: Component
    seed: int
    skip: str | None = None

    @property
    def altered(self) -> dict[str, dict[str, object]]:
        """Give the options that are not the defaults, by kind."""
        parts = {"objective": self.objective, "masker": self.masker, "encoder": self.encoder}
        return {kind: piece.altered for kind, piece in parts.items() if piece.altered}

    @property
    def label(self) -> str:
        """Name it for a reader."""
        parts = (self.objective, self.masker, self.encoder)
        return f"{' + '.join(titled(part.name, part.altered) for part in parts)}, seed {self.seed}"

    @property
    def standing(self) -> Standing:
        """Floors and ceilings frame the board; contestants are ranked."""
        mine: Standing = self.objective.offer.declares("standing")
        encoders: Standing = self.encoder.offer.declares("standing")
        return encoders if mine == "contestant" else mine
