"""Suites: questions, each as the grids of entries that answer it, as plain data. Plugins offer them.

```python
Suite(
    summary="Does the masker matter?",
    blocks=[Block(objectives=["mine"], maskers=["random", "multiblock"])],
)
```

A suite that also names its galaxies and seeds, and what a difference must be to matter, is a *board*: whatever a
reader of the results might be tempted to choose afterwards is fixed before the runs.

Names are looked up when a suite is run, so that a suite may name components of plugins that are not installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FAMILIES = ("lift", "masker", "objective", "all")
"""Which differences are judged together, narrowest first."""
Product = Literal["latents", "map", "anomalies", "report"]
"""What can be written of a run when it is done."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Block(_Plain):
    """Every objective with every masker and encoder, all with the same options.

    Attributes:
        objectives: names.
        maskers: names; an objective that ignores masks runs once, whatever is listed here.
        encoders: names; if empty, what the user asks for, or else the budget's own.
        options: options by name under `kind` or `kind:name`, e.g. `{"objective": {"horizon": 0.05}}`.
        seeds: how many of the suite's seeds it runs with at most, the first ones; None: all that are asked for.
    """

    objectives: tuple[str, ...] = Field(min_length=1)
    maskers: tuple[str, ...] = Field(default=("none",), min_length=1)
    encoders: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = {}
    seeds: Annotated[int, Field(ge=1)] | None = None


class Data(_Plain):
    """Galaxies of a suite.

    Attributes:
        title: what a board calls them.
        dataset: the dataset that loads them.
        options: its options, but for those that name files.
        files: the names of files by option (`{"path": "galaxies.h5"}`), first the one with the galaxies; who runs
            the suite says where they lie (`--data KEY=PATH`). Empty for galaxies that need no file.
        fingerprint: of the galaxies; others are refused. Empty while none is fixed.
        size_px: side of the images that the fingerprint was taken of [pixel]; at other sizes nothing is fixed.
        grid: what runs on them; the first grid of the suite if empty.
        licence, citation: what stands on every page that shows results on them; empty: as the data set states.
    """

    title: str = Field(min_length=1)
    dataset: str
    options: dict[str, Any] = {}
    files: dict[str, str] = {}
    fingerprint: str = ""
    size_px: int = Field(default=64, gt=0)
    grid: str = ""
    licence: str = ""
    citation: str = ""


class Published(_Plain):
    """A figure that somebody else published: quoted below a board, never in one table with its rows.

    Attributes:
        model: what was measured, as its authors call it.
        figure: linear accuracy, as they print it, unless `measured` says otherwise.
        measured: on which galaxies and how.
        source: where it stands.
        split: which galaxies were trained on and which the figure is of.
        head: what reads the features.
        ran_by: who ran it, and whether anybody else has.
        entry: our nearest entry, one name of each kind; None where there is none.
        differs: what is not the same in that entry, or is assumed because nothing was published.
    """

    model: str
    figure: str
    measured: str
    source: str
    split: str = ""
    head: str = ""
    ran_by: str = ""
    entry: Block | None = None
    differs: str = ""


class Suite(_Plain):
    """A question, as the grids of entries that answer it.

    Attributes:
        summary: the question, in one line.
        blocks: what runs, block after block, for a suite of one grid; an entry of two blocks runs once.
        version: raise it whenever anything below changes: runs of two versions are not judged together.
        cite: how to cite its results.
        data: the galaxies, by the key that `--data` takes. A suite that names none runs on whatever is asked for.
        grids: blocks by the name of the grid, for a suite of several; the first one also runs on other galaxies.
        seeds: pretraining seeds of the board, in their order; only with `data`.
        tuning_seeds: seeds that recipes were chosen with; the board never uses them.
        families: which differences are judged together, narrowest first.
        margins: differences below it are of no consequence, as a fraction, by key of the data.
        references: the level of each factor to which the others are compared.
        headline: the metric by which contestants are ordered and judged, `evaluator.metric`.
        groups: group of each objective or encoder, for records older than groups.
        evaluators: what scores the runs unless the user names others.
        published: figures of others that a board may show (`leaderboard build --published SUITE`).
        products: what is written of its runs when they are done; only without `data`, on whatever is asked for.
    """

    summary: str
    blocks: tuple[Block, ...] = ()
    version: int = Field(default=1, ge=1)
    cite: str = ""
    data: dict[str, Data] = {}
    grids: dict[str, Annotated[tuple[Block, ...], Field(min_length=1)]] = {}
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = ()
    tuning_seeds: tuple[int, ...] = ()
    families: tuple[str, ...] = FAMILIES
    margins: dict[str, Annotated[float, Field(gt=0, lt=1)]] = {}
    references: dict[str, str] = {"masker": "random"}
    headline: str = "linear.accuracy"
    groups: dict[str, str] = {}
    evaluators: tuple[str, ...] = ("core",)
    published: tuple[Published, ...] = ()
    products: tuple[Product, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Refuse a suite that contradicts itself."""
        faults = {
            "name blocks, or grids, and not both": bool(self.blocks) == bool(self.grids),
            "seeds, tuning_seeds and margins belong to data, and it names none": not self.data
            and bool(self.seeds or self.tuning_seeds or self.margins),
            "data without seeds would leave the choice of seeds to whoever runs it": bool(self.data)
            and not self.seeds,
            "a seed is used for tuning and for the board": bool({*self.seeds} & {*self.tuning_seeds}),
            "a data set names a grid that is not there": bool(
                {each.grid for each in self.data.values() if each.grid} - {*self.grids}
            ),
            "a margin names data that are not there": bool({*self.margins} - {*self.data}),
            "a block asks for more seeds than the suite has": any(
                (block.seeds or 0) > len(self.seeds) for block in self.all_blocks
            ),
            "products are of a suite that runs on whatever is asked for, and this one names data": bool(
                self.data
            )
            and bool(self.products),
            f"families holds others than {', '.join(FAMILIES)}": bool({*self.families} - {*FAMILIES}),
        }
        found = [fault for fault, holds in faults.items() if holds]
        if found:
            raise ValueError("; ".join(found))
        return self

    def grid(self, name: str = "") -> tuple[Block, ...]:
        """Return the blocks of a grid; of the first one, or the only one, if unnamed."""
        return self.blocks or self.grids[name or next(iter(self.grids))]

    def seeds_of(self, block: Block, asked: tuple[int, ...]) -> tuple[int, ...]:
        """Return those of the seeds asked for that a block runs with.

        An experiment, whose seeds are none of the suite's, runs every block with all of them.
        """
        if block.seeds is None or not {*asked} <= {*self.seeds}:
            return asked
        return tuple(seed for seed in asked if seed in self.seeds[: block.seeds])

    @property
    def all_blocks(self) -> tuple[Block, ...]:
        """The blocks of all its grids."""
        return self.blocks or tuple(block for blocks in self.grids.values() for block in blocks)


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
