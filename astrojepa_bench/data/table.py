"""From a source to the table that everything else works on: convert, select, divide, measure, append."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from astrojepa_bench.data.columns import with_columns
from astrojepa_bench.data.convert import (
    CONVERSION,
    Converted,
    band_statistics,
    convert,
    fingerprint,
    stack,
)
from astrojepa_bench.data.extras import with_extras
from astrojepa_bench.data.sources.band_order import reddest_first
from astrojepa_bench.data.sources.catalogue import Source
from astrojepa_bench.data.sources.container import spelt
from astrojepa_bench.data.splitting.copies import LEAST_SIDE_PX, copies_among
from astrojepa_bench.data.splitting.registration import SIDE_PX
from astrojepa_bench.data.splitting.selection import OnBadImage, Selection, select
from astrojepa_bench.types import Card, GalaxyTable, Images, ImageSpec

HANDED = re.compile(r"clockwise", re.IGNORECASE)
# Of pictures whose source does not name its filters.
BAND_NAMES = {1: ("gray",), 3: ("red", "green", "blue")}


@dataclass(frozen=True)
class Handling:
    """How a source is to be read, beyond what it states itself.

    Attributes:
        pool: more images for pretraining only.
        anomalies: known anomalies for the test set only.
        mirror_safe: whether a mirrored galaxy keeps its label; None: unless a class is named for the sense in
            which spirals wind.
        on_bad_image: whether an unreadable image ends everything or is left out.
        columns: file of further numbers by galaxy.
        bands: what the user calls the bands, or which of them to show; of a source that does not see to it itself.
    """

    pool: Path | None = None
    anomalies: Path | None = None
    mirror_safe: bool | None = None
    on_bad_image: OnBadImage = "fail"
    columns: Path | None = None
    bands: tuple[str, ...] = ()


def make_table(source: Source, name: str, how: Handling, size_px: int, cache_dir: Path) -> GalaxyTable:
    """Return a source's galaxies at `size_px`, with pool and anomalies.

    Args:
        source: pictures and what is known about them.
        name: of the dataset, for its card.
        how: beyond what the source states itself.
        size_px: side of the images.
        cache_dir: where converted images are kept.

    Raises:
        DataError: the source, the pool or the anomalies cannot be used.
        ConfigError: the cache cannot be written.
    """
    pictures, catalogue = reddest_first(source, source.catalogue(), how.bands)
    converted = convert(pictures, size_px, cache_dir)

    def copies() -> Int[np.ndarray, "pair 2"]:
        """Look at one size and display, whatever was asked for, so that splits are the same at all."""
        if np.minimum(converted.rows["height"], converted.rows["width"]).max(initial=0) < LEAST_SIDE_PX:
            return np.empty((0, 2), dtype=np.int64)
        return copies_among(convert(pictures.as_shown or pictures, SIDE_PX, cache_dir).images, cache_dir)

    selection = select(source.name, catalogue, converted, how.on_bad_image, copies)
    table = _table(selection, converted, name, how, cache_dir)
    whole = with_extras(
        table, bands=catalogue.bands, pool=how.pool, anomalies=how.anomalies, size_px=size_px, cache_dir=cache_dir,
        on_bad_image=how.on_bad_image,
    )  # fmt: skip
    return with_columns(whole, how.columns)


def _table(
    selection: Selection, converted: Converted, name: str, how: Handling, cache_dir: Path
) -> GalaxyTable:
    rows, chosen = selection.rows, selection.catalogue
    facts = chosen.facts(converted.images.shape[2])
    known = {fact: values for fact, values in facts.items() if not np.isnan(values).all()}
    linear = [] if converted.images.dtype == np.uint8 else [converted.images.dtype.name]
    content = fingerprint(
        CONVERSION, *linear, converted.images.shape[1:], converted.digests[rows], rows, chosen.label,
        selection.split,
        *(part for fact in sorted(known) for part in (fact, known[fact])),
        *(part for fact in sorted(chosen.attributes) for part in (fact, chosen.attributes[fact])),
    )  # fmt: skip
    images, card = converted.images, _card(selection, name)
    if len(rows) < len(images):
        images = stack([(images, rows)], content, cache_dir)
    mirror_safe = not _handed(card) if how.mirror_safe is None else how.mirror_safe
    return GalaxyTable(
        images=images, ids=chosen.ids, split=selection.split, fingerprint=content,
        spec=_spec(images, selection.split, mirror_safe, chosen.bands), card=card, label=chosen.label,
        anomaly=np.zeros(len(rows), dtype=np.int64), anomaly_type=np.full(len(rows), "", dtype="<U1"),
        orientation=chosen.orientation, group=selection.group,
        factors=chosen.attributes, columns={}, block=0, **known,
    )  # fmt: skip


def usual_names(bands: int) -> tuple[str, ...]:
    """Return what so many bands are called where nobody names them."""
    return BAND_NAMES.get(bands, tuple(f"band{number}" for number in range(bands)))


def _spec(images: Images, split: np.ndarray, mirror_safe: bool, stated: tuple[str, ...]) -> ImageSpec:
    bands, size_px = images.shape[1:3]
    train = np.flatnonzero(split == "train")  # there are none only where galaxies are looked at
    mean, std = band_statistics(images, train if len(train) else np.arange(len(images)))
    return ImageSpec(stated or usual_names(bands), size_px, mean, std, mirror_safe)


def _card(selection: Selection, name: str) -> Card:
    chosen = selection.catalogue
    covers = len(chosen.class_names) > chosen.label.max(initial=-1) >= 0
    names = chosen.class_names if covers else ()
    card = Card(spelt(name), chosen.licence, chosen.citation, names, (*chosen.notes, *selection.notes))
    handed = "a class is named for the sense of winding: galaxies are not mirrored"
    return replace(card, notes=(*card.notes, handed)) if _handed(card) else card


def _handed(card: Card) -> bool:
    return any(HANDED.search(name) for name in card.class_names)
