"""How the processes of one launch talk: keys and values in the store that `torchrun` brings, and groups of torch.

```
order/N         from the first process: the next cell to train, or nothing where it is done
ready/N/RANK    from each other one: nothing where its objective stands ready, else how it failed
go/N            from the first process: train, or do not, since somebody failed
fault/N/RANK    from whoever failed while training: how
done/N/RANK     from each other one: it has trained to the end
over/N          from the first process: nobody needs the others any more
```

Every training has a group of its own, which ends with it: a fault in one never harms the next.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from astrojepa_bench.launched import Launched, launched
from astrojepa_bench.ranks import Ranks
from astrojepa_bench.runs.request import RunRequest

PATIENCE = timedelta(hours=1)
"""How long ranks wait for one that lives, while it loads galaxies, measures or writes."""
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Order:
    """A cell to train, as the first process tells the others.

    Attributes:
        request: which the cell is of; its plans are laid out again there.
        command: the command line or call that asked for it.
        plan: which plan of the request, from 0.
        index: which cell of the plan, from 1.
        run_id: of the cell, without the number of ranks; there it must be the same.
        settings: what torch computes with, by name of the setting.
        argv: the words of the command line.
    """

    request: RunRequest
    command: str
    plan: int
    index: int
    run_id: str
    settings: Mapping[str, object]
    argv: tuple[str, ...]


class Channel:
    """The store of one launch, and which process this is.

    Args:
        store: of torch.
        place: of this process.

    Attributes:
        is_broken: whether another process is gone, so that nobody need call it again.
    """

    def __init__(self, store: Any, place: Launched) -> None:  # noqa: ANN401 one of torch's kinds of store
        self.place, self.is_broken = place, False
        self._store = store

    @classmethod
    def of_environment(cls) -> Channel:
        """Join the others of this launch; from now on this process ends with the launcher."""
        place = launched()
        if "TORCHELASTIC_RUN_ID" in os.environ:
            threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        found, _, _ = next(rendezvous("env://", place.rank, place.size, timeout=PATIENCE))
        attempt = os.environ.get(
            "TORCHELASTIC_RESTART_COUNT", "0"
        )  # after a restart the store is the old one
        return cls(_below(f"astrojepa-bench/{attempt}", found), place)

    def tell(self, key: str, value: object) -> None:
        """Leave a value for the others."""
        self._store.set(key, pickle.dumps(value))

    def told(self, key: str) -> Any:  # noqa: ANN401 whatever was told
        """Wait for a value."""
        while not self._store.check([key]):
            time.sleep(_LOOK_EVERY_S)
        return pickle.loads(self._store.get(key))

    def told_within(self, keys: list[str], seconds: float) -> Any:  # noqa: ANN401
        """Wait a while for a value under any of some keys; None where there is none by then."""
        until = time.monotonic() + seconds
        while True:
            for key in keys:
                if self._store.check([key]):
                    return pickle.loads(self._store.get(key))
            if time.monotonic() >= until:
                return None
            time.sleep(_LOOK_EVERY_S)

    def group(self, number: int, device: torch.device) -> Ranks:
        """Make the group of one training; every process makes its own at the same time."""
        store, place = _below(f"group/{number}", self._store), self.place
        kind: Any = distributed.ProcessGroupNCCL if device.type == "cuda" else distributed.ProcessGroupGloo
        return Ranks(kind(store, place.rank, place.size, timeout=PATIENCE), place.rank, place.size)


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone without a word, as where it was killed."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


def _below(prefix: str, store: Any) -> Any:  # noqa: ANN401 one of torch's kinds of store
    kind: Any = vars(distributed)["PrefixStore"]
    return kind(prefix, store)
