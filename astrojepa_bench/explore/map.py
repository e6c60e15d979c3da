"""Latents laid out on a plane: by t-SNE, UMAP or principal components."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError, DataError, nearest
from astrojepa_bench.explore.anomalies import BY_DISTANCE, SCORES, distance_scores, error_scores
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import facts_table, spelt
from astrojepa_bench.streams import numpy_stream, stream_seed

METHODS = ("tsne", "umap", "pca")
MOST = 5_000  # galaxies on a map; more are drawn by lot
FEWEST = 5
COMPONENTS = 50
PERPLEXITY = 30.0
Plane = Float[np.ndarray, "galaxy 2"]


@dataclass(frozen=True)
class LatentMap:
    """Where galaxies lie on a plane.

    Attributes:
        sample: the galaxies.
        index: which places of the sample are on the map.
        places: of these, on the plane.
        axes: label of each axis, with its unit.
        method: how it was made, for a reader.
    """

    sample: Sample
    index: Int[np.ndarray, " galaxy"]
    places: Plane
    axes: tuple[str, str]
    method: str


def make_map(sample: Sample, method: str = "tsne") -> LatentMap:
    """Lay the latents of a sample out on a plane; of more than 5,000 galaxies, 5,000 chosen by lot.

    Latents are taken as they come, centred. For t-SNE and UMAP they are first reduced to 50 principal
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
    index = _by_lot(len(sample))
    latents = sample.latents.double().numpy()[index]
    if len(latents) < FEWEST or np.allclose(latents, latents[0], rtol=1e-6, atol=1e-12):
        raise DataError(
            f"{len(latents)} galaxies with {len(np.unique(latents, axis=0))} different latents make no map; "
            f"give {FEWEST} different ones or more"
        )
    empty = LatentMap(sample, index, np.zeros((len(index), 2)), ("", ""), "")
    return {"tsne": _tsne, "umap": _umap, "pca": _pca}[method](latents, empty)


def check_method(method: str) -> None:
    """Refuse a method that does not exist or is not installed, before anything slow is done.

    Raises:
        ConfigError: with the methods that are known, or the library that is missing.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown method '{method}'; {nearest(method, METHODS)}")
    if method == "umap" and importlib.util.find_spec("umap") is None:
        raise ConfigError(
            "UMAP needs umap-learn, which is not installed; pip install 'astrojepa-bench[umap]', or use tsne"
        )


def _by_lot(galaxies: int) -> Int[np.ndarray, " galaxy"]:
    if galaxies <= MOST:
        return np.arange(galaxies)
    events.emit("note", text=f"map: {MOST:,} of {galaxies:,} galaxies, chosen by lot")
    return np.sort(numpy_stream(0, "map").permutation(galaxies)[:MOST])


def _pca(latents: Float[np.ndarray, "galaxy dim"], empty: LatentMap) -> LatentMap:
    fit = PCA(2, svd_solver="full").fit(latents)
    labels = [f"PC {number} ({share:.0%} of variance)" for number, share in enumerate(_shares(fit), start=1)]
    return replace(empty, places=fit.transform(latents), axes=(labels[0], labels[1]), method="PCA")


def _shares(fit: PCA) -> list[float]:
    shares: list[float] = fit.explained_variance_ratio_.tolist()
    return shares


def _reduced(latents: Float[np.ndarray, "galaxy dim"]) -> Float[np.ndarray, "galaxy component"]:
    most = min(COMPONENTS, *latents.shape)
    reduced: Float[np.ndarray, "galaxy component"] = PCA(most, svd_solver="full").fit_transform(latents)
    return reduced


def _tsne(latents: Float[np.ndarray, "galaxy dim"], empty: LatentMap) -> LatentMap:
    points, perplexity = _reduced(latents), min(PERPLEXITY, (len(latents) - 1) / 3)
    seed, fast = stream_seed(0, "t-SNE") % 2**31, importlib.util.find_spec("openTSNE") is not None
    made = _opentsne if fast else _sklearn_tsne
    with _waiting(f"t-SNE of {len(latents):,} galaxies"):
        places = made(points, perplexity, seed)
    library = "openTSNE" if fast else "scikit-learn"
    axes = ("t-SNE 1 (arbitrary units)", "t-SNE 2 (arbitrary units)")
    return replace(empty, places=places, axes=axes, method=f"t-SNE, perplexity {perplexity:.3g}, {library}")


def _sklearn_tsne(points: Float[np.ndarray, "galaxy component"], perplexity: float, seed: int) -> Plane:
    places: Plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)
    return places


def _opentsne(points: Float[np.ndarray, "galaxy component"], perplexity: float, seed: int) -> Plane:
    import openTSNE

    return np.asarray(
        openTSNE.TSNE(perplexity=perplexity, initialization="pca", random_state=seed).fit(points)
    )


def _umap(latents: Float[np.ndarray, "galaxy dim"], empty: LatentMap) -> LatentMap:
    from umap import UMAP

    neighbours = min(15, len(latents) - 1)
    seed = stream_seed(0, "UMAP") % 2**31
    with _waiting(f"UMAP of {len(latents):,} galaxies"):
        places = UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(_reduced(latents))
    axes = ("UMAP 1 (arbitrary units)", "UMAP 2 (arbitrary units)")
    return replace(empty, places=np.asarray(places), axes=axes, method=f"UMAP, {neighbours} neighbours")


class _waiting:  # noqa: N801 used as a context manager
    """Tell listeners that a library is busy, which says nothing until it is done."""

    def __init__(self, task: str) -> None:
        self.task = task

    def __enter__(self) -> None:
        events.emit("task_started", task=self.task, total=1, unit="map")

    def __exit__(self, *_: object) -> None:
        events.emit("task_ended", task=self.task)


# --- what a map can be coloured by ------------------------------------------------------------------------------


def map_table(latent_map: LatentMap) -> pd.DataFrame:
    """Give what is known of each galaxy on the map, with its place (`x`, `y`)."""
    facts = facts_table(latent_map.sample).iloc[latent_map.index].reset_index(drop=True)
    return facts.assign(x=latent_map.places[:, 0], y=latent_map.places[:, 1])


def usual_colour(sample: Sample) -> str:
    """Choose what a map is coloured by: class, else redshift, else the distance to the nearest galaxies."""
    table, rows = sample.table, sample.rows
    if (table.label[rows] >= 0).any():
        return "class"
    known = table.redshift is not None and bool(np.isfinite(table.redshift[rows]).any())
    return "redshift" if known else BY_DISTANCE[0]


def colour_column(sample: Sample, name: str) -> np.ndarray:
    """Give a column that a map can be coloured by: of the facts, the attributes, or the anomaly scores.

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
    """Give the class of each galaxy; anomalies have none and are told by their kind."""
    kinds = facts["class"].to_numpy().astype(object)
    if "anomaly" in facts:
        odd = facts["anomaly"].to_numpy() != ""
        kinds[odd] = [{"physical": "anomaly", "artefact": "artefact"}[kind] for kind in facts["anomaly"][odd]]
    return np.where(kinds == "", "unlabelled", kinds)


def _known(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f" and not np.isfinite(values).any():
        raise ConfigError(f"column '{name}' is empty for these galaxies; colour by another one")
    return values


UNITS: Mapping[str, str] = {"ra": "deg", "dec": "deg", "pixel_scale": "arcsec/px"}


def column_label(name: str) -> str:
    """Write the name of a column with its unit."""
    return f"{spelt(name)} [{UNITS[name]}]" if name in UNITS else spelt(name)
