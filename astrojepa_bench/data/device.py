"""Images on the device: one uint8 tensor on a GPU that it fits, else rows of the memory map as they are needed."""

from __future__ import annotations

import mmap

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from astrojepa_bench.data.convert import blocks, let_go
from astrojepa_bench.types import Images

RESIDENT_BYTES = 8 * 2**30
HELD_BYTES = 64 << 20  # that a memory map may take of this process before it is let go


class DeviceImages:
    """Serves batches of a table's images on one device, without worker processes.

    Args:
        images: uint8 images in memory or memory-mapped.
        device: where batches are wanted.
        resident_bytes: tables up to this size are copied to a GPU once, or expected to be wanted in full. Beside
            the processor itself a copy would only take the same memory again.
    """

    def __init__(self, images: Images, device: torch.device, resident_bytes: int = RESIDENT_BYTES) -> None:
        self.device = device
        self._stored: np.ndarray = np.asarray(images)  # without what a memory map does at every access
        self._resident: Tensor | None = None
        self._images, self._served = images, 0
        if images.nbytes > resident_bytes:
            return
        if device.type == "cpu":
            owner: object = images.base
            if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED"):
                owner.madvise(mmap.MADV_WILLNEED)  # in order, before rows are wanted in any order
            return
        self._resident = torch.empty(images.shape, dtype=torch.uint8, device=device)
        start = 0
        for block in blocks(images, np.arange(len(images))):
            self._resident[start : start + len(block)] = torch.from_numpy(block)
            start += len(block)

    def __len__(self) -> int:
        return len(self._stored)

    def raw(self, rows: Int[np.ndarray, " batch"]) -> UInt8[Tensor, "batch band height width"]:
        """Return the stored bytes of the given rows."""
        if self._resident is not None:
            return self._resident[sent(rows, self.device)]
        found = self._stored[rows]
        self._served += found.nbytes
        if self._served > HELD_BYTES:
            let_go(self._images)
            self._served = 0
        return sent(found, self.device)

    def batch(self, rows: Int[np.ndarray, " batch"]) -> Float[Tensor, "batch band height width"]:
        """Return the images of the given rows in [0, 1]."""
        return to_unit(self.raw(rows))


def sent(array: np.ndarray, device: torch.device) -> Tensor:
    """Send an array to a device; on a GPU nobody waits for it, which takes memory that the system cannot move."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_unit(raw: UInt8[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Map bytes to [0, 1]."""
    return raw.float() / 255
