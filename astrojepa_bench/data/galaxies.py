"""A loaded dataset: its table, its images on a device, and what a record says of where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from astrojepa_bench.border import blamed_on, owner_of
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.prepared import Prepared
from astrojepa_bench.data.rules import check_images, check_table
from astrojepa_bench.errors import BenchError, DataError, named
from astrojepa_bench.events import emit
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import GalaxyTable

FLUX = (
    "images are flux in a unit of its own and not display levels from 0 to 1: encoders normalise it by the mean "
    "and spread of each band; what assumes levels (thresholds, noise that is added) meets other values"
)


@dataclass(frozen=True)
class Galaxies:
    """A loaded dataset, ready for a device.

    Attributes:
        name: of the dataset, as it was asked for.
        chain: what the dataset's version is made of, by name.
        options: the dataset's options as recorded.
        dataset: what loaded the table.
        table: the galaxies.
        images: the table's images on the device.
        cache: folder of converted galaxies.
    """

    name: str
    chain: Mapping[str, str]
    options: Mapping[str, object]
    dataset: Dataset
    table: GalaxyTable
    images: DeviceImages
    cache: Path

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.device

    @cached_property
    def shifted(self) -> Galaxies | None:
        """The same galaxies seen by another instrument, read as they are needed; None where nobody has."""
        with blamed_on(self.dataset):
            dataset = self.dataset.shifted()
            if dataset is None:
                return None
            table = loaded(dataset, self.table.spec.size_px, self.cache)
        images = DeviceImages(table.images, self.device, resident_bytes=0)
        return replace(self, dataset=dataset, table=table, images=images)


def load_table(dataset: Dataset, size_px: int, cache: Path) -> GalaxyTable:
    """Load the galaxies of a dataset, hold them to the rules of every table, and pass on the notes on its card.

    Raises:
        DataError: the source is missing or wrong, the dataset's own code fails, or its table breaks a rule.
    """
    table = loaded(dataset, size_px, cache)
    with _breaking_no_rule(dataset):
        # what `data prepare` wrote was checked then, and reading all of it would take as long as an epoch
        table = check_table(table, pixels=not isinstance(dataset, Prepared))
    if table.images.dtype != np.uint8 and FLUX not in table.card.notes:
        table = replace(table, card=replace(table.card, notes=(*table.card.notes, FLUX)))
    for note in table.card.notes:
        emit("note", text=f"{table.card.name}: {note}")
    return table


def loaded(dataset: Dataset, size_px: int, cache: Path) -> GalaxyTable:
    """Load the galaxies of a dataset, whatever its code does.

    Raises:
        BenchError: as the dataset says.
        DataError: its code fails, or returns no table of 8-bit images of that size.
    """
    with blamed_on(dataset):
        try:
            table: object = dataset.load(size_px, cache)
        except (BenchError, MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise DataError(f"{_title(dataset)} cannot be loaded: {named(error)}; ask its author") from error
        if not isinstance(table, GalaxyTable):
            raise DataError(
                f"{_title(dataset)}: load returned {type(table).__name__}; expected a GalaxyTable"
            )
    with _breaking_no_rule(dataset):
        check_images(table, size_px)
    return table


@contextmanager
def _breaking_no_rule(dataset: Dataset) -> Iterator[None]:
    """Name the dataset in what is wrong with its table, whatever its columns do when they are looked at."""
    with blamed_on(dataset):
        try:
            yield
        except (MemoryError, OSError, KeyboardInterrupt):
            raise
        except DataError as error:
            raise DataError(f"{_title(dataset)}: {error}") from None
        except Exception as error:
            raise DataError(f"{_title(dataset)}: its table is not sound ({type(error).__name__})") from error


def _title(dataset: Dataset) -> str:
    offer = owner_of(dataset)
    return f"dataset {type(dataset).__name__}" if offer is None else offer.title
