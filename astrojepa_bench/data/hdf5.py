"""Galaxies from any HDF5 file of Galaxy10's layout: 1 to 5 bands, any label column, compressed or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from astrojepa_bench.data.conversion import (
    CONVERSION,
    Converted,
    band_statistics,
    convert,
    fingerprint,
    stack,
)
from astrojepa_bench.data.extras import with_extras
from astrojepa_bench.data.hdf5_file import Hdf5File
from astrojepa_bench.data.splits import assign_splits, conflicting, count_moved, rare_classes, sky_groups
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import Card, GalaxyTable, Images, ImageSpec

UNSTATED = "see the file's source"
BAND_NAMES = {1: ("gray",), 3: ("z", "r", "g")}


class Hdf5(Dataset):
    """Galaxies from an HDF5 file with `images` (uint8, channels last) and a label column.

    Images are cut to their central square, area-averaged (or, if smaller, bilinearly interpolated) to the
    size asked for, and cached. The file's own `split` is honoured; without one the split is stratified by
    class and never parts overlapping sky (see `assign_splits`). Unlabelled galaxies train. Images that
    occur twice under different labels are dropped; a class with a single galaxy becomes unlabelled; with
    one class only, labels are unused. Each of these is counted on the card.

    Args:
        path: the file.
        label: name of the label column; 255 and NaN mean unlabelled.
        pool: more images for pretraining only (HDF5, zip or folder).
        anomalies: odd galaxies for the test set only (HDF5, zip or folder).
        mirror_safe: whether a mirrored galaxy keeps its label; set it to false where spin is the label.
    """

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        path: Path,
        label: str = "ans",
        pool: Path | None = None,
        anomalies: Path | None = None,
        mirror_safe: bool = True,
    ) -> None:
        self.path = Path(path).expanduser()
        self.label = label
        self.pool = pool
        self.anomalies = anomalies
        self.mirror_safe = mirror_safe

    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """Read, split and convert the file, and add pool and anomalies.

        Raises:
            DataError: a file is missing, damaged, or not of the expected layout.
            ConfigError: the cache cannot be written.
        """
        file = Hdf5File.opened(self.path, self.label)
        labels = file.labels(self.label)
        converted = convert(file, size_px, cache_dir)
        chosen = _choose(file, labels, converted.digests)
        table = self._table(file, chosen, converted, cache_dir)
        return with_extras(
            table, pool=self.pool, anomalies=self.anomalies, size_px=size_px, cache_dir=cache_dir
        )

    def _table(self, file: Hdf5File, chosen: _Chosen, converted: Converted, cache_dir: Path) -> GalaxyTable:
        facts, rows = file.facts(converted.images.shape[2]), chosen.rows
        known = {name: values[rows] for name, values in facts.items() if not np.isnan(values[rows]).all()}
        content = fingerprint(
            CONVERSION, converted.images.shape[1:], converted.digests[rows], rows, chosen.label, chosen.split,
            *(part for name in sorted(known) for part in (name, known[name])),
        )  # fmt: skip
        images = _taken(converted, rows, content, cache_dir)
        return GalaxyTable(
            images=images, ids=rows.astype(str), split=chosen.split, fingerprint=content,
            spec=self._spec(images, chosen.split), card=self._card(file, chosen), label=chosen.label,
            anomaly=np.zeros(len(rows), dtype=np.int64), anomaly_type=np.full(len(rows), "", dtype="<U1"),
            group=chosen.group, **known,
        )  # fmt: skip

    def _spec(self, images: Images, split: np.ndarray) -> ImageSpec:
        bands, size_px = images.shape[1:3]
        mean, std = band_statistics(images, np.flatnonzero(split == "train"))
        names = BAND_NAMES.get(bands, tuple(f"band{number}" for number in range(bands)))
        return ImageSpec(names, size_px, mean, std, self.mirror_safe)

    def _card(self, file: Hdf5File, chosen: _Chosen) -> Card:
        names = file.class_names.get(self.label, ())
        covers = len(names) > chosen.label.max(initial=-1) >= 0
        stated = [file.attributes.get(key) for key in ("citation", "reference", "survey")]
        citation = next((text for text in stated if text), UNSTATED)
        licence = file.attributes.get("licence") or file.attributes.get("license") or UNSTATED
        return Card(self.path.stem, licence, citation, names if covers else (), chosen.notes)


@dataclass(frozen=True)
class _Chosen:
    """The rows of a file that are used, and how."""

    rows: Int[np.ndarray, " galaxy"]
    label: Int[np.ndarray, " galaxy"]
    group: np.ndarray
    split: np.ndarray
    notes: tuple[str, ...]


def _choose(file: Hdf5File, labels: Int[np.ndarray, " row"], digests: np.ndarray) -> _Chosen:
    bad = conflicting(digests, labels)
    rows = np.flatnonzero(~bad)
    label, notes = _usable(labels[rows])
    facts = file.facts(size_px=1)  # an image of one pixel: its scale is the field of view
    group = sky_groups(digests[rows], *(facts[name][rows] for name in ("ra", "dec", "pixel_scale")))
    declared = file.columns["split"][rows] if "split" in file.columns else None
    split = assign_splits(label, group, declared)
    notes = [*_dropped(int(bad.sum())), *notes, *_divided(label, group, split, declared)]
    alone = len(np.unique(label[label >= 0])) == 1
    return _Chosen(rows, np.full_like(label, -1) if alone else label, group, split, tuple(notes))


def _usable(labels: Int[np.ndarray, " galaxy"]) -> tuple[Int[np.ndarray, " galaxy"], list[str]]:
    """Forget the labels of classes too small to be split, and say so."""
    rare = rare_classes(labels)
    kept = np.where(np.isin(labels, rare), -1, labels)
    notes = [f"class {label} has a single galaxy; its label is unused" for label in rare]
    found = np.unique(kept[kept >= 0])
    if len(found) == 1:
        notes.append(f"class {found[0]} is the only one; labels are unused")
    return kept, notes


def _dropped(count: int) -> list[str]:
    return [f"{count} images occur under more than one label; all their copies were dropped"] if count else []


def _divided(
    labels: Int[np.ndarray, " galaxy"], groups: np.ndarray, splits: np.ndarray, declared: np.ndarray | None
) -> list[str]:
    _, members = np.unique(groups, return_counts=True)
    crowded = members[members > 1]
    moved = 0 if declared is None else count_moved(declared, splits)
    counts = " / ".join(f"{(splits == name).sum()} {name}" for name in ("train", "val", "test"))
    unlabelled = int((labels < 0).sum())
    facts = {
        f"{counts}, {'stratified by class' if declared is None else 'as the file declares'}": True,
        f"{unlabelled} galaxies are unlabelled": unlabelled,
        f"{len(crowded)} groups of overlapping images hold {crowded.sum()} galaxies": len(crowded),
        f"{moved} galaxies left their declared split to stay with one they overlap": moved,
    }
    return [note for note, holds in facts.items() if holds]


def _taken(converted: Converted, rows: Int[np.ndarray, " row"], content: str, cache_dir: Path) -> Images:
    images = converted.images
    return images if len(rows) == len(images) else stack([(images, rows)], content, cache_dir)
