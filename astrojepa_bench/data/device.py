"""Images on the device: one uint8 tensor when it fits, else rows read from the memory map as they are needed."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from astrojepa_bench.types import Images

RESIDENT_BYTES = 8 * 2**30


class DeviceImages:
    """Serves batches of a table's images on one device, without worker processes.

    Args:
        images: uint8 images in memory or memory-mapped.
        device: where batches are wanted.
        resident_bytes: tables up to this size are copied to the device once.
    """

    def __init__(self, images: Images, device: torch.device, resident_bytes: int = RESIDENT_BYTES) -> None:
        self.device = device
        self._mapped = images
        self._resident = None
        if images.nbytes <= resident_bytes:
            self._resident = torch.from_numpy(np.array(images)).to(device)

    def __len__(self) -> int:
        return len(self._mapped)

    def raw(self, rows: Int[np.ndarray, " batch"]) -> UInt8[Tensor, "batch band height width"]:
        """Return the stored bytes of the given rows."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(rows).to(self.device)]
        return torch.from_numpy(self._mapped[rows]).to(self.device)

    def batch(self, rows: Int[np.ndarray, " batch"]) -> Float[Tensor, "batch band height width"]:
        """Return the images of the given rows in [0, 1]."""
        return to_unit(self.raw(rows))


def to_unit(raw: UInt8[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Map bytes to [0, 1]."""
    return raw.float() / 255
