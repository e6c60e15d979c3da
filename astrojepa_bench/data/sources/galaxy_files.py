"""Which files of a folder make up each galaxy: one, or one a band?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astrojepa_bench.data.sources.band_files import SEVERAL_BANDS, BandFiles, beside, joined, pairs_by_names
from astrojepa_bench.data.sources.band_headers import bands_by_headers
from astrojepa_bench.data.sources.container import Container, shown
from astrojepa_bench.data.sources.file_kinds import without_suffix
from astrojepa_bench.data.splitting.selection import true_notes


@dataclass(frozen=True)
class GalaxyFiles:
    """Files by galaxy.

    Attributes:
        names: one a galaxy: that of its file, or that which the files of its bands share.
        joined: the galaxies that have a file a band, or None.
        notes: what was joined and left out.
    """

    names: tuple[str, ...]
    joined: BandFiles | None = None
    notes: tuple[str, ...] = ()

    @property
    def galaxy_of(self) -> Mapping[str, str]:
        """The galaxy that each file is a band of."""
        return {} if self.joined is None else self.joined.galaxy_of


def files_by_galaxy(
    container: Container, images: Sequence[str], wanted: Sequence[str], cache_dir: Path | None
) -> GalaxyFiles:
    """Join the files that are bands of one galaxy, and leave out what lies beside images.

    Args:
        container: where they lie.
        images: all images.
        wanted: bands to show, or none for all.
        cache_dir: where what headers say is kept.

    Raises:
        DataError: it cannot be told which files show one galaxy, or a band is not there, or there are too many.
    """
    odd = beside(images)
    plain = [name for name in images if name not in odd]
    told: dict[str, object] = {
        f"{len(odd)} files of masks, weights or errors beside an image were not read, first {_first(odd)}": odd
    }
    pairs, pictures = pairs_by_names(plain), joined(pairs_by_names(plain, SEVERAL_BANDS), "")
    if pictures is not None:
        told[
            f"{len(pictures.galaxy_of)} pictures have names that differ by a filter alone and each was read as a "
            "galaxy of its own; if they are bands, write them as FITS or NumPy files"
        ] = True
    found, note = joined(pairs, "the filters in their names"), ""
    if found is None:
        found, note = bands_by_headers(container, plain, cache_dir)
    if found is None:
        alike = [each for each in pairs.values() if len({band for band, _ in each}) > 1]
        first = " and ".join(shown(name) for _, name in alike[0][:2]) if alike else ""
        told |= {
            f"{len(alike)} galaxies have files that differ by a filter alone (first {first}), each read as "
            "a galaxy of its own, for most have a single band": alike and not note,
            note: note,
        }
        return GalaxyFiles(tuple(plain), None, tuple(true_notes(told)))
    found = found.chosen(wanted)
    same = {without_suffix(name) for name in found.galaxies}
    used = {name for each in found.galaxies.values() for _, name in each}
    alone = [name for name in plain if name not in used | found.unread]
    composite = [name for name in alone if without_suffix(name) in same]
    told |= {
        found.note(): True,
        f"{len(composite)} images lie beside the bands of the same galaxy and were not read, first "
        f"{_first(composite)}": composite,
    }
    names = sorted({*found.galaxies} | ({*alone} - {*composite}))
    return GalaxyFiles(tuple(names), found, tuple(true_notes(told)))


def _first(names: Sequence[str] | set[str]) -> str:
    return shown(min(names)) if names else ""
