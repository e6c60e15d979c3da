"""How do the files of several bands become one picture?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from astrojepa_bench.data.convert import Picture
from astrojepa_bench.data.sources.container import Read, RefusedError, shown
from astrojepa_bench.data.sources.filters import LETTERS_NM, as_viewed
from astrojepa_bench.data.sources.fits_sky import apart_arcsec
from astrojepa_bench.data.sources.flux import Stretch, chosen_stretch
from astrojepa_bench.data.sources.image_formats import (
    Glance,
    glance,
    science_layers,
)
from astrojepa_bench.data.sources.layers import BandPlanes, displayed_layers


@dataclass(frozen=True)
class JoinedBands:
    """One galaxy in several files.

    Attributes:
        files: of one band each, by band, in the order in which they are shown.
    """

    files: Mapping[str, str]

    def glance(self, read: Read, stretch: Stretch) -> Glance:
        """Look at all headers; what is known of the galaxy is what the first of them tells.

        Raises:
            RefusedError: a file is damaged, or holds more than one band.
        """
        seen = [glance(read(name), "auto") for name in self.files.values()]
        self._check_single([each.bands for each in seen])
        placed = next((each for each in seen if np.isfinite(each.field_arcsec)), seen[0])
        unread = ", ".join(dict.fromkeys(each.unread for each in seen if each.unread))
        usual = all(each.in_survey_unit for each in seen)
        names = tuple(self.files)
        letters = "".join(names) if usual else ""
        how = chosen_stretch(stretch, letters, placed.field_arcsec) if seen[0].stretch else ""
        return placed._replace(
            bands=len(seen), stretch=how, names=",".join(as_viewed(names, how)), unread=unread
        )

    def decode(self, read: Read, bands: int, stretch: Stretch) -> Picture:
        """Read the bands and show them together.

        Raises:
            RefusedError: a file is damaged, holds more than one band or another, or the bands do not fit together
                or show different places of the sky.
        """
        held = {band: read(name) for band, name in self.files.items()}
        layers = [science_layers(data) for data in held.values()]
        self._check_single([len(each.planes) for each in layers])
        for (band, name), each in zip(self.files.items(), layers, strict=True):
            stated = "".join(each.names)
            if stated != band and stated in LETTERS_NM and band in LETTERS_NM:
                raise RefusedError(f"{shown(name)} is named for band {band}, and its header says {stated}")
        ra, dec, field = np.array([each.place for each in layers]).T
        [apart] = apart_arcsec(ra, dec, field, np.zeros(len(layers), dtype=np.int64))
        if apart:
            files = ", ".join(map(shown, self.files.values()))
            raise RefusedError(
                f"its bands lie {apart:,.0f} arcsec apart on the sky and show no single galaxy ({files}); name "
                "files of different galaxies so that more than a filter tells them apart"
            )
        whole = _stacked(layers, tuple(self.files))
        (planes, gaps, blank), how = displayed_layers(whole, stretch)
        if len(planes) != bands:
            raise RefusedError(f"has {len(planes)} bands, most others {bands}")
        digest = hashlib.sha256(f"{how}{whole.reading}".encode())
        for band, data in held.items():
            digest.update(f"{band} {hashlib.sha256(data).hexdigest()}".encode())
        return Picture(digest.digest()[:16], planes.transpose(1, 2, 0), gaps, blank, whole.told)

    def _check_single(self, counts: Sequence[int]) -> None:
        more = next((pair for pair in zip(self.files.items(), counts, strict=True) if pair[1] != 1), None)
        if more is not None:
            (band, name), count = more
            raise RefusedError(
                f"{shown(name)} holds {count} bands where its name says that it is band {band}"
            )


def _stacked(layers: Sequence[BandPlanes], names: tuple[str, ...]) -> BandPlanes:
    """Put planes one behind the other.

    Raises:
        RefusedError: they are of different sizes, or bytes and flux.
    """
    sizes = {each.planes.shape[1:] for each in layers}
    if len(sizes) > 1:
        told = " and ".join(f"{width} x {height}" for height, width in sorted(sizes))
        raise RefusedError(f"its bands have {told} pixels; put them on one grid")
    if len({each.planes.dtype == np.uint8 for each in layers}) > 1:
        raise RefusedError("some of its bands are bytes and some are not; write all of them alike")
    return BandPlanes(
        np.concatenate([each.planes for each in layers]),
        names,
        all(each.in_survey_unit for each in layers),
        next((each.pixel_arcsec for each in layers if np.isfinite(each.pixel_arcsec)), np.nan),
        " ".join(each.reading for each in layers if each.reading),
        int(np.bitwise_or.reduce([each.told for each in layers])),
    )
