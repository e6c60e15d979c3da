"""Many galaxies side by side, each with a line about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from astrojepa_bench.data.look.lying import compasses_differ
from astrojepa_bench.explore.anomalies import LOWER_IS_STRANGER
from astrojepa_bench.explore.figures import (
    annotate,
    display_note,
    draw_bar,
    draw_compass,
    new_figure,
    pixel_scale,
    provenance_note,
    rgb,
    scale_note,
    shortened,
    styled,
    whole,
)
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import spelt
from astrojepa_bench.types import GalaxyTable

COLUMNS = 5
CELL_IN = 1.7
LINE_IN = 0.115  # height of a line of a caption
LETTERS = 29  # in a line of a caption


def draw_galaxy(
    axes: Axes,
    table: GalaxyTable,
    row: int,
    caption: str = "",
    *,
    bar: bool = True,
    arrows: bool = True,
    letters_pt: float = 6,
) -> None:
    """Draw one galaxy without axes, with a caption above, a scale bar and arrows inside."""
    axes.imshow(rgb(table, row), origin="upper")
    if bar:
        draw_bar(axes, table, row)
    if arrows:
        draw_compass(axes, table, row, letters_pt)
    end = table.spec.size_px - 0.5
    axes.set(xlim=(-0.5, end), ylim=(end, -0.5), xticks=[], yticks=[])  # ticks that nobody sees take time
    axes.set_axis_off()
    axes.set_title(caption, fontsize=6.5, pad=2)


@styled
def mosaic_figure(
    sample: Sample, rows: Sequence[int], captions: Sequence[str], title: str, *more: str, of: str = ""
) -> Figure:
    """Draw galaxies five a row.

    Args:
        sample: the run and its galaxies.
        rows: rows of the sample's table.
        captions: one a galaxy.
        title: title of the figure.
        *more: notes below it, before the usual ones.
        of: which galaxies and which run, where they are more than the sample's.
    """
    lines = max(1, math.ceil(len(rows) / COLUMNS))
    tallest = max((caption.count("\n") + 1 for caption in captions), default=1)
    height = lines * (CELL_IN + LINE_IN * tallest) + 0.9
    figure = new_figure(COLUMNS * CELL_IN, height, title, of or provenance_note(sample))
    cells = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    each, turned = scales_differ(sample.table, rows), compasses_differ(sample.table, rows)
    for place, axes in enumerate(cells):
        if place < len(rows):
            first = place == 0
            draw_galaxy(
                axes, sample.table, rows[place], captions[place], bar=each or first, arrows=turned or first
            )
        else:
            axes.set_axis_off()
    annotate(figure, *more, display_note(sample.table, rows), scale_note(sample.table, rows))
    return figure


def scales_differ(table: GalaxyTable, rows: Sequence[int]) -> bool:
    """Return whether each picture needs its own scale bar; one bar is enough where all scales are equal."""
    scales = [pixel_scale(table, row) or math.nan for row in rows]
    return not (np.isfinite(scales).all() and max(scales) <= 1.01 * min(scales))


def anomalies_figure(
    sample: Sample, frame: pd.DataFrame, by: str = "knn_distance", number: int = 25
) -> Figure:
    """Draw the first galaxies of an anomaly table, each with its rank, score and class.

    Args:
        sample: the galaxies.
        frame: their `anomaly_table`.
        by: the score that the table is ranked by.
        number: how many at most.
    """
    first = frame.head(number)
    captions = [captioned(fact, f"{fact['rank']}.", f"score {fact[by]:.3g}") for _, fact in first.iterrows()]
    rows = sample.rows[first["index"].to_numpy()].tolist()
    order = "lowest" if by in LOWER_IS_STRANGER else "highest"
    note = f"score: {spelt(by)}, the {order} first"
    return mosaic_figure(sample, rows, captions, f"The {len(first)} most anomalous by {spelt(by)}", note)


def captioned(fact: pd.Series[Any], place: str, told: str, index: str = "index") -> str:
    """Write the caption of a galaxy: its place and id, what is told of it with its index, and what it is."""
    name = shortened(str(fact["id"]), LETTERS - len(place) - 1)
    lines = [f"{place} {name}", f"{told}, {index} {fact['index']}", whole(described(fact), LETTERS)]
    return "\n".join(line for line in lines if line)


def described(fact: pd.Series[Any]) -> str:
    """Describe a galaxy of a facts table in a few words: its class or kind of anomaly, and redshift."""
    kind = str(fact.get("anomaly_type") or fact["class"] or "").replace("_", " ")
    redshift = fact.get("redshift")
    known = isinstance(redshift, float) and math.isfinite(redshift)
    return " ".join([kind, f"z={redshift:.2f}" if known else ""]).strip()
