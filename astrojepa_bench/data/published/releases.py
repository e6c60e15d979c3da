"""What is known of a published file: where it is, what its bytes must be, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from astrojepa_bench.data.sources.hdf5_file import Hdf5File

ReleaseName: TypeAlias = Literal["decals", "sdss"]
FOLDER = "galaxy10"


@dataclass(frozen=True)
class Release:
    """The facts of one published file of Galaxy10's layout.

    Attributes:
        name: as in `dataset.release=NAME`.
        title: as its authors call it.
        file_name: as published.
        url: where it is.
        sha256: of its bytes, in lower case.
        gigabytes: how large it is, about.
        rows: how many images it holds.
        side_px: side of each image [pixel].
        bands: in channel order.
        class_names: by class index, as its documentation gives them (the software around it may lag).
        licence, citation: as its authors state them.
    """

    name: ReleaseName
    title: str
    file_name: str
    url: str
    sha256: str
    gigabytes: float
    rows: int
    side_px: int
    bands: tuple[str, str, str]
    class_names: tuple[str, ...]
    licence: str
    citation: str

    def path(self, cache_dir: Path) -> Path:
        """Return where `fetch` puts it."""
        return cache_dir / FOLDER / self.file_name

    def fits(self, file: Hdf5File) -> bool:
        """Whether a file has the layout of this release, whatever its number of rows."""
        if file.shape[1:] != (self.side_px, self.side_px, 3):
            return False
        labels = file.number("ans")
        return bool(((labels >= 0) & (labels < len(self.class_names))).all())

    def describe(self, file: Hdf5File) -> Hdf5File:
        """Replace class names, bands, licence and citation of a file by those of the release."""
        stated = {"bands": ",".join(self.bands), "licence": self.licence, "citation": self.citation}
        attributes = {**file.attributes, **stated}
        return replace(file, class_names={"ans": self.class_names}, attributes=attributes)


DECALS = Release(
    name="decals",
    title="Galaxy10 DECaLS",
    file_name="Galaxy10_DECals.h5",
    url="https://zenodo.org/records/10845026/files/Galaxy10_DECals.h5",
    sha256="19aefc477c41bb7f77ff07599a6b82a038dc042f889a111b0d4d98bb755c1571",
    gigabytes=2.54,
    rows=17_736,
    side_px=256,
    bands=("z", "r", "g"),
    class_names=(
        "Disturbed Galaxies",
        "Merging Galaxies",
        "Round Smooth Galaxies",
        "In-between Round Smooth Galaxies",
        "Cigar Shaped Smooth Galaxies",
        "Barred Spiral Galaxies",
        "Unbarred Tight Spiral Galaxies",
        "Unbarred Loose Spiral Galaxies",
        "Edge-on Galaxies without Bulge",
        "Edge-on Galaxies with Bulge",
    ),
    licence="code MIT; images: DESI Legacy Imaging Surveys (acknowledge them); labels: Galaxy Zoo (cite it)",
    citation=(
        "Leung and Bovy, Galaxy10 DECaLS (Zenodo 10845026); Lintott et al. 2008, MNRAS 389, 1179; "
        "Lintott et al. 2011, MNRAS 410, 166; Willett et al. 2013, MNRAS 435, 2835; "
        "Walmsley et al. 2022, MNRAS 509, 3966; Dey et al. 2019, AJ 157, 168"
    ),
)

SDSS = Release(
    name="sdss",
    title="Galaxy10 SDSS",
    file_name="Galaxy10.h5",
    url="https://zenodo.org/records/10844811/files/Galaxy10.h5",
    sha256="969a6b1cefcc36e09fffa86febd2f699a4aa19b837ba0427f01b0bc6ded458af",
    gigabytes=0.21,
    rows=21_785,
    side_px=69,
    bands=("i", "r", "g"),
    class_names=(
        "Disk, Face-on, No Spiral",
        "Smooth, Completely round",
        "Smooth, in-between round",
        "Smooth, Cigar shaped",
        "Disk, Edge-on, Rounded Bulge",
        "Disk, Edge-on, Boxy Bulge",
        "Disk, Edge-on, No Bulge",
        "Disk, Face-on, Tight Spiral",
        "Disk, Face-on, Medium Spiral",
        "Disk, Face-on, Loose Spiral",
    ),
    licence="code MIT; images: Sloan Digital Sky Survey (acknowledge it); labels: Galaxy Zoo (cite it)",
    citation=(
        "Leung and Bovy, Galaxy10 SDSS (Zenodo 10844811); Lintott et al. 2008, MNRAS 389, 1179; "
        "Lintott et al. 2011, MNRAS 410, 166; Sloan Digital Sky Survey"
    ),
)

RELEASES: Mapping[str, Release] = {release.name: release for release in (DECALS, SDSS)}


def release_of(file: Hdf5File) -> Release | None:
    """Find the release whose layout a file has; None if it is another kind of file."""
    return next((release for release in RELEASES.values() if release.fits(file)), None)
