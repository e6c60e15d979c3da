"""One HDF5 file a run: features, what evaluators requested, and what they predicted of each galaxy.

```
<split>/ids  <split>/<tap>          features of train, val and test
requests/<name>/<array>             what evaluators asked for beyond them
predictions/<evaluator>/<array>     per-galaxy answers, beside their ids
```
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np

Arrays: TypeAlias = Mapping[str, np.ndarray]


def keep_arrays(path: Path, groups: Mapping[str, Arrays]) -> None:
    """Write groups of arrays into a file, in place of groups of those names, whole or not at all."""
    with _rewritten(path) as file:
        for name, arrays in groups.items():
            if name in file:
                del file[name]
            group = file.create_group(name)
            for array_name, values in arrays.items():
                group[array_name] = encoded(values) if values.dtype.kind == "U" else values


def read_arrays(path: Path, group: str) -> Arrays | None:
    """Read a group back, text as UTF-8 bytes; None where it is not, or the file is damaged."""
    if not path.exists():
        return None
    try:
        with h5py.File(path) as file:
            return {name: values[()] for name, values in file[group].items()}
    except (OSError, KeyError, ValueError):
        return None  # whatever is kept here can be computed again


def encoded(text: np.ndarray) -> np.ndarray:
    """Encode text as HDF5 keeps it."""
    return np.char.encode(text.astype(str), "utf-8")


@contextmanager
def _rewritten(path: Path) -> Iterator[h5py.File]:
    """Change a copy and put it in the file's place, so that a kill leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    if h5py.is_hdf5(path):
        shutil.copyfile(path, partial)
    try:
        with h5py.File(partial, "a") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_predictions(path: Path, evaluator: str) -> Arrays | None:
    """Read what an evaluator predicted of each test galaxy, `ids` beside it, for paired comparisons of runs.

    Args:
        path: the run's file of answers.
        evaluator: its name.
    """
    found = read_arrays(path, f"predictions/{evaluator}")
    return None if found is None else {**found, "ids": np.char.decode(found["ids"], "utf-8")}
