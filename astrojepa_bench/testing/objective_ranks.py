"""What several ranks would make of an objective: no rule, but worth knowing before a large training."""

from __future__ import annotations

from astrojepa_bench.roles import Objective
from astrojepa_bench.testing.objective_runs import trainer_of
from astrojepa_bench.testing.rehearsal import build
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.testing.watching import generators_kept, settings_kept
from astrojepa_bench.training.rehearsing import drawn_alone

RANKS = 2


def notes_of(piece: Subject) -> tuple[str, ...]:
    """Tell whether a run's numbers would depend on how many ranks train; one loss is rehearsed as one of two."""
    try:
        with generators_kept(), settings_kept():
            objective: Objective = build(piece)
            found = drawn_alone(trainer_of(objective), RANKS) if objective.trains else []
    except Exception:  # a rule says what is wrong
        return ()
    if not found:
        return ()
    return (
        f"on several ranks it is equal in distribution only: its loss draws from {' and '.join(found)} by itself, "
        "so their number is part of a run's identity; draw a number a galaxy with astrojepa_bench.plugin.drawn",
    )
