"""Suites: named grids of entries, as plain data. Plugins offer them, because a suite names methods.

```python
Suite(
    summary="Does the masker matter?",
    blocks=[Block(objectives=["mine"], maskers=["random", "multiblock"])],
)
```

Names are looked up when a suite is run, so that a suite may name components of plugins that are not installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Block(BaseModel):
    """Every objective with every masker and encoder, all with the same options.

    Attributes:
        objectives: names.
        maskers: names; an objective that ignores masks runs once, whatever is listed here.
        encoders: names; if empty, what the user asks for, or else the budget's own.
        options: options by name under `kind` or `kind:name`, e.g. `{"objective": {"horizon": 0.05}}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    objectives: tuple[str, ...] = Field(min_length=1)
    maskers: tuple[str, ...] = Field(default=("none",), min_length=1)
    encoders: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = {}


class Published(BaseModel):
    """A figure that somebody else published: shown below a board, never in one table with its rows.

    Attributes:
        model: what was measured, as its authors call it.
        figure: linear accuracy, as they print it.
        measured: on which galaxies and how.
        source: where it stands.
        entry: our nearest entry, one name of each kind; None where there is none.
        differs: what is not the same in that entry, or is assumed because nothing was published.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    figure: str
    measured: str
    source: str
    entry: Block | None = None
    differs: str = ""


class Suite(BaseModel):
    """A question, as the grid of entries that answers it.

    Attributes:
        summary: the question, in one line.
        blocks: what runs, block after block; an entry that stands in two blocks runs once.
        evaluators: what scores the runs unless the user names others.
        published: figures of others that a board may show (`leaderboard build --published SUITE`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str
    blocks: tuple[Block, ...] = Field(min_length=1)
    evaluators: tuple[str, ...] = ("core",)
    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class SuiteOffer:
    """A suite with its provenance.

    Attributes:
        name: how it is asked for.
        suite: what it holds.
        plugin: module that offers it.
        package: the installed package it came with, and its version; for a file, its base name.
    """

    name: str
    suite: Suite
    plugin: str
    package: str

    @property
    def owner(self) -> str:
        """Plugin and package, for messages."""
        return f"{self.plugin} ({self.package})"

    @property
    def title(self) -> str:
        """Name and plugin, for messages: `suite 'baseline' (plugin astrojepa_suites)`."""
        return f"suite '{self.name}' (plugin {self.plugin})"
