"""Frozen features of a scored encoder: computed once, kept with the records, read back exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench import events
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.errors import ContractError
from astrojepa_bench.evaluation.store import Arrays, FeatureFile, encoded
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import GalaxyTable, Split

version = 1  # raise it whenever a number changes
BATCH = 512
ENCODED: tuple[Split, ...] = ("train", "val", "test")
TapFeatures = Mapping[str, Float[Tensor, "galaxy dim"]]


def extract(encoder: Encoder, table: GalaxyTable, images: DeviceImages, seed: int, path: Path) -> Features:
    """Read features kept in the file of a run, or else compute them and keep them there.

    Raises:
        ContractError: a feature of a test galaxy is not finite.
    """
    kept = load_features(path, table, seed)
    if kept is not None:
        return kept
    features = compute_features(encoder, table, images, seed)
    for tap, values in features.test.features.items():
        if not bool(torch.isfinite(values).all()):
            raise ContractError(f"tap '{tap}' of the scored encoder holds non-finite features on test")
    save_features(path, table, features)
    return features


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
    watched = events.track(ENCODED, task="encoding galaxies", total=len(ENCODED), unit="splits")
    return _with_facts(
        table, {split: encode_rows(encoder, images, table.rows(split)) for split in watched}, seed
    )


def save_features(path: Path, table: GalaxyTable, features: Features) -> None:
    """Write features and ids of every split of a table to the file of a run."""
    parts = {split: features.split(split) for split in ENCODED}
    FeatureFile(path, table.fingerprint).write(
        {
            split: {"ids": part.ids, **{tap: values.numpy() for tap, values in part.features.items()}}
            for split, part in parts.items()
        }
    )


def load_features(path: Path, table: GalaxyTable, seed: int) -> Features | None:
    """Read features back; None where there are none, or they are of other galaxies."""
    file, taps = FeatureFile(path, table.fingerprint), dict[Split, TapFeatures]()
    for split in ENCODED:
        found = file.read(split)
        if found is None or not same_galaxies(found, table.ids[table.rows(split)]):
            return None
        taps[split] = {name: torch.from_numpy(values) for name, values in found.items() if name != "ids"}
    return _with_facts(table, taps, seed)


def same_galaxies(found: Arrays, ids: np.ndarray) -> bool:
    """Whether arrays that were kept belong to the galaxies of these ids, in this order."""
    return np.array_equal(found.get("ids", np.empty(0)), encoded(ids))


def _with_facts(table: GalaxyTable, taps: Mapping[Split, TapFeatures], seed: int) -> Features:
    parts = {split: split_features(table, table.rows(split), taps[split]) for split in ENCODED}
    return Features(parts["train"], parts["val"], parts["test"], table.classes, seed)


def split_features(table: GalaxyTable, rows: Int[np.ndarray, " row"], features: TapFeatures) -> SplitFeatures:
    """Join features of some rows and the facts that the table holds of them."""
    return SplitFeatures(
        table.ids[rows],
        features,
        table.label[rows],
        table.anomaly[rows],
        redshift=None if table.redshift is None else table.redshift[rows],
        factors={name: column[rows] for name, column in table.factors.items()},
    )
