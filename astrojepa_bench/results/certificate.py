"""What a model from elsewhere had seen of the test galaxies: found by `data overlap`, disclosed in a record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from astrojepa_bench.data.given import read_at_most
from astrojepa_bench.data.overlap import Listed, Overlap
from astrojepa_bench.errors import DataError
from astrojepa_bench.results.correct import encode_bits
from astrojepa_bench.results.identity import digest
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.types import GalaxyTable, Split

SIDES: tuple[Split, ...] = ("train", "val", "test")
LARGEST_CERTIFICATE = 64 << 20  # bytes; a million ids take some twenty


class Certificate(BaseModel):
    """Which galaxies of a data set are in a list of galaxies that somebody pretrained on.

    Attributes:
        certificate: version of this form.
        dataset: what the galaxies are called.
        test_galaxies: hash of the ids of all test galaxies, sorted: of which test set this speaks.
        listed: name of the list, hash of its content, and how many ids, positions and images it holds.
        compared: in which ways galaxies were looked for: `id`, `sky`, `pixels`.
        radius_arcsec: positions as near as this were taken for one galaxy's.
        galaxies: how many there are, by split.
        seen: the ids of those in the list, by split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate: Literal[1] = 1
    dataset: str
    test_galaxies: str
    listed: dict[str, str | int]
    compared: list[str] = Field(min_length=1)
    radius_arcsec: float
    galaxies: dict[str, int]
    seen: dict[str, list[str]]

    @classmethod
    def of(cls, table: GalaxyTable, listed: Listed, found: Overlap, radius_arcsec: float) -> Certificate:
        """Certify what was found."""
        rows = {side: table.rows(side) for side in SIDES}
        return cls(
            dataset=table.card.name,
            test_galaxies=_test_galaxies(table),
            listed={"name": listed.name, "content": listed.content, **listed.known},
            compared=[*found.by],
            radius_arcsec=radius_arcsec,
            galaxies={side: len(rows[side]) for side in SIDES},
            seen={side: sorted(table.ids[rows[side][found.seen[rows[side]]]].tolist()) for side in SIDES},
        )

    @classmethod
    def read(cls, path: Path, table: GalaxyTable) -> Certificate:
        """Read a certificate that speaks of the test galaxies of a table.

        Raises:
            DataError: it is none, or is about other test galaxies.
        """
        try:
            certificate = cls.model_validate_json(read_at_most(path, LARGEST_CERTIFICATE))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise DataError(
                f"{path} is no certificate ({where}: {first['msg']}); make one with 'astrojepa-bench data overlap'"
            ) from None
        if certificate.test_galaxies != _test_galaxies(table):
            raise DataError(
                f"{path} is about the {certificate.galaxies.get('test', 0)} test galaxies of "
                f"{certificate.dataset}, these are {len(table.rows('test'))} others of {table.card.name}; make one "
                "for them with 'astrojepa-bench data overlap'"
            )
        return certificate

    def to_json(self) -> str:
        """Write it, keys sorted."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1) + "\n"

    def disclosed_in(self, record: RunRecord, table: GalaxyTable) -> RunRecord:
        """Return a record that says what its weights had seen, and which of the galaxies of its bits that were."""
        labelled = table.rows("test")
        labelled = labelled[table.label[labelled] >= 0]
        seen = np.isin(sorted(map(str, table.ids[labelled].tolist())), self.seen["test"])
        told: dict[str, Any] = {
            "list": self.listed,
            "compared": self.compared,
            "galaxies": self.galaxies,
            "seen": {side: len(self.seen[side]) for side in SIDES},
            "certificate": digest(self.model_dump(mode="json")),
            "labelled": len(seen),
            "bits": encode_bits(seen),
        }
        return record.model_copy(update={"disclosed": told})


def starts_from_weights(options: Mapping[str, Mapping[str, object]]) -> bool:
    """Whether an entry's objective or encoder takes weights from a file."""
    return any(options.get(kind, {}).get("weights") is not None for kind in ("objective", "encoder"))


def _test_galaxies(table: GalaxyTable) -> str:
    return digest(sorted(map(str, table.ids[table.rows("test")].tolist())))
