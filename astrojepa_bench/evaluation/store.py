"""One HDF5 file a run: features, extras that evaluators requested, and what they predicted of each galaxy.

```
@fingerprint                        of the galaxies that everything below is of
<split>/ids  <split>/<tap>          features of train, val and test
extras/<name>/<array>               what evaluators requested beyond them
predictions/<evaluator>/<array>     what evaluators predict of each galaxy, with ids
```
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np

from astrojepa_bench.files import locked, replacing

Arrays: TypeAlias = Mapping[str, np.ndarray]
_FINGERPRINT = "fingerprint"


@dataclass(frozen=True)
class FeatureFile:
    """What was computed for a run of some galaxies.

    Attributes:
        path: the file; it need not exist.
        fingerprint: hash of the galaxies' content; arrays of other galaxies are neither read nor kept.
    """

    path: Path
    fingerprint: str

    def write(self, groups: Mapping[str, Arrays]) -> None:
        """Write groups of arrays, in place of groups of those names, whole or not at all.

        Writers wait for one another, so none loses what another wrote.
        """
        with locked(self.path), replacing(self.path) as draft:
            if self._holds_these_galaxies():
                shutil.copyfile(self.path, draft)
            with h5py.File(draft, "a") as file:
                file.attrs[_FINGERPRINT] = self.fingerprint
                for name, arrays in groups.items():
                    if name in file:
                        del file[name]
                    group = file.create_group(name)
                    for array_name, values in arrays.items():
                        group[array_name] = encoded(values) if values.dtype.kind == "U" else values

    def read(self, group: str) -> Arrays | None:
        """Read a group, text as UTF-8 bytes; None where there is none, or it is damaged or of other galaxies."""
        return _arrays(self.path, group) if self._holds_these_galaxies() else None

    def _holds_these_galaxies(self) -> bool:
        try:
            with h5py.File(self.path) as file:
                return bool(file.attrs.get(_FINGERPRINT) == self.fingerprint)
        except (OSError, ValueError):
            return False


def read_predictions(path: Path, evaluator: str) -> Arrays | None:
    """Read what an evaluator predicted of each test galaxy, with their `ids`, for paired comparisons of runs.

    Args:
        path: the run's file of features.
        evaluator: its name.
    """
    found = _arrays(path, f"predictions/{evaluator}")
    return None if found is None else {**found, "ids": np.char.decode(found["ids"], "utf-8")}


def encoded(text: np.ndarray) -> np.ndarray:
    """Encode text as HDF5 keeps it."""
    return np.char.encode(text.astype(str), "utf-8")


def _arrays(path: Path, group: str) -> Arrays | None:
    try:
        with h5py.File(path) as file:
            return {name: values[()] for name, values in file[group].items()}
    except (OSError, KeyError, ValueError):
        return None  # whatever is kept here can be computed again
