"""Run records, found by a file, the first letters of an id or `latest`, and printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from astrojepa_bench.cli.printing import print
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.results.naming import told
from astrojepa_bench.results.record import RecordedScore, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.training.budgets import is_flop_matched


def print_found(subject: str, out: Path, as_json: bool, curves: bool = False) -> bool:
    """Print the record that a subject names, and return whether there is one.

    Args:
        subject: a record's file, the first letters of its id, or `latest`.
        out: output folder in which ids are looked up.
        as_json: as the record's file is.
        curves: whether the curves of its training are printed too.

    Raises:
        ConfigError: several ids begin so.
        DataError: the file cannot be read.
    """
    store = Store(out)
    named = [Path(subject)] if subject.endswith(".json") else store.paths()
    if subject == "latest":
        named = [store.locate(subject)]
    elif not subject.endswith(".json"):
        named = [path for path in named if path.stem.startswith(subject)]
    records = [store.read(path) for path in named]
    if len(records) > 1:
        ids = ", ".join(record.run_id for record in records[:5])
        raise ConfigError(f"{len(records)} run ids start with '{subject}' ({ids}); give more letters")
    for record in records:
        if as_json:
            print(record.to_json(), end="")
        else:
            _print_record(record, curves, class_names(store.weights_path(record.run_id)))
    return bool(records)


def class_names(weights: Path) -> list[str]:
    """Read the names of a run's classes beside its weights; none where these are not at hand."""
    try:
        with safe_open(weights, "numpy") as file:  # PyTorch would take seconds
            return [str(name) for name in json.loads(file.metadata()["galaxies"])["class_names"]]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return []


def _print_record(record: RunRecord, curves: bool, classes: Sequence[str]) -> None:
    facts = record.facts()
    print(*_headlines(record), sep="\n  ")
    print("  scores")
    for score in record.scores:
        print(f"    {score_line(score, classes)}")
    for warning in record.warnings:
        print(f"  warning: {warning}")
    for block in ("options", "health", "cost", "training", "environment", "provenance"):
        known = {
            name: value
            for name, value in facts[block].items()
            if value not in (None, {}, [], "") and (curves or not name.endswith(("_curve", "_curves")))
        }
        if known:
            print(f"  {block}")
        for name, value in known.items():
            print(f"    {name:<20} {_value_text(value)}")
    scored_by = {name: known["plugin"] for name, known in record.evaluators.items() if known.get("plugin")}
    if scored_by:
        print(f"  scored by\n    {_value_text(scored_by)}")


def _headlines(record: RunRecord) -> list[str]:
    """Phrase what was run, how it ended and what it was told."""
    why = f": {record.skip_reason}" if record.skip_reason else ""
    if record.failure:
        why = f": {record.failure.message} ({record.failure.origin}, {record.failure.phase})"
    matched = ", FLOP-matched" if is_flop_matched(record.identity.get("budget")) else ""
    few = matched + ("" if record.pretraining is None else f", {record.pretraining} pretraining galaxies")
    lines = [
        f"{record.run_id}  {record.title} on {record.dataset}",
        f"seed {record.seed}, budget {record.budget}{few}, {record.status}{why}",
    ]
    return [*lines, f"reads {told(record.reads, record.labels)}"] if record.reads else lines


def _value_text(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_value_text(item)}" for name, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def score_line(score: RecordedScore, classes: Sequence[str] = ()) -> str:
    """Return the line of one score: value, error, chance and direction; a recall with the name of its class."""
    direction = "higher" if score.higher_is_better else "lower"
    chance = "" if score.chance is None else f", chance {score.chance:.3f}"
    error = "" if score.item_se is None else f" ± {score.item_se:.4f}"
    name, number = f"{score.evaluator}.{score.metric}", score.metric.removeprefix("recall_")
    if number.isdigit() and int(number) < len(classes):
        name += f" ({classes[int(number)]})"
    return f"{name:<34} {score.value:.4f}{error} (n={score.n}{chance}, {direction} is better)"
