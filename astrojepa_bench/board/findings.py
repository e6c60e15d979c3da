"""Render `findings.md` from claims and records, and keep the claims that stand in other documents up to date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tabulate import tabulate

from astrojepa_bench.board.claim_checks import Checked, Checker
from astrojepa_bench.board.claims import Chapter, Claims, Table
from astrojepa_bench.board.columns import Column
from astrojepa_bench.errors import ConfigError

FINDINGS = "findings.md"
_NOTE = (
    "Every sentence with a number below is bound to a comparison in `claims.toml`. `astrojepa-bench leaderboard "
    "build` fills in its numbers, and `leaderboard check` fails where the records stop supporting it. Differences "
    "are in points of accuracy, with the 95 % interval that holds for all differences of their family at once."
)
MOST_COLUMNS = 6
_MARKED = re.compile(r"(<!-- claim:([a-z0-9-]+) -->)(.*?)(<!-- end -->)", re.DOTALL)


def findings_page(checker: Checker, checked: Iterable[Checked]) -> str:
    """Render the page; a claim that the records do not support says so."""
    claims, by_id = checker.claims, {each.claim.id: each for each in checked}
    blocks = [f"# {claims.title}", claims.text, _NOTE, places_table(checker)]
    for chapter in claims.chapters:
        blocks += _chapter(chapter, checker, by_id)
    return "\n\n".join(block.strip() for block in blocks if block.strip()) + "\n"


def places_table(checker: Checker) -> str:
    """Render what each place of the claims is."""
    rows = []
    for name, place in checker.claims.places.items():
        section = checker.section(name)
        device = f"{section.device_class}, {section.precision}"
        rows.append([f"*{name}*", place.title, section.budget, device, section.fingerprint[:12]])
    titles = ["", "galaxies", "budget", "trained on", "fingerprint"]
    return tabulate(rows, titles, tablefmt="pipe", disable_numparse=True)


def _chapter(chapter: Chapter, checker: Checker, checked: Mapping[str, Checked]) -> list[str]:
    lines = [_line(checked[claim.id]) for claim in chapter.claims]
    tables = [_table(table, checker) for table in chapter.tables]
    return [f"## {chapter.title}", chapter.text, *tables, "\n".join(lines), chapter.limits]


def _line(each: Checked) -> str:
    broken = f" **The records do not support this: {each.fault}.**" if each.fault else ""
    return f"- {each.sentence.strip()}{broken}"


def _table(table: Table, checker: Checker) -> str:
    """Render numbers side by side, as the columns of the board write them; many metrics as rows."""
    section = checker.section(table.on)
    rows = {row.entry_id: row for row in section.rows}
    columns = {column.key: column for column in section.columns}
    shown = [columns.get(metric) or _detail(metric) for metric in table.metrics]
    lines = []
    for text in table.entries:
        row = rows[checker.entry(section, text)]
        cells = (row.cells.get(column.key) or checker.summary(row.entry_id, column) for column in shown)
        written = (column.text(cell) for column, cell in zip(shown, cells, strict=True))
        lines.append([f"`{row.label}`", str(len(row.seeds)), *written])
    titles = [f"*{table.on}*", "seeds", *(column.title for column in shown)]
    if len(shown) > MOST_COLUMNS:
        titles, *lines = [list(line) for line in zip(titles, *lines, strict=True)]
    return tabulate(lines, titles, tablefmt="pipe", disable_numparse=True)


def _detail(metric: str) -> Column:
    """Make a column for a metric that the board does not show."""
    evaluator, name = metric.split(".", 1)
    return Column(evaluator, name, f"`{evaluator}` {name.replace('_', ' ')}", scale=1.0, digits=3)


def updated(text: str, checked: Iterable[Checked]) -> str:
    """Fill the marked passages of a document: `<!-- claim:ID -->…<!-- end -->`.

    Raises:
        ConfigError: a mark names no claim.
    """
    sentences = {each.claim.id: each.sentence.strip() for each in checked}

    def sentence(found: re.Match[str]) -> str:
        if found[2] not in sentences:
            raise ConfigError(f"claim '{found[2]}' is marked and not made; there are {', '.join(sentences)}")
        return f"{found[1]}{sentences[found[2]]}{found[4]}"

    return _MARKED.sub(sentence, text)


def documents_of(out: Path, claims: Claims) -> dict[str, str]:
    """Read the other documents in which claims stand, by name relative to the folder; a missing one is left out."""
    paths = {name: out / name for name in claims.documents}
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}


def claim_faults(checked: Iterable[Checked]) -> list[str]:
    """List the claims that the records do not support, a line each."""
    return [
        f"claim '{each.claim.id}': {each.fault}: \u201c{each.sentence.strip()}\u201d"
        for each in checked
        if each.fault
    ]


def headlines(claims: Claims, checked: Iterable[Checked]) -> tuple[str, ...]:
    """Return the sentences that stand first on the page of the board, unless the records do not support them."""
    sentences = {each.claim.id: each.sentence.strip() for each in checked if not each.fault}
    return tuple(sentences[name] for name in claims.headlines if name in sentences)
