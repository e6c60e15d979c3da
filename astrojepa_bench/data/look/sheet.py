"""What do the galaxies look like? A contact sheet: some of every class side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from jaxtyping import Int, Shaped, UInt8
from PIL import Image, ImageDraw, ImageFont

from astrojepa_bench.data.look.describe import class_name
from astrojepa_bench.data.sources.flux import asinh_stretch
from astrojepa_bench.errors import DataError
from astrojepa_bench.types import GalaxyTable

CELL_PX = 128
GAP_PX = 2
TITLE_PX = 32
UNLABELLED_COLUMNS = 8
BAR_ARCSEC = 10.0
REDDEST_FIRST = "yzirgu"  # filters by wavelength


@dataclass(frozen=True)
class SheetColumn:
    """A titled column of galaxies, as row numbers of the table."""

    title: str
    rows: Int[np.ndarray, " row"]


def contact_sheet(table: GalaxyTable, per_class: int = 6) -> Image.Image:
    """Draw `per_class` galaxies of every class, then of every kind of anomaly, one column each.

    Redshift and magnitude are printed where known, and a bar of 10 arcsec where the pixel scale is.
    Galaxies are taken evenly along the table. Without labels, columns are filled in table order.

    Args:
        table: any dataset of 1 to 5 bands.
        per_class: rows of the sheet.

    Raises:
        DataError: the table holds no galaxy.
    """
    columns = sheet_columns(table, per_class)
    tallest = max(len(column.rows) for column in columns)
    pitch = CELL_PX + GAP_PX
    sheet = Image.new("RGB", (len(columns) * pitch - GAP_PX, TITLE_PX + tallest * pitch - GAP_PX), "white")
    for number, column in enumerate(columns):
        _write(sheet, (number * pitch + 2, 2), "\n".join(textwrap.wrap(column.title, 21)[:2]), "black")
        for place, row in enumerate(column.rows.tolist()):
            cell = _cell(table, row)
            if number == place == 0:
                _scale_bar(cell, table, row)
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
        SheetColumn(class_name(table.card, label), _spaced(table.label == label, per_class))
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


def as_rgb(
    image: Shaped[np.ndarray, "band height width"], bands: Sequence[str]
) -> UInt8[np.ndarray, "height width 3"]:
    """Show 1 to 5 bands in colour, flux stretched by its own sky and noise.

    One band is grey, two have their mean as green, of more than three some are left out. Where all
    band names are filters, the reddest is red; three bands, or unknown names, keep their order.
    """
    if image.dtype != np.uint8:
        image = asinh_stretch(image.astype(np.float32))
    if len(image) == 2:
        mean = image.mean(axis=0).astype(np.uint8)
        return np.stack([image[0], mean, image[1]], axis=-1)
    order = list(range(len(image)))
    if len(image) > 3 and all(name in REDDEST_FIRST for name in bands):
        order.sort(key=lambda number: REDDEST_FIRST.index(bands[number]))
    chosen = [order[0], order[len(order) // 2], order[-1]]
    return np.ascontiguousarray(image[chosen].transpose(1, 2, 0))


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


def _scale_bar(cell: Image.Image, table: GalaxyTable, row: int) -> None:
    scale = float("nan") if table.pixel_scale is None else float(table.pixel_scale[row])
    if not isfinite(scale) or scale <= 0:
        return
    length = BAR_ARCSEC / scale * CELL_PX / table.spec.size_px
    ImageDraw.Draw(cell).line([(6, CELL_PX - 6), (6 + length, CELL_PX - 6)], fill="white", width=2)
    _write(cell, (6, CELL_PX - 22), f'{BAR_ARCSEC:.0f}"', "white")


def _write(image: Image.Image, place: tuple[int, int], text: str, colour: str) -> None:
    ImageDraw.Draw(image).multiline_text(place, text, fill=colour, font=ImageFont.load_default(11), spacing=1)
