"""Frozen features of a scored encoder: computed once, kept with the records, read back exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.declarations import is_text, shown
from astrojepa_bench.errors import ContractError
from astrojepa_bench.evaluation.store import Arrays, FeatureFile, encoded
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.roles import Encoder
from astrojepa_bench.training.linear_layers import LinearByOneDNN
from astrojepa_bench.types import GalaxyTable, Split

version = 2  # raise it whenever a number changes
BATCH = 512
BATCH_ON_CPU = 32  # activations of more leave the caches of the processor
FITTED_TO = "facts"  # the room of labels and redshifts in the file of a run
ENCODED: tuple[Split, ...] = ("train", "val", "test")
TapFeatures = Mapping[str, Float[Tensor, "galaxy dim"]]


def extract(encoder: Encoder, table: GalaxyTable, images: DeviceImages, seed: int, path: Path) -> Features:
    """Read features kept in the file of a run, or else compute them and keep them there.

    Raises:
        ContractError: the encoder's taps are not what `checked_taps` asks for, or a feature is not finite.
    """
    kept = load_features(path, table, seed)
    if kept is not None:
        return kept
    features = compute_features(encoder, table, images, seed)
    save_features(path, table, features)
    return features


@torch.no_grad()
def encode_rows(encoder: Encoder, images: DeviceImages, rows: Int[np.ndarray, " row"]) -> TapFeatures:
    """Compute every tap of the given rows, in batches, on the encoder's device; float32 on the CPU.

    Raises:
        ContractError: the taps are not what `checked_taps` asks for, or differ from batch to batch.
    """
    taps: dict[str, Tensor] = {}
    for piece in pieces(len(rows), images.device):
        batch = images.batch(rows[piece])
        with blamed_on(encoder), LinearByOneDNN():
            found = checked_taps(encoder, batch)
            widths = {name: kept.shape[1] for name, kept in taps.items()}
            here = {name: values.shape[1] for name, values in found.items()}
            if widths not in ({}, here):
                raise ContractError(f"the encoder's taps are {here} in one batch and {widths} in another")
        # at once for all rows: small parts among what a batch takes and frees would leave its memory in pieces
        taps = taps or {name: torch.empty(len(rows), width) for name, width in here.items()}
        for name, values in found.items():
            taps[name][piece] = values
    return taps


def pieces(count: int, device: torch.device) -> Iterator[slice]:
    """Cut images into what an encoder is given at once.

    Products of a single row, or a few, are summed in another order than those of many. So each batch is cut into
    pieces of about one size, none of them a small rest: features are those of the batch, bit for bit.
    """
    at_once = BATCH_ON_CPU if device.type == "cpu" else BATCH
    for start in range(0, count, BATCH):
        batch = min(BATCH, count - start)
        parts = -(-batch // at_once)
        ends = (start + batch * part // parts for part in range(parts + 1))
        yield from (slice(*pair) for pair in pairwise(ends))


def checked_taps(encoder: Encoder, images: Float[Tensor, "batch band height width"]) -> TapFeatures:
    """Compute the taps of a batch, on its device.

    Raises:
        ContractError: they are no mapping by name of (batch, dim) floating-point numbers, or lack `last`.
    """
    found: object = encoder.taps(images)
    if not isinstance(found, Mapping) or "last" not in found:
        raise ContractError(f"taps returned {_told(found)}; expected a mapping by name that has 'last'")
    taps: dict[str, Tensor] = {}
    for name, values in found.items():
        if not is_text(name) or name == "ids" or "/" in name:
            raise ContractError(f"a tap is called {shown(name)}; use another name, without '/'")
        if not isinstance(values, Tensor) or not values.is_floating_point() or values.ndim != 2:
            raise ContractError(f"tap '{name}' is {_told(values)}; expected floating-point (batch, dim)")
        if len(values) != len(images) or not values.shape[1]:
            raise ContractError(f"tap '{name}' is {_told(values)} for {len(images)} images")
        taps[name] = values
    return taps


def check_finite(taps: TapFeatures, where: str) -> None:
    """Refuse features that nothing can be fitted to.

    Raises:
        ContractError: a feature is NaN or infinite.
    """
    for tap, values in taps.items():
        broken = int((~torch.isfinite(values)).any(dim=1).sum())
        if broken:
            raise ContractError(
                f"tap '{tap}' of the scored encoder is not finite for {broken} of {len(values)} galaxies {where}"
            )


def _told(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"a mapping of {shown(list(value))}" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def compute_features(encoder: Encoder, table: GalaxyTable, images: DeviceImages, seed: int) -> Features:
    """Encode train, val and test galaxies with a frozen encoder.

    Raises:
        ContractError: the taps are not what `checked_taps` asks for, or a feature is not finite.
    """
    encoder.eval()
    taps = dict[Split, TapFeatures]()
    for split in events.track(ENCODED, task="encoding galaxies", total=len(ENCODED), unit="splits"):
        taps[split] = encode_rows(encoder, images, table.rows(split))
        with blamed_on(encoder):
            check_finite(taps[split], f"of {split}")
    return _with_facts(table, taps, seed)


def save_features(path: Path, table: GalaxyTable, features: Features) -> None:
    """Write features and ids of every split of a table to the file of a run, with what probes are fitted to."""
    parts = {split: features.split(split) for split in ENCODED}
    arrays: dict[str, Arrays] = {
        split: {"ids": part.ids, **{tap: values.numpy() for tap, values in part.features.items()}}
        for split, part in parts.items()
    }
    for split, part in parts.items():
        known = {} if part.redshift is None else {"redshift": part.redshift}
        arrays[f"{FITTED_TO}/{split}"] = {"label": part.label, "anomaly": part.anomaly, **known}
    FeatureFile(path, table.fingerprint).write(arrays)


def kept_features(path: Path, fingerprint: str, seed: int) -> Features | None:
    """Read features back with the labels and redshifts that were kept beside them, without their galaxies.

    Args:
        path: the file of a run.
        fingerprint: of its galaxies.
        seed: of the run.

    Returns:
        None where there are none, or they are of other galaxies, or were kept before labels were.
    """
    file, parts = FeatureFile(path, fingerprint), dict[Split, SplitFeatures]()
    for split in ENCODED:
        found, facts = file.read(split), file.read(f"{FITTED_TO}/{split}")
        if found is None or facts is None or not {"label", "anomaly"} <= set(facts):
            return None
        taps = {name: torch.from_numpy(values) for name, values in found.items() if name != "ids"}
        ids = np.char.decode(found["ids"], "utf-8")
        parts[split] = SplitFeatures(
            ids, taps, facts["label"], facts["anomaly"], redshift=facts.get("redshift")
        )
    label = np.concatenate([part.label for part in parts.values()])
    return Features(parts["train"], parts["val"], parts["test"], len(np.unique(label[label >= 0])), seed)


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
    return Features(parts["train"], parts["val"], parts["test"], len(table.present), seed)


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
