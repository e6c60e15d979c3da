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
    styled,
)
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import spelt
from astrojepa_bench.types import GalaxyTable

COLUMNS = 5
CELL_IN = 1.7


def draw_galaxy(
    axes: Axes, table: GalaxyTable, row: int, caption: str = "", *, bar: bool = True, arrows: bool = True
) -> None:
    """Draw one galaxy without axes, with a caption above, a scale bar and arrows inside."""
    axes.imshow(rgb(table, row), origin="upper")
    if bar:
        draw_bar(axes, table, row)
    if arrows:
        draw_compass(axes, table, row)
    axes.set(xlim=(-0.5, table.spec.size_px - 0.5), ylim=(table.spec.size_px - 0.5, -0.5))
    axes.set_axis_off()
    axes.set_title(caption, fontsize=6.5, pad=2)


@styled
def mosaic_figure(sample: Sample, rows: Sequence[int], captions: Sequence[str], title: str) -> Figure:
    """Draw galaxies five a row.

    Args:
        sample: the run and its galaxies.
        rows: rows of the sample's table.
        captions: one a galaxy.
        title: title of the figure.
    """
    lines = max(1, math.ceil(len(rows) / COLUMNS))
    figure = new_figure(COLUMNS * CELL_IN, lines * (CELL_IN + 0.3) + 0.8, title)
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
    notes = (display_note(sample.table), scale_note(sample.table, rows), provenance_note(sample))
    annotate(figure, *notes)
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
    captions = [
        f"{fact['rank']}. score {fact[by]:.3g}, index {fact['index']}\n{described(fact)}"
        for _, fact in first.iterrows()
    ]
    rows = sample.rows[first["index"].to_numpy()].tolist()
    return mosaic_figure(sample, rows, captions, f"The {len(first)} most anomalous by {spelt(by)}")


def described(fact: pd.Series[Any]) -> str:
    """Describe a galaxy of a facts table in a few words: its class or kind of anomaly, and redshift."""
    kind = str(fact.get("anomaly_type") or fact["class"] or "").replace("_", " ")
    redshift = fact.get("redshift")
    known = isinstance(redshift, float) and math.isfinite(redshift)
    return " ".join([kind[:24], f"z={redshift:.2f}" if known else ""]).strip()
