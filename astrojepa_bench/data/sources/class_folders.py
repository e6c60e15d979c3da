"""Which class and split do the folders name that images without a table lie in?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from astrojepa_bench.data.sources.catalogue import Catalogue
from astrojepa_bench.data.sources.container import shown, spelt
from astrojepa_bench.data.sources.file_kinds import without_suffix
from astrojepa_bench.data.sources.tables import class_notes, classes_of
from astrojepa_bench.data.splitting.splits import SPELLINGS
from astrojepa_bench.errors import DataError

UNLABELLED = frozenset({"unlabelled", "unlabeled"})


def by_folders(names: Sequence[str]) -> Catalogue:
    """Read class and split of images off their paths: `spiral/x.jpg`, `train/spiral/x.jpg`.

    Folders that hold everything carry no information and are skipped. If all outermost folders are named for
    splits, they are splits. The next folder names the class; images beside the class folders are
    unlabelled. Names are the paths without suffix.

    Args:
        names: of the images.

    Raises:
        DataError: some, but not all, outermost folders are named for splits.
    """
    bare = Catalogue.bare(np.array([spelt(without_suffix(name)) for name in names]))
    inner = [tuple(name.split("/")) for name in names]
    while len(_tops(inner)) == 1 and "" not in _tops(inner):
        inner = [parts[1:] for parts in inner]
    split = None
    if _are_splits(_tops(inner)):
        split = np.array([parts[0] for parts in inner])
        inner = [parts[1:] for parts in inner]
    tops = [_top(parts) for parts in inner]
    nameless = sum(top.lower() in UNLABELLED for top in tops)
    folders = pd.Series(
        ["" if top.lower() in UNLABELLED else top for top in tops], name="folder", dtype=object
    )
    class_names, label = classes_of(folders)
    notes = (
        *([f"{nameless} images lie in a folder called unlabelled, and are"] if nameless else []),
        *(note for note in class_notes(folders) if "leave the cell empty" not in note),  # there is none
    )
    return replace(bare, label=label, class_names=class_names, split=split, notes=notes)


def _top(parts: tuple[str, ...]) -> str:
    return parts[0] if len(parts) > 1 else ""


def _tops(paths: Sequence[tuple[str, ...]]) -> set[str]:
    return {_top(parts) for parts in paths}


def _are_splits(tops: set[str]) -> bool:
    words = {top for top in tops if top.lower() in SPELLINGS}
    if {SPELLINGS[word.lower()] for word in words} >= {"train", "test"} and words != tops:
        other = shown(min(tops - words)) or "."
        raise DataError(
            f"folders {', '.join(sorted(words))} are splits, but '{other}' holds images too; move them into one"
        )
    return bool(tops) and words == tops
