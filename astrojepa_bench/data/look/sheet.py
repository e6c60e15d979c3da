"""What do the galaxies look like? A contact sheet: some of every class side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from jaxtyping import Int
from PIL import Image, ImageDraw, ImageFont

from astrojepa_bench.data.look.colours import as_rgb
from astrojepa_bench.data.look.lying import Compass, colours_of, compass, compasses_differ, orientation_note
from astrojepa_bench.errors import DataError
from astrojepa_bench.types import GalaxyTable, class_name

CELL_PX = 128
GAP_PX = 2
TITLE_PX = 32
UNLABELLED_COLUMNS = 8
BAR_ARCSEC = 10.0
ARROW_PX, LETTER_PX, LINE_PX, CHARACTER_PX = 14, 20, 13, 6
SMALL = 3  # characters of a line at least


@dataclass(frozen=True)
class SheetColumn:
    """A titled column of galaxies, as row numbers of the table."""

    title: str
    rows: Int[np.ndarray, " row"]


def contact_sheet(table: GalaxyTable, per_class: int = 6) -> Image.Image:
    """Draw `per_class` galaxies of every class, then of every kind of anomaly, one column each.

    Redshift and magnitude are printed where known, and a bar of 10 arcsec where the pixel scale is. Arrows point
    to the north and east where the files say where these are. Below stands which band is red. Galaxies are taken
    evenly along the table. Without labels, columns are filled in table order.

    Args:
        table: any dataset of 1 to 5 bands.
        per_class: rows of the sheet.

    Raises:
        DataError: the table holds no galaxy.
    """
    columns = sheet_columns(table, per_class)
    tallest = max(len(column.rows) for column in columns)
    every = [row for column in columns for row in column.rows.tolist()]
    pitch, each = CELL_PX + GAP_PX, compasses_differ(table, every)
    width, height = len(columns) * pitch - GAP_PX, TITLE_PX + tallest * pitch - GAP_PX
    below = footer(table, every, width)
    sheet = Image.new("RGB", (width, height + LINE_PX * len(below) + GAP_PX), "white")
    _write(sheet, (2, height + 1), "\n".join(below), "black")
    for number, column in enumerate(columns):
        _write(sheet, (number * pitch + 2, 2), "\n".join(textwrap.wrap(column.title, 21)[:2]), "black")
        for place, row in enumerate(column.rows.tolist()):
            cell = _cell(table, row)
            if number == place == 0:
                _scale_bar(cell, table, row)
            if each or number == place == 0:
                _arrows(cell, compass(table, row))
            sheet.paste(cell, (number * pitch, TITLE_PX + place * pitch))
    return sheet


def sheet_columns(table: GalaxyTable, per_class: int) -> list[SheetColumn]:
    """Choose which galaxies stand in which column.

    Raises:
        DataError: the table holds no galaxy.
    """
    if not len(table):
        raise DataError("the dataset holds no galaxy to show; check its options")
    columns = [
        SheetColumn(class_name(table.card.class_names, label), _spaced(table.label == label, per_class))
        for label in np.unique(table.label[table.label >= 0]).tolist()
    ]
    wanted = per_class * (1 if columns else UNLABELLED_COLUMNS)
    plain = _spaced((table.label < 0) & (table.anomaly == 0), wanted)
    starts = range(0, len(plain), per_class)
    columns += [SheetColumn("unlabelled", plain[start : start + per_class]) for start in starts]
    odd = np.where(table.anomaly > 0, table.anomaly_type, "")
    order = {name: int(table.anomaly[odd == name][0]) for name in np.unique(odd[table.anomaly > 0]).tolist()}
    names = sorted(order, key=lambda name: (order[name], name))
    return columns + [SheetColumn(name.replace("_", " "), _spaced(odd == name, per_class)) for name in names]


def _spaced(chosen: np.ndarray, number: int) -> Int[np.ndarray, " row"]:
    rows = np.flatnonzero(chosen)
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(int))]


def _cell(table: GalaxyTable, row: int) -> Image.Image:
    pixels = as_rgb(np.asarray(table.images[row]), table.spec.bands)
    cell = Image.fromarray(pixels).resize((CELL_PX, CELL_PX), Image.Resampling.BICUBIC)
    _write(cell, (3, 1), caption(table, row), "white")
    return cell


def caption(table: GalaxyTable, row: int) -> str:
    """Write what is known of a galaxy: `z=0.08 r=16.2`."""
    parts = [] if table.redshift is None else [("z", float(table.redshift[row]), 2)]
    if "magnitude_r" in table.factors:  # that in the band z would read like a redshift
        parts.append(("r", float(table.factors["magnitude_r"][row]), 1))
    return " ".join(f"{name}={value:.{digits}f}" for name, value, digits in parts if isfinite(value))


def sheet_note(table: GalaxyTable, rows: Sequence[int]) -> str:
    """Return which band is shown in which colour, and how the pictures lie."""
    colours = ", ".join(f"{colour}: {band}" for colour, band in colours_of(table.spec.bands).items())
    return f"{colours or 'colours as in the files'}; {orientation_note(table, rows)}"


def footer(table: GalaxyTable, rows: Sequence[int], width_px: int) -> list[str]:
    """Return the lines below a sheet of some width."""
    return textwrap.wrap(sheet_note(table, rows), max(SMALL, width_px // CHARACTER_PX))


def _arrows(cell: Image.Image, found: Compass | None) -> None:
    """Draw arrows to the north and east, of one length, into the upper right corner."""
    if found is None:
        return
    draw, (x, y) = ImageDraw.Draw(cell), (CELL_PX - 30, 30)
    for letter, (right, down) in zip("NE", found, strict=True):
        tip = (x + ARROW_PX * right, y + ARROW_PX * down)
        draw.line([(x, y), tip], fill="white", width=1)
        for side in (1, -1):
            draw.line(
                [tip, (tip[0] - 4 * right + side * 3 * down, tip[1] - 4 * down - side * 3 * right)],
                fill="white",
            )
        place = (x + LETTER_PX * right, y + LETTER_PX * down)
        draw.text(place, letter, fill="white", font=ImageFont.load_default(11), anchor="mm")


def _scale_bar(cell: Image.Image, table: GalaxyTable, row: int) -> None:
    scale = float("nan") if table.pixel_scale is None else float(table.pixel_scale[row])
    if not isfinite(scale) or scale <= 0:
        return
    length = BAR_ARCSEC / scale * CELL_PX / table.spec.size_px
    ImageDraw.Draw(cell).line([(6, CELL_PX - 6), (6 + length, CELL_PX - 6)], fill="white", width=2)
    _write(cell, (6, CELL_PX - 22), f'{BAR_ARCSEC:.0f}"', "white")


def _write(image: Image.Image, place: tuple[int, int], text: str, colour: str) -> None:
    ImageDraw.Draw(image).multiline_text(place, text, fill=colour, font=ImageFont.load_default(11), spacing=1)
