"""Two-dimensional maps of latents, by t-SNE, UMAP or principal components."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError, DataError, StorageError, nearest
from astrojepa_bench.evaluation.extract import same_galaxies
from astrojepa_bench.evaluation.store import FeatureFile
from astrojepa_bench.explore.anomalies import BY_DISTANCE, SCORES, distance_scores, error_scores
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import facts_table
from astrojepa_bench.streams import numpy_stream, stream_seed

METHODS = ("tsne", "umap", "pca")
MOST = 5_000  # galaxies on a map; of more, a random choice
FEWEST = 5
COMPONENTS = 50
PERPLEXITY = 30.0
Plane = Float[np.ndarray, "galaxy 2"]


@dataclass(frozen=True)
class LatentMap:
    """Positions of galaxies on a plane.

    Attributes:
        sample: the galaxies.
        index: which galaxies of the sample are on the map.
        places: their positions on the plane.
        axes: label of each axis, with its unit.
        method: how the map was made, for a reader.
    """

    sample: Sample
    index: Int[np.ndarray, " galaxy"]
    places: Plane
    axes: tuple[str, str]
    method: str


def make_map(sample: Sample, method: str = "tsne") -> LatentMap:
    """Map the latents of a sample to a plane; of more than 5,000 galaxies, a random 5,000.

    Latents are centred and not scaled. For t-SNE and UMAP they are first reduced to 50 principal
    components. t-SNE is computed by openTSNE where it is installed, else by scikit-learn; UMAP needs umap-learn.

    Args:
        sample: the galaxies.
        method: `tsne`, `umap` or `pca`.

    Raises:
        ConfigError: unknown method, or its library is not installed.
        DataError: fewer than 5 galaxies, or all have the same latents.

    Source:
        van der Maaten & Hinton 2008 (JMLR 9, 2579), perplexity 30, at most a third of the galaxies; McInnes et al.
        2018 (arXiv 1802.03426), 15 neighbours.
    """
    check_method(method)
    index = np.arange(len(sample))
    if len(index) > MOST:
        events.emit("note", text=f"map: {MOST:,} of {len(index):,} galaxies, chosen at random")
        index = np.sort(numpy_stream(0, "map").permutation(len(index))[:MOST])
    latents = sample.latents.double().numpy()[index]
    if len(latents) < FEWEST or np.allclose(latents, latents[0], rtol=1e-6, atol=1e-12):
        raise DataError(
            f"{len(latents)} galaxies with {len(np.unique(latents, axis=0))} different latents make no map; "
            f"give {FEWEST} different ones or more"
        )
    empty = LatentMap(sample, index, np.zeros((len(index), 2)), ("", ""), "")
    return {"tsne": _tsne, "umap": _umap, "pca": _pca}[method](latents, empty)


def _laid_out(empty: LatentMap, method: str, make: Callable[[], np.ndarray]) -> Plane:
    """Read places that were kept with a run's features, or lay its galaxies out and keep them there.

    Args:
        empty: the galaxies; those of other data sets are laid out each time.
        method: how, with the library and its version.
        make: lays them out.
    """
    sample, ids = empty.sample, empty.sample.table.ids[empty.sample.rows[empty.index]]
    if sample.kept is None:
        return np.asarray(make())
    path = sample.run.store.features_path(sample.run.record.run_id)
    file, group = FeatureFile(path, sample.table.fingerprint), f"explore/{method}"
    kept = file.read(group)
    if kept is not None and same_galaxies(kept, ids):
        return np.asarray(kept["places"])
    places = np.asarray(make())
    with suppress(StorageError):  # whoever may not write here can look all the same
        file.write({group: {"places": places, "ids": ids}})
    return places


def check_method(method: str) -> None:
    """Check that a method exists and is installed before any slow work.

    Raises:
        ConfigError: unknown method, or its library is missing.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown method '{method}'; {nearest(method, METHODS)}")
    if method == "umap" and importlib.util.find_spec("umap") is None:
        raise ConfigError(
            "UMAP needs umap-learn, which is not installed; pip install 'astrojepa-bench[umap]', or use tsne"
        )


def _pca(latents: Float[np.ndarray, "galaxy dim"], empty: LatentMap) -> LatentMap:
    fit = PCA(2, svd_solver="full").fit(latents)
    first, second = fit.explained_variance_ratio_.tolist()
    axes = (f"PC 1 ({first:.0%} of variance)", f"PC 2 ({second:.0%} of variance)")
    return replace(empty, places=fit.transform(latents), axes=axes, method="PCA")


def _reduced(latents: Float[np.ndarray, "galaxy dim"]) -> Float[np.ndarray, "galaxy component"]:
    most = min(COMPONENTS, *latents.shape)
    reduced: Float[np.ndarray, "galaxy component"] = PCA(most, svd_solver="full").fit_transform(latents)
    return reduced


def _tsne(latents: Float[np.ndarray, "galaxy dim"], empty: LatentMap) -> LatentMap:
    points, perplexity = _reduced(latents), min(PERPLEXITY, (len(latents) - 1) / 3)
    seed, fast = stream_seed(0, "t-SNE") % 2**31, importlib.util.find_spec("openTSNE") is not None
    library = "openTSNE" if fast else "scikit-learn"

    def make() -> np.ndarray:
        with _waiting(f"t-SNE of {len(latents):,} galaxies"):
            if not fast:
                return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)
            import openTSNE  # an optional dependency

            return np.asarray(
                openTSNE.TSNE(perplexity=perplexity, initialization="pca", random_state=seed).fit(points)
            )

    axes = ("t-SNE 1 (arbitrary units)", "t-SNE 2 (arbitrary units)")
    method = f"t-SNE, perplexity {perplexity:.3g}, {library}"
    return replace(
        empty, places=_laid_out(empty, f"{method} {version(library)}", make), axes=axes, method=method
    )


def _umap(latents: Float[np.ndarray, "galaxy dim"], empty: LatentMap) -> LatentMap:
    from umap import UMAP  # an optional dependency that takes seconds to import

    neighbours = min(15, len(latents) - 1)
    seed = stream_seed(0, "UMAP") % 2**31

    def make() -> np.ndarray:
        with _waiting(f"UMAP of {len(latents):,} galaxies"):
            fit = UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(_reduced(latents))
        return np.asarray(fit)

    axes, method = ("UMAP 1 (arbitrary units)", "UMAP 2 (arbitrary units)"), f"UMAP, {neighbours} neighbours"
    places = _laid_out(empty, f"{method}, umap-learn {version('umap-learn')}", make)
    return replace(empty, places=places, axes=axes, method=method)


@contextmanager
def _waiting(task: str) -> Iterator[None]:
    """Report a task that makes no progress visible until it ends."""
    events.emit("task_started", task=task, total=1, unit="map")
    try:
        yield
    finally:
        events.emit("task_ended", task=task)


# --- colours of a map -------------------------------------------------------------------------------------------


def usual_colour(sample: Sample) -> str:
    """Choose the column that colours a map: class, else redshift, else the distance to the nearest galaxies."""
    table, rows = sample.table, sample.rows
    if (table.label[rows] >= 0).any():
        return "class"
    known = table.redshift is not None and bool(np.isfinite(table.redshift[rows]).any())
    return "redshift" if known else BY_DISTANCE[0]


def colour_column(sample: Sample, name: str) -> np.ndarray:
    """Return a column to colour a map by: one of the facts, the attributes, or the anomaly scores.

    Raises:
        ConfigError: there is no such column, or nothing in it.
    """
    facts, factors = facts_table(sample), sample.table.factors
    if name == "class":
        return _kinds(facts)
    if name in SCORES:
        scores = distance_scores(sample) if name in BY_DISTANCE else error_scores(sample)
        return _known(name, scores[name])
    if name in factors:
        return _known(name, np.asarray(factors[name])[sample.rows])
    if name not in facts:
        raise ConfigError(f"unknown column '{name}'; {nearest(name, [*facts, *factors, *SCORES])}")
    return _known(name, facts[name].to_numpy())


def _kinds(facts: pd.DataFrame) -> np.ndarray:
    """Return the class of each galaxy; for anomalies, which have none, their kind."""
    kinds = facts["class"].to_numpy().astype(object)
    if "anomaly" in facts:
        odd = facts["anomaly"].to_numpy() != ""
        kinds[odd] = [{"physical": "anomaly", "artefact": "artefact"}[kind] for kind in facts["anomaly"][odd]]
    return np.where(kinds == "", "unlabelled", kinds)


def _known(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f" and not np.isfinite(values).any():
        raise ConfigError(f"column '{name}' is empty for these galaxies; colour by another one")
    return values
