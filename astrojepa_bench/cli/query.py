"""The galaxy that the arguments name, and the sample that its neighbours are looked for in."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import pandas as pd

from astrojepa_bench.cli.data_path import name_the_reader
from astrojepa_bench.cli.names import refuse_target, registry_of, settings_of
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore.query import Asked, by_id, by_index, by_picture, by_place
from astrojepa_bench.explore.sample import Sample, chosen_sample, own_sample, own_split
from astrojepa_bench.types import Split

OWN: Mapping[str, Split] = {"train": "train", "val": "val", "test": "test"}
PLACES = {"ra": "{:.5f}".format, "dec": "{:.5f}".format}


def check_query(arguments: Namespace) -> None:
    """Refuse half a place on the sky before any slow work.

    Raises:
        ConfigError: --ra without --dec, or the other way round.
    """
    if (arguments.ra is None) != (arguments.dec is None):
        raise ConfigError("--ra and --dec belong together; give both, in degrees")


def asked_for(arguments: Namespace, sample: Sample) -> Asked:
    """Find the galaxy that the arguments name, in a sample or as a picture.

    Raises:
        ConfigError: there is none.
        DataError: the picture cannot be read.
    """
    if arguments.image is not None:
        return by_picture(sample.run, arguments.image)
    if arguments.id is not None:
        return by_id(sample, arguments.id)
    if arguments.ra is not None:
        return by_place(sample, arguments.ra, arguments.dec, arguments.radius)
    return by_index(sample, arguments.index)


def sample_among(arguments: Namespace, sample: Sample) -> Sample:
    """Return the galaxies that `--among` names; those of the sample where it names none.

    Raises:
        ConfigError: there is no such dataset, or files of the run's own galaxies were not given.
        DataError: the galaxies cannot be read.
    """
    name, registry = arguments.among, registry_of(arguments)
    if name is None:
        return sample
    if name in OWN:
        own = sample if sample.own else own_sample(sample.run, registry, {}, arguments.cache)
        return own_split(own, OWN[name])
    refuse_target(name, [offer.name for offer in registry.offers("dataset")])
    there = Namespace(**{**vars(arguments), "dataset": name, "set": []})
    name_the_reader(there)
    return chosen_sample(sample.run, there.dataset, registry, settings_of(there), arguments.cache)


def facts_of(asked: Asked, row: pd.Series[Any]) -> dict[str, object]:
    """Return what is known of the galaxy that was asked for, for JSON."""
    away = {} if asked.separation is None else {"separation_arcsec": round(asked.separation, 3)}
    return {"index": asked.index, "id": str(row["id"]), **_place(row), **away}


def told_of(asked: Asked, row: pd.Series[Any]) -> str:
    """Return in words which galaxy was found."""
    at = "".join(f", {name} {value:.5f}" for name, value in _place(row).items())
    away = "" if asked.separation is None else f", {asked.separation:.2f} arcsec from the place asked for"
    return f"galaxy {row['id']} (index {asked.index}){at}{away}"


def _place(row: pd.Series[Any]) -> dict[str, float]:
    """Return the position of a galaxy [deg], where it is known."""
    place = {name: float(row.get(name, float("nan"))) for name in ("ra", "dec")}
    return place if all(map(math.isfinite, place.values())) else {}
