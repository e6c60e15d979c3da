"""Which test galaxies were right, as bits in a record: what others need to check a verdict.

Bit i is that of the i-th galaxy of `galaxies/<fingerprint>.csv`: the labelled test galaxies, by id as text.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np
from jaxtyping import Bool

from astrojepa_bench.errors import DataError

Right = Bool[np.ndarray, " galaxy"]


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


def in_order(ids: np.ndarray) -> np.ndarray:
    """Return the rows of some ids in the order of the bits: by id as text."""
    return np.argsort(ids.astype(str), kind="stable")
