"""One loss, rehearsed as one of several ranks would compute it: what does it draw for its own galaxies alone?"""

from __future__ import annotations

from astrojepa_bench.streams import (
    Streams,
    moved_generators,
    python_and_numpy_kept,
    scoped_global,
    seed_python_and_numpy,
)
from astrojepa_bench.training.asked import loss_of
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.training.together import share_of_part


def drawn_alone(trainer: Trainer, size: int) -> list[str]:
    """Name the local streams and global generators that a loss draws from by itself.

    What it draws there belongs to the galaxies of one rank, so the numbers of a run depend on how many there are.

    Args:
        trainer: of an objective that nobody trains; its state may move.
        size: of ranks, which a batch must be dealt to equally.

    Raises:
        ConfigError: it cannot be.
    """
    trainer.objective.train()
    trainer.share = share = share_of_part(0, size, trainer.batch_size, trainer.parts)
    streams = Streams(trainer.seed, 0, trainer.device, progress=0.0, share=share)
    try:
        with python_and_numpy_kept(), scoped_global(trainer.seed, "layers", 0, trainer.device, share=share):
            seed_python_and_numpy(trainer.seed, "layers", 0, share)
            with moved_generators(trainer.device) as moved:
                batch, draw = trainer.batch_of(0, streams), MaskDraw(trainer.masker, streams)
                loss_of(trainer.objective, batch, draw, streams, trainer.device)
    finally:
        trainer.share = None
    return [*(f"streams.local({name!r})" for name in streams.drawn_alone()), *moved]
