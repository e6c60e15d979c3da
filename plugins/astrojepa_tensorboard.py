"""Observer `tensorboard`: live curves, a TensorBoard event file a run.

    pip install 'astrojepa-bench[tensorboard]'
    astrojepa-bench run -o lejepa -m random --observer tensorboard --out board
    tensorboard --logdir board/tensorboard

Each run has a folder below `tensorboard/` in the output folder, named for the entry and the first letters of the
run's id. In it: the loss and each of its terms at every step, the effective rank whenever it is measured, and the
speed. They are on disk some seconds after they are computed. A run that is resumed goes on where its checkpoint
lies; what an interrupted one wrote beyond that is passed over. The records hold the same curves, thinned out.

Source: the event files of TensorBoard (Abadi et al. 2016, arXiv 1603.04467), written by torch.utils.tensorboard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrojepa_bench.plugin import ConfigError, Event, hookimpl

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

FLUSH_S = 5  # how old a point may be before it is on disk [s]
LONGEST = 120  # letters of a folder's name


class EventFiles:
    """Writes what is heard of each run to an event file of its own.

    Args:
        out: the output folder.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, out: Path) -> None:
        try:
            from torch.utils.tensorboard.writer import (
                SummaryWriter,
            )  # takes a second, and only who asks for it
        except ImportError as error:
            raise ConfigError(
                "observer 'tensorboard' needs the package tensorboard, which is not installed; "
                "pip install 'astrojepa-bench[tensorboard]'"
            ) from error
        self.folder = out / "tensorboard"
        self._make = SummaryWriter
        self._folders: dict[str, Path] = {}
        self._writers: dict[str, SummaryWriter] = {}
        self._ranks: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Hear one event; of several runs at once, `cell` says of which it is."""
        cell = str(event.fields.get("cell", ""))
        if event.name == "cell_started":
            self._folders[cell] = self.folder / folder_name(event.fields)
        elif event.name == "step" and cell in self._folders:
            self._write(cell, event.fields)
        elif event.name == "cell_ended":
            self._folders.pop(cell, None)
            self._ranks.pop(cell, None)
            writer = self._writers.pop(cell, None)
            if writer is not None:
                writer.close()

    def _write(self, cell: str, fields: Mapping[str, Any]) -> None:
        step = int(fields["step"])
        if cell not in self._writers:  # from this step on, what an earlier process wrote no longer counts
            folder = str(self._folders[cell])
            self._writers[cell] = self._make(folder, purge_step=step, flush_secs=FLUSH_S)
        writer = self._writers[cell]
        for name, value in fields["terms"].items():
            writer.add_scalar(f"loss/{name}", value, step)
        writer.add_scalar("speed/images_per_second", fields["images_per_second"], step)
        rank = fields.get("effective_rank")
        if rank is not None and rank != self._ranks.get(cell):
            self._ranks[cell] = rank
            writer.add_scalar("features/effective_rank", rank, step)


def folder_name(fields: Mapping[str, Any]) -> str:
    """Name the folder of a run: its entry in letters that every file system takes, and the start of its id."""
    label = re.sub(r"[^\w.+=,-]+", "_", str(fields["label"]).replace(" + ", "+")).strip("._")
    return f"{label[:LONGEST]}-{fields['run_id'][:8]}"


@hookimpl
def astrojepa_observers() -> Mapping[str, type[EventFiles]]:
    """Offer `tensorboard`."""
    return {"tensorboard": EventFiles}
