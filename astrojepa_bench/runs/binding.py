"""Puts a run that was imported without galaxies before its first ones: from then on it is a run on them."""

from __future__ import annotations

import dataclasses

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.runs.open_run import OpenRun
from astrojepa_bench.runs.weights import DataFacts, write_weights


def is_unbound(run: OpenRun) -> bool:
    """Say whether a run knows no galaxies: a model from elsewhere, imported and not scored yet."""
    return not run.record.identity.get("fingerprint")


def bound(run: OpenRun, galaxies: Galaxies) -> OpenRun:
    """Give the same model as a run on these galaxies: another identity, its weights kept under it.

    Its id is the one that it would have got if it had been imported and scored on them at once.

    Args:
        run: imported without galaxies; it stays as it is.
        galaxies: what it is scored on.
    """
    table, record = galaxies.table, run.record
    identity = RunIdentity.read(record.identity).on(galaxies)
    run_id = identity.run_id
    facts = {
        "run_id": run_id,
        "entry_id": identity.entry_id,
        "dataset": galaxies.name,
        "options": {**record.options, "dataset": dict(galaxies.options)},
        "identity": identity.facts(),
    }
    of_table = DataFacts.of(table)
    write_weights(run.store.weights_path(run_id), run.objective, of_table)
    known = run.store.find(run_id) or record.model_copy(update=facts)
    return dataclasses.replace(run, record=known, facts=of_table)
