"""k-means clusters of latents: their members, and how well they agree with the classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import adjusted_mutual_info_score

from astrojepa_bench.data.look.lying import compasses_differ
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.kmeans import PERMUTATIONS, contingency, purity
from astrojepa_bench.evaluators.probes.kmeans import kmeans_torch, nearest_centre
from astrojepa_bench.explore.figures import (
    SEQUENTIAL,
    annotate,
    display_note,
    new_figure,
    provenance_note,
    scale_note,
    shortened,
    styled,
    whole,
)
from astrojepa_bench.explore.mosaic import draw_galaxy, scales_differ
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import facts_table, rounded
from astrojepa_bench.streams import numpy_stream

UNLABELLED = 10  # clusters where the number of classes is unknown,
MEMBERS = 5  # or fewer, so that each holds about five galaxies
EXAMPLES = 8
CELL_IN = 0.85
ID_IN, ID_LETTERS = 0.1, 20  # of the ids above the examples
LETTERS_PT = 4.5
CLASS_LETTERS = 24  # in a line of the name of a class


@dataclass(frozen=True)
class Purity:
    """Agreement of clusters and classes, over `n` labelled galaxies.

    Attributes:
        purity: share of galaxies of the most frequent class of their cluster.
        chance: purity of the same clusters with permuted labels (mean over 100).
        ami: adjusted mutual information, 0 by chance.
        n: labelled galaxies.
    """

    purity: float
    chance: float
    ami: float
    n: int


@dataclass(frozen=True)
class Clusters:
    """A sample divided into clusters, the largest first.

    Attributes:
        sample: the galaxies.
        cluster: number of each galaxy's cluster.
        distance: of each galaxy to the centre of its cluster.
        number: how many clusters there are, empty ones included.
        purity: agreement with the labels; None where none are known.
    """

    sample: Sample
    cluster: Int[np.ndarray, " galaxy"]
    distance: Float[np.ndarray, " galaxy"]
    number: int
    purity: Purity | None


def find_clusters(sample: Sample, number: int | None = None) -> Clusters:
    """Cluster the reference galaxies by k-means and assign each galaxy of the sample to its nearest centre.

    On a run's own test galaxies, with the default number, these are the clusters of evaluator `kmeans`.

    Args:
        sample: the galaxies.
        number: how many clusters; if None as many as classes that occur, and without labels 10, or one for every
            five galaxies where that is fewer.

    Raises:
        ConfigError: fewer than 1, or more than reference galaxies.
        DataError: a feature is not finite.
    """
    features, reference = sample.latents, sample.reference
    most = len(reference)
    usual = min(len(sample.table.present) or min(UNLABELLED, max(1, most // MEMBERS)), most)
    asked = usual if number is None else number
    if not 1 <= asked <= most:
        raise ConfigError(f"asked for {asked} clusters of {most} galaxies; give 1 to {most}")
    centres = kmeans_torch(reference, asked, seed=sample.run.record.seed).centres
    cluster = nearest_centre(features, centres).numpy()
    agreement = _agreement(sample, cluster)  # before renumbering, or its chance would not be the evaluator's
    distance = (features - centres[cluster]).norm(dim=1).double().numpy()
    order = np.argsort(-np.bincount(cluster, minlength=asked), kind="stable")
    return Clusters(sample, np.argsort(order)[cluster], rounded(distance), asked, agreement)


def _agreement(sample: Sample, cluster: Int[np.ndarray, " galaxy"]) -> Purity | None:
    labels = sample.table.label[sample.rows]
    known = np.flatnonzero(labels >= 0)
    known = known[np.argsort(sample.table.ids[sample.rows][known], kind="stable")]
    if not len(known):
        return None
    found, label = cluster[known], labels[known]
    stream = numpy_stream(sample.run.record.seed, "kmeans/permutations")
    permuted = np.stack([stream.permutation(label) for _ in range(PERMUTATIONS)])
    return Purity(
        float(purity(contingency(label[None], found))[0]),
        float(purity(contingency(permuted, found)).mean()),
        float(adjusted_mutual_info_score(label, found)),
        len(known),
    )


def cluster_members(clusters: Clusters) -> pd.DataFrame:
    """Return the facts of each galaxy with its `cluster` and `centre_distance`, in the order of the sample."""
    facts = facts_table(clusters.sample)
    return facts.assign(cluster=clusters.cluster, centre_distance=clusters.distance)


def cluster_table(clusters: Clusters) -> pd.DataFrame:
    """Count the galaxies of each class in each cluster: one row a cluster, the largest first.

    Columns: `cluster`, `galaxies`, one for each class that occurs, and `unlabelled`.
    """
    counts = class_counts(clusters)
    frame = pd.DataFrame(counts, columns=[*counted_classes(clusters.sample), "unlabelled"])
    # Duplicates allowed: a class may be called anything, "galaxies" as well.
    frame.insert(0, "galaxies", counts.sum(axis=1), allow_duplicates=True)
    frame.insert(0, "cluster", np.arange(clusters.number), allow_duplicates=True)
    return frame


def counted_classes(sample: Sample) -> list[str]:
    """Name the classes that some galaxy of the table belongs to."""
    return [sample.classes[label] for label in sample.table.present.tolist()]


def class_counts(clusters: Clusters) -> Int[np.ndarray, "cluster class"]:
    """Count the galaxies of each class that occurs, cluster by cluster; the last column is of no class."""
    sample, present = clusters.sample, clusters.sample.table.present
    labels, unlabelled = sample.table.label[sample.rows], len(present)
    counts = np.zeros((clusters.number, unlabelled + 1), dtype=np.int64)
    np.add.at(
        counts, (clusters.cluster, np.where(labels < 0, unlabelled, np.searchsorted(present, labels))), 1
    )
    return counts


@styled
def clusters_figure(clusters: Clusters) -> Figure:
    """Draw the share of each class in each cluster, and the galaxies nearest to its centre."""
    sample, labelled = clusters.sample, clusters.purity is not None
    held = len(np.unique(clusters.cluster))  # the largest come first: the empty ones are the last
    classes = len(sample.table.present) if labelled else 0
    left = max(0.55 * classes, 2.5) if labelled else 1.0
    width = left + 1.2 + EXAMPLES * CELL_IN
    height = held * (CELL_IN + ID_IN) + (2.6 if labelled else 1.6)
    figure = new_figure(width, height, title_of(clusters), provenance_note(sample))
    grid = figure.add_gridspec(
        held, EXAMPLES + 1, width_ratios=[left / CELL_IN, *[1] * EXAMPLES], hspace=0, wspace=0
    )
    _draw_shares(figure.add_subplot(grid[:, 0]), clusters, labelled)
    order = np.argsort(clusters.distance, kind="stable")
    nearest = [order[clusters.cluster[order] == cluster][:EXAMPLES] for cluster in range(held)]
    shown = [sample.rows[member].tolist() for member in nearest]
    every = [row for rows in shown for row in rows]
    each, turned = scales_differ(sample.table, every), compasses_differ(sample.table, every)
    for cluster, rows in enumerate(shown):
        for place, row in enumerate(rows):
            first, cell = cluster == place == 0, figure.add_subplot(grid[cluster, place + 1])
            arrows = turned or first
            draw_galaxy(cell, sample.table, row, bar=each or first, arrows=arrows, letters_pt=LETTERS_PT)
            cell.set_title(shortened(str(sample.table.ids[row]), ID_LETTERS), fontsize=LETTERS_PT, pad=1.5)
    share = "number and colour, from 0 to 100 %: share of the cluster's labelled galaxies"
    read = share if labelled else "no labels known"
    empty = (
        f"clusters without one of these galaxies: {clusters.number - held}" if held < clusters.number else ""
    )
    notes = (empty, display_note(sample.table, every), scale_note(sample.table, every))
    annotate(figure, "right: the galaxies nearest to each centre, with their ids", read, *notes)
    return figure


def title_of(clusters: Clusters) -> str:
    """Return the number of clusters and their agreement with the classes, as a title."""
    found = clusters.purity
    if found is None:
        return f"{clusters.number} k-means clusters"
    return (
        f"{clusters.number} k-means clusters: purity {found.purity:.3f} (chance {found.chance:.3f}), "
        f"adjusted mutual information {found.ami:.3f} (chance 0), {found.n:,} labelled galaxies"
    )


def _draw_shares(axes: Axes, clusters: Clusters, labelled: bool) -> None:
    every = class_counts(clusters)
    every = every[every.sum(axis=1) > 0]
    sizes = [f"{cluster}  (n={size})" for cluster, size in enumerate(every.sum(axis=1).tolist())]
    axes.set_yticks(range(len(sizes)), sizes)
    axes.set_ylabel("cluster (galaxies)")
    axes.set_ylim(len(sizes) - 0.5, -0.5)
    if not labelled:
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return
    names, counts = counted_classes(clusters.sample), every[:, :-1]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if counts[row, column]:
            colour = "black" if share > 0.5 else "white"
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=colour, fontsize=6.5)
    written = [whole(name, CLASS_LETTERS) for name in names]
    axes.set_xticks(range(len(names)), written, rotation=40, ha="right", rotation_mode="anchor", fontsize=7)
    axes.set_xlabel("class")
