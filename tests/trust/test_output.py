"""Text of others in every output: README, page, report, CSV, tables, terminal. Nothing in it is obeyed."""

import ast
import csv
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from markdown_it import MarkdownIt

from astrojepa_bench.board.page import html_page
from astrojepa_bench.board.render import long_table, page
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli import printing
from astrojepa_bench.cli.console import ConsoleListener, PlainDisplay
from astrojepa_bench.escaping import csv_cell, csv_id, csv_text, markdown, markdown_code, markdown_item, plain
from astrojepa_bench.events import Event
from astrojepa_bench.explore.report_page import ReportSection, Text, render
from astrojepa_bench.explore.report_page import Table as PageTable
from astrojepa_bench.explore.tables import write_table
from astrojepa_bench.results.correct import galaxies_text, read_classes
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import RunRecord

ROOT = Path(__file__).parents[2]
STEERING = "\x1b[31m\x1b]8;;http://evil.example\x07\u202egnp\x9b2J\u2028"
MARKUP = "</script><script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">"
LINKS = (
    "[a](javascript:alert(1)) ![b](http://evil.example/c.png) [d]: javascript:alert(2) [e][d] <javascript:f>"
)
CELLS = r"a|b\|c `d|e` \\| [/red] [link=http://evil.example]f[/link]"
LOUD = {
    "Page.javascriptDialogOpening", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded",
}  # fmt: skip
FOREIGN = 'img:not([src^="data:"]), iframe, object, embed'
HOSTILE = " ".join([MARKUP, LINKS, CELLS, STEERING, "\n# heading\n\n- item\n```\ncode"])


def hostile_run(standing="contestant", seed=0, status="ok", **changed):
    """Make the record of a run whose every text is hostile."""
    names = {kind: f"{kind} {HOSTILE}" for kind in ("objective", "masker", "encoder", "dataset")}
    options = {"objective": {HOSTILE: HOSTILE}}
    identity = RunIdentity(
        names=names, options=options, chain={"objective": {"own": HOSTILE}}, seed=seed, budget="small",
        fingerprint=HOSTILE, splits=HOSTILE, precision="float32", device_class="cpu",
    )  # fmt: skip
    metrics = [("linear", "accuracy"), (HOSTILE, HOSTILE), ("=cmd()", "@SUM(A1)")]
    scores = [
        dict(evaluator=e, metric=m, value=0.5, chance=0.2, higher_is_better=True, n=99) for e, m in metrics
    ]
    facts = dict(
        run_id=identity.run_id, entry_id=identity.entry_id, status=status, **names, seed=seed, budget="small",
        options=options, identity=identity.facts(), standing=standing, scores=scores if status == "ok" else [],
        failure=None if status == "ok" else dict(origin="plugin", phase="training", message=HOSTILE),
        warnings=[HOSTILE], health={HOSTILE: 1.0}, not_scored={HOSTILE: HOSTILE},
        training={"loss_curve": [(0, 1.0), (1, 0.5)]},
        evaluators={HOSTILE: {"metrics": [{"pattern": ".*", "title": HOSTILE, "headline": True}]}},
        cost={"train_seconds": 1.0}, environment={"torch": HOSTILE},
    )  # fmt: skip
    return RunRecord(**{**facts, **changed})


@pytest.fixture(scope="module")
def board():
    """A board of hostile records: a contestant, one that failed, a floor."""
    return build_board([hostile_run(), hostile_run(seed=1, status="failed"), hostile_run("floor", seed=2)])


def harmless(text):
    """Whether no character of a text steers a terminal or turns the direction of reading."""
    return all(char.isprintable() or char in "\n\t" for char in text) and plain(text) == text


# --- Markdown ---------------------------------------------------------------------------------------------------


def tokens_of(text):
    """Parse Markdown as a reader does, HTML and tables included; give every token, nested ones too."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def refused(text):
    """List the HTML, pictures and links that a Markdown text would show."""
    for token in tokens_of(text):
        if token.type.startswith("html") and not re.fullmatch(
            r"(</?(details|summary)>|Notes|\s)*", token.content
        ):
            yield token.content
        elif token.type == "image":
            yield token.attrs["src"]
        elif token.type == "link_open" and not re.match(
            r"https?:|mailto:|[\w.-]+$", str(token.attrs["href"])
        ):
            yield token.attrs["href"]


def test_a_hostile_board_is_a_plain_readme(board):
    """No HTML, no link and no picture of theirs, and every row of a table has as many cells as its heading."""
    text = page(board)
    widths, row = [], 0
    for token in tokens_of(text):
        row = 0 if token.type == "tr_open" else row + (token.type in ("td_open", "th_open"))
        widths += [row] if token.type == "tr_close" else []

    assert list(refused(text)) == []
    assert set(widths) == {8}
    assert len(widths) >= 3
    assert {line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("|")} == {9}
    assert harmless(text)


@pytest.mark.parametrize("write", [markdown, markdown_item, markdown_code])
@pytest.mark.parametrize(
    "text", [MARKUP, LINKS, CELLS, STEERING, HOSTILE, "# a", "```", "1. a", "> a", "`", "\\"]
)
def test_any_text_is_one_harmless_line(write, text):
    """In a list and in a table."""
    said = f"| a | b |\n|---|---|\n| {write(text)} | c |\n\n- {write(text)}\n"
    tokens = list(tokens_of(said))

    assert list(refused(said)) == []
    assert sum(token.type == "td_open" for token in tokens) == 2
    assert "\n" not in write(text)
    blocks = (
        {"heading_open", "blockquote_open", "fence", "ordered_list_open"} if write is markdown_item else set()
    )
    assert not blocks & {token.type for token in tokens}


@pytest.mark.parametrize(
    "text", ["lejepa(batch_size=32) + random", "a `b` c: 3.1 [2.0, 4.2]", "kmeans_purity < 1"]
)
def test_honest_text_is_hardly_touched(text):
    """Committed boards stay as they are."""
    assert markdown(text) == text.replace("<", "&lt;")


# --- CSV and other tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "'=1"]
)
def test_no_text_is_a_formula(text):
    """It begins with an apostrophe, and can be read back."""
    assert csv_cell(text)[0] not in "=+-@\t\r\n＝"
    assert csv_text(csv_id(text)) == text


@pytest.mark.parametrize("value", [-1.5, 3, None, "-1.5", "+2e-3", "J1234-05", "a=b", "'quoted'", ""])
def test_numbers_and_honest_texts_stay(value):
    """Negative numbers above all."""
    assert csv_cell(value) == value


def test_a_hostile_board_is_a_plain_csv(board):
    """No cell is a formula, and values are numbers."""
    rows = list(csv.DictReader(io.StringIO(long_table(board))))

    assert {row["metric"] for row in rows} >= {"'@SUM(A1)"}
    assert {float(row["value"]) for row in rows} == {0.5}
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "@", "+", "\t", "\r"))]
    assert all(harmless(cell) for row in rows for cell in row.values())


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".vot"])
@pytest.mark.filterwarnings("ignore::astropy.io.votable.exceptions.VOWarning")
def test_tables_of_galaxies_hold_text_and_numbers(tmp_path, ending):
    """Formulas are escaped where spreadsheets open the file; control characters are spelt out everywhere."""
    frame = pd.DataFrame({"id": ["=cmd", "a\x1b[2J", "c"], "score": [-1.5, 2.0, -0.25], "rank": [1, 2, 3]})
    path = write_table(frame, tmp_path / f"table{ending}")
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet}.get(ending)
    found = read(path) if read else Table.read(path).to_pandas()

    assert [str(text) for text in found["id"]] == [
        "'=cmd" if ending == ".csv" else "=cmd",
        "a\\u001b[2J",
        "c",
    ]
    np.testing.assert_array_equal(found["score"], frame["score"])
    np.testing.assert_array_equal(found["rank"], frame["rank"])


def test_the_list_of_galaxies_is_read_back(tmp_path):
    """Its ids are the user's, and its order is that of the bits."""
    ids = np.array(["=cmd", "-2", "+a", "'=b", "plain"])
    path = tmp_path / "galaxies.csv"
    path.write_text(galaxies_text(ids, np.arange(5)), newline="")

    assert not [line for line in path.read_text().splitlines() if re.match(r"\d+,[=+@]", line)]
    expected = [index for _, index in sorted(zip(ids.tolist(), range(5), strict=True))]
    assert read_classes(path).tolist() == expected


# --- the terminal -----------------------------------------------------------------------------------------------


def test_what_is_printed_cannot_steer_the_terminal(capsys):
    """Every character that would is spelt out as JSON spells it, so that JSON stays JSON."""
    printing.print(HOSTILE, "two\r\nlines")

    out = capsys.readouterr().out
    assert harmless(out)
    assert "\\u001b[31m" in out
    assert "two\nlines" in out


def test_every_verb_prints_through_the_same_print():
    """A module of the command line that prints by Python's own print is found here."""
    for path in sorted((ROOT / "astrojepa_bench" / "cli").glob("*.py")):
        tree = ast.parse(path.read_text())
        prints = any(isinstance(n, ast.Call) and ast.unparse(n.func) == "print" for n in ast.walk(tree))
        imports = {alias.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for alias in n.names}
        assert not prints or "print" in imports or path.name == "printing.py", path.name


def test_events_cannot_steer_the_terminal():
    """Names of cells, notes and terms of losses come from plugins."""
    said = []
    listener = ConsoleListener(PlainDisplay(said.append, now=iter(range(0, 1000, 10)).__next__))
    listener(Event("cell_started", {"index": 1, "total": 2, "label": STEERING}))
    listener(Event("note", {"text": STEERING}))
    for step in (1, 2):
        facts = {
            "step": step,
            "steps": 9,
            "run": STEERING,
            "terms": {STEERING: 1.0},
            "images_per_second": 1.0,
        }
        listener(Event("step", facts))

    assert len(said) >= 3
    assert all(harmless(line) for line in said)


# --- the page and the report ------------------------------------------------------------------------------------


def report_of_hostile_text():
    parts = [
        Text(HOSTILE),
        Text(HOSTILE, "warning"),
        PageTable([HOSTILE] * 2, [[HOSTILE, "javascript:alert(1)"]]),
    ]
    return render(HOSTILE, HOSTILE, [ReportSection(HOSTILE, parts)])


def test_pages_hold_no_character_that_turns_the_reading(board):
    """Both pages, with every text that a record has."""
    for text in (html_page(board, findings=[HOSTILE]), report_of_hostile_text()):
        assert harmless(text)
        assert text.count("<script") == text.count("</script") <= 1
        assert not re.search(r"(href|src)\s*=\s*[\"']?\s*javascript:", text)


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("chromium") or shutil.which("chromium-browser")), reason="no Chromium is installed"
)
def test_a_browser_obeys_nothing_of_it(board, tmp_path):
    """No script but the page's own, no dialog, no request but for the file, no link but to http or into the page.

    The rendered README is opened too, as a server without any policy of its own would show it.
    """
    from tests.board.test_page_browser import Browser

    readme = MarkdownIt("commonmark").enable("table").render(page(board))
    texts = {
        "index": html_page(board, findings=[HOSTILE]),
        "report": report_of_hostile_text(),
        "readme": f"<!doctype html><meta charset=utf-8><title>readme</title>{readme}",
    }
    browser = Browser(tmp_path / "profile")
    try:
        for name, text in texts.items():
            path = tmp_path / f"{name}.html"
            path.write_text(text)
            browser.open(path)
            browser("document.querySelectorAll('button, summary, tr.entry').forEach(e => e.click())")
            asked = {
                facts["request"]["url"].split("#")[0]
                for event, facts in browser.events if event == "Network.requestWillBeSent"
            }  # fmt: skip
            assert asked <= {path.as_uri(), "about:blank"}, name
            assert not LOUD & {event for event, _ in browser.events}, name
            assert browser("document.title") != "obeyed"
            assert browser("document.scripts.length") == (1 if name == "index" else 0)
            assert (
                browser(
                    "document.querySelectorAll('img:not([src^=\"data:\"]), iframe, object, embed').length"
                )
                == 0
            )
            links = browser("[...document.links].map(a => a.protocol)")
            assert set(links) <= {"file:", "http:", "https:", "mailto:"}, name
    finally:
        browser.close()
