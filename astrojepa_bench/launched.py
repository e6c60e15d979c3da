"""Whether this process is one of several that train together, as `torchrun` tells by the environment."""

from __future__ import annotations

import os
from typing import NamedTuple


class Launched(NamedTuple):
    """Which of how many processes this is.

    Attributes:
        rank: from 0, on all machines.
        size: how many there are on all machines.
        local_rank: from 0, on this machine: which GPU is this process's.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_follower(self) -> bool:
        """Whether another process says what is done."""
        return self.rank > 0


def launched() -> Launched:
    """Read what a launcher left in the environment; one process where it left nothing."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    found = [os.environ.get(name, "") for name in names]
    if not all(found) or not all(text.isdecimal() for text in found[:3]) or int(found[1]) < 2:
        return Launched()
    return Launched(*map(int, found[:3]))
