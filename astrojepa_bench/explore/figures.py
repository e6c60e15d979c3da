"""Shared by all figures: palette and markers, bands, scale bars, notes, and files."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from astrojepa_bench.data.look.colours import as_rgb
from astrojepa_bench.data.look.lying import colours_of, compass, orientation_note
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.escaping import plain
from astrojepa_bench.explore.endings import PICTURES
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.results.store import write_atomically
from astrojepa_bench.types import GalaxyTable

# Distinct without colour vision (Okabe & Ito 2008), and by marker in black and white.
COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#882255", "#B8A900", "#785EF0", "#8B5A2B",
)  # fmt: skip
MARKERS = ("o", "^", "s", "D", "v", "P", "*", "<", "p", ">", "h", "d")
UNKNOWN = "0.75"
SEQUENTIAL = "cividis"
DPI, NOTEBOOK_DPI = 150, 90
BARS_ARCSEC = (120.0, 60.0, 30.0, 20.0, 10.0, 5.0, 2.0, 1.0)
ARROW = {
    "arrowstyle": "->",
    "color": "white",
    "linewidth": 0.8,
    "shrinkA": 0,
    "shrinkB": 0,
    "mutation_scale": 6,
}
LONGEST_BAR = 0.4  # of the image's side
# Names come from data: a dollar sign in one does not begin a formula.
styled = rc_context({"text.parse_math": False, "font.size": 9.0, "svg.hashsalt": "astrojepa-bench"})


class ShownFigure(Figure):
    """A figure that a notebook shows, whoever imported pyplot or did not."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=NOTEBOOK_DPI)
        return stream.getvalue()


def new_figure(width_in: float, height_in: float, title: str, of: str = "") -> Figure:
    """Return an empty figure that belongs to no window and needs no closing.

    Args:
        width_in: its width [inch].
        height_in: its height [inch].
        title: what it shows.
        of: which galaxies and which run it shows that of, in lines below the title.
    """
    figure = ShownFigure(figsize=(width_in, height_in), layout="constrained", dpi=DPI)
    lines = [*_wrapped(title, width_in), *_wrapped(of, width_in)]
    figure.suptitle("\n".join(lines), fontsize=9)
    return figure


def whole(name: str, letters: int) -> str:
    r"""Break a name into lines of so many letters at most; nothing of it is left out.

    Example:
        >>> whole("Unbarred Tight Spiral Galaxies", 16)
        'Unbarred Tight\nSpiral Galaxies'
    """
    return "\n".join(textwrap.wrap(name, letters) or [""])


def shortened(name: str, letters: int) -> str:
    """Leave the middle of an id out where it is longer than so many letters: its ends tell ids apart.

    Example:
        >>> shortened("587722981742084144", 18), shortened("J0001" * 12, 11)
        ('587722981742084144', 'J0001…J0001')
    """
    half = (letters - 1) // 2
    return name if len(name) <= letters else f"{name[:half]}…{name[-half:]}"


def annotate(figure: Figure, *notes: str) -> None:
    """Write notes below a figure."""
    lines = _wrapped(" · ".join(filter(None, notes)), float(figure.get_figwidth()))
    figure.supxlabel("\n".join(lines), fontsize=7, color="0.3")


def _wrapped(text: str, width_in: float) -> list[str]:
    return textwrap.wrap(text, max(30, int(width_in * 15)), break_on_hyphens=False)


def provenance_note(sample: Sample) -> str:
    """Return which run saw which galaxies."""
    return f"{sample.title} seen by {sample.run_title}"


def display_note(table: GalaxyTable, rows: Sequence[int] | None = None, *, arrows: bool = True) -> str:
    """Return which band is shown in which colour, and where the origin is.

    Args:
        table: the galaxies.
        rows: those that are shown; None: all.
        arrows: whether the figure draws arrows of north and east.

    Example:
        >>> display_note(table)  # doctest: +SKIP
        'R=z G=r B=g, row 0 at the top'
    """
    colours = colours_of(table.spec.bands)
    words = {"grey": "grey", "red": "R", "green": "G", "blue": "B"}
    channels = " ".join(f"{words[colour]}={band}" for colour, band in colours.items())
    lying = orientation_note(table, range(len(table)) if rows is None else rows, arrows=arrows)
    return f"{channels or 'colours as in the files'}, {lying}"


def rgb(table: GalaxyTable, row: int) -> UInt8[np.ndarray, "height width 3"]:
    """Return one galaxy as a display picture."""
    return as_rgb(np.asarray(table.images[row]), table.spec.bands)


# --- scale --------------------------------------------------------------------------------------------------


def pixel_scale(table: GalaxyTable, row: int) -> float | None:
    """Return the pixel scale of a galaxy's image [arcsec/px], or None where it is unknown."""
    scale = float("nan") if table.pixel_scale is None else float(table.pixel_scale[row])
    return scale if np.isfinite(scale) and scale > 0 else None


def bar_length(table: GalaxyTable, row: int) -> float | None:
    """Choose a round length [arcsec] for a scale bar: the longest that is no longer than 40 % of the image."""
    scale = pixel_scale(table, row)
    if scale is None:
        return None
    widest = LONGEST_BAR * scale * table.spec.size_px
    return next((length for length in BARS_ARCSEC if length <= widest), None)


def draw_bar(axes: Axes, table: GalaxyTable, row: int) -> None:
    """Draw a scale bar into a picture whose axes count pixels; nothing where the scale is unknown."""
    length, scale, size = bar_length(table, row), pixel_scale(table, row), table.spec.size_px
    if length is None or scale is None:
        return
    start, height = 0.06 * size, 0.93 * size
    axes.plot([start, start + length / scale], [height, height], color="white", linewidth=1.5)
    axes.text(start, height - 0.03 * size, f"{length:g}″", color="white", fontsize=6, va="bottom")


def draw_compass(axes: Axes, table: GalaxyTable, row: int, letters_pt: float = 6) -> None:
    """Draw arrows to the north and east into axes that a picture fills; nothing where they are unknown."""
    found = compass(table, row)
    if found is None:
        return
    inside = axes.transAxes  # shares of the picture, whatever its axes count
    x = y = 0.76  # so far from the edges that letters fit, wherever the arrows point
    for letter, (right, down) in zip("NE", found, strict=True):
        tip = (x + 0.1 * right, y - 0.1 * down)
        axes.annotate("", tip, (x, y), xycoords=inside, textcoords=inside, arrowprops=ARROW)
        axes.text(
            x + 0.16 * right,
            y - 0.16 * down,
            letter,
            color="white",
            fontsize=letters_pt,
            ha="center",
            va="center",
            transform=inside,
        )


def scale_note(table: GalaxyTable, rows: Sequence[int]) -> str:
    """Return why some pictures have no scale bar; empty where all have one."""
    known = sum(pixel_scale(table, row) is not None for row in rows)
    if known == len(rows):
        return ""
    return "pixel scale unknown" if not known else "no bar: pixel scale unknown"


# --- files --------------------------------------------------------------------------------------------------


def check_picture(path: Path) -> None:
    """Check the ending of a picture's file name before any slow work.

    Raises:
        ConfigError: unknown ending; names the known ones.
    """
    if path.suffix.lower() not in PICTURES:
        raise ConfigError(
            f"{path}: '{path.suffix}' is not a picture format; use one of {', '.join(PICTURES)}"
        )


def write_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of the file's ending.

    Raises:
        ConfigError: the ending is unknown, or the file cannot be written.
    """
    check_picture(path)
    write_atomically(path, picture_bytes(figure, path.suffix.lower().removeprefix(".")))
    return path


@styled  # SVG's salt is read when the file is written
def picture_bytes(figure: Figure, kind: str = "png") -> bytes:
    """Render a figure; the same figure gives the same bytes, since no date is written."""
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    for text in figure.findobj(Text):
        text.set_text(plain(text.get_text()))
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=undated)
    return stream.getvalue()
