"""One galaxy in five panels: itself, context, targets, cosine and error of each patch; or the views compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from astrojepa_bench.data.look.colours import as_rgb
from astrojepa_bench.evaluation.prediction_errors import DRAWS
from astrojepa_bench.explore.figures import (
    SEQUENTIAL,
    annotate,
    display_note,
    draw_compass,
    new_figure,
    pixel_scale,
    provenance_note,
    rgb,
    scale_note,
    styled,
)
from astrojepa_bench.explore.latents_map import (
    LatentComparison,
    PatchErrors,
    Seen,
    agreement,
    compare,
    patch_errors,
)
from astrojepa_bench.explore.mosaic import described
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import facts_table
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.types import GalaxyTable

HIDDEN = 216  # grey of a hidden patch [0 to 255]
DIMMED = 0.35
LINES = ("-", "--", "-.", ":")
ON_DARK = ("#56B4E9", "#E69F00", "#F0E442", "#CC79A7")
PANEL_IN = 2.9
Pixels = UInt8[np.ndarray, "height width 3"]


class PictureAxes(NamedTuple):
    """What the axes of a picture count.

    Attributes:
        side: of the image, in the unit.
        unit: arcsec where the pixel scale is known, else pixel.
        bottom_up: whether they count from below, as FITS does.
    """

    side: float
    unit: str
    bottom_up: bool

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the image."""
        return (0, self.side, 0, self.side) if self.bottom_up else (0, self.side, self.side, 0)


@styled
def latents_figure(sample: Sample, index: int) -> Figure:
    """Draw five panels: galaxy, context, targets, patch cosine, patch squared error.

    Context and targets are those of the first of 16 seeded draws of masks; each patch's cosine and error are
    averages over the draws that hid it. For an objective that predicts no patches, the views that it compares are
    drawn instead; if it predicts nothing, a note says so.

    Args:
        sample: the galaxies.
        index: number of the galaxy in the sample.

    Raises:
        ConfigError: there is no such galaxy.
    """
    row = sample.row_of(index)
    errors = patch_errors(sample, row)
    grid = sample.run.encoder.grid
    if errors is not None and grid is not None:
        return _patches_figure(sample, index, errors, grid)
    return _views_figure(sample, index, compare(sample, row))


def _title(sample: Sample, index: int) -> str:
    fact = facts_table(sample).iloc[index]
    return f"Galaxy {fact['id']} (index {index}) {described(fact)}".strip()


def _notes(sample: Sample, row: int) -> tuple[str, ...]:
    return display_note(sample.table, [row]), scale_note(sample.table, [row])


# --- patches --------------------------------------------------------------------------------------------------


def _patches_figure(sample: Sample, index: int, errors: PatchErrors, grid: PatchGrid) -> Figure:
    row = sample.row_of(index)
    picture, counted = rgb(sample.table, row), _counted(sample.table, row)
    figure = new_figure(5 * PANEL_IN + 1.2, PANEL_IN + 1.0, _title(sample, index), provenance_note(sample))
    panels = figure.subplots(1, 5)
    _show(panels[0], picture, counted, "galaxy")
    draw_compass(panels[0], sample.table, row)
    seen = _only(picture, errors.context, grid)
    _show(panels[1], seen, counted, f"context ({len(errors.context)} of {grid.patches} patches)")
    _draw_targets(panels[2], picture, errors.targets, grid, counted)
    _draw_patches(panels[3], errors.cosine, counted, "cosine of prediction and truth", 1.0)
    highest = float(np.nanmax(errors.squared, initial=0.0)) or 1.0
    _draw_patches(panels[4], errors.squared, counted, "squared error (mean over dimensions)", highest)
    panels[0].set_ylabel(counted.unit, fontsize=7)
    drawn = f"masks: first of {DRAWS} draws; cosine and error: means over the draws that hid a patch"
    never = "grey: never predicted" if np.isnan(errors.cosine).any() else ""
    annotate(figure, drawn, never, *_notes(sample, row))
    return figure


def _counted(table: GalaxyTable, row: int) -> PictureAxes:
    scale, size = pixel_scale(table, row), table.spec.size_px
    bottom_up = table.orientation is not None and bool(table.orientation["bottom_up"][row])
    return (
        PictureAxes(size * scale, "arcsec", bottom_up)
        if scale
        else PictureAxes(float(size), "pixel", bottom_up)
    )


def _show(axes: Axes, picture: np.ndarray, counted: PictureAxes, title: str) -> None:
    axes.imshow(picture, extent=counted.box, origin="upper", interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.set_xlabel(counted.unit, fontsize=7)
    axes.tick_params(labelsize=7)


def _patch_mask(patches: Int[np.ndarray, " patch"], grid: PatchGrid) -> np.ndarray:
    mask = np.zeros(grid.patches, dtype=bool)
    mask[patches] = True
    return mask.reshape(grid.rows, grid.columns)


def _enlarged(mask: np.ndarray, size_px: int) -> np.ndarray:
    times = size_px // len(mask)
    return mask.repeat(times, axis=0).repeat(times, axis=1)[..., None]


def _only(picture: Pixels, patches: Int[np.ndarray, " patch"], grid: PatchGrid) -> Pixels:
    """Return a picture in which all but some patches are grey."""
    shown: Pixels = np.where(
        _enlarged(_patch_mask(patches, grid), len(picture)), picture, np.uint8(HIDDEN)
    ).astype(np.uint8)
    return shown


def _draw_targets(
    axes: Axes,
    picture: Pixels,
    targets: Int[np.ndarray, "block target"],
    grid: PatchGrid,
    counted: PictureAxes,
) -> None:
    anywhere = _patch_mask(np.unique(targets), grid)
    dimmed = np.where(_enlarged(anywhere, len(picture)), picture, (picture * DIMMED).astype(np.uint8))
    title = f"targets ({len(targets)} block{'s' * (len(targets) > 1)}, {anywhere.sum()} patches)"
    _show(axes, dimmed, counted, title)
    for number, block in enumerate(targets):
        edges = _outline(_patch_mask(block, grid)) * counted.side / grid.columns
        if counted.bottom_up:
            edges[..., 1] = counted.side - edges[..., 1]
        line = LINES[number % len(LINES)]
        axes.add_collection(
            LineCollection(
                list(edges), colors=[ON_DARK[number % len(ON_DARK)]], linestyles=line, linewidths=2
            )
        )


def _outline(mask: np.ndarray) -> Float[np.ndarray, "edge 2 2"]:
    """Return the edges between patches inside and outside a mask, as (x, y) pairs in units of patches."""
    padded = np.pad(mask, 1)
    rows, columns = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    level = np.stack([np.stack([columns, rows], 1), np.stack([columns + 1, rows], 1)], axis=1)
    rows, columns = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    upright = np.stack([np.stack([columns, rows], 1), np.stack([columns, rows + 1], 1)], axis=1)
    return np.concatenate([level, upright]).astype(float)


def _draw_patches(
    axes: Axes, values: Float[np.ndarray, "row column"], counted: PictureAxes, label: str, highest: float
) -> None:
    """Draw one number a patch, in colours from 0 to the highest; what lies below 0 is drawn as 0."""
    cmap, box = colormaps[SEQUENTIAL].with_extremes(bad="0.85"), counted.box
    extend = "min" if np.nanmin(values, initial=0.0) < 0 else "neither"
    shown = axes.imshow(
        values, extent=box, origin="upper", cmap=cmap, interpolation="nearest", vmin=0, vmax=highest
    )
    axes.set_title(label, fontsize=8)
    axes.set_xlabel(counted.unit, fontsize=7)
    axes.tick_params(labelsize=7)
    figure = axes.get_figure()
    if figure is not None:
        bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02, extend=extend)
        bar.ax.tick_params(labelsize=7)


# --- views ----------------------------------------------------------------------------------------------------


def _views_figure(sample: Sample, index: int, found: LatentComparison) -> Figure:
    row, grid, name = sample.row_of(index), sample.run.encoder.grid, sample.run.record.objective
    if found.prediction is None:
        explanation = f"objective '{name}' predicts nothing: there are no predicted latents to compare"
        seen, labels = [], []
    else:
        cosine, squared = agreement(found.prediction)
        means = f"mean cosine {cosine.mean():.3f}, mean squared error {squared.mean():.3g}"
        explanation = (
            f"objective '{name}' predicts no patches; it compares views, one vector each: {means} (one draw)"
        )
        seen, labels = found.seen, _view_labels(found.seen, cosine.mean(axis=1), squared.mean(axis=1))
    width = max(7.0, (1 + len(seen)) * 2.1)
    height = min(PANEL_IN, width / (1 + len(seen))) + 1.4
    figure = new_figure(width, height, _title(sample, index), provenance_note(sample))
    panels = figure.subplots(1, 1 + len(seen), squeeze=False)[0]
    counted = _counted(sample.table, row)
    _show(panels[0], rgb(sample.table, row), counted, "galaxy")
    draw_compass(panels[0], sample.table, row)
    panels[0].set_ylabel(counted.unit, fontsize=7)
    for axes, view, label in zip(panels[1:], seen, labels, strict=True):
        is_flux = sample.table.images.dtype != np.uint8  # in a unit of its own, and not in [0, 1]
        pixels = view.image if is_flux else np.rint(np.clip(view.image, 0, 1) * 255).astype(np.uint8)
        picture = as_rgb(pixels, sample.table.spec.bands)
        visible = picture if view.keep is None or grid is None else _only(picture, view.keep, grid)
        axes.imshow(visible, origin="upper", interpolation="nearest")
        axes.set_title(label, fontsize=7.5)
        axes.set(xticks=[], yticks=[])
        axes.set_axis_off()
    annotate(figure, explanation, *_notes(sample, row))
    return figure


def _view_labels(views: list[Seen], cosine: np.ndarray, squared: np.ndarray) -> list[str]:
    """Name the views; each with its own agreement where every view has a prediction."""
    names = [
        f"view {number}" if view.keep is None else f"view {number}, {len(view.keep)} patches"
        for number, view in enumerate(views, start=1)
    ]
    if len(cosine) != len(names):
        return names
    return [
        f"{name}\ncosine {c:.3f}, error {s:.3g}" for name, c, s in zip(names, cosine, squared, strict=True)
    ]
