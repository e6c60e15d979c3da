"""Live curves: a TensorBoard event file for each run, below `tensorboard/` in the output folder.

Install it with `pip install "astrojepa-bench[tensorboard]"`; from then on every run writes one, and

    tensorboard --logdir mine/tensorboard

shows loss terms, images a second and effective rank while a run trains. Without TensorBoard this plugin does
nothing. A run that is resumed goes on with its curves: what was written beyond the checkpoint is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrojepa_bench.plugin import Event, hookimpl

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
INSTALLED = find_spec("tensorboard") is not None


class Curves:
    """Writes what it hears of the cells that run, each into a folder of its own."""

    def __init__(self) -> None:
        self._folders: dict[object, Path] = {}
        self._writers: dict[object, SummaryWriter] = {}

    def hear(self, event: Event) -> None:
        """Hear one event; where several cells run at once, `cell` says of which it is."""
        cell, fields = event.fields.get("cell"), event.fields
        if event.name == "cell_started" and "run_id" in fields:
            self._folders[cell] = Path(str(fields["out"])) / FOLDER / str(fields["run_id"])
        elif event.name == "step" and cell in self._folders:
            self._write(cell, fields)
        elif (
            event.name == "cell_ended" and self._folders.pop(cell, None) is not None and cell in self._writers
        ):
            self._writers.pop(cell).close()

    def _write(self, cell: object, fields: Mapping[str, Any]) -> None:
        step = int(fields["step"])
        if cell not in self._writers:
            from torch.utils.tensorboard import SummaryWriter  # takes seconds, and only who trains needs it

            self._writers[cell] = SummaryWriter(str(self._folders[cell]), purge_step=step)
        numbers = {f"loss/{name}": value for name, value in fields["terms"].items()}
        numbers |= {
            "images a second": fields["images_per_second"],
            "effective rank": fields["effective_rank"],
        }
        for name, value in numbers.items():
            if value is not None:
                self._writers[cell].add_scalar(name, value, step)


CURVES = Curves()


@hookimpl
def astrojepa_observe(event: Event) -> None:
    """Write curves, where TensorBoard is installed."""
    if INSTALLED:
        CURVES.hear(event)
