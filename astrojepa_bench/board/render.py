"""The files of a board, rendered from its records alone: `README.md`, `index.html`, `board.csv`, `board.json`.

Where the folder makes claims (`claims.toml`), `findings.md` is rendered too.

Equal records give equal bytes, whenever and wherever they are rendered, so a committed board can be checked.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from astrojepa_bench.board.certificate import (
    HEADINGS,
    INTRODUCTION,
    TITLE,
    SimulatorCertificate,
    certificates,
)
from astrojepa_bench.board.columns import LIFT, settings_of
from astrojepa_bench.board.composite import Composite
from astrojepa_bench.board.drift import contradictions
from astrojepa_bench.board.findings import FINDINGS, Findings, findings_of, read_settled
from astrojepa_bench.board.page import html_page
from astrojepa_bench.board.page_rows import KNN
from astrojepa_bench.board.published import read_published
from astrojepa_bench.board.rules import RULES, read_rules
from astrojepa_bench.board.statistics import Summary
from astrojepa_bench.board.table import RULE, Board, Section, build_board
from astrojepa_bench.board.terms import terms_of
from astrojepa_bench.board.text import (
    CHANCE,
    NOTHING,
    awaited,
    headline_name,
    headline_of,
    rank_text,
    runs_by_row,
    section_title,
    seeds_text,
    short_label,
    skipped_reasons,
    state_of,
    unranked_reasons,
    usual_encoder,
)
from astrojepa_bench.board.verdict_facts import certificate_facts, factor_facts, rounded, verdict_facts
from astrojepa_bench.errors import BenchError, ConfigError, DataError
from astrojepa_bench.escaping import csv_cell, markdown, markdown_item
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store, write_atomically

PAGE, HTML, TABLE, DATA = "README.md", "index.html", "board.csv", "board.json"
_LEGEND = (
    "Cells are means over seeds ± their sample standard deviation. *Lift over untrained*: {} minus that of "
    "the same encoder before training, in points, with an interval that holds for all contestants of the "
    "section at once (95 %; a ceiling's for itself) and allows for other seeds and other test galaxies."
)
_CSV_COLUMNS = (
    "entry", "objective", "masker", "encoder", "options", "galaxies", "dataset", "fingerprint", "splits", "seed",
    "budget", "effort", "pretraining", "protocol", "device_class", "precision", "evaluator", "evaluator_version",
    "evaluator_options", "metric", "value", "chance", "higher_is_better", "n", "item_se", "status", "standing",
    "tokens", "flops", "entry_id", "run_id",
)  # fmt: skip
_WHERE_TRUE = ("disclosed", "seedless")  # keys of a row that has them, and of no other
_SHARED = ("fingerprint", "splits", "effort", "protocol", "device_class", "precision")  # of a section


def read_board(out: Path) -> Board:
    """Build the board of an output folder from its records; files that are none are named and left out.

    A folder that keeps the rules of a suite has a board before any run is in.

    Raises:
        ConfigError: there are no records, and no rules.
        DataError: no record can be read, or the rules cannot.
    """
    records, hashes, damaged = Store(out).survey()
    if not records and (damaged or not (out / RULES).is_file()):
        raise _without_records(out, damaged)
    return dataclasses.replace(build_board(records, read_rules(out)), hashes=hashes, damaged=damaged)


def write_board(out: Path, board: Board | None = None) -> Path:
    """Render the board of an output folder into it.

    Args:
        out: the output folder, with records below `runs`.
        board: what its records give, where that was read already.

    Returns:
        The page, `README.md`.

    Raises:
        ConfigError: there are no records, or the folder cannot be written.
        DataError: no record can be read, or the rules cannot.
    """
    board = board or read_board(out)
    for name, text in _files(out, board, findings_of(out, board)).items():
        write_atomically(out / name, text.encode())
    return out / PAGE


def check_board(out: Path) -> list[str]:
    """Compare a rendered board with what its records give, and each record with its own identity.

    Returns:
        One line for each difference; empty for an honest board.

    Raises:
        ConfigError: there is no board, or there are no records.
        DataError: no record can be read, or the rules cannot.
    """
    store = Store(out)
    if not any((out / name).is_file() for name in (PAGE, HTML, TABLE, DATA)):
        raise ConfigError(
            f"{out} holds no board ({PAGE}, {HTML}, {TABLE}, {DATA}); build it with `leaderboard build`"
        )
    board = read_board(out)
    faults = [fault for record in board.records for fault in _record_faults(store, record)]
    findings = findings_of(out, board, read_settled(out))
    files = _files(out, board, findings)
    return [
        *board.damaged,
        *faults,
        *contradictions(store, board.records),
        *findings.faults,
        *(f"{name} differs from its records" for name in files if not _same(out / name, files[name])),
    ]


def doubts(out: Path, board: Board) -> list[str]:
    """List what is wrong with its records: damaged files, scores that their bits contradict, claims; a line each.

    A claim is told, too, whose verdict is not the one that was settled when the board was built last.

    Raises:
        ConfigError: a document marks a claim that is not made.
        DataError: the file of claims is damaged.
    """
    claims = findings_of(out, board, read_settled(out))
    return [*board.damaged, *contradictions(Store(out), board.records), *claims.faults]


def _without_records(out: Path, damaged: Sequence[str]) -> BenchError:
    if damaged:
        return DataError(f"{out}: no record can be read, {len(damaged)} are damaged: {damaged[0]}")
    return ConfigError(
        f"{out} holds no records (runs/**/*.json); run something with --out {out}, or name another folder"
    )


def _record_faults(store: Store, record: RunRecord) -> list[str]:
    name = store.path(record).relative_to(store.out)
    return [f"{name}: {fault}" for fault in record.identity_faults()]


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _files(out: Path, board: Board, findings: Findings) -> dict[str, str]:
    has_findings, certified = bool(findings.files) or (out / FINDINGS).is_file(), certificates(board)
    return {
        **findings.files,
        PAGE: page(board, findings.headlines, certified, has_findings=has_findings),
        HTML: html_page(
            board, read_published(out), findings.headlines, certified, has_findings=has_findings
        ),
        TABLE: long_table(board),
        DATA: data(board, certified),
    }  # fmt: skip


def page(
    board: Board,
    findings: Sequence[str] = (),
    certified: Sequence[SimulatorCertificate] = (),
    *,
    has_findings: bool = False,
) -> str:
    """Render the short page in Markdown: one table a section, and where the rest stands.

    Args:
        board: what it shows.
        findings: sentences that the records support.
        certified: how simulated galaxies order contestants, against real ones.
        has_findings: whether `findings.md` lies beside it.
    """
    links = [f"[Findings]({FINDINGS}): what the records show, and what they do not."] if has_findings else []
    links += [
        f"[{HTML}]({HTML}): the whole board on one page that needs no network, with charts, every score of every "
        "entry and the commands that make it again. Open it in a browser.",
        f"[{TABLE}]({TABLE}): one line a score. [{DATA}]({DATA}): the same board for programs.",
    ]
    said = "\n".join(f"- {text}" for text in findings)  # in Markdown, from the folder's own claims
    linked = "\n".join(f"- {link}" for link in links)
    left_out = _bullets([f"Left out: {line}" for line in board.damaged])
    measured = headline_name(headline_of(board.sections[0])) if board.sections else "linear accuracy"
    blocks = ["# Leaderboard", left_out, awaited(board), said, linked, RULE, _LEGEND.format(measured)]
    terms = _bullets([f"{name}: {text}" for name, text in terms_of(board).items()])
    for section in board.sections:
        blocks += [f"## {markdown(section_title(section))}", *_blocks(board, section)]
    blocks += [f"## {TITLE}", INTRODUCTION] if certified else []
    for each in certified:
        cells = [[markdown(text) for text in line] for line in each.cells()]
        align = ["left", *["right"] * (len(HEADINGS) - 1)]
        table = tabulate(cells, HEADINGS, tablefmt="pipe", disable_numparse=True, colalign=align)
        blocks += [f"### {markdown(each.heading)}", table]
    blocks += ["## The galaxies", terms] if terms else []
    return "\n\n".join(block for block in blocks if block) + "\n"


def _blocks(board: Board, section: Section) -> list[str]:
    usual = usual_encoder(section)
    said = [
        *section.notes,
        *(f"Not ranked: {text}" for text in unranked_reasons(section)),
        *(f"Skipped: {text}" for text in skipped_reasons(section)),
    ]
    notes = f"<details><summary>Notes</summary>\n\n{_bullets(said)}\n\n</details>" if said else ""
    return [
        f"Encoder {markdown(usual)} unless another is named." if usual else "",
        _table(board, section),
        notes,
    ]


def _table(board: Board, section: Section) -> str:
    """Write the entries of a section in eight columns."""
    if not section.rows:
        return ""
    headline = headline_of(section)
    known = {column.key: column for column in section.columns}
    neighbours = known.get(KNN)
    lines = list[list[str]]()
    groups = dict.fromkeys(row.group for row in section.rows if row.standing == "contestant")
    untitled = list(groups) if len(groups) > 1 else []  # entries of each are ranked among themselves
    for row, runs in zip(section.rows, runs_by_row(board, section), strict=True):
        if row.standing == "contestant" and row.group in untitled:
            untitled.remove(row.group)
            lines.append(["", "", f"*{row.group}*", "", "", "", "", ""])
        lines.append([
            rank_text(row), row.letters or NOTHING, short_label(section, row),
            headline.text(row.cells.get(headline.key)), LIFT.text(row.cells.get(LIFT.key)),
            neighbours.text(row.cells.get(KNN)) if neighbours else "", seeds_text(row),
            state_of(runs) + (f", {row.status}" if row.status != "ok" else ""),
        ])  # fmt: skip
    chance = {key: known[key].number(value) for key, value in section.chance.items() if key in known}
    if headline.key in chance:
        lines.append(["", "", CHANCE, chance[headline.key], "", chance.get(KNN, ""), "", ""])
    titles = ["rank", "ties", "entry", markdown(headline.title), "lift", "k-NN %", "seeds", "state"]
    align = ["right", "left", "left", "right", "right", "right", "right", "left"]
    cells = [[markdown(text or NOTHING if line[0] else text) for text in line] for line in lines]
    return tabulate(cells, titles, tablefmt="pipe", disable_numparse=True, colalign=align)


def _bullets(items: list[str] | tuple[str, ...]) -> str:
    return "\n".join(f"- {markdown_item(item)}" for item in items)


def long_table(board: Board) -> str:
    """Render the long table: one line per score, with everything that tells runs and settings apart."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    places = {run: (s, row.label) for s in board.sections for row in s.rows for run in row.runs}
    for record in board.records:
        if record.run_id not in places:
            continue  # skipped: it has no scores
        section, label = places[record.run_id]
        shared = {name: getattr(section, name) for name in _SHARED}
        options = canonical_json(record.altered)
        spent = {name: getattr(record.cost, name) or None for name in ("tokens", "flops")}  # one training
        facts = {
            **vars(record), **shared, **spent, "galaxies": section.title, "entry": label, "options": options,
        }  # fmt: skip
        settings = settings_of(record)
        lines = ({**facts, **vars(s), "evaluator_options": settings[s.evaluator]} for s in record.scores)
        writer.writerows({name: csv_cell(value) for name, value in line.items()} for line in lines)
    return text.getvalue()


def data(board: Board, certified: Sequence[SimulatorCertificate] = ()) -> str:
    """Render everything for programs: sections with their summaries, and a hash of every record.

    Args:
        board: what it holds.
        certified: how simulated galaxies order contestants, against real ones.
    """
    content = {
        "schema_version": 1,
        "rule": RULE,
        "sections": [_section_data(section) for section in board.sections],
        "factors": [factor_facts(effect) for effect in board.factors],
        "certificates": [certificate_facts(each) for each in certified],
        "track_record": board.track_record.facts(),
        "runs": [
            {"run_id": r.run_id, "entry_id": r.entry_id, "status": r.status, "sha256_16": board.hash_of(r)}
            for r in board.records
        ],
    }
    canonical_json(content)
    return json.dumps(content, sort_keys=True, indent=1) + "\n"


def _section_data(section: Section) -> dict[str, object]:
    facts = {field.name: getattr(section, field.name) for field in dataclasses.fields(section)}
    rows = [
        {
            **{
                name: fact
                for name, fact in dataclasses.asdict(row).items()
                if name not in _WHERE_TRUE or fact
            },
            "status": row.status,
            "provisional": row.provisional,
            "cells": {key: _rounded(summary) for key, summary in row.cells.items()},
            "composite": row.composite and _rounded(row.composite),
        }
        for row in section.rows
    ]
    columns = [{"key": column.key, "title": column.title} for column in section.columns]
    return {
        **facts,
        "columns": columns,
        "rows": rows,
        "verdicts": section.verdicts and verdict_facts(section.verdicts),
        "chance": {k: rounded(v) for k, v in section.chance.items()},
    }


def _rounded(found: Summary | Composite) -> dict[str, object]:
    """Return the facts of a number and its interval, without the last digits."""
    facts = {
        name: rounded(value) if isinstance(value, float) else value for name, value in vars(found).items()
    }
    if isinstance(found, Composite):
        facts["parts"] = {metric: rounded(share) for metric, share in found.parts.items()}
    return facts
