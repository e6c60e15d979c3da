"""Frozen features of a judged encoder: computed once, kept beside the records, read back exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench import events
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.evaluators.answers import Answers, SplitAnswers
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import GalaxyTable, Split

BATCH = 512
JUDGED: tuple[Split, ...] = ("train", "val", "test")
Features = Mapping[str, Float[Tensor, "galaxy dim"]]


@torch.no_grad()
def encode_rows(encoder: Encoder, images: DeviceImages, rows: Int[np.ndarray, " row"]) -> Features:
    """Compute every tap of the given rows, in batches, on the encoder's device; float32 on the CPU."""
    taps: dict[str, list[Tensor]] = {}
    for start in range(0, len(rows), BATCH):
        for name, values in encoder.taps(images.batch(rows[start : start + BATCH])).items():
            taps.setdefault(name, []).append(values.float().cpu())
    return {name: torch.cat(parts) for name, parts in taps.items()}


def compute_answers(encoder: Encoder, table: GalaxyTable, images: DeviceImages, seed: int) -> Answers:
    """Encode train, val and test galaxies with a frozen encoder."""
    encoder.eval()
    features = dict(_encoded(encoder, table, images))
    return assemble_answers(table, features, seed)


def _encoded(encoder: Encoder, table: GalaxyTable, images: DeviceImages) -> Iterator[tuple[Split, Features]]:
    for split in events.track(JUDGED, task="encoding galaxies", total=len(JUDGED), unit="splits"):
        yield split, encode_rows(encoder, images, table.rows(split))


def assemble_answers(table: GalaxyTable, features: Mapping[Split, Features], seed: int) -> Answers:
    """Put features beside the facts of the table."""
    parts = {split: _split_answers(table, table.rows(split), features[split]) for split in JUDGED}
    return Answers(parts["train"], parts["val"], parts["test"], table.classes, seed)


def _split_answers(table: GalaxyTable, rows: Int[np.ndarray, " row"], features: Features) -> SplitAnswers:
    return SplitAnswers(table.ids[rows], features, table.label[rows], table.anomaly[rows])


def save_answers(path: Path, answers: Answers) -> None:
    """Write features and ids to HDF5, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with h5py.File(partial, "w") as file:
        for split in JUDGED:
            part = answers.split(split)
            file[f"{split}/ids"] = part.ids.astype("S")
            for tap, values in part.features.items():
                file[f"{split}/{tap}"] = values.numpy()
    partial.replace(path)


def load_answers(path: Path, table: GalaxyTable, seed: int) -> Answers | None:
    """Read features back; None where there are none, or they are of other galaxies."""
    if not path.exists():
        return None
    try:
        with h5py.File(path) as file:
            features = {split: _read_features(file[split], table, split) for split in JUDGED}
    except (OSError, KeyError, ValueError):
        return None  # unreadable or foreign: features can always be computed again
    return assemble_answers(table, features, seed)


def _read_features(group: h5py.Group, table: GalaxyTable, split: Split) -> Features:
    if not np.array_equal(group["ids"][:], table.ids[table.rows(split)].astype("S")):
        raise ValueError("features of other galaxies")
    return {tap: torch.from_numpy(group[tap][:]) for tap in group if tap != "ids"}
