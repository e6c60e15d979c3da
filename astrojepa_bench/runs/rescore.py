"""Scores a finished run by more evaluators, without training: its weights and its galaxies are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from astrojepa_bench.border import owner_of
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.evaluation.score import score
from astrojepa_bench.files import locked
from astrojepa_bench.options import Settings, check_all_used
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.runs.cell import unscored, with_scores, write_record
from astrojepa_bench.runs.component import Component, made_ready
from astrojepa_bench.runs.open_run import OpenRun, open_run, reopen_galaxies
from astrojepa_bench.runs.plan import evaluators_named
from astrojepa_bench.runs.weights import DataFacts, write_weights


@dataclass(frozen=True)
class Rescored:
    """What a later scoring left.

    Attributes:
        record: with the new scores in it.
        path: where it was written.
        added: names of the evaluators that scored now; the others had scored before.
    """

    record: RunRecord
    path: Path
    added: tuple[str, ...]


def rescore(
    where: str | Path,
    evaluators: Sequence[str],
    registry: Registry,
    *,
    out: Path,
    cache: Path,
    device: torch.device,
    settings: Settings,
    dataset: str | None = None,
) -> Rescored:
    """Add evaluators to a finished run and write its record again.

    Args:
        where: the record's file, or the first letters of its id.
        evaluators: names, or `core`, or `full`.
        registry: all components on offer.
        out: output folder in which ids are looked up.
        cache: folder of converted galaxies.
        device: where features are computed, if they are not kept.
        settings: options of evaluators, and of the dataset where the record knows them by base name only.
        dataset: name of the dataset, if it is another by now that holds the same galaxies.

    Raises:
        ConfigError: a name, an option or a path is wrong.
        DataError: the run cannot be opened, or its galaxies are not those it was trained on.
    """
    run = open_run(where, out=out, registry=registry)
    offers = evaluators_named(tuple(evaluators), registry)
    check_all_used(settings, [registry.get("dataset", dataset or run.record.dataset), *offers])
    wanted = [Component.of(offer, settings) for offer in offers]
    if not unscored(run.record, wanted):
        return Rescored(run.record, run.store.path(run.record), ())
    reopened = reopen_galaxies(run, registry, settings, cache, device, dataset=dataset)
    if run.has_galaxies and reopened.differing is not None:
        raise DataError(reopened.differing)
    record = run.record if run.has_galaxies else record_on(run, reopened.galaxies)
    with locked(run.store.lease_path(record.run_id)):
        record = run.store.find(record.run_id) or record  # another process may have scored it meanwhile
        missing = unscored(record, wanted)
        if not run.has_galaxies:
            write_weights(
                run.store.weights_path(record.run_id), run.objective, DataFacts.of(reopened.galaxies.table)
            )
        subject = ExtrasContext(run.objective.to(device), run.masker, reopened.galaxies)
        features = run.store.features_path(record.run_id)
        ready, unbuilt = made_ready(missing)
        scored = score(subject, record.seed, ready, features).plus(unbuilt)
        record = with_scores(record, missing, scored)
        path = write_record(record, run.store, reopened.galaxies.table)
        return Rescored(record, path, tuple(each.name for each in missing))


def record_on(run: OpenRun, galaxies: Galaxies) -> RunRecord:
    """Return the record of a run that was imported without galaxies as that of the same model on these galaxies.

    Its id is the one that it would have got if it had been imported and scored on them at once.
    """
    identity = RunIdentity.read(run.record.identity).on(galaxies)
    offer, origin = owner_of(galaxies.dataset), run.record.provenance
    plugins = origin.plugins if offer is None else {**origin.plugins, "dataset": offer.package}
    facts = {
        "provenance": origin.model_copy(update={"plugins": plugins}),
        "run_id": identity.run_id,
        "entry_id": identity.entry_id,
        "dataset": galaxies.name,
        "options": {**run.record.options, "dataset": dict(galaxies.options)},
        "identity": identity.facts(),
        "terms": galaxies.table.card.terms or None,
    }
    return run.record.model_copy(update=facts)
