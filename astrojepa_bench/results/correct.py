"""Which test galaxies were right, as bits in a record: what others need to check a verdict.

Bit i is that of the galaxy at position i of `galaxies/<fingerprint>.csv`, which lists the labelled test galaxies by
id as text. Galaxies without a label, anomalies among them, can be neither right nor wrong and have no bit.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from astrojepa_bench.errors import DataError
from astrojepa_bench.escaping import csv_id, csv_text

Right = Bool[np.ndarray, " galaxy"]
Classes = Int[np.ndarray, " galaxy"]
_COLUMNS = ("position", "id", "class")


def encode_bits(right: Right) -> str:
    """Pack which galaxies were right, eight to a byte, as base64.

    Example:
        >>> encode_bits(np.array([True, False, True]))
        'oA=='
    """
    return base64.b64encode(np.packbits(right).tobytes()).decode("ascii")


def decode_bits(text: str, n: int) -> Right:
    """Read back which of `n` galaxies were right.

    Raises:
        DataError: the text holds no bits of so many galaxies.

    Example:
        >>> decode_bits("oA==", 3).tolist()
        [True, False, True]
    """
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except (binascii.Error, ValueError):
        raise DataError(
            f"'{text[:20]}' is no base64; bits of galaxies are packed and written as base64"
        ) from None
    bits = np.unpackbits(packed).astype(bool)
    if len(packed) != (n + 7) // 8 or bits[n:].any():
        raise DataError(f"{len(bits)} bits cannot be those of {n} galaxies, padded with zeros to whole bytes")
    return bits[:n]


def packed(right: object) -> object:
    """Pack what an evaluator said of each galaxy by id; what was packed before stays as it is."""
    if not isinstance(right, Mapping):
        return right
    return encode_bits(np.array([right[name] for name in sorted(right)], dtype=bool))


def galaxies_text(ids: np.ndarray, label: Classes) -> str:
    """List the galaxies that carry a label in the order of the bits: position, id, class index.

    Args:
        ids: of the test galaxies.
        label: class index of each, -1 where nobody knows it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    known = sorted(
        (str(name), index) for name, index in zip(ids.tolist(), label.tolist(), strict=True) if index >= 0
    )
    writer.writerows([_COLUMNS, *((place, csv_id(name), index) for place, (name, index) in enumerate(known))])
    return text.getvalue()


def read_classes(path: Path) -> Classes:
    """Read the class index of each galaxy that `galaxies_text` listed, in the order of the bits.

    Raises:
        DataError: the file is no such list.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text())))
        places, written, classes = zip(*rows[1:], strict=True)
        ids = [*map(csv_text, written)]
        found = np.array([int(index) for index in classes], dtype=np.int64)
        is_list = tuple(rows[0]) == _COLUMNS and [int(place) for place in places] == list(range(len(found)))
    except (OSError, ValueError):
        is_list = False
    if not is_list or ids != sorted(ids):
        raise DataError(
            f"{path} does not list galaxies by position, id and class, ids in order; restore it, or delete it and "
            "run something on these galaxies"
        )
    return found


def recalls(right: Right, classes: Classes) -> dict[int, float]:
    """Compute the share of each class that was right; their mean is the balanced accuracy.

    Args:
        right: which galaxies were right.
        classes: of the same galaxies.
    """
    return {int(index): float(right[classes == index].mean()) for index in np.unique(classes)}
