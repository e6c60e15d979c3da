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
from astrojepa_bench.data.sources.catalogue import Catalogue
from astrojepa_bench.data.sources.class_folders import by_folders
from astrojepa_bench.data.sources.container import Container, RefusedError, escapes, shown, spelt
from astrojepa_bench.data.sources.file_kinds import counted, sort_files
from astrojepa_bench.data.sources.flux import DISPLAY_ORDER, Stretch
from astrojepa_bench.data.sources.image_formats import Glance, decode, glance
from astrojepa_bench.data.sources.listing import Columns, Listing, listed, without_repeats
from astrojepa_bench.data.sources.tables import read_table
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track

GLANCE = np.dtype(
    [
        ("bands", "i1"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("field_arcsec", "f8"),
        ("stretch", "U6"),
        ("side_px", "i4"),
    ]
)
DECODING = 2  # raise it whenever the same file starts to give other pixels or another position


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
    """

    container: Container
    names: tuple[str, ...]
    known: Catalogue
    stretch: Stretch = "auto"
    cache_dir: Path | None = None
    arcsec: Float[np.ndarray, " image"] | None = None

    @classmethod
    def opened(
        cls,
        path: Path,
        columns: Columns | None = None,
        stretch: Stretch = "auto",
        cache_dir: Path | None = None,
    ) -> ImageFiles:
        """List what is there, by a table if there is one, else by folders.

        Args:
            path: folder or zip.
            columns: which table, and what to read from it.
            stretch: how flux is shown.
            cache_dir: where what headers say is kept; without one they are read each time.

        Raises:
            DataError: there are no images, or the table cannot be used.
        """
        container = Container.opened(path)
        try:
            names, known, arcsec = _listing(container, columns or Columns())
        except DataError as error:
            raise DataError(f"{path.name}: {error}") from None
        if not names:
            found = f" (found {counted(container.names)})" if container.names else ""
            raise DataError(
                f"{path} holds no image; expected JPEG or PNG, FITS or NumPy files, TIFF, WebP or BMP{found}, with "
                "or without a table.csv"
            )
        return cls(container, names, known, stretch, cache_dir, arcsec)

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
        return {spelt(name): path / name for name in self.names if name in here and not escapes(name)}

    @property
    def rendering(self) -> str:
        """Which files are shown, in which order, and how flux is stretched."""
        return fingerprint(DECODING, self.stretch, *map(spelt, self.names))

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

    @cached_property
    def glances(self) -> np.ndarray:
        """What the images' headers say, one entry of `GLANCE` each; 0 bands where they are illegible."""
        if self.cache_dir is None:
            return self._looked()
        key = fingerprint("glances", self.rendering, content_digest(self.files, self.cache_dir))
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
                    rows[row] = glance(read(name), self.stretch) if name else Glance()
        return rows

    def pictures(self) -> Iterator[Picture | Unreadable]:
        """Read all images in order, or report why one cannot be read."""
        bands = self.bands
        with self.container.reader() as read:
            for name, galaxy in zip(self.names, self.known.ids.tolist(), strict=True):
                try:
                    if not name:
                        raise RefusedError("missing")
                    yield decode(read(name), bands, self.stretch)
                except RefusedError as why:
                    yield Unreadable(shown(name or galaxy), str(why))

    def catalogue(self) -> Catalogue:
        """Return what is known, positions and fields of view from FITS headers where no table gives them."""
        known, seen = self.known, self.glances
        links = len(self.container.links.intersection(self.names))
        linked = true_notes({f"{links} images are symbolic links and were followed": links})
        sides = np.where(seen["side_px"] > 0, seen["side_px"], np.nan)
        stated = np.full(len(self), np.nan) if self.arcsec is None else self.arcsec * sides
        nowhere = np.isnan(known.ra) | np.isnan(known.dec)
        return replace(
            known,
            ra=np.where(nowhere, seen["ra"], known.ra),
            dec=np.where(nowhere, seen["dec"], known.dec),
            field_arcsec=np.where(np.isnan(stated), seen["field_arcsec"], stated),
            bands=tuple(DISPLAY_ORDER) if (seen["stretch"] == "viewer").all() else (),
            notes=(*known.notes, *_seen_notes(seen, self.stretch), *linked),
        )


def _listing(container: Container, columns: Columns) -> Listing:
    files = sort_files(container, columns.table)
    if files.table is not None:
        try:
            with container.reader() as read:
                data = read(files.table)
        except RefusedError as why:
            raise DataError(f"{shown(files.table)} cannot be read ({why}); repair it") from None
        listing = listed(files.table, read_table(files.table, data), files.images, columns)
    else:
        if columns.required:
            raise DataError(
                f"there is no table for the column '{shown(columns.required[0])}'; add a table.csv"
            )
        known, arcsec = by_folders(files.images), columns.arcsec
        scale = None if arcsec is None else np.full(len(files.images), arcsec)
        listing = without_repeats(Listing(files.images, known, scale), "the folder", columns.on_bad_image)
    known = listing.known
    return listing._replace(known=replace(known, notes=(*files.notes, *known.notes)))


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
