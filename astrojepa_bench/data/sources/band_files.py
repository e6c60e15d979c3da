"""Which files of a folder are bands of one galaxy: `x_g.fits` and `x_r.fits`, or `g/x.fits` and `r/x.fits`?

Names are compared word by word. Files whose names differ in one word alone, and there by filters, are bands of one
galaxy, if this holds for most files so named: a survey whose names all end in `_g` is one of single images.
Masks, weights and errors beside an image, in files of their own, are no galaxies either.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

from astrojepa_bench.data.sources.container import shown
from astrojepa_bench.data.sources.file_kinds import without_suffix
from astrojepa_bench.data.sources.filters import SURVEYS, band_word, filter_of, named_twice, red_first
from astrojepa_bench.data.sources.fits_units import SCIENCE
from astrojepa_bench.data.sources.image_shape import MOST_BANDS
from astrojepa_bench.errors import DataError

ARRAYS = (".fits", ".fit", ".fts", ".npy", ".tif", ".tiff")  # of which one file may hold one band
SEVERAL_BANDS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")  # which show several bands in one file
# Also before a letter behind a number, as in ngc628r, which f814w is not.
WORDS = re.compile(r"[/_\-. ]+|(?<=\d)(?<![fF]\d{3})(?<![fF]\d{4})(?=[A-Za-z]$)")
FILLING = SURVEYS | {"bands", "filters"}  # words about a filter that say nothing by themselves
BESIDE = frozenset({
    "mask", "masks", "wht", "weight", "weights", "ivar", "invvar", "err", "error", "errors", "var", "variance",
    "rms", "dq", "psf", "model", "residual", "residuals", "seg", "segm", "segmap", "segmentation", "bkg", "unc",
    "uncertainty",
})  # fmt: skip
Pairs: TypeAlias = Mapping[str, tuple[tuple[str, str], ...]]
"""Bands and files of each galaxy, by its name."""

LEAST_SHARE = 0.5  # of the galaxies so named, that must have all bands


@dataclass(frozen=True)
class BandFiles:
    """Files that were joined.

    Attributes:
        bands: in the order in which they are shown.
        galaxies: files by the name of the galaxy, as pairs of band and file.
        by: what told them apart, in a few words.
        unread: files of further bands.
    """

    bands: tuple[str, ...]
    galaxies: Pairs
    by: str
    unread: frozenset[str] = frozenset()

    @property
    def galaxy_of(self) -> Mapping[str, str]:
        """The galaxy that each file is a band of."""
        return {file: name for name, pairs in self.galaxies.items() for _, file in pairs}

    def fault_of(self, galaxy: str) -> str:
        """Return which band a galaxy lacks, or has twice; empty where neither."""
        found = [band for band, _ in self.galaxies[galaxy]]
        twice = next((band for band in found if found.count(band) > 1), None)
        if twice is not None:
            files = ", ".join(shown(file) for band, file in self.galaxies[galaxy] if band == twice)
            return f"has the band {twice} twice: {files}"
        missing = [band for band in self.bands if band not in found]
        return f"lacks the band {', '.join(missing)}; it has {', '.join(found)}" if missing else ""

    def note(self) -> str:
        """Return what was joined, as a note."""
        count, more = (
            sum(map(len, self.galaxies.values())),
            f"; {len(self.unread)} files of other bands were not read",
        )
        return (
            f"{count} files were joined into {len(self.galaxies)} galaxies of bands {', '.join(self.bands)}, by "
            f"{self.by}{more if self.unread else ''}"
        )

    def chosen(self, wanted: Sequence[str]) -> BandFiles:
        """Keep some bands.

        Raises:
            DataError: one of them is not there or is asked for twice, or there are too many.
        """
        known = {band.lower(): band for band in self.bands}
        named = [filter_of(name).lower() for name in wanted] or list(known)
        missing = next((name for name, key in zip(wanted, named, strict=False) if key not in known), None)
        if missing is not None:
            raise DataError(
                f"there is no band '{shown(missing)}' among {', '.join(self.bands)}; set dataset.bands to some"
            )
        bands = red_first([known[name] for name in named])
        if named_twice(bands) is not None:
            raise DataError(f"cannot show a band twice: dataset.bands names {', '.join(map(shown, wanted))}")
        if len(bands) > MOST_BANDS:
            raise DataError(
                f"there are {len(bands)} bands ({', '.join(bands)}); set dataset.bands to {MOST_BANDS} of them"
            )
        return self.of(bands)

    def of(self, bands: tuple[str, ...]) -> BandFiles:
        """Leave out the files of all other bands."""
        kept = {
            name: tuple(pair for pair in found if pair[0] in bands) for name, found in self.galaxies.items()
        }
        unread = {file for found in self.galaxies.values() for band, file in found if band not in bands}
        return replace(self, bands=bands, galaxies=kept, unread=self.unread | unread)


def pairs_by_names(images: Sequence[str], endings: tuple[str, ...] = ARRAYS) -> Pairs:
    """Return filters and files of each galaxy, as far as the names of files with some endings tell them."""
    files = [name for name in images if ending_of(name).startswith(endings)]
    places = {name: found for name in files if (found := [*_without_filters(name)])}
    held: dict[str, set[str]] = defaultdict(set)
    for found in places.values():
        for pattern, _, band in found:
            held[pattern].add(band)
    several = {pattern for pattern, bands in held.items() if len(bands) > 1}
    if not several:
        return {}
    enumerated = {pattern for name in files for pattern in _lettered(name)} & several
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, found in places.items():
        fit = [each for each in found if each[0] not in enumerated]
        if fit:  # of several words that are filters, that by which most files differ; else the last
            _, galaxy, band = max(reversed(fit), key=lambda each: len(held[each[0]]))
            pairs[galaxy].append((band, name))
    return {f"{galaxy}{ending_of(pairs[galaxy][0][1])}": tuple(pairs[galaxy]) for galaxy in pairs}


def joined(pairs: Pairs, by: str, *, once: bool = False) -> BandFiles | None:
    """Join files if most of the galaxies that they would make have the same bands, two or more.

    Args:
        pairs: bands and files of each galaxy.
        by: what told them apart.
        once: whether a galaxy that has a band twice does not count, for it may be many galaxies.
    """
    found = {name: [band for band, _ in each] for name, each in pairs.items()}
    several = [names for names in found.values() if len(set(names)) > 1]
    counts = Counter(band for names in several for band in set(names))
    bands = red_first([band for band, count in counts.items() if count >= LEAST_SHARE * len(several)])
    ours = {name: pairs[name] for name, names in found.items() if {*names} & {*bands}}
    complete = [
        names for names in several if {*names} >= {*bands} and not (once and len({*names}) < len(names))
    ]
    if len(bands) < 2 or len(complete) < LEAST_SHARE * len(ours):
        return None
    return BandFiles(bands, ours, by).of(bands)


def beside(images: Sequence[str]) -> set[str]:
    """Find the files of masks, weights, errors and the like that lie beside an image of the same name."""
    plain: set[tuple[str, ...]] = set()
    odd: dict[str, tuple[str, ...]] = {}
    for name in images:
        words = [word.lower() for word in WORDS.split(without_suffix(name))]
        rest = tuple(word for word in words if word not in SCIENCE | BESIDE)
        if BESIDE.intersection(words) and rest:
            odd[name] = rest
        else:
            plain.add(rest)
    return {name for name, rest in odd.items() if rest in plain}


def ending_of(name: str) -> str:
    """Return the ending of an image's file name, in small letters."""
    return name[len(without_suffix(name)) :].lower()


def _without_filters(name: str) -> Iterator[tuple[str, str, str]]:
    """Yield a name without each word that is a filter: as a pattern, as that of a galaxy, and the filter.

    A filter that stands in several places, as in r/x_r.fits, is left out of all of them.
    """
    stem = without_suffix(name)
    words, gaps = WORDS.split(stem), WORDS.findall(stem)
    bands = {place: band for place, word in enumerate(words) if (band := band_word(word))}
    choices = {frozenset({place}): band for place, band in bands.items()}
    choices |= {frozenset(at for at, each in bands.items() if each == band): band for band in bands.values()}
    for places, band in choices.items():
        removed = set(places)
        for place, step in product(places, (-1, 1)):
            at = place + step
            while 0 <= at < len(words) and words[at].lower() in FILLING:
                removed.add(at)
                at += step
        if len(removed) < len(words):
            yield *_woven(words, gaps, removed), band


def _lettered(name: str) -> Iterator[str]:
    """Yield the patterns in which a letter stands that is no filter, as in obj_a, obj_b … obj_z."""
    stem = without_suffix(name)
    words, gaps = WORDS.split(stem), WORDS.findall(stem)
    for place, word in enumerate(words):
        if len(word) == 1 and word.isalpha() and not band_word(word):
            yield _woven(words, gaps, {place})[0]


def _woven(words: Sequence[str], gaps: Sequence[str], removed: set[int]) -> tuple[str, str]:
    """Put a name together without some of its words: with marks in their places, and without."""
    pattern = galaxy = between = ""
    for place, word in enumerate(words):
        between += gaps[place - 1] if place else ""
        if place in removed:
            pattern += "" if pattern.endswith("\0") else "\0"
            continue
        is_cut = place - 1 in removed
        gap = "/" if "/" in between else "_" if is_cut else between
        pattern += word if is_cut or not pattern else gap + word
        galaxy += gap + word if galaxy else word
        between = ""
    return pattern, galaxy
