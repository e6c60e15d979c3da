"""An objective that takes its time, and leaves a line a step: seed, step, and the process that trained it.

Environment: PACE is how long a step waits [s], that of seed 0 three times as long; STEPS is the file of the
lines. Each step writes a checkpoint.
"""

import os
import time

from astrojepa_bench.plugin import Loss, Objective, Recipe, augment, hookimpl
from astrojepa_bench.training.checkpoint import Checkpointer

Checkpointer.due = lambda self: True


class Paced(Objective):
    """Agreement of two views, kept from collapsing."""

    masks = "ignored"
    version = 1

    def recipe(self):
        return Recipe(learning_rate=0.002, batch_size=64)

    def loss(self, batch, draw, streams):
        if "STEPS" in os.environ:
            with open(os.environ["STEPS"], "a") as file:
                file.write(f"{streams.seed} {streams.step} {os.getpid()}\n")
            time.sleep(float(os.environ["PACE"]) * (3 if streams.seed == 0 else 1))
        a, b = (self.encoder(augment(batch.images, streams.local("view"))).values.mean(1) for _ in range(2))
        spread = (1 - (a.var(0, correction=0) + 1e-4).sqrt()).relu().mean()
        return Loss((a - b).square().mean() + spread, {"spread": spread})


class Parricide(Paced):
    """Ends the process that started its own, as a node does that runs out of memory."""

    def loss(self, batch, draw, streams):
        os.kill(os.getppid(), 9)
        return super().loss(batch, draw, streams)


@hookimpl
def astrojepa_objectives():
    """Offer both."""
    return {"paced": Paced, "parricide": Parricide}
