"""Frozen features of a judged encoder: computed once, kept beside the records, read back exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench import events
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.evaluation.store import encoded, keep_arrays, read_arrays
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import GalaxyTable, Split

BATCH = 512
JUDGED: tuple[Split, ...] = ("train", "val", "test")
TapFeatures = Mapping[str, Float[Tensor, "galaxy dim"]]


@torch.no_grad()
def encode_rows(encoder: Encoder, images: DeviceImages, rows: Int[np.ndarray, " row"]) -> TapFeatures:
    """Compute every tap of the given rows, in batches, on the encoder's device; float32 on the CPU."""
    taps: dict[str, list[Tensor]] = {}
    for start in range(0, len(rows), BATCH):
        for name, values in encoder.taps(images.batch(rows[start : start + BATCH])).items():
            taps.setdefault(name, []).append(values.float().cpu())
    return {name: torch.cat(parts) for name, parts in taps.items()}


def compute_features(encoder: Encoder, table: GalaxyTable, images: DeviceImages, seed: int) -> Features:
    """Encode train, val and test galaxies with a frozen encoder."""
    encoder.eval()
    features = dict(_encoded(encoder, table, images))
    return assemble_features(table, features, seed)


def _encoded(
    encoder: Encoder, table: GalaxyTable, images: DeviceImages
) -> Iterator[tuple[Split, TapFeatures]]:
    for split in events.track(JUDGED, task="encoding galaxies", total=len(JUDGED), unit="splits"):
        yield split, encode_rows(encoder, images, table.rows(split))


def assemble_features(table: GalaxyTable, features: Mapping[Split, TapFeatures], seed: int) -> Features:
    """Put features beside the facts of the table."""
    parts = {split: split_features(table, table.rows(split), features[split]) for split in JUDGED}
    return Features(parts["train"], parts["val"], parts["test"], table.classes, seed)


def split_features(table: GalaxyTable, rows: Int[np.ndarray, " row"], features: TapFeatures) -> SplitFeatures:
    """Put features of some rows beside what the table says of them."""
    return SplitFeatures(
        table.ids[rows],
        features,
        table.label[rows],
        table.anomaly[rows],
        redshift=None if table.redshift is None else table.redshift[rows],
        factors={name: column[rows] for name, column in table.factors.items()},
    )


def save_features(path: Path, answers: Features) -> None:
    """Write features and ids of every split to HDF5, whole or not at all."""
    keep_arrays(path, {split: _arrays(answers.split(split)) for split in JUDGED})


def _arrays(part: SplitFeatures) -> Mapping[str, np.ndarray]:
    return {"ids": part.ids, **{tap: values.numpy() for tap, values in part.features.items()}}


def load_features(path: Path, table: GalaxyTable, seed: int) -> Features | None:
    """Read features back; None where there are none, or they are of other galaxies."""
    features = {split: _kept_features(path, table, split) for split in JUDGED}
    known = {split: taps for split, taps in features.items() if taps is not None}
    return assemble_features(table, known, seed) if len(known) == len(JUDGED) else None


def _kept_features(path: Path, table: GalaxyTable, split: Split) -> TapFeatures | None:
    found = read_arrays(path, split)
    if found is None or not same_galaxies(found, table.ids[table.rows(split)]):
        return None
    return {name: torch.from_numpy(values) for name, values in found.items() if name != "ids"}


def same_galaxies(found: Mapping[str, np.ndarray], ids: np.ndarray) -> bool:
    """Say whether kept arrays are of the galaxies of these ids."""
    return np.array_equal(found.get("ids", np.empty(0)), encoded(ids))
