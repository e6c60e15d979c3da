"""What training and scoring left: records, and the same as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from astrojepa_bench.api.cards import card
from astrojepa_bench.api.wording import in_python
from astrojepa_bench.board.columns import LIFT, Column, columns_of, newest_versions
from astrojepa_bench.board.render import read_board
from astrojepa_bench.board.table import Board
from astrojepa_bench.board.text import headline_of, rank_text
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.runs.grid import DONE_WELL, GridResult

SCORE_COLUMNS = (
    "entry", "seed", "evaluator", "metric", "value", "chance", "item_se", "n", "higher_is_better", "objective",
    "masker", "encoder", "dataset", "budget", "entry_id", "run_id",
)  # fmt: skip
RUN_COLUMNS = (
    "run_id", "entry", "dataset", "budget", "seed", "status", "created", "metric", "score", "minutes", "reason",
)  # fmt: skip
SHORT_ID = 8  # letters of an id that a person reads


@dataclass(frozen=True, repr=False)
class Results:
    """What a grid of runs left.

    Attributes:
        records: everything about each run, in the order of the plan.
        out: the output folder they lie in.
        paths: their files.
        trained: ids of those that were trained now, and not found in the folder.
    """

    records: tuple[RunRecord, ...]
    out: Path = field(compare=False)
    paths: tuple[Path, ...] = field(compare=False, default=())
    trained: tuple[str, ...] = field(compare=False, default=())

    @classmethod
    def of(cls, done: GridResult, out: Path) -> Results:
        """Take what a grid left."""
        return cls(done.records, out, done.paths, done.trained)

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def all_well(self) -> bool:
        """Whether every run is ok, collapsed, or skipped for a reason."""
        return all(record.status in DONE_WELL for record in self.records)

    @property
    def scores(self) -> pd.DataFrame:
        """Every score: one row a run and metric, the longest form, from which any other is a pivot.

        `value` is the metric as measured (accuracies from 0 to 1, not in per cent), `chance` what knowing nothing
        scores, `item_se` its standard error from the finite test set, `n` the number of test galaxies; NaN where
        there is none.
        """
        return scores_table(self.records)

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run, the newest first: how it ended, its headline score, and minutes of training."""
        return runs_table(self.records)

    @cached_property
    def board(self) -> pd.DataFrame:
        """The leaderboard of the whole output folder, one row an entry, the best first in each section.

        Columns as in the terminal: `rank` (a range where nothing tells them apart), `headline` in per cent with its
        spread over seeds, and `lift` over the same encoder untrained in points.
        """
        return board_table(read_board(self.out))

    def __repr__(self) -> str:
        counts = pd.Series([record.status for record in self.records], dtype=object).value_counts()
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"<{len(self)} runs in {self.out}: {told}; .scores, .runs and .board are tables>"

    def _repr_html_(self) -> str:
        columns = headlines(self.records)
        headings = ("run", "entry", "seed", "status", *(column.title for column in columns))
        rows = [
            {
                "run": record.run_id[:SHORT_ID],
                "entry": record.title,
                "seed": record.seed,
                "status": record.status,
            }
            | _cells(record, columns)
            for record in self.records
        ]
        cells = [[row.get(name, "") for name in headings] for row in rows]
        facts = [("output folder", self.out), ("tables", ".scores, .runs, .board")]
        return card(f"{len(self)} runs", facts, [(headings, cells)] if rows else [])


@dataclass(frozen=True, repr=False)
class RunResult(Results):
    """One run: its record, and its scores as a table."""

    @property
    def record(self) -> RunRecord:
        """Everything about the run, as its file holds it."""
        return self.records[0]

    @property
    def run_id(self) -> str:
        """Its id; the first letters are enough to open it."""
        return self.record.run_id

    @property
    def status(self) -> str:
        """How it ended."""
        return self.record.status

    @property
    def objective(self) -> str:
        """Name of the objective."""
        return self.record.objective

    @property
    def masker(self) -> str:
        """Name of the masker."""
        return self.record.masker

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return self.record.encoder

    @property
    def seed(self) -> int:
        """The pretraining seed."""
        return self.record.seed

    @property
    def options(self) -> Mapping[str, Mapping[str, Any]]:
        """Resolved options by kind, defaults included."""
        return self.record.options

    def value(self, evaluator: str, metric: str) -> float | None:
        """Look one score up; None if it was not measured."""
        return self.record.value(evaluator, metric)

    def __repr__(self) -> str:
        cells = _cells(self.record, headlines(self.records))
        told = ", ".join(f"{title} {text}" for title, text in cells.items())
        why = _reason(self.record)
        return f"<{_summary(self.record)}{f': {told or why}' if told or why else ''}>"

    def _repr_html_(self) -> str:
        return record_card(self.record)


# --- tables -------------------------------------------------------------------------------------------------


def scores_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return every score of some records, one row a run and metric (see `Results.scores`)."""
    rows = [
        {
            **{name: getattr(record, name, None) for name in SCORE_COLUMNS},
            **vars(score),
            "entry": record.title,
        }
        for record in records
        for score in record.scores
    ]
    frame = pd.DataFrame(rows, columns=[*SCORE_COLUMNS])
    return frame.astype({"chance": float, "item_se": float})


def runs_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return one row a run, the newest first; `score` is that of its first column on the board, `metric`."""
    newest = sorted(records, key=lambda each: (each.provenance.created_utc, each.run_id), reverse=True)
    columns, rows = headlines(newest), []
    for record in newest:
        has = (each for each in columns if record.value(each.source, each.name) is not None)
        first, spent = next(has, None), record.cost.train_seconds
        rows.append({
            **{name: getattr(record, name, None) for name in RUN_COLUMNS},
            "entry": record.title, "created": record.provenance.created_utc, "reason": _reason(record),
            "metric": first and first.key, "score": first and record.value(first.source, first.name),
            "minutes": None if spent is None else round(spent / 60, 2),
        })  # fmt: skip
    frame = pd.DataFrame(rows, columns=[*RUN_COLUMNS])
    created = pd.to_datetime(frame["created"], utc=True, errors="coerce")
    return frame.astype({"score": float, "minutes": float}).assign(created=created)


def board_table(board: Board) -> pd.DataFrame:
    """Return the entries of a board, section by section."""
    rows = []
    for section in board.sections:
        headline = headline_of(section)
        for row in section.rows:
            found, lift = row.cells.get(headline.key), row.cells.get(LIFT.key)
            rows.append({
                "section": section.heading, "rank": rank_text(row), "entry": row.label, "group": row.group,
                "standing": row.standing, "metric": headline.key,
                "headline": headline.text(found), "mean": found and found.mean, "spread": found and found.sd,
                "lift": LIFT.text(lift), "seeds": len(row.seeds), "status": row.status, "entry_id": row.entry_id,
            })  # fmt: skip
    return pd.DataFrame(rows).astype({"mean": float, "spread": float}) if rows else pd.DataFrame()


def record_card(record: RunRecord) -> str:
    """Return the card of one run, with the scores that have a column on the board."""
    rows = [
        (
            column.title,
            column.number(each.value),
            "" if each.chance is None else column.number(each.chance),
            each.n,
        )
        for column in headlines([record])
        for each in record.scores
        if (each.evaluator, each.metric) == (column.source, column.name)
    ]
    path = record.options.get("dataset", {}).get("path")
    facts = [("run", record.run_id[:SHORT_ID]), ("galaxies", f"{path or ''} ({record.dataset})".strip())]
    facts += [("budget", record.budget), ("seed", str(record.seed))]
    facts += [("status", f"{record.status} {_reason(record)}".strip())]
    unscored = [f"no {name}: {in_python(why)}" for name, why in record.not_scored.items()]
    tables = [(("score", "value", "chance", "test galaxies"), rows)] if rows else []
    return card(record.title, facts, tables, [*map(in_python, record.warnings), *unscored])


def headlines(records: Sequence[RunRecord]) -> list[Column]:
    """Return the columns that the scores of some records have on the board."""
    scored = [record for record in records if record.scores]
    return [each for each in columns_of(scored, newest_versions(scored)) if each.place == "scores"]


def _cells(record: RunRecord, columns: Iterable[Column]) -> dict[str, str]:
    """Return what a record has in some columns, as the board writes it."""
    found = ((each, record.value(each.source, each.name)) for each in columns)
    return {column.title: column.number(value) for column, value in found if value is not None}


def _summary(record: RunRecord) -> str:
    return f"run {record.run_id[:SHORT_ID]} {record.title}, seed {record.seed}, {record.status}"


def _reason(record: RunRecord) -> str:
    return in_python(record.skip_reason or (record.failure.message if record.failure else ""))
