"""Images on the device: one uint8 tensor on a GPU that it fits, else rows of the memory map as they are needed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from astrojepa_bench.data.convert import blocks
from astrojepa_bench.data.memory import let_go, will_need
from astrojepa_bench.types import Images

RESIDENT_BYTES = 8 * 2**30
HELD_BYTES = 64 << 20  # that a memory map may take of this process before it is let go


class DeviceImages:
    """Serves batches of a table's images on one device, without worker processes.

    Args:
        images: uint8 images or float16 flux, in memory or memory-mapped.
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
            will_need(images)  # in order, before rows are wanted in any order
            return
        self._resident = torch.empty(
            images.shape, dtype=torch.uint8 if images.dtype == np.uint8 else torch.float16, device=device
        )
        start = 0
        for block in blocks(images, np.arange(len(images))):
            self._resident[start : start + len(block)] = torch.from_numpy(block)
            start += len(block)

    def __len__(self) -> int:
        return len(self._stored)

    def raw(self, rows: Int[np.ndarray, " batch"]) -> Shaped[Tensor, "batch band height width"]:
        """Return the given rows as they are stored: bytes, or flux in float16."""
        if self._resident is not None:
            return self._resident[sent(rows, self.device)]
        found = self._stored[rows]
        self._served += found.nbytes
        if self._served > HELD_BYTES:
            let_go(self._images)
            self._served = 0
        return sent(found, self.device)

    def coming(self, parts: Iterable[tuple[int, int]]) -> None:
        """Have parts of the table read ahead, each from a row to before another, where they lie on a disk."""
        if self._resident is None:
            for first, last in parts:
                will_need(self._images, first, last)

    def batch(self, rows: Int[np.ndarray, " batch"]) -> Float[Tensor, "batch band height width"]:
        """Return the images of the given rows in [0, 1]; flux in its own unit."""
        return to_unit(self.raw(rows))


def sent(array: np.ndarray, device: torch.device) -> Tensor:
    """Send an array to a device; on a GPU nobody waits for it, which takes memory that the system cannot move."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_unit(raw: Shaped[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Map bytes to [0, 1]; flux stays what it is."""
    return raw.float().div_(255) if raw.dtype == torch.uint8 else raw.float()
