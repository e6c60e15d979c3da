"""A tiny objective, facts of its data and a record, as files of a run hold them; and what is said meanwhile."""

from contextlib import contextmanager

import torch
from torch import nn

from astrojepa_bench.events import listening
from astrojepa_bench.results.identity import digest, entry_digest
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.roles import Objective
from astrojepa_bench.runs.weights import DataFacts
from astrojepa_bench.types import ImageSpec

CPU = torch.device("cpu")
FACTS = DataFacts(ImageSpec(("r",), 8, (0.1,), (0.2,)), 2, ("round", "flat"), "sky")


class Tiny(Objective):
    """An objective that is a square matrix."""

    def __init__(self, size):
        nn.Module.__init__(self)
        self.layer = nn.Linear(size, size)

    def loss(self, batch, draw, streams):
        raise NotImplementedError


@contextmanager
def notes():
    """Collect what is said meanwhile."""
    heard = []
    with listening(
        lambda event: heard.append(event.fields.get("text", "")) if event.name == "note" else None
    ):
        yield heard


def record_of(seed=0, **changed):
    identity = {"seed": seed, "names": {"objective": "obj"}}
    facts = dict(
        run_id=digest(identity), entry_id=entry_digest(identity), status="ok", objective="obj", masker="random",
        encoder="tiny", dataset="sky", seed=seed, budget="smoke", identity=identity,
        scores=[dict(evaluator="linear", metric="accuracy", value=0.7, higher_is_better=True, n=60)],
    )  # fmt: skip
    return RunRecord(**{**facts, **changed})
