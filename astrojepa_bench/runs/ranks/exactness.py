"""Whether several ranks compute what one process would, as far as random numbers decide it.

The bench's own helpers draw for the galaxies of the whole batch. What a plugin draws by itself, from a local stream
or from a global generator (dropout), it draws for the galaxies of one rank: then a run on several ranks is equal to
that of one process in distribution only, and the number of ranks is part of its identity.
"""

from __future__ import annotations

from astrojepa_bench.events import muted
from astrojepa_bench.runs.assemble import assemble
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.restoring import restored
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.training.rehearsing import drawn_alone


def drawn_by_one_rank(cell: Cell, context: RunContext, size: int) -> list[str]:
    """Name what a cell draws for the galaxies of one rank alone, by rehearsing one loss; nothing is trained.

    Args:
        cell: what would be trained.
        context: on what.
        size: how many ranks there are.
    """
    if cell.skip is not None or not cell.objective.offer.declares("trains"):
        return []
    galaxies, budget = context.galaxies, context.budget
    try:
        with muted(), restored([*cell.components.values()]):
            made = assemble(cell, galaxies, budget.galaxies)
            trainer = Trainer(made.objective, made.masker, galaxies.table, galaxies.images, budget, cell.seed)
            return drawn_alone(trainer, size)
    except (Exception, SystemExit):  # a plugin's; it is raised again, and recorded, where the cell runs
        return []
