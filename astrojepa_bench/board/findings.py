"""Render `findings.md` from claims and records, and keep the claims that stand in other documents up to date."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tabulate import tabulate

from astrojepa_bench.board.claim_checks import Checked, Checker
from astrojepa_bench.board.claims import NumberTable, read_claims
from astrojepa_bench.board.columns import Column
from astrojepa_bench.board.entries import Row
from astrojepa_bench.board.statistics import Summary
from astrojepa_bench.board.table import Board
from astrojepa_bench.errors import BenchError, ConfigError, DataError
from astrojepa_bench.escaping import markdown, markdown_code

FINDINGS, VERDICTS = "findings.md", "verdicts.json"
_NOTE = (
    "Every sentence with a number below is bound to a comparison in `claims.toml`. `astrojepa-bench leaderboard "
    "build` fills in its numbers, and `leaderboard check` fails where the records stop supporting it. Differences "
    "are in points (hundredths), with a 95 % interval that holds for all differences of their family at once (of "
    "an average over objectives or maskers: for all levels of the factor), or for that difference alone where a "
    "sentence is *exploratory*. They are for other seeds; of accuracies for other test galaxies as well. "
    "Verdicts follow Holm's steps and one-sided tests of equality, intervals Bonferroni's, which are wider: one "
    "may include 0 beside *above*, or reach beyond the margin beside *equal*. *About N seeds of each would show "
    "one of d points*: were that the true difference, so many would show it four times in five; d is what the "
    "difference looks like or, where that is smaller, the least that matters."
)
MOST_COLUMNS = 6
_MARKED = re.compile(r"(<!-- claim:([a-z0-9-]+) -->)(.*?)(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Findings:
    """What a folder claims of its results, rendered.

    Attributes:
        files: the findings, the verdicts of open claims, and other documents in which claims stand, by name
            relative to the folder.
        headlines: the sentences that stand first on the page of the board.
        faults: a line for each claim that the records do not support, and each table that cannot be made.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    headlines: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def findings_of(out: Path, board: Board, settled: Mapping[str, str] | None = None) -> Findings:
    """Render the claims of a folder; nothing where it makes none.

    Args:
        out: the folder.
        board: of its records.
        settled: verdicts of open claims, by id, from which none may have moved; None: they are settled now.

    Raises:
        ConfigError: a document marks a claim that is not made.
        DataError: the file of claims is damaged.
    """
    claims = read_claims(out)
    if claims is None:
        return Findings()
    checker = Checker(board, claims, out, settled)
    checked = checker.checked()
    page, faults = findings_page(checker, checked)
    paths = {name: out / name for name in claims.documents}
    documents = {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}
    files = {name: updated(text, checked) for name, text in documents.items()}
    verdicts = {each.claim.id: each.settled for each in checked if each.settled}
    if verdicts:
        files[VERDICTS] = json.dumps(verdicts, indent=1, ensure_ascii=False) + "\n"
    sentences = {each.claim.id: each.sentence for each in checked if not (each.fault or each.awaited)}
    return Findings(
        {FINDINGS: updated(page, checked), **files},
        tuple(sentences[name] for name in claims.headlines if name in sentences),
        (*claim_faults(checked), *faults),
    )


def read_settled(out: Path) -> dict[str, str]:
    """Read the verdicts of open claims as they were settled when the board was built; none where there are none.

    Raises:
        DataError: the file holds no verdicts.
    """
    path = out / VERDICTS
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(verdict, str) for verdict in found.values()):
        raise DataError(f"{path} holds no verdicts; delete it and run `leaderboard build {out}`")
    return found


def findings_page(checker: Checker, checked: Sequence[Checked]) -> tuple[str, list[str]]:
    """Render the page, and list what of it cannot be made. A claim that the records do not support says so.

    Claims and tables whose runs are still to come are left out.
    """
    claims, faults = checker.claims, list[str]()
    by_id = {each.claim.id: each for each in checked if not each.awaited}

    def made(make: Callable[[], str], name: str) -> str:
        try:
            return make()
        except BenchError as error:
            faults.append(f"{FINDINGS}: {name} cannot be made: {error}")
            return f"*{name} cannot be made: {markdown(str(error))}*"

    blocks = [
        f"# {claims.title}",
        claims.text,
        _NOTE,
        _awaited(checked),
        made(partial(places_table, checker), "the table of places"),
    ]
    for chapter in claims.chapters:
        tables = [
            made(partial(_table, table, checker), f"a table of '{chapter.title}'")
            for table in chapter.tables
            if claims.places[table.on].complete
        ]
        lines = "\n".join(_line(by_id[claim.id]) for claim in chapter.claims if claim.id in by_id)
        if lines or not chapter.claims:
            blocks += [f"## {chapter.title}", chapter.text, *tables, lines, chapter.limits]
    return "\n\n".join(block.strip() for block in blocks if block.strip()) + "\n", faults


def places_table(checker: Checker) -> str:
    """Render what each place of the claims is."""
    rows = []
    for name, place in checker.claims.places.items():
        if not place.complete:
            continue
        section = checker.section(name)
        device = f"{section.device_class}, {section.precision}"
        rows.append(
            [f"*{name}*", place.title, *map(markdown, (section.budget, device, section.fingerprint[:12]))]
        )
    if not rows:
        return ""
    titles = ["", "galaxies", "budget", "trained on", "fingerprint"]
    return tabulate(rows, titles, tablefmt="pipe", disable_numparse=True)


def _awaited(checked: Sequence[Checked]) -> str:
    """Return the words for how many claims wait for runs; none where none does."""
    count = sum(each.awaited for each in checked)
    return (
        f"Runs are still coming in: {count} of {len(checked)} sentences are not known yet." if count else ""
    )


def _line(each: Checked) -> str:
    broken = f" **The records do not support this: {markdown(each.fault)}.**" if each.fault else ""
    return f"- {each.sentence}{broken}"


def _table(table: NumberTable, checker: Checker) -> str:
    """Render numbers side by side, as the columns of the board write them; many metrics as rows."""
    section = checker.section(table.on)
    rows = {row.entry_id: row for row in section.rows}
    columns = {column.key: column for column in section.columns}
    shown = [columns.get(metric) or _detail(metric) for metric in table.metrics]
    lines = []
    for text in table.entries:
        row = rows[checker.entry(section, text)]
        cells = (
            row.cells.get(column.key) or checker.summary(section, row.entry_id, column.key)
            for column in shown
        )
        written = (_cell(column, cell, row) for column, cell in zip(shown, cells, strict=True))
        lines.append([markdown_code(row.label), str(len(row.seeds)), *written])
    heads = (
        table.titles.get(metric, column.title) for metric, column in zip(table.metrics, shown, strict=True)
    )
    titles = [f"*{table.on}*", "seeds", *map(markdown, heads)]
    if len(shown) > MOST_COLUMNS:
        titles, *lines = [list(line) for line in zip(titles, *lines, strict=True)]
    return tabulate(lines, titles, tablefmt="pipe", disable_numparse=True)


def _cell(column: Column, cell: Summary | None, row: Row) -> str:
    """Write a cell; with its seeds where only some of the entry's were scored so."""
    if cell is None or column.place != "scores" or cell.n == len(row.seeds):
        return column.text(cell)
    return f"{column.text(cell)} ({cell.n} seeds)"


def _detail(metric: str) -> Column:
    """Make a column for a metric that the board does not show; shares of galaxies in per cent."""
    evaluator, name = metric.split(".", 1)
    title = f"`{evaluator}` {name.replace('_', ' ')}"
    if "accuracy" in name:
        return Column(evaluator, name, f"{title} %")
    return Column(evaluator, name, title, scale=1.0, digits=3)


def updated(text: str, checked: Iterable[Checked]) -> str:
    """Fill the marked passages of a document: `<!-- claim:ID -->…<!-- end -->`.

    Raises:
        ConfigError: a mark names no claim.
    """
    sentences = {each.claim.id: each.sentence for each in checked}

    def sentence(found: re.Match[str]) -> str:
        if found[2] not in sentences:
            raise ConfigError(f"claim '{found[2]}' is marked and not made; there are {', '.join(sentences)}")
        return f"{found[1]}{sentences[found[2]]}{found[4]}"

    return _MARKED.sub(sentence, text)


def claim_faults(checked: Iterable[Checked]) -> list[str]:
    """List the claims that the records do not support, a line each."""
    return [
        f"claim '{each.claim.id}': {each.fault}: \u201c{each.sentence}\u201d"
        for each in checked
        if each.fault
    ]
