"""Whether galaxies of one class cluster without labels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.special import entr
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.probes.kmeans import kmeans_torch, nearest_centre
from astrojepa_bench.evaluators.probes.reading import LabelledGalaxies, read_labelled, read_ordinary
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.streams import numpy_stream
from astrojepa_bench.types import Evaluation, Score

Labels = Int[np.ndarray, " galaxy"]
Tables = Float[np.ndarray, "draw cluster class"]
PERMUTATIONS = 100


class KMeans(Evaluator):
    """k-means with as many clusters as classes that occur, fitted on train without labels, scored on test.

    Measures whether the classes are the most prominent groups in the features (tap `last`, as they come:
    neither standardised nor normalised). Centres come from all ordinary train galaxies; each labelled test
    galaxy joins its nearest centre.

    Chance: `ami` and `ari` 0 by construction; `purity`, `nmi` and `hungarian_accuracy` what the same clusters
    score with permuted labels (mean over 100). Golden numbers: random clusters of 1,774 galaxies of Galaxy10
    in 10 clusters have purity .168 and NMI .011; inertia equals scikit-learn's best within 1 %. Do not trust
    purity or NMI across different numbers of clusters (both grow with it), nor `hungarian_accuracy` where one
    class makes two groups (the second counts as wrong); a poor score does not mean that the classes are absent,
    only that something else varies more.

    Args:
        n_init: restarts of k-means.

    Source:
        AMI and NMI: Vinh, Epps & Bailey 2010 (JMLR 11, 2837), arithmetic mean normaliser. Hungarian accuracy:
        Kuhn 1955 (Naval Research Logistics 2, 83).
    """

    requires = ("label",)
    metrics = SHOWN["kmeans"]
    version = 2

    def __init__(self, *, n_init: int = 10) -> None:
        if n_init < 1:
            raise ConfigError(f"kmeans.n_init={n_init} must be at least 1; 10 is usual")
        self.n_init = n_init

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on train, compare on test; nothing is chosen.

        Raises:
            ContractError: a feature is not finite.
            DataError: a split has no galaxies to read.
        """
        tap = features.taps[0]
        train, test = read_ordinary(features, "train", tap), read_labelled(features, "test", tap)
        clusters = min(features.classes, len(train))
        fit = kmeans_torch(train, clusters, n_init=self.n_init, seed=features.seed)
        cluster = nearest_centre(test.features.float(), fit.centres).cpu().numpy()
        used = len(fit.labels.unique())
        selection: dict[str, float | str] = {"tap": tap, "clusters": float(clusters)}
        warnings = (
            (f"{used} of {features.classes} clusters hold train galaxies",) if used < features.classes else ()
        )
        return Evaluation(
            _scores(cluster, test, features.seed), {"cluster": cluster}, test.ids, selection, warnings
        )


def _scores(cluster: Labels, test: LabelledGalaxies, seed: int) -> tuple[Score, ...]:
    order = np.argsort(test.ids, kind="stable")  # or the permutations would depend on the table's order
    as_listed, cluster, label, n = cluster, cluster[order], test.label[order], len(order)
    stream = numpy_stream(seed, "kmeans/permutations")
    found = contingency(label[None], cluster)
    permuted = contingency(np.stack([stream.permutation(label) for _ in range(PERMUTATIONS)]), cluster)
    ami = float(adjusted_mutual_info_score(label, cluster))
    ari = float(adjusted_rand_score(label, cluster))
    by_tables = {"purity": purity, "nmi": nmi, "hungarian_accuracy": hungarian_accuracy}
    right = {"hungarian_accuracy": class_of_clusters(found[0])[as_listed] == test.label}
    return (
        *(
            Score(
                "kmeans", name, float(metric(found)[0]), True, n, float(metric(permuted).mean()),
                correct=right.get(name),
            )
            for name, metric in by_tables.items()
        ),
        Score("kmeans", "ami", ami, True, n, 0.0),
        Score("kmeans", "ari", ari, True, n, 0.0),
    )  # fmt: skip


def contingency(labels: Int[np.ndarray, "draw galaxy"], cluster: Labels) -> Tables:
    """Return, for each draw of the labels, the share of galaxies in each cluster and class."""
    clusters, classes = int(cluster.max()) + 1, int(labels.max()) + 1
    cell = (np.arange(len(labels))[:, None] * clusters + cluster) * classes + labels
    counts = np.bincount(cell.ravel(), minlength=len(labels) * clusters * classes)
    return counts.reshape(len(labels), clusters, classes) / len(cluster)


def purity(tables: Tables) -> Float[np.ndarray, " draw"]:
    """Return the share of galaxies that belong to the most frequent class of their cluster."""
    found: Float[np.ndarray, " draw"] = tables.max(axis=2).sum(axis=1)
    return found


def nmi(tables: Tables) -> Float[np.ndarray, " draw"]:
    """Return the mutual information over the mean of both entropies; 1 where one cluster holds one class."""
    of_cluster, of_class = entr(tables.sum(axis=2)).sum(axis=1), entr(tables.sum(axis=1)).sum(axis=1)
    shared = (of_cluster + of_class - entr(tables).sum(axis=(1, 2))).clip(min=0)
    mean = (of_cluster + of_class) / 2
    found: Float[np.ndarray, " draw"] = np.divide(shared, mean, out=np.ones_like(mean), where=mean > 0)
    return found


def hungarian_accuracy(tables: Tables) -> Float[np.ndarray, " draw"]:
    """Return the share of galaxies in the class of their cluster, each class named by one cluster at most."""
    pairs = [linear_sum_assignment(table, maximize=True) for table in tables]
    return np.array([table[pair].sum() for table, pair in zip(tables, pairs, strict=True)])


def class_of_clusters(table: Float[np.ndarray, "cluster class"]) -> Int[np.ndarray, " cluster"]:
    """Name the class that `hungarian_accuracy` gives each cluster; -1 for one that is left over."""
    clusters, classes = linear_sum_assignment(table, maximize=True)
    named = np.full(len(table), -1)
    named[clusters] = classes
    return named
