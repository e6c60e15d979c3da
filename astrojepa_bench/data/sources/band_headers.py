"""Which single-band FITS files show one galaxy, as headers tell by filter, name, object or position?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from astrojepa_bench.data.convert import cached, content_digest, fingerprint
from astrojepa_bench.data.sources.band_files import LEAST_SHARE, WORDS, BandFiles, ending_of, joined
from astrojepa_bench.data.sources.container import Container, RefusedError, escapes, spelt
from astrojepa_bench.data.sources.file_kinds import FITS, without_suffix
from astrojepa_bench.data.sources.fits_image import read_header
from astrojepa_bench.data.sources.fits_sky import apart_arcsec
from astrojepa_bench.data.splitting.splits import sky_groups
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track

HEADER = np.dtype([
    ("band", "U12"), ("title", "U40"), ("ra", "f8"), ("dec", "f8"), ("field", "f8"), ("arcsec", "f8"),
])  # fmt: skip
READING = 2  # raise it whenever headers start to be read otherwise
NEIGHBOURS, SPREAD = 8, 24  # so many files are looked at first: the first, and others evenly over all
LEAST_APART_ARCSEC = 1.0
LEAST_APART_PX = 2.0


def bands_by_headers(
    container: Container, images: Sequence[str], cache_dir: Path | None
) -> tuple[BandFiles | None, str]:
    """Join single-band FITS files of different filters.

    A few headers are read first; all are only if these name different filters.

    Args:
        container: where the files lie.
        images: all images.
        cache_dir: where what headers say is kept.

    Returns:
        What was joined, or None and, where files are of different filters nevertheless, a note.

    Raises:
        DataError: there are as many files of each filter, and nothing tells which of them show one galaxy.
    """
    files = [name for name in images if ending_of(name).startswith(FITS) and not escapes(name)]
    spread = np.unique(np.linspace(0, len(files) - 1, SPREAD).astype(int)).tolist() if files else []
    few = [*dict.fromkeys([*files[:NEIGHBOURS], *(files[at] for at in spread)])]
    if len({*_read(container, few, "")["band"].tolist()} - {""}) < 2:
        return None, ""
    rows = _kept(container, files, cache_dir)
    single = np.flatnonzero(rows["band"] != "")
    files, rows = [files[at] for at in single.tolist()], rows[single]
    schemes: dict[str, Callable[[], Sequence[str]]] = {
        "the filters in their headers and their names": lambda: [_shorter(name) for name in files],
        "the filters in their headers and their folders": lambda: [
            str(PurePosixPath(name).parent) for name in files
        ],
        "the filters and objects in their headers": lambda: _titles(files, rows),
        "the filters and positions in their headers": lambda: _places(files, rows),
    }
    for by, keys in schemes.items():
        pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for key, name, band in zip(keys(), files, rows["band"].tolist(), strict=True):
            if key not in ("", "."):
                pairs[key].append((band, name))
        found = joined(
            {f"{key}{ending_of(each[0][1])}": tuple(each) for key, each in pairs.items()}, by, once=True
        )
        if found is not None and not _lie_apart(found, files, rows):
            return found, ""
    return None, _told(Counter(rows["band"].tolist()), _are_alone(rows))


def _lie_apart(found: BandFiles, files: Sequence[str], rows: np.ndarray) -> bool:
    """Whether half of the galaxies or more would be made of files that look at different places of the sky.

    A few that are may have a wrong header, and are refused by name when they are read.
    """
    number = {name: at for at, name in enumerate(files)}
    at = np.array([number[name] for pairs in found.galaxies.values() for _, name in pairs])
    of = np.repeat(np.arange(len(found.galaxies)), [len(pairs) for pairs in found.galaxies.values()])
    apart = apart_arcsec(rows["ra"][at], rows["dec"][at], rows["field"][at], of)
    several = np.bincount(of, np.isfinite(rows["ra"][at])) > 1
    return bool((apart[several] > 0).sum() >= max(1, LEAST_SHARE * several.sum()))


def _are_alone(rows: np.ndarray) -> bool:
    """Whether all files say where they look, and none overlaps one of another filter."""
    if not np.isfinite(rows["ra"] + rows["dec"] + rows["arcsec"]).all():
        return False
    groups = sky_groups(np.arange(len(rows)).astype("U32"), rows["ra"], rows["dec"], rows["field"])
    return len({*zip(groups.tolist(), rows["band"].tolist(), strict=True)}) == len(np.unique(groups))


def _told(counts: Counter[str], alone: bool) -> str:
    """Count files by their filter.

    Args:
        counts: how many files there are of each.
        alone: whether each is known to show a galaxy of its own (`_are_alone`).

    Raises:
        DataError: there are as many of each.
    """
    told = ", ".join(f"{count} {band}" for band, count in counts.most_common(9))
    advice = "name the files of one galaxy alike but for the band, as in x_g.fits and x_r.fits"
    if not alone and min(counts.values()) > 1 and len({*counts.values()}) == 1:
        raise DataError(
            f"the FITS files are of one band each ({told}), and nothing tells which show one galaxy; {advice}"
        )
    return f"images are of different bands ({told}) and each was read as a galaxy of its own; to join them {advice}"


def _kept(container: Container, files: Sequence[str], cache_dir: Path | None) -> np.ndarray:
    task = f"looking for bands in {container.path.name}"
    if cache_dir is None:
        return _read(container, files, task)
    path = container.path
    held = {"": path} if path.is_file() else {spelt(name): path / name for name in files}
    key = fingerprint("headers", READING, *map(spelt, files), content_digest(held, cache_dir))
    entry = cached(
        cache_dir, key, lambda folder: np.save(folder / "rows.npy", _read(container, files, task)), "glances"
    )
    rows: np.ndarray = np.load(entry / "rows.npy")
    return rows


def _read(container: Container, files: Sequence[str], task: str) -> np.ndarray:
    rows = np.zeros(len(files), dtype=HEADER)
    with container.reader() as read:
        for row, name in enumerate(track(files, task=task, total=len(files)) if task else files):
            with suppress(RefusedError):  # reading it in full will report why
                found = read_header(read(name))
                if found.shape[0] == 1 and found.bands:
                    rows[row] = (found.bands[0], found.title, *found.place, found.sky.pixel_arcsec)
    return rows


def _shorter(name: str) -> str:
    """Return a file's name without its last word."""
    folder, stem = PurePosixPath(name).parent, PurePosixPath(without_suffix(name)).name
    gaps = list(WORDS.finditer(stem))
    return str(folder / stem[: gaps[-1].start()]) if gaps and gaps[-1].start() else ""


def _titles(files: Sequence[str], rows: np.ndarray) -> list[str]:
    titles = ["_".join(WORDS.split(title)) for title in rows["title"].tolist()]
    return [
        title and str(PurePosixPath(name).parent / title) for name, title in zip(files, titles, strict=True)
    ]


def _places(files: Sequence[str], rows: np.ndarray) -> list[str]:
    """Name files by the first of those that show the same place; empty where that is unknown."""
    known = np.isfinite(rows["ra"]) & np.isfinite(rows["dec"]) & np.isfinite(rows["arcsec"])
    if not known.any():
        return [""] * len(files)
    apart = max(LEAST_APART_ARCSEC, LEAST_APART_PX * float(rows["arcsec"][known].max()))
    alone = np.arange(len(files)).astype("U32")
    groups = sky_groups(alone, rows["ra"], rows["dec"], np.full(len(files), apart))
    first = {group: files[at] for at, group in reversed(list(enumerate(groups.tolist())))}
    return [
        without_suffix(first[group]) if here else ""
        for group, here in zip(groups.tolist(), known.tolist(), strict=True)
    ]
