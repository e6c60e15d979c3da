"""Puts a run that was imported without galaxies before its first ones: from then on it is a run on them."""

from __future__ import annotations

import dataclasses

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.results.identity import digest, entry_digest, split_hash
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
    on_gpu = galaxies.device.type == "cuda"
    identity = {
        **record.identity,
        "names": {**record.identity["names"], "dataset": galaxies.name},
        "versions": {**record.identity["versions"], "dataset": "".join(galaxies.chain.values())},
        "fingerprint": table.fingerprint,
        "splits": split_hash(table.ids, table.split),
        "mirror_safe": table.spec.mirror_safe,
        "precision": "bf16" if on_gpu else "float32",
        "device_class": galaxies.device.type,
    }
    run_id = digest(identity)
    facts = {
        "run_id": run_id,
        "entry_id": entry_digest(identity),
        "dataset": galaxies.name,
        "options": {**record.options, "dataset": dict(galaxies.options)},
        "identity": identity,
    }
    of_table = DataFacts.of(table)
    write_weights(run.store.weights_path(run_id), run.objective, of_table)
    known = run.store.find(run_id) or record.model_copy(update=facts)
    return dataclasses.replace(run, record=known, facts=of_table)
