"""Pictures that only a report has: training curves, and the confusion matrix of a probe."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int
from matplotlib.figure import Figure

from astrojepa_bench.evaluation.store import Arrays
from astrojepa_bench.explore.figures import COLOURS, SEQUENTIAL, annotate, new_figure, styled, whole
from astrojepa_bench.explore.tables import written
from astrojepa_bench.results.record import Curve, RunRecord
from astrojepa_bench.types import GalaxyTable

PANEL_IN = 2.9
ACROSS = 3
CLASS_LETTERS = 28  # in a line of the name of a class


def curves_of(record: RunRecord) -> dict[str, Curve]:
    """Return the curves of a training that have points: total loss, its terms, effective rank."""
    training = record.training
    terms = training.term_curves if len(training.term_curves) > 1 else {}  # one term alone is the loss
    named = {"loss": training.loss_curve, **terms, "effective rank": training.rank_curve}
    return {name: curve for name, curve in named.items() if curve}


@styled
def training_figure(record: RunRecord) -> Figure:
    """Draw the loss, each of its terms, and the effective rank over the steps, each in its own panel."""
    curves = curves_of(record)
    lines = math.ceil(len(curves) / ACROSS)
    of = f"{record.title}, seed {record.seed}, on {record.dataset}"
    figure = new_figure(ACROSS * PANEL_IN, lines * 2.2 + 1.0, "Training", of)
    panels = figure.subplots(lines, min(ACROSS, len(curves)), squeeze=False).ravel()
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    for axes, (name, curve) in zip(panels, curves.items(), strict=False):
        steps, values = zip(*curve, strict=True)
        rank = name == "effective rank"
        marker = "." if len(curve) < 30 else ""
        axes.plot(steps, values, color=COLOURS[3 if rank else 0], linewidth=1.2, marker=marker, markersize=4)
        axes.set_xlabel("step")
        axes.set_ylabel(name)
        axes.grid(color="0.9")
        if rank:
            axes.set_ylim(bottom=0)
    annotate(
        figure,
        f"{record.training.images_seen:,} images in {record.training.steps:,} steps, run {record.run_id[:8]}",
    )
    return figure


def confusion_of(predictions: Arrays, table: GalaxyTable) -> Int[np.ndarray, "truth predicted"] | None:
    """Count true against predicted classes; None if the table holds none of the predicted galaxies.

    Args:
        predictions: `ids` and `class` of each galaxy, as stored by an evaluator.
        table: has the true labels.
    """
    label = dict(zip(table.ids.astype(str).tolist(), table.label.tolist(), strict=True))
    truth = np.array([label.get(name, -1) for name in predictions["ids"].tolist()], dtype=np.int64)
    known = truth >= 0
    if not known.any():
        return None
    counts = np.zeros((table.classes, table.classes), dtype=np.int64)
    np.add.at(counts, (truth[known], predictions["class"].astype(np.int64)[known]), 1)
    return counts


@styled
def confusion_figure(
    counts: Int[np.ndarray, "truth predicted"], classes: list[str], probe: str, of: str = ""
) -> Figure:
    """Draw a confusion matrix: each row sums to 100 % of a true class; who neither is nor is named is left out.

    Args:
        counts: galaxies of each true class by predicted class.
        classes: their names.
        probe: what predicted.
        of: which galaxies and which run, for the title.
    """
    met = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts, classes = counts[np.ix_(met, met)], [classes[number] for number in met.tolist()]
    side = max(4.5, 0.62 * len(classes) + 2.4)
    figure = new_figure(side + 0.8, side, f"True class, and class by {probe}", of)
    axes = figure.subplots()
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals[:, None], 1)
    picture = axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if counts[row, column]:
            axes.text(
                column,
                row,
                f"{share:.0%}",
                ha="center",
                va="center",
                fontsize=7,
                color="black" if share > 0.5 else "white",
            )
    names = [whole(name.replace("\n", " "), CLASS_LETTERS) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor", fontsize=7)
    axes.set_yticks(
        range(len(names)), [f"{name} ({n:,})" for name, n in zip(names, totals, strict=True)], fontsize=7
    )
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (test galaxies)")
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.7)
    return figure


def geometry_of(health: Mapping[str, int | float]) -> list[tuple[str, str]]:
    """Format the health of a run as names and values."""
    return [(name.replace("_", " "), written(float(value))) for name, value in sorted(health.items())]
