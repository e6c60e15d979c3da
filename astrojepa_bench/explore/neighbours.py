"""Similarity search: the galaxies whose latents are nearest to those of a given one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch.nn import functional as F

from astrojepa_bench.explore.figures import (
    annotate,
    display_note,
    new_figure,
    provenance_note,
    scale_note,
    styled,
)
from astrojepa_bench.explore.mosaic import CELL_IN, described, draw_galaxy
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import facts_table, rounded

NEIGHBOURS = 9


def find_neighbours(sample: Sample, index: int, number: int = NEIGHBOURS) -> pd.DataFrame:
    """Find the galaxies of a sample that are most similar to one of them.

    Args:
        sample: the galaxies to search.
        index: number of the query in the sample.
        number: how many neighbours; all if there are fewer.

    Returns:
        facts of the query (`rank` 0) and its neighbours, nearest first, with `similarity`: the cosine of their
        features after subtracting the mean of the reference galaxies, as in evaluator `knn`.

    Raises:
        ConfigError: there is no such galaxy.
        DataError: a feature is not finite.
    """
    sample.row_of(index)
    directions = F.normalize(sample.latents.double() - sample.reference.double().mean(dim=0), dim=1)
    similarity = rounded((directions @ directions[index]).numpy())
    order = np.lexsort((sample.table.ids[sample.rows], -similarity))
    chosen = [
        index,
        *order[order != index][:number].tolist(),
    ]  # an identical galaxy must not displace the query
    frame = facts_table(sample).assign(similarity=similarity).iloc[chosen].reset_index(drop=True)
    frame.insert(0, "rank", np.arange(len(frame)))
    return frame


@styled
def neighbours_figure(sample: Sample, index: int, number: int = NEIGHBOURS) -> Figure:
    """Draw a galaxy and its nearest neighbours as a strip.

    Raises:
        ConfigError: there is no such galaxy.
        DataError: a feature is not finite.
    """
    frame = find_neighbours(sample, index, number)
    rows = sample.rows[frame["index"].to_numpy()].tolist()
    title = f"Most similar to galaxy {frame['id'][0]} (index {index})"
    figure = new_figure(CELL_IN * len(rows), CELL_IN + 0.75, title)
    for axes, row, (_, fact) in zip(
        figure.subplots(1, len(rows), squeeze=False)[0], rows, frame.iterrows(), strict=True
    ):
        place = "query" if fact["rank"] == 0 else f"{fact['rank']}. cos {fact['similarity']:.3f}"
        draw_galaxy(axes, sample.table, row, f"{place}, index {fact['index']}\n{described(fact)}")
    notes = (display_note(sample.table), scale_note(sample.table, rows), provenance_note(sample))
    annotate(figure, "cos: cosine of the features, mean subtracted", *notes)
    return figure
