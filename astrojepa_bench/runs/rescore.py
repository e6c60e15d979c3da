"""Scores a finished run by more evaluators, without training: its weights and its galaxies are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluation.extras import ExtrasContext
from astrojepa_bench.evaluation.score import Scored, score
from astrojepa_bench.options import Settings, check_all_used
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.identity import split_hash
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.binding import bound, is_unbound
from astrojepa_bench.runs.cell import unscored
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.lookup import evaluators_named
from astrojepa_bench.runs.open_run import OpenRun, open_run


@dataclass(frozen=True)
class Rescored:
    """What a later scoring left.

    Attributes:
        record: with the new scores in it.
        path: where it was written.
        added: names of the evaluators that were asked now; the others had scored before.
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
        registry: all pieces.
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
    source = registry.get("dataset", dataset or run.record.dataset)
    check_all_used(settings, [source, *offers])
    missing = unscored(run.record, pieces := [Component.of(offer, settings) for offer in offers])
    path = run.store.path(run.record)
    if not missing:
        return Rescored(run.record, path, ())
    galaxies = _galaxies(
        run, Component.of(source, _dataset_options(run, source.name, settings)), cache, device
    )
    if is_unbound(run):
        run = bound(run, galaxies)
        missing = unscored(run.record, pieces)
    record = _scored(run, galaxies, missing)
    return Rescored(record, run.store.write(record), tuple(piece.name for piece in missing))


def _dataset_options(run: OpenRun, name: str, settings: Settings) -> Settings:
    """Take the options of the run, and what is set now over them."""
    known = run.record.options.get("dataset", {}) if name == run.record.dataset else {}
    now = {**settings.get("dataset", {}), **settings.get(f"dataset:{name}", {})}
    return {"dataset": {**known, **now}}


def _galaxies(run: OpenRun, piece: Component, cache: Path, device: torch.device) -> Galaxies:
    for option, value in piece.options.items():
        if isinstance(value, Path) and not value.expanduser().exists():
            raise ConfigError(
                f"the run's galaxies came from '{value}', which is not here; add --set dataset.{option}=PATH"
            )
    galaxies = load_galaxies(piece, run.spec.size_px, cache, device)
    if is_unbound(run):
        return galaxies
    table, identity = galaxies.table, run.record.identity
    found = {"fingerprint": table.fingerprint, "splits": split_hash(table.ids, table.split)}
    if {name: identity.get(name) for name in found} != found:
        raise DataError(
            f"dataset '{piece.name}' holds other galaxies than run {run.record.run_id} was trained and tested on "
            "(another fingerprint or split); set its options as they were"
        )
    return galaxies


def _scored(run: OpenRun, galaxies: Galaxies, missing: Sequence[Component]) -> RunRecord:
    subject = ExtrasContext(run.objective.to(galaxies.device), run.masker, galaxies)
    facts, path = run.record.facts(), run.store.features_path(run.record.run_id)
    kept = Scored.of_record(facts).without({each.name for each in missing})
    found = score(subject, run.record.seed, [each.ready() for each in missing], path)
    return RunRecord.model_validate(kept.plus(found).in_record(facts))
