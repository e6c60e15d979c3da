"""Which images are in a folder or zip, and what is known about them from a table, folders and headers?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from astrojepa_bench.data.convert import Picture, Unreadable, cached, content_digest, fingerprint
from astrojepa_bench.data.sources.band_files import BandFiles
from astrojepa_bench.data.sources.catalogue import Catalogue
from astrojepa_bench.data.sources.class_folders import by_folders
from astrojepa_bench.data.sources.container import Container, Read, RefusedError, escapes, shown, spelt
from astrojepa_bench.data.sources.file_kinds import counted, sort_files
from astrojepa_bench.data.sources.flux import Stretch
from astrojepa_bench.data.sources.galaxy_files import GalaxyFiles, files_by_galaxy
from astrojepa_bench.data.sources.image_formats import Glance, decode, glance
from astrojepa_bench.data.sources.joined_bands import JoinedBands
from astrojepa_bench.data.sources.listing import Columns, Listing, listed, without_repeats
from astrojepa_bench.data.sources.seen import (
    band_names,
    orientation_of,
    other_bands,
    told_of_bands,
    told_of_headers,
)
from astrojepa_bench.data.sources.tables import read_table
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track

GLANCE = np.dtype([
    ("bands", "i1"), ("ra", "f8"), ("dec", "f8"), ("field_arcsec", "f8"), ("stretch", "U6"), ("names", "U64"),
    ("unread", "U40"), ("north_deg", "f4"), ("mirrored", "?"), ("bottom_up", "?"), ("in_survey_unit", "?"),
    ("side_px", "i4"),
])  # fmt: skip
DECODING = 4  # raise it whenever the same file starts to give other pixels or another position


@dataclass(frozen=True)
class ImageFiles:
    """Images by name, in a folder or zip: pictures, FITS and NumPy files.

    Attributes:
        container: where they lie.
        names: one entry an image, in order; empty where a row of the table has no image.
        known: what is known about them without opening them.
        stretch: how flux is shown.
        cache_dir: where what their headers say is kept, or None.
        arcsec: side of a pixel of each image as a table or the user states it, NaN where unknown; None if nobody
            does.
        given: what the user calls the bands, or which of them are to be shown.
        joined: files of the galaxies that have one a band, or None.
    """

    container: Container
    names: tuple[str, ...]
    known: Catalogue
    stretch: Stretch = "auto"
    cache_dir: Path | None = None
    arcsec: Float[np.ndarray, " image"] | None = None
    given: tuple[str, ...] = ()
    joined: BandFiles | None = None

    @classmethod
    def opened(
        cls,
        path: Path,
        columns: Columns | None = None,
        stretch: Stretch = "auto",
        cache_dir: Path | None = None,
        bands: tuple[str, ...] = (),
    ) -> ImageFiles:
        """List what is there, by a table if there is one, else by folders.

        Args:
            path: folder or zip.
            columns: which table, and what to read from it.
            stretch: how flux is shown.
            cache_dir: where what headers say is kept; without one they are read each time.
            bands: names of the bands, where files do not state them; else which of them to show.

        Raises:
            DataError: there are no images, or the table cannot be used.
        """
        container = Container.opened(path)
        try:
            (names, known, arcsec), files = _listing(container, columns or Columns(), bands, cache_dir)
        except DataError as error:
            raise DataError(f"{path.name}: {error}") from None
        if not names:
            found = f" (found {counted(container.names)})" if container.names else ""
            raise DataError(
                f"{path} holds no image; expected JPEG or PNG, FITS or NumPy files, TIFF, WebP or BMP{found}, with "
                "or without a table.csv"
            )
        return cls(container, names, known, stretch, cache_dir, arcsec, bands, files.joined)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def name(self) -> str:
        """Base name of the folder or zip."""
        return self.container.path.name

    @property
    def files(self) -> Mapping[str, Path]:
        """The zip, or every image of the folder."""
        path = self.container.path
        if path.is_file():
            return {"": path}
        here = set(self.container.names)
        return {spelt(name): path / name for name in self._held if name in here and not escapes(name)}

    @property
    def _held(self) -> list[str]:
        """Every file of every galaxy."""
        bands = {} if self.joined is None else self.joined.galaxies
        return [file for name in self.names for file in [pair[1] for pair in bands.get(name, ())] or [name]]

    @property
    def rendering(self) -> str:
        """Which files are shown, in which order, and how flux is stretched."""
        chosen = [*self.given, *([] if self.joined is None else [self.joined.bands, self.joined.galaxies])]
        return fingerprint(DECODING, self.stretch, *map(spelt, self.names), *chosen)

    @property
    def as_shown(self) -> ImageFiles | None:
        """The same files stretched for display, if they are linear flux."""
        return replace(self, stretch="auto") if self.stretch == "none" else None

    @property
    def bands(self) -> int:
        """1 if all images are grey, else what most of the others have (looks at every image)."""
        found, counts = np.unique(self.glances["bands"], return_counts=True)
        colour = found > 1
        return int(found[colour][counts[colour].argmax()]) if colour.any() else 1

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands, the reddest first; empty where most images do not tell them."""
        return band_names(self.glances, self.bands)

    @cached_property
    def glances(self) -> np.ndarray:
        """What the images' headers say, one entry of `GLANCE` each; 0 bands where they are illegible."""
        if self.cache_dir is None:
            return self._looked()
        key = fingerprint("glances", GLANCE.descr, self.rendering, content_digest(self.files, self.cache_dir))
        entry = cached(
            self.cache_dir, key, lambda folder: np.save(folder / "rows.npy", self._looked()), "glances"
        )
        rows: np.ndarray = np.load(entry / "rows.npy")
        return rows

    def _looked(self) -> np.ndarray:
        rows = np.full(len(self), np.array(Glance(), dtype=GLANCE))
        with self.container.reader() as read:
            names = track(self.names, task=f"looking through {self.name}", total=len(self))
            for row, name in enumerate(names):
                with suppress(RefusedError):  # reading it in full will report why
                    rows[row] = self._seen(read, name) if name else Glance()
        return rows

    def _seen(self, read: Read, name: str) -> Glance:
        files = self._bands_of(name)
        return (
            glance(read(name), self.stretch, self.given)
            if files is None
            else files.glance(read, self.stretch)
        )

    def _bands_of(self, name: str) -> JoinedBands | None:
        """Return the files of the bands of a galaxy, None where it has a single file.

        Raises:
            RefusedError: it lacks a band, or has one twice.
        """
        if self.joined is None or name not in self.joined.galaxies:
            return None
        fault = self.joined.fault_of(name)
        if fault:
            raise RefusedError(fault)
        files = dict(self.joined.galaxies[name])
        return JoinedBands({band: files[band] for band in self.joined.bands})

    def pictures(self) -> Iterator[Picture | Unreadable]:
        """Read all images in order, or report why one cannot be read."""
        bands, names, seen = self.bands, self.band_names, self.glances["names"].tolist()
        with self.container.reader() as read:
            for name, galaxy, stated in zip(self.names, self.known.ids.tolist(), seen, strict=True):
                try:
                    if not name:
                        raise RefusedError("missing")
                    if other := other_bands(stated, names):
                        raise RefusedError(other)
                    files = self._bands_of(name)
                    yield (
                        decode(read(name), bands, self.stretch, self.given)
                        if files is None
                        else files.decode(read, bands, self.stretch)
                    )
                except RefusedError as why:
                    yield Unreadable(shown(name or galaxy), str(why))

    def catalogue(self) -> Catalogue:
        """Return what is known, positions and fields of view from FITS headers where no table gives them."""
        known, seen, names = self.known, self.glances, self.band_names
        links = len(self.container.links.intersection(self._held))
        linked = true_notes({f"{links} images are symbolic links and were followed": links})
        sides = np.where(seen["side_px"] > 0, seen["side_px"], np.nan)
        stated = np.full(len(self), np.nan) if self.arcsec is None else self.arcsec * sides
        nowhere = np.isnan(known.ra) | np.isnan(known.dec)
        return replace(
            known,
            ra=np.where(nowhere, seen["ra"], known.ra),
            dec=np.where(nowhere, seen["dec"], known.dec),
            field_arcsec=np.where(np.isnan(stated), seen["field_arcsec"], stated),
            bands=names,
            orientation=orientation_of(seen),
            notes=(
                *known.notes,
                *told_of_bands(seen, names),
                *_seen_notes(seen, self.stretch),
                *told_of_headers(seen, int((nowhere & np.isfinite(seen["ra"])).sum())),
                *linked,
            ),
        )


def _listing(
    container: Container, columns: Columns, bands: Sequence[str], cache_dir: Path | None
) -> tuple[Listing, GalaxyFiles]:
    found = sort_files(container, columns.table)
    files = files_by_galaxy(container, found.images, bands, cache_dir)
    if found.table is not None:
        try:
            with container.reader() as read:
                data = read(found.table)
        except RefusedError as why:
            raise DataError(f"{shown(found.table)} cannot be read ({why}); repair it") from None
        frame = read_table(found.table, data)
        listing = listed(found.table, frame, files.names, columns, files.galaxy_of)
    elif columns.required:
        raise DataError(f"there is no table for the column '{shown(columns.required[0])}'; add a table.csv")
    else:
        scale = None if columns.arcsec is None else np.full(len(files.names), columns.arcsec)
        plain = Listing(files.names, by_folders(files.names), scale)
        listing = without_repeats(plain, "the folder", columns.on_bad_image)
    known = replace(listing.known, notes=(*found.notes, *files.notes, *listing.known.notes))
    return listing._replace(known=known), files


def _seen_notes(seen: np.ndarray, stretch: Stretch) -> Sequence[str]:
    counts = {how: int((seen["stretch"] == how).sum()) for how in ("viewer", "asinh")}
    if stretch == "none":
        return [f"{sum(counts.values())} images are linear flux, in the unit of their files"]
    grey, colour = int((seen["bands"] == 1).sum()), int((seen["bands"] > 1).sum())
    return true_notes({
        f"{grey} grey images among {colour} in colour show the same in every band": grey and colour,
        f"{counts['viewer']} images of flux are stretched as the Legacy Survey viewer does": counts["viewer"],
        f"{counts['asinh']} images of flux are stretched one by one (asinh): their brightness cannot be "
        "compared between images": counts["asinh"],
    })  # fmt: skip
