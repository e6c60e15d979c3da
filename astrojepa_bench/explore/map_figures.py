"""Pictures of a map: points coloured by a column, or a tiling by the galaxies themselves."""

from __future__ import annotations

from collections import Counter

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
)
from astrojepa_bench.explore.map import LatentMap, colour_column, column_label, usual_colour

MOST_KINDS = 12
TILE_PX = 48
TILES = range(6, 62, 2)  # along a side
FILLED = 500  # tiles that are wanted
NO_CLASS = ("unlabelled", "anomaly", "artefact")


@styled
def map_figure(latent_map: LatentMap, colour: str | None = None) -> Figure:
    """Draw each galaxy as a point.

    Args:
        latent_map: where they lie.
        colour: column that colours them (see `colour_column`); class, redshift or anomaly score if None.

    Raises:
        ConfigError: there is no such column.
    """
    sample = latent_map.sample
    name = colour or usual_colour(sample)
    values = colour_column(sample, name)[latent_map.index]
    figure = new_figure(
        8.5, max(4.0, 6.5 * _elongation(latent_map.places)), f"Latents by {column_label(name)}"
    )
    axes = figure.subplots()
    if values.dtype.kind in "fiu" and name != "label":
        _draw_numbers(axes, latent_map.places, values.astype(float), column_label(name))
    else:
        _draw_kinds(axes, latent_map, values.astype(str), _order(latent_map, name))
    _label_axes(axes, latent_map)
    annotate(figure, latent_map.method, provenance_note(sample))
    return figure


def _label_axes(axes: Axes, latent_map: LatentMap) -> None:
    axes.set_xlabel(latent_map.axes[0])
    axes.set_ylabel(latent_map.axes[1])
    axes.set_aspect("equal", adjustable="datalim")


def _draw_numbers(axes: Axes, places: Float[np.ndarray, "galaxy 2"], values: np.ndarray, label: str) -> None:
    known = np.isfinite(values)
    if not known.all():
        text = f"unknown ({(~known).sum():,})"
        axes.scatter(
            *_xy(places[~known]), s=_size(len(places)), facecolors="none", edgecolors=UNKNOWN, label=text
        )
        axes.legend(loc="best", fontsize=7)
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
        figure.colorbar(points, ax=axes, label=label, extend="both" if known.sum() > 100 else "neither")


def _order(latent_map: LatentMap, name: str) -> list[str]:
    return latent_map.sample.classes if name == "class" else []


def _draw_kinds(axes: Axes, latent_map: LatentMap, values: np.ndarray, order: list[str]) -> None:
    counts = Counter(values.tolist())
    kinds = [kind for kind in dict.fromkeys(order) if kind in counts and kind not in NO_CLASS]
    kinds += sorted(
        (kind for kind in counts if kind not in (*kinds, *NO_CLASS)), key=lambda kind: -counts[kind]
    )
    size = _size(len(values))
    _draw_classless(axes, latent_map.places, values, size)
    for number, kind in enumerate(kinds[:MOST_KINDS]):
        _draw_kind(axes, latent_map.places[values == kind], number, f"{kind} ({counts[kind]:,})", size)
    others = np.isin(values, kinds[MOST_KINDS:])
    if others.any():
        text = f"{len(kinds) - MOST_KINDS} others ({others.sum():,})"
        axes.scatter(*_xy(latent_map.places[others]), s=size, color=UNKNOWN, marker=".", label=text)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, markerscale=1.6, frameon=False)


def _draw_kind(
    axes: Axes, places: Float[np.ndarray, "galaxy 2"], number: int, label: str, size: float
) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    axes.scatter(*_xy(places), s=size, color=colour, marker=marker, linewidths=0, alpha=0.8, label=label)


def _draw_classless(
    axes: Axes, places: Float[np.ndarray, "galaxy 2"], values: np.ndarray, size: float
) -> None:
    """Draw what has no class: unlabelled galaxies below, anomalies as crosses."""
    looks = {"unlabelled": (UNKNOWN, "."), "anomaly": ("black", "x"), "artefact": ("0.45", "+")}
    for kind, (colour, marker) in looks.items():
        chosen = values == kind
        if chosen.any():
            label = f"{kind} ({chosen.sum():,})"
            axes.scatter(
                *_xy(places[chosen]),
                s=1.5 * size,
                color=colour,
                marker=marker,
                linewidths=0.8,
                label=label,
                zorder=1 if kind == "unlabelled" else 3,
            )


def _xy(places: Float[np.ndarray, "galaxy 2"]) -> tuple[np.ndarray, np.ndarray]:
    return places[:, 0], places[:, 1]


def _elongation(places: Float[np.ndarray, "galaxy 2"]) -> float:
    """Give height over width of a map, within what fits on a page."""
    width, height = (places.max(axis=0) - places.min(axis=0)).tolist()
    return float(np.clip(height / max(width, 1e-9), 0.35, 1.3))


def _size(galaxies: int) -> float:
    """Let few points be large and many small."""
    return float(np.clip(20_000 / galaxies, 8, 45))


# --- thumbnails -----------------------------------------------------------------------------------------------


@styled
def thumbnail_map_figure(latent_map: LatentMap) -> Figure:
    """Tile the map: each tile shows the galaxy nearest to its middle, of those that lie in it."""
    sample = latent_map.sample
    low, span = _square(latent_map.places)
    side = _tiles((latent_map.places - low) / span)
    canvas = _canvas(latent_map, low, span, side)
    corners = _corners(latent_map.places, span / side)
    figure = new_figure(9.0, 8.4 * _elongation(corners) + 1.1, "Latents, as the galaxies themselves")
    axes = figure.subplots()
    extent = (low[0], low[0] + span, low[1], low[1] + span)
    axes.imshow(canvas, extent=extent, origin="upper", interpolation="antialiased")
    axes.set_xlabel(latent_map.axes[0])
    axes.set_ylabel(latent_map.axes[1])
    axes.set(xlim=corners[:, 0], ylim=corners[:, 1])
    notes = (latent_map.method, display_note(sample.table), provenance_note(sample))
    annotate(figure, "one galaxy a tile, nearest to its middle", *notes)
    return figure


def _tiles(scaled: Float[np.ndarray, "galaxy 2"]) -> int:
    """Choose how many tiles lie along a side, so that about 500 of them hold galaxies, or one in two galaxies."""
    wanted = min(FILLED, len(scaled) / 2)
    return next((side for side in TILES if len(_chosen(scaled * side, side)) >= wanted), TILES[-1])


def _square(places: Float[np.ndarray, "galaxy 2"]) -> tuple[Float[np.ndarray, " 2"], float]:
    """Give the lower corner and the side of a square around the map."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = 1.001 * float((high - low).max())
    return (low + high - span) / 2, span


def _corners(places: Float[np.ndarray, "galaxy 2"], margin: float) -> Float[np.ndarray, "corner 2"]:
    """Give the lower left and upper right corner of what is shown."""
    return np.stack([places.min(axis=0) - margin, places.max(axis=0) + margin])


def _canvas(
    latent_map: LatentMap, low: Float[np.ndarray, " 2"], span: float, side: int
) -> UInt8[np.ndarray, "height width 3"]:
    canvas = np.full((side * TILE_PX, side * TILE_PX, 3), 255, dtype=np.uint8)
    scaled = (latent_map.places - low) / span * side
    for galaxy in _chosen(scaled, side).tolist():
        column, row = scaled[galaxy].astype(int).tolist()
        top = (side - 1 - row) * TILE_PX
        picture = Image.fromarray(rgb(latent_map.sample.table, _row(latent_map, galaxy)))
        tile = picture.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
        canvas[top : top + TILE_PX, column * TILE_PX : (column + 1) * TILE_PX] = np.asarray(tile)
    return canvas


def _row(latent_map: LatentMap, galaxy: int) -> int:
    return int(latent_map.sample.rows[latent_map.index[galaxy]])


def _chosen(scaled: Float[np.ndarray, "galaxy 2"], side: int) -> Int[np.ndarray, " tile"]:
    """Choose for each tile that holds galaxies the one nearest to its middle."""
    tile = scaled.astype(int)
    order = np.argsort(((scaled - tile - 0.5) ** 2).sum(axis=1), kind="stable")
    _, first = np.unique((tile[:, 1] * side + tile[:, 0])[order], return_index=True)
    return order[first]
