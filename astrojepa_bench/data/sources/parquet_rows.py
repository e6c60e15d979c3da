"""Galaxies of a Parquet table: which rows are used, what is known of them, and how their images are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from pyarrow import types

from astrojepa_bench.data.column_names import told_unused
from astrojepa_bench.data.convert import Picture, Unreadable, cached, content_digest, fingerprint
from astrojepa_bench.data.sources.band_names import chosen_bands
from astrojepa_bench.data.sources.catalogue import FACTS, Catalogue, unknown_orientation
from astrojepa_bench.data.sources.container import RefusedError, shown, spelt
from astrojepa_bench.data.sources.filters import as_viewed
from astrojepa_bench.data.sources.flux import Stretch
from astrojepa_bench.data.sources.image_formats import FITS_SIGNATURE
from astrojepa_bench.data.sources.image_shape import MOST_BANDS, Sides
from astrojepa_bench.data.sources.listing import Listing, without_repeats
from astrojepa_bench.data.sources.parquet_cells import bytes_of
from astrojepa_bench.data.sources.parquet_columns import (
    AUTO,
    BESIDE,
    FOUND,
    LABEL_END,
    STRICT,
    ColumnPlace,
    ImagePlaces,
    Schema,
    levels,
)
from astrojepa_bench.data.sources.parquet_files import ParquetFiles
from astrojepa_bench.data.sources.parquet_known import Known, known_of
from astrojepa_bench.data.sources.parquet_pictures import SHOWING, Showing
from astrojepa_bench.data.sources.parquet_table import Shard, batches, schema_of, shards_of
from astrojepa_bench.data.splitting.selection import OnBadImage
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track

Cell: TypeAlias = tuple[int, pa.RecordBatch]  # which of the used rows, and what it holds


@dataclass(frozen=True)
class Wanted:
    """Which columns and rows of a table are used.

    Attributes:
        image: column of the image, or `auto`.
        roles: columns by what they say; `auto`, the default, finds them by name, None reads none.
        attributes: columns of numbers to carry along.
        bands: names of the bands to show; none for all.
        galaxies: at most so many, evenly over all rows; None for all.
        on_bad_image: whether a repeated id ends everything, or all but the first are left out.
    """

    image: str = AUTO
    roles: Mapping[str, str | None] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    galaxies: int | None = None
    on_bad_image: OnBadImage = "fail"


@dataclass(frozen=True)
class ParquetRows:
    """Some rows of a Parquet table, as a source of galaxies.

    Attributes:
        name: of the table in messages.
        shards: its files.
        known: what its columns say of the rows that are used.
        showing: how their images are shown.
        cache_dir: where the extents of images are kept; without one they are looked at each time.
    """

    name: str
    shards: tuple[Shard, ...]
    known: Known
    showing: Showing
    cache_dir: Path | None = None

    @classmethod
    def opened(
        cls,
        path: Path,
        wanted: Wanted | None = None,
        stretch: Stretch = "auto",
        use_mask: bool = True,
        cache_dir: Path | None = None,
    ) -> ParquetRows:
        """Find files and columns, and read everything but the images.

        Args:
            path: a file, a folder, or a HATS catalogue.
            wanted: which columns and rows; by default those that have the usual names.
            stretch: how flux is shown.
            use_mask: whether pixels that the mask does not pass show sky.
            cache_dir: where the extents of images are kept.

        Raises:
            DataError: a file is missing or damaged, or a column missing, ambiguous, or not what it should be.
        """
        wanted = wanted or Wanted()
        files = ParquetFiles.opened(path)
        schema, metadata = schema_of(files)
        image, places = schema.image(wanted.image), _places(schema, wanted, files.facts)
        deciding = _deciding(schema, places, wanted, files.facts)
        beside = [place for place in (image.band, image.scale) if place is not None]
        beside += [ColumnPlace(name) for names in deciding.values() for name in names]
        shards = shards_of(files, schema, image, (*places.values(), *beside))
        count = sum(map(len, shards))
        used = count if wanted.galaxies is None else min(wanted.galaxies, count)
        rows = np.arange(used) * count // used  # at equal distances: of rows sorted by sky, from all of it
        guessed = _guessed(places, wanted)
        known = known_of(schema.title, shards, rows, places, image, metadata, guessed, deciding)
        showing = _showing(image, known.bands, wanted.bands, stretch, use_mask, schema.title)
        if types.is_floating(levels(schema.type_of(image.pixels))[1]):
            showing = replace(showing, bands=as_viewed(showing.bands, stretch))
        told = (
            *files.notes,
            *_told(schema, known.places, showing, known.scale, count),
            *known.catalogue.notes,
        )
        known = known.with_(notes=told)
        if known.catalogue.split is None and files.splits is not None:
            file = np.searchsorted(np.cumsum([len(shard) for shard in shards]), rows, side="right")
            known = known.with_(split=np.array([files.splits[shard.name] for shard in shards])[file])
        known = _distinct(known, schema.title, wanted.on_bad_image)
        return cls(schema.title, shards, known, showing, cache_dir)

    def __len__(self) -> int:
        return len(self.known.rows)

    @property
    def files(self) -> Mapping[str, Path]:
        """The file, or those of a folder in which rows that are used lie."""
        if len(self.shards) == 1:
            return {"": self.shards[0].path}
        starts = np.cumsum([0, *map(len, self.shards)])
        used = np.diff(np.searchsorted(self.known.rows, starts)) > 0
        return {spelt(shard.name): shard.path for shard, here in zip(self.shards, used, strict=True) if here}

    @property
    def rendering(self) -> str:
        """Which rows are shown, and how."""
        show = self.showing
        how = (show.image, show.bands, show.given, show.stretch, show.use_mask)
        return fingerprint(SHOWING, *how, *(spelt(shard.name) for shard in self.shards), self.known.rows)

    @property
    def as_shown(self) -> ParquetRows | None:
        """The same rows stretched for display, if they are linear flux."""
        if self.showing.stretch != "none":
            return None
        return replace(self, showing=replace(self.showing, stretch="auto"))

    @cached_property
    def bands(self) -> int:
        """As many as are named, else as many as the first image in colour has, 1 if all are grey."""
        if self.showing.bands:
            return len(self.showing.bands)
        for sides in self._looked(f"looking for colours in {self.name}"):
            if sides is not None and sides.bands > 1:
                return sides.bands
        return 1

    def pictures(self) -> Iterator[Picture | Unreadable]:
        """Read all images in order, or say which cannot be read."""
        bands, ids, scale = self.bands, self.known.catalogue.ids, self.known.scale
        for at, cells in self._cells():
            try:
                yield self.showing.picture(cells, bands, float(scale[at]))
            except RefusedError as why:
                yield Unreadable(shown(str(ids[at])), str(why))

    def catalogue(self) -> Catalogue:
        """Return what the columns say, and how much sky the images show."""
        show = self.showing
        names = tuple(show.filters) or show.bands
        return replace(
            self.known.catalogue, field_arcsec=self.known.scale * self.sides_px, bands=names,
            orientation=self._lying(),
        )  # fmt: skip

    @cached_property
    def sides_px(self) -> Float[np.ndarray, " row"]:
        """Side of each image's central square, NaN where it cannot be read; looked at only where it matters."""
        if np.isnan(self.known.scale).all():
            return np.full(len(self), np.nan)
        alike = self._side_of_all()
        if alike is not None:
            return np.full(len(self), float(alike))
        if self.cache_dir is None:
            return self._measured()
        key = fingerprint("sides", self.rendering, content_digest(self.files, self.cache_dir))
        entry = cached(
            self.cache_dir, key, lambda folder: np.save(folder / "sides.npy", self._measured()), "glances"
        )
        found: np.ndarray = np.load(entry / "sides.npy")
        return found

    def _measured(self) -> Float[np.ndarray, " row"]:
        seen = self._looked(f"reading sizes of {self.name}")
        return np.array([np.nan if sides is None else min(sides[:2]) for sides in seen], dtype=np.float64)

    def _side_of_all(self) -> int | None:
        """Tell the side of all images from the first, if every file holds as many numbers as such images have."""
        show = self.showing
        for _, cells in self._cells() if show.files is None else ():
            with suppress(RefusedError):
                side, size = min(show.sides(cells)[:2]), show.numbers(cells).size
                groups = (pair for s in self.shards for pair in zip(s.groups, s.values, strict=True))
                return side if all(values == size * count for count, values in groups) else None
        return None

    def _looked(self, task: str) -> Iterator[Sides | None]:
        """Look at the extent of each image; None where it cannot be read."""
        for _, cells in track(self._cells(), task=task, total=len(self)):
            try:
                yield self.showing.sides(cells)
            except RefusedError:  # reading it in full will report why
                yield None

    def _lying(self) -> np.ndarray | None:
        """Return how images lie; those that are FITS files, as the first is, count their rows from the bottom."""
        files = self.showing.files
        for _, cells in self._cells() if files is not None else ():
            with suppress(RefusedError):
                if files is not None and bytes_of(cells.column(files.column), files).startswith(
                    FITS_SIGNATURE
                ):
                    lying = unknown_orientation(len(self))
                    lying["bottom_up"] = True
                    return lying
            break
        return None

    def _cells(self) -> Iterator[Cell]:
        at, show = 0, self.showing
        for _, _, batch in batches(self.shards, show.places, self.known.rows, show.files, images=True):
            for row in range(len(batch)):
                yield at + row, batch.slice(row, 1)
            at += len(batch)


def _places(schema: Schema, wanted: Wanted, facts: Mapping[str, str]) -> dict[str, ColumnPlace]:
    """Find the columns that say something of a galaxy, by what they say."""
    stated = _stated(facts)
    roles = {role: wanted.roles.get(role, AUTO) for role in FOUND} | {"group": wanted.roles.get("group")}
    found = {role: schema.known(role, asked, stated.get(role, ())) for role, asked in roles.items()}
    found |= {name: schema.known("attributes", name) for name in wanted.attributes if name not in roles}
    return {role: place for role, place in found.items() if place is not None}


def _stated(facts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names that a catalogue itself gives for its positions."""
    return {
        role: [facts.get(f"hats_col_{role}", ""), facts.get(f"{role}_column", "")] for role in ("ra", "dec")
    }


def _deciding(
    schema: Schema, places: Mapping[str, ColumnPlace], wanted: Wanted, facts: Mapping[str, str]
) -> dict[str, list[str]]:
    """List, of each fact whose column nobody has named, the columns whose values decide which of them holds it."""
    stated = _stated(facts)
    free = [
        role
        for role in FACTS
        if role in places and wanted.roles.get(role, AUTO) == AUTO
        if places[role].column not in stated.get(role, ())
    ]
    found = {role: schema.deciding(role) for role in free}
    return {role: names for role, names in found.items() if names}


def _guessed(places: Mapping[str, ColumnPlace], wanted: Wanted) -> frozenset[str]:
    """Return the roles of which a column has but a likely name: it may hold something else."""
    asked = {role for role, name in wanted.roles.items() if name != AUTO}
    plain = {role: STRICT.get(role, (role,)) for role in places}
    ends = {role for role, place in places.items() if place.column.lower().endswith(LABEL_END)}
    sure = {role for role, place in places.items() if place.column.lower() in plain[role]}
    return frozenset(set(places) - asked - ends - sure)


def _distinct(known: Known, where: str, on_bad_image: OnBadImage) -> Known:
    listing = Listing(tuple(map(str, known.rows.tolist())), known.catalogue)
    found = without_repeats(listing, where, on_bad_image)
    if found is listing:
        return known
    rows = np.array(found.names, dtype=np.int64)
    return replace(known, rows=rows, catalogue=found.known, scale=known.scale[np.isin(known.rows, rows)])


def _showing(
    image: ImagePlaces,
    stated: tuple[str, ...],
    wanted: tuple[str, ...],
    stretch: Stretch,
    use_mask: bool,
    title: str,
) -> Showing:
    """Choose the bands.

    Raises:
        DataError: a band is not there, there are too many, or files are no bands.
    """
    if image.kind == "encoded":
        if wanted:
            raise DataError(
                f"{title} holds image files, whose bands have no names; leave dataset.bands empty"
            )
        return Showing(image, stretch=stretch)
    given = () if stated else wanted
    bands = chosen_bands(() if given else wanted, stated or given, title) if stated or given else ()
    if len(bands) > MOST_BANDS:
        raise DataError(
            f"{title} has {len(bands)} bands ({', '.join(map(shown, bands))}); set dataset.bands to at most "
            f"{MOST_BANDS} of them"
        )
    return Showing(image, bands, given, stretch, use_mask)


def _is_beside(name: str, stem: str) -> bool:
    """Whether a column belongs to the image, or to the tree of a catalogue."""
    beside = name.startswith(f"{stem}_") and name.rpartition("_")[2] in {
        word.rpartition("_")[2] for word in BESIDE
    }
    return beside or name.startswith("_") or name in ("Norder", "Dir", "Npix")


def _told(
    schema: Schema,
    places: Mapping[str, ColumnPlace],
    showing: Showing,
    scale: Float[np.ndarray, " row"],
    of: int,
) -> Iterator[str]:
    """Tell what was chosen, a note at a time."""
    read = {role: shown(str(place)) for role, place in {"image": showing.image.pixels, **places}.items()}
    words = [role if role == place else f"{role} ({place})" for role, place in read.items()]
    yield f"columns read: {', '.join(words)}"
    parts = (showing.image.pixels, showing.image.band, *showing.image.beside, showing.image.scale)
    used = {**{str(at): place.column for at, place in enumerate(parts) if place is not None}}
    used |= {role: place.column for role, place in places.items()}
    stem = showing.image.pixels.column.rpartition("_")[0] or showing.image.pixels.column
    yield from told_unused((name for name in schema.columns if not _is_beside(name, stem)), used)
    if len(scale) < of:
        yield f"{len(scale)} of {of} rows are used, evenly over all of them"
    if types.is_floating(levels(schema.type_of(showing.image.pixels))[1]):
        how = {showing.stretch_of(arcsec) for arcsec in np.unique(scale).tolist()}
        viewer, own = "as the Legacy Survey viewer does", "by each image's own sky and noise"
        bands = f" of bands {', '.join(map(shown, showing.bands))}" if showing.bands else ""
        if showing.stretch == "none":
            yield f"flux{bands} is linear, in its own unit"
            return
        yield f"flux{bands} is stretched {' or '.join(viewer if each == 'viewer' else own for each in sorted(how))}"
