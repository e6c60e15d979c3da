"""Pictures of a map: points coloured by a column, or a tiling with the galaxies themselves."""

from __future__ import annotations

from collections import Counter
from itertools import cycle

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from astrojepa_bench.explore.figures import (
    COLOURS,
    MARKERS,
    SEQUENTIAL,
    UNKNOWN,
    annotate,
    display_note,
    new_figure,
    provenance_note,
    rgb,
    styled,
    whole,
)
from astrojepa_bench.explore.map import LatentMap, colour_column, usual_colour
from astrojepa_bench.explore.tables import column_label

MOST_KINDS = 12
KIND_LETTERS = 30  # in a line of the legend
TILE_PX = 48
TILES = range(6, 62, 2)  # along a side
LEGEND_PT2 = 30.0  # area of a marker in the legend, however large the points are
FILLED = 500  # wanted number of tiles with a galaxy
# Colour, marker and layer of what has no class: unlabelled galaxies below the others, anomalies as crosses on top.
NO_CLASS = {"unlabelled": (UNKNOWN, ".", 1), "anomaly": ("black", "x", 3), "artefact": ("0.45", "+", 3)}


@styled
def map_figure(latent_map: LatentMap, colour: str | None = None) -> Figure:
    """Draw each galaxy as a point.

    Args:
        latent_map: positions of the galaxies.
        colour: column to colour by (see `colour_column`); class, redshift or anomaly score if None.

    Raises:
        ConfigError: there is no such column.
    """
    sample = latent_map.sample
    name = colour or usual_colour(sample)
    values = colour_column(sample, name)[latent_map.index]
    height = max(4.0, 6.5 * _elongation(latent_map.places))
    figure = new_figure(8.5, height, f"Latents by {column_label(name)}", provenance_note(sample))
    axes = figure.subplots()
    if values.dtype.kind in "fiu" and name != "label":
        _draw_numbers(axes, latent_map.places, values.astype(float), column_label(name))
    else:
        _draw_kinds(axes, latent_map.places, values.astype(str), sample.classes if name == "class" else [])
    axes.set_xlabel(latent_map.axes[0])
    axes.set_ylabel(latent_map.axes[1])
    axes.set_aspect("equal", adjustable="datalim")
    annotate(figure, latent_map.method, _most_note(latent_map))
    return figure


def _draw_numbers(axes: Axes, places: Float[np.ndarray, "galaxy 2"], values: np.ndarray, label: str) -> None:
    known = np.isfinite(values)
    if not known.all():
        text = f"unknown ({(~known).sum():,})"
        axes.scatter(
            *_xy(places[~known]), s=_size(len(places)), facecolors="none", edgecolors=UNKNOWN, label=text
        )
        place = (0.0, 1.0)  # above the data
        axes.legend(loc="lower left", bbox_to_anchor=place, borderaxespad=0, fontsize=7, frameon=False)
    if not known.any():  # of many galaxies the few that are known need not be among those drawn
        return
    low, high = np.percentile(values[known], [1, 99])  # one outlier must not leave the rest in one colour
    points = axes.scatter(
        *_xy(places[known]),
        c=values[known],
        s=_size(len(places)),
        cmap=SEQUENTIAL,
        vmin=low,
        vmax=high,
        linewidths=0,
    )
    figure = axes.get_figure()
    if figure is not None:
        cut = 2 * bool((values[known] > high).any()) + bool((values[known] < low).any())
        figure.colorbar(points, ax=axes, label=label, extend=("neither", "min", "max", "both")[cut])


def _draw_kinds(
    axes: Axes, places: Float[np.ndarray, "galaxy 2"], values: np.ndarray, order: list[str]
) -> None:
    """Draw classes in their own colours, the rarest as one, and what has no class below or on top."""
    counts, size = Counter(values.tolist()), _size(len(values))
    kinds = [kind for kind in dict.fromkeys(order) if kind in counts and kind not in NO_CLASS]
    kinds += sorted(
        (kind for kind in counts if kind not in (*kinds, *NO_CLASS)), key=lambda kind: -counts[kind]
    )
    for kind, (colour, marker, layer) in NO_CLASS.items():
        if kind in counts:
            axes.scatter(
                *_xy(places[values == kind]),
                s=1.5 * size,
                color=colour,
                marker=marker,
                linewidths=0.8,
                label=_label(kind, counts[kind]),
                zorder=layer,
            )
    for kind, colour, marker in zip(kinds[:MOST_KINDS], cycle(COLOURS), cycle(MARKERS), strict=False):
        label = _label(kind, counts[kind])
        chosen = places[values == kind]
        axes.scatter(*_xy(chosen), s=size, color=colour, marker=marker, linewidths=0, alpha=0.8, label=label)
    others = np.isin(values, kinds[MOST_KINDS:])
    if others.any():
        text = f"{len(kinds) - MOST_KINDS} others ({others.sum():,})"
        axes.scatter(*_xy(places[others]), s=size, color=UNKNOWN, marker=".", label=text)
    scale = (LEGEND_PT2 / size) ** 0.5
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, markerscale=scale, frameon=False)


def _label(kind: str, count: int) -> str:
    return whole(f"{kind} ({count:,})", KIND_LETTERS)


def _most_note(latent_map: LatentMap) -> str:
    """Return how many galaxies are on the map, where not all are."""
    shown, every = len(latent_map.index), len(latent_map.sample)
    return f"{shown:,} of {every:,} galaxies, chosen at random" if shown < every else ""


def _xy(places: Float[np.ndarray, "galaxy 2"]) -> tuple[np.ndarray, np.ndarray]:
    return places[:, 0], places[:, 1]


def _elongation(places: Float[np.ndarray, "galaxy 2"]) -> float:
    """Return height over width of a map, limited to what fits on a page."""
    width, height = (places.max(axis=0) - places.min(axis=0)).tolist()
    return float(np.clip(height / max(width, 1e-9), 0.35, 1.3))


def _size(galaxies: int) -> float:
    """Choose the size of points: large if few, small if many."""
    return float(np.clip(20_000 / galaxies, 8, 45))


# --- thumbnails -----------------------------------------------------------------------------------------------


@styled
def thumbnail_map_figure(latent_map: LatentMap) -> Figure:
    """Tile the map: each tile shows the galaxy in it that is nearest to its middle."""
    sample = latent_map.sample
    low, span = _square(latent_map.places)
    scaled = (latent_map.places - low) / span
    wanted = min(FILLED, len(scaled) / 2)  # about 500 tiles that hold galaxies, or one for two galaxies
    side = next((side for side in TILES if len(_chosen(scaled * side, side)) >= wanted), TILES[-1])
    canvas = _canvas(latent_map, low, span, side)
    corners = _corners(latent_map.places, span / side)
    height, of = 8.4 * _elongation(corners) + 1.1, provenance_note(sample)
    figure = new_figure(9.0, height, "Latents, as the galaxies themselves", of)
    axes = figure.subplots()
    extent = (low[0], low[0] + span, low[1], low[1] + span)
    axes.imshow(canvas, extent=extent, origin="upper", interpolation="antialiased")
    axes.set_xlabel(latent_map.axes[0])
    axes.set_ylabel(latent_map.axes[1])
    axes.set(xlim=corners[:, 0], ylim=corners[:, 1])
    shown = sample.rows[latent_map.index[_chosen(scaled * side, side)]].tolist()
    lying = display_note(sample.table, shown, arrows=False)
    notes = (latent_map.method, _most_note(latent_map), lying)
    annotate(figure, "one galaxy a tile, nearest to its middle", *notes)
    return figure


def _square(places: Float[np.ndarray, "galaxy 2"]) -> tuple[Float[np.ndarray, " 2"], float]:
    """Return the lower corner and the side of a square around the map."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = 1.001 * float((high - low).max())
    return (low + high - span) / 2, span


def _corners(places: Float[np.ndarray, "galaxy 2"], margin: float) -> Float[np.ndarray, "corner 2"]:
    """Return the lower left and the upper right corner of the visible part."""
    return np.stack([places.min(axis=0) - margin, places.max(axis=0) + margin])


def _canvas(
    latent_map: LatentMap, low: Float[np.ndarray, " 2"], span: float, side: int
) -> UInt8[np.ndarray, "height width 3"]:
    canvas = np.full((side * TILE_PX, side * TILE_PX, 3), 255, dtype=np.uint8)
    scaled = (latent_map.places - low) / span * side
    for galaxy in _chosen(scaled, side).tolist():
        column, row = scaled[galaxy].astype(int).tolist()
        top = (side - 1 - row) * TILE_PX
        table_row = int(latent_map.sample.rows[latent_map.index[galaxy]])
        picture = Image.fromarray(rgb(latent_map.sample.table, table_row))
        tile = picture.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
        canvas[top : top + TILE_PX, column * TILE_PX : (column + 1) * TILE_PX] = np.asarray(tile)
    return canvas


def _chosen(scaled: Float[np.ndarray, "galaxy 2"], side: int) -> Int[np.ndarray, " tile"]:
    """Choose for each tile that holds galaxies the one nearest to its middle."""
    tile = scaled.astype(int)
    order = np.argsort(((scaled - tile - 0.5) ** 2).sum(axis=1), kind="stable")
    _, first = np.unique((tile[:, 1] * side + tile[:, 0])[order], return_index=True)
    return order[first]
