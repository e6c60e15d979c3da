"""What a prepared data set states of itself, beside its shards and its index, and whether its files agree with it.

    DIR/prepared.json      this
    DIR/index.parquet      one row a galaxy, in the order of the shards
    DIR/shards/00000.raw   images one after the other, (galaxy, band, height, width), nothing before or between them

Sizes of files are looked at whenever it is opened, the index's checksum too; all checksums by `verify_prepared`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from astrojepa_bench.data.convert import file_sha256, fingerprint
from astrojepa_bench.data.given import read_at_most
from astrojepa_bench.data.joined import GRANULE
from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

MANIFEST, INDEX = "prepared.json", "index.parquet"
FORMAT = 1  # raise it whenever an older version would read such a folder wrongly
LARGEST_MANIFEST = 64 << 20  # bytes; of a million shards
AGAIN = "delete the folder and prepare it again"


class FileFacts(BaseModel):
    """One file as it was written: how many galaxies, how many bytes, which checksum."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    galaxies: int = Field(ge=1)
    size: int = Field(ge=1)
    sha256: str


class Manifest(BaseModel):
    """A prepared data set as it states itself.

    Attributes:
        prepared: version of this form.
        fingerprint: of the galaxies in this order.
        source: which dataset it was made of: name, options as a record has them, fingerprint.
        seed: of the order.
        columns: hash of the further columns, which no fingerprint covers.
        card, spec: as those of a table.
        dtype: of the pixels.
        block: so many galaxies are best read together.
        splits: galaxies of each split.
        index, shards: the files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prepared: Literal[1] = 1
    fingerprint: str
    source: dict[str, Any]
    seed: int
    columns: str
    card: Card
    spec: ImageSpec
    dtype: Literal["uint8", "float16"]
    block: int = Field(ge=1)
    splits: dict[str, int]
    index: FileFacts
    shards: tuple[FileFacts, ...] = Field(min_length=1)

    @property
    def row_bytes(self) -> int:
        """Bytes of a galaxy."""
        return len(self.spec.bands) * self.spec.size_px**2 * np.dtype(self.dtype).itemsize

    def title(self, folder: Path) -> str:
        """Name it in a message."""
        return f"{folder} ({self.card.name}, prepared at {self.spec.size_px} px)"

    def text(self) -> str:
        """Write it down, with a checksum of all the rest."""
        facts = self.model_dump(mode="json")
        return json.dumps({**facts, "checksum": checksum(facts)}, indent=1)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read what a folder states, and look whether its files have the sizes that it states.

        Raises:
            DataError: it is damaged or of another version, or a file is missing or cut short.
        """
        path = folder / MANIFEST
        try:
            facts = json.loads(read_at_most(path, LARGEST_MANIFEST))
            version, found = facts["prepared"], facts.pop("checksum")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise DataError(f"{path} is damaged, or no manifest of a prepared data set; {AGAIN}") from None
        if version != FORMAT:
            raise DataError(
                f"{path} is of version {str(version)[:20]}, and this program reads version {FORMAT}; prepare it "
                "again with this program, or read it with the one that wrote it"
            )
        if found != checksum(facts):
            raise DataError(f"{path} has another checksum than when it was written; {AGAIN}")
        try:
            manifest = cls.model_validate(facts)
        except (ValidationError, ContractError) as error:
            first = (
                error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
            )
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise DataError(f"{path} holds no prepared data set: {field}: {first['msg']}; {AGAIN}") from None
        manifest._check_shards(path)
        for place, stated in manifest.files(folder).items():
            _check_size(place, stated)
        return manifest

    def files(self, folder: Path) -> dict[Path, FileFacts]:
        """Return what is stated of each file, by its path."""
        shards = {shard_path(folder, number): each for number, each in enumerate(self.shards)}
        return {folder / INDEX: self.index, **shards}

    def _check_shards(self, path: Path) -> None:
        full = [shard.size for shard in self.shards[:-1]]
        whole = all(shard.size == shard.galaxies * self.row_bytes for shard in self.shards)
        counts = {
            sum(shard.galaxies for shard in self.shards),
            self.index.galaxies,
            sum(self.splits.values()),
        }
        if not whole or len(counts) != 1 or any(size % GRANULE for size in full):
            raise DataError(f"{path} states shards that do not fit its images; {AGAIN}")


def _check_size(path: Path, stated: FileFacts) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} of a prepared data set is missing ({error.strerror}); {AGAIN}") from None
    if found != stated.size:
        raise DataError(
            f"{path} has {found:,} bytes, written were {stated.size:,}; copy it again, or {AGAIN}"
        )


def checksum(facts: dict[str, Any]) -> str:
    """Hash what a manifest states."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def verify_prepared(folder: Path) -> Manifest:
    """Read all of a prepared data set, and compare every checksum.

    Raises:
        DataError: a file is missing, cut short, or not what was written.
    """
    manifest = Manifest.read(folder)
    for path, stated in manifest.files(folder).items():
        check_sum(path, stated)
    return manifest


def check_sum(path: Path, stated: FileFacts) -> None:
    """Compare the checksum of one file.

    Raises:
        DataError: it is not what was written.
    """
    if file_sha256(path) != stated.sha256:
        raise DataError(f"{path} has another checksum than when it was written; copy it again, or {AGAIN}")


def shard_path(folder: Path, number: int) -> Path:
    """Name a shard."""
    return folder / "shards" / f"{number:05}.raw"


def shard_rows(row_bytes: int, about: int) -> int:
    """Return how many galaxies make a shard of about so many bytes that files of them can be joined as they are."""
    least = GRANULE // math.gcd(row_bytes, GRANULE)
    return least * max(1, round(about / (least * row_bytes)))


def prepared_fingerprint(table: GalaxyTable, seed: int, block: int) -> str:
    """Name the galaxies of a table in the order that a seed gives them."""
    return fingerprint(
        "prepared", FORMAT, table.fingerprint, table.images.shape, str(table.images.dtype), seed, block
    )


def columns_digest(table: GalaxyTable) -> str:
    """Hash the further columns of a table."""
    return fingerprint(*(part for name in sorted(table.columns) for part in (name, table.columns[name])))


def split_counts(split: np.ndarray) -> dict[str, int]:
    """Count the galaxies of each split."""
    return dict(Counter(split.tolist()))
