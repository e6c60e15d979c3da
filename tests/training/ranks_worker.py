"""A rank of the tests: trains what it is asked for with the others, and keeps what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from astrojepa_bench.launched import launched
from astrojepa_bench.ranks import training_as
from astrojepa_bench.runs.ranks.channel import Channel


def main() -> None:
    """Run every task of a file on all ranks; the first one writes the results."""
    from rank_tasks import train  # beside this file

    tasks, results = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    channel, found = Channel.of_environment(), dict[str, Any]()
    for number, (name, task) in enumerate(tasks.items()):
        ranks = channel.group(number, torch.device("cpu"))
        try:
            with training_as(ranks):
                found[name] = train(task)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
        finally:
            channel.tell(f"done/{number}/{channel.place.rank}", True)
            for rank in range(channel.place.size):
                channel.told(f"done/{number}/{rank}")
            ranks.part()
    torch.save(found, results.with_suffix(f".{launched().rank}"))
    channel.tell(f"end/{channel.place.rank}", True)
    for rank in range(channel.place.size):
        channel.told(f"end/{rank}")


if __name__ == "__main__":
    main()
