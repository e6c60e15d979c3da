"""One HDF5 file a run: features, extras that evaluators requested, and what they predicted of each galaxy.

```
@fingerprint                        of the galaxies that everything below is of
@sealed                             that a seal stands behind the file (see `seals`); older files have none
<split>/ids  <split>/<tap>          features of train, val and test
facts/<split>/<array>               their labels, kinds of anomaly and redshifts, which probes are fitted to
extras/<name>/<array>               what evaluators requested beyond them
predictions/<evaluator>/<array>     what evaluators predict of each galaxy, with ids
```
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np

from astrojepa_bench.events import emit
from astrojepa_bench.files import locked, replacing
from astrojepa_bench.seals import seal_holds, seal_of

Arrays: TypeAlias = Mapping[str, np.ndarray]
_FINGERPRINT, _SEALED = "fingerprint", "sealed"


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

        Writers wait for one another, so none loses what another wrote. The file is put together in memory, because
        HDF5 brings the whole process down if its disk is full.

        Raises:
            StorageError: the folder cannot be written, or its disk is full.
        """
        with locked(self.path):
            content = self._joined(groups)  # as large as all features: not copied again for the seal
            with replacing(self.path, len(content)) as draft, draft.open("wb") as file:
                file.write(content)
                file.write(seal_of(content))

    def read(self, group: str) -> Arrays | None:
        """Read a group, text as UTF-8 bytes; None where there is none, or it is damaged or of other galaxies."""
        with _opened(self.path) as file:
            return _arrays(file, group) if self._is_of_these_galaxies(file) else None

    def _joined(self, groups: Mapping[str, Arrays]) -> bytes:
        """Put together a file of the groups that are kept so far and of new ones."""
        stream = io.BytesIO()
        with h5py.File(stream, "w") as new, _opened(self.path) as old:
            new.attrs[_FINGERPRINT], new.attrs[_SEALED] = self.fingerprint, True
            kept = _groups(old) if self._is_of_these_galaxies(old) else []
            for name in kept:
                if name not in groups:
                    group = new.create_group(name)
                    for array_name, values in (_arrays(old, name) or {}).items():
                        group[array_name] = values
            for name, arrays in groups.items():
                group = new.create_group(name)
                for array_name, values in arrays.items():
                    group[array_name] = encoded(values) if values.dtype.kind == "U" else values
        return stream.getvalue()

    def _is_of_these_galaxies(self, file: h5py.File | None) -> bool:
        return file is not None and bool(file.attrs.get(_FINGERPRINT) == self.fingerprint)


def read_predictions(path: Path, evaluator: str) -> Arrays | None:
    """Read what an evaluator predicted of each test galaxy, with their `ids`, for paired comparisons of runs.

    Args:
        path: the run's file of features.
        evaluator: its name.
    """
    with _opened(path) as file:
        found = _arrays(file, f"predictions/{evaluator}")
    return None if found is None else {**found, "ids": np.char.decode(found["ids"], "utf-8")}


def encoded(text: np.ndarray) -> np.ndarray:
    """Encode text as HDF5 keeps it."""
    return np.char.encode(text.astype(str), "utf-8")


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File | None]:
    """Open a file that is as it was written; None where there is none, with a note where it is damaged."""
    if not path.exists():
        yield None
        return
    try:
        holds = seal_holds(path)
        if holds is False:
            raise ValueError("its checksum is not that of what was written")
        file = h5py.File(path)
        if holds is None and _SEALED in file.attrs:
            file.close()
            raise ValueError("its checksum is gone")
    except (OSError, ValueError, RuntimeError, KeyError) as error:  # h5py raises any of these
        reason = " ".join(str(error).split())[:100]
        emit(
            "note", text=f"{path} is damaged ({reason}) and not used; what is needed of it is computed again"
        )
        yield None
        return
    with file:
        yield file


def _groups(file: h5py.File | None) -> list[str]:
    """List the groups that hold arrays, by path."""
    found = list[str]()
    if file is not None:
        file.visititems(lambda name, node: None if isinstance(node, h5py.Group) else found.append(name))
    return sorted({name.rpartition("/")[0] for name in found} - {""})


def _arrays(file: h5py.File | None, group: str) -> Arrays | None:
    try:
        return None if file is None else {name: values[()] for name, values in file[group].items()}
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError):
        return None  # whatever is kept here can be computed again
