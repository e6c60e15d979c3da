"""One picture of one's own, read as a folder of pictures is: a galaxy to ask about, whose class nobody knows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from astrojepa_bench.data.convert import convert, fingerprint
from astrojepa_bench.data.given import check_regular
from astrojepa_bench.data.sources.archive import ImageFiles
from astrojepa_bench.data.sources.band_files import SEVERAL_BANDS
from astrojepa_bench.data.sources.catalogue import Catalogue
from astrojepa_bench.data.sources.file_kinds import IMAGES, suffix_of
from astrojepa_bench.data.sources.flux import Stretch
from astrojepa_bench.data.table import usual_names
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import emit
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec


def one_picture(
    path: Path, like: ImageSpec, stretch: Stretch = "auto", bands: tuple[str, ...] = ()
) -> GalaxyTable:
    """Read a picture as a table of one test galaxy.

    Position and pixel scale come from a FITS header where it has them. Where a file names its bands, those of
    `like` are taken; a file of flux that does not name them, and for which `bands` does not, is taken to have them
    in that order, and a note says so.

    Args:
        path: an image file.
        like: format of the images that it is to be compared with.
        stretch: how flux is shown, as in dataset `folder`.
        bands: names of the bands in their order, where the file does not name them, else which of them to show.

    Raises:
        DataError: it is no image, cannot be read, or has another number of bands.
    """
    check_regular(path)
    if suffix_of(path.name) not in IMAGES:
        raise DataError(f"{path} is no picture by its name; expected {', '.join(sorted(IMAGES))}")
    with TemporaryDirectory() as folder:
        room, cache = Path(folder, "picture"), Path(folder, "cache")
        room.mkdir()
        shutil.copyfile(path, room / path.name)  # alone: what lies beside it is of other galaxies
        source = ImageFiles.opened(room, stretch=stretch, cache_dir=cache, bands=bands)
        if not bands and {*like.bands} < {*source.band_names}:
            source = replace(source, given=like.bands)
        found, known = convert(source, like.size_px, cache), source.catalogue()
        for _, reason in found.unreadable.values():
            raise DataError(f"{path} cannot be read ({reason}); give another picture")
        if source.bands != len(like.bands):
            raise DataError(
                f"{path} has {source.bands} bands; the run sees {len(like.bands)} ({', '.join(like.bands)})"
            )
        display = path.name.lower().endswith(SEVERAL_BANDS)
        if not (known.bands or display) and like.bands != usual_names(source.bands):
            order = ", ".join(like.bands)
            emit(
                "note",
                text=f"{path.name} does not name its bands, which are taken to be {order} in this order",
            )
        return _table_of(np.array(found.images), known, path.name, like)


def _table_of(images: np.ndarray, known: Catalogue, name: str, like: ImageSpec) -> GalaxyTable:
    spec = ImageSpec(known.bands or usual_names(len(like.bands)), like.size_px, like.mean, like.std)
    place = known.facts(like.size_px)
    return GalaxyTable(
        images=images, ids=known.ids, split=np.array(["test"]), fingerprint=fingerprint(images), spec=spec,
        card=Card(name, "yours", "unstated"), label=np.array([-1]), anomaly=np.array([0]),
        anomaly_type=np.array([""]), ra=place["ra"], dec=place["dec"], pixel_scale=place["pixel_scale"],
    )  # fmt: skip
