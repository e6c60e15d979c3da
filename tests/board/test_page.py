"""The page of a board: every entry stands on it, every text is escaped, and equal records give equal bytes."""

import base64
import hashlib
import random
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from astrojepa_bench.board.columns import LIFT
from astrojepa_bench.board.inference import Difference
from astrojepa_bench.board.page import html_page
from astrojepa_bench.board.page_details import run_command
from astrojepa_bench.board.power import Needed
from astrojepa_bench.board.render import page
from astrojepa_bench.board.statistics import Summary
from astrojepa_bench.board.table import build_board
from astrojepa_bench.board.text import state_of
from astrojepa_bench.board.verdicts import Comparison, FactorEffect, TrackRecord, Verdicts
from astrojepa_bench.cli import build_parser
from astrojepa_bench.cli.run import request_from
from astrojepa_bench.options import jsonable
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.component import Component
from astrojepa_bench.suites import Published

HOSTILE = "</script><script>alert('x')</script><b title=\"y\">&amp;"


class Found(HTMLParser):
    """What a browser would find: tags with their attributes, and text outside script and style."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.inside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = [tag]

    def handle_endtag(self, tag):
        self.inside = []

    def handle_data(self, data):
        if self.inside not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def of(self, tag, **wanted):
        return [a for name, a in self.tags if name == tag and all(a.get(k) == v for k, v in wanted.items())]


@pytest.fixture(scope="module")
def found(six_entries):
    return Found(html_page(build_board(six_entries)))


def difference(a, b, verdict, effect, low, high):
    return Difference(a, b, verdict, effect, 0.01, 9.0, low, high, low, high, 0.01, 0.02)


@pytest.fixture
def judged(six_entries):
    """A board whose one section was judged by hand."""
    board = build_board(six_entries)
    (section,) = board.sections
    names = {row.label: row.entry_id for row in section.rows}
    best, second = names["alpha + brightness + vit-micro"], names["alpha + random + vit-micro"]
    floor = names["untrained + none + vit-micro"]
    better, open_ = (
        difference(best, floor, "better", 0.11, 0.05, 0.17),
        difference(best, second, "undecided", 0.04, -0.02, 0.1),
    )
    lift = Comparison(best, floor, "lift", "linear.accuracy", better, None, True)
    tie = Comparison(best, second, "masker", "linear.accuracy", open_, Needed(0.04, 17), True)
    effect = FactorEffect(
        "masker", "brightness", "random", "linear.accuracy", effect=0.04, low=0.0, high=0.08, low_family=-0.02,
        high_family=0.1, p_holm=0.2, blocks=("alpha",), p_interaction=0.007,
    )  # fmt: skip
    verdicts = Verdicts(
        "linear.accuracy", {best: (1, 2), second: (1, 2)}, {best: "a", second: "ab"}, {best: lift}, (lift, tie),
        (effect,), TrackRecord(((20, 20), (20, 18))), ("the galaxies' part is borrowed",),
    )  # fmt: skip
    told = {best: {LIFT.key: Summary(3, 0.11, None, 0.05, 0.17)}}
    rows = [
        replace(
            row,
            ranks=verdicts.ranks.get(row.entry_id),
            letters=verdicts.letters.get(row.entry_id, ""),
            cells={**row.cells, **told.get(row.entry_id, {})},
        )
        for row in section.rows
    ]
    section = replace(section, rows=tuple(rows), verdicts=verdicts)
    return replace(
        board, sections=(section,), factors=(effect,), track_record=TrackRecord(((20, 20), (20, 18)))
    )


def test_every_entry_stands_on_the_page_once(six_entries, found):
    """One row an entry, each with a row that it opens to."""
    rows = [row for section in build_board(six_entries).sections for row in section.rows]
    names = [a["id"].rpartition("-")[2] for a in found.of("tr", **{"class": "entry"})]

    assert sorted(names) == sorted(row.entry_id for row in rows)
    assert {a["id"] for a in found.of("tr", **{"class": "detail"})} == {
        a["aria-controls"] for a in found.of("button", **{"class": "open"})
    }
    assert all(f"{row.objective} + {row.masker}" in found.text for row in rows)


def test_page_loads_nothing(six_entries):
    """No address is fetched, nothing is executed but the page's own script, whose hash the policy names."""
    text = html_page(build_board(six_entries))
    found = Found(text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (policy,) = [a["content"] for a in found.of("meta", **{"http-equiv": "Content-Security-Policy"})]

    assert not re.findall(r"url\(|@import|srcset|<link|<img|<iframe|<object|src=|https?://", text)
    assert not re.findall(r"<[^>]+\son\w+=", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy


def test_the_order_of_records_changes_no_byte(six_entries):
    """However records are listed, the page is the same."""
    shuffled = random.Random(1).sample(six_entries, len(six_entries))

    assert html_page(build_board(shuffled)) == html_page(build_board(six_entries))


def test_hostile_words_are_shown_and_not_obeyed(make_run, lost_run, six_entries):
    """A plugin may call its parts, its metrics and its failures anything."""
    runs = [
        *six_entries,
        *(make_run(HOSTILE, HOSTILE, seed, encoder=HOSTILE, budget=HOSTILE) for seed in range(2)),
        make_run("odd", options={"objective": {HOSTILE: HOSTILE}}, altered={"objective": {HOSTILE: HOSTILE}}),
        make_run("warned", warnings=[HOSTILE], health={HOSTILE: 1.0}),
        lost_run("failed", HOSTILE, objective=HOSTILE),
        lost_run("skipped", skip_reason=HOSTILE),
    ]
    figure = Published(model=HOSTILE, figure=HOSTILE, measured=HOSTILE, source=HOSTILE, differs=HOSTILE)
    text = html_page(build_board(runs), [figure], [HOSTILE])
    found = Found(text)

    assert len(found.of("script")) == 1
    assert found.of("b") == []
    assert text.count("alert(") == text.count("alert(&#39;") > 10
    assert HOSTILE in found.text
    assert set(found.of("tr", **{"class": "entry", "data-objective": HOSTILE})[0]) >= {
        "data-masker",
        "data-words",
    }


def test_what_nobody_judged_looks_unjudged(make_run):
    """One seed each tells nothing: no letters, no ranges, no effects."""
    found = Found(html_page(build_board([make_run(name) for name in ("alpha", "beta", "gamma")])))

    assert {cell["data-v"] for cell in found.of("td", **{"class": "letters"})} == {"–"}
    assert "Effects of factors" not in found.text
    assert not found.of("svg", **{"class": "strip"})


def test_page_writes_what_the_board_judged(six_entries):
    """Every range and every letter is that of the verdicts, and floors have none."""
    board = build_board(six_entries)
    verdicts = board.sections[0].verdicts
    cells = r'<td class="ranks" data-v=".*?">(.*?)<.*?<td class="letters" data-v="(.*?)"'
    rows = re.findall(r'<tr class="entry" id=".*?-(\w+)".*?' + cells, html_page(board), re.DOTALL)
    written = {entry: (ranks, letters) for entry, ranks, letters in rows}

    assert len(verdicts.ranks) >= 2
    for entry, (first, last) in verdicts.ranks.items():
        assert written[entry] == (f"{first}–{last}" if first < last else f"{first}", verdicts.letters[entry])
    assert {written[entry][1] for entry in written.keys() - verdicts.ranks.keys()} == {"–"}


def test_ranges_sort_by_their_best_rank_then_by_their_worst(judged):
    """Of 1–19 and 1–20 the surer stands first when a reader sorts the column, and both before 2–17."""
    (section,) = judged.sections
    ranks = [(1 + at // 2, 20 - at) for at in range(len(section.rows))]
    rows = tuple(replace(row, ranks=held) for row, held in zip(section.rows, ranks, strict=True))
    text = html_page(replace(judged, sections=(replace(section, rows=rows),)))
    values = dict(re.findall(r'<td class="ranks" data-v="([^"]*)">([^<]*)<', text))

    assert [values[value] for value in sorted(values, key=float)] == [f"{a}–{b}" for a, b in sorted(ranks)]


def test_verdicts_are_written_as_ranges_and_letters(judged):
    """Rank ranges, ties, the family's interval of the lift, what would tell, and effects with their warning."""
    text = Found(html_page(judged)).text

    assert "1–2" in text
    assert "+11.0 [5.0, 17.0]" in text
    needs = "about 17 seeds of each would show one of 4.0 points"
    assert f"undecided : +4.0 [-2.0, 10.0] against alpha + random; {needs}" in text
    assert f"undecided : -4.0 [-10.0, 2.0] against alpha + brightness; {needs}" in text
    assert "better : +11.0 [5.0, 17.0] against untrained + none" in text
    assert "worse : -11.0 [-17.0, -5.0] against alpha + brightness" in text
    assert "brightness − random*" in text
    assert (
        "* What the masker does depends on the objective (interaction p = 0.007), which averages hide."
        in text
    )
    assert "38 of 40 fell inside" in text
    assert "Effects of factors, over data sets" in text
    assert "the galaxies' part is borrowed" in text


def test_short_page_writes_the_same_verdicts(judged):
    """Eight columns, the same words."""
    lines = page(judged).splitlines()
    heading = next(line for line in lines if line.startswith("|") and "ties" in line)
    first = next(line for line in lines if "| alpha + brightness " in line)

    assert heading.count("|") == 9
    assert [cell.strip() for cell in first.split("|")[1:4]] == ["1–2", "a", "alpha + brightness"]
    assert "+11.0 [5.0, 17.0]" in first


def test_findings_stand_only_where_there_are_any(six_entries):
    """No sentence about results is typed in."""
    board = build_board(six_entries)

    assert not Found(html_page(board)).of("ul", **{"class": "findings"})
    assert "One is better than two." in Found(html_page(board, findings=["One is better than two."])).text


def test_floors_and_ceilings_frame_the_ranked(found):
    """Each kind in its own block, in words; only contestants are told apart by rank."""
    text = found.text
    places = [
        text.index(word) for word in ("Self-supervised learn", "Use labels trained", "Floors untrained")
    ]

    assert places == sorted(places)
    assert "a ceiling, not ranked" in text


def test_an_entry_tells_of_runs_that_did_not_end_well(make_run, lost_run):
    """Of those alone: nothing is said where all did."""
    lost = lost_run("diverged", "a term was not finite", objective="alpha", seed=1)
    texts = [html_page(build_board([make_run(seed=0), *more])) for more in ([lost], [make_run(seed=1)])]

    assert ["<li>Runs: diverged 1/2.</li>" in text for text in texts] == [True, False]
    assert "Runs: ok" not in "".join(texts)


def test_groups_stand_in_blocks_of_their_own(six_entries):
    """What an objective was told beyond the images is said above its rows."""
    board = build_board(six_entries)
    (section,) = board.sections
    groups = ["told by measurements", "of a kind <of its own>"]
    rows = [replace(row, group=group) for row, group in zip(section.rows, groups, strict=False)]
    rows += section.rows[len(rows) :]
    text = Found(html_page(replace(board, sections=(replace(section, rows=tuple(rows)),)))).text

    assert "Told by measurements are shown hand-made measurements" in text
    assert "of a kind <of its own>" in text


def test_a_floor_is_a_floor_whatever_its_group(make_run):
    """Hand-made measurements as an encoder learn nothing; what learnt and what did not is counted apart."""
    floor = make_run(
        "untrained", "none", 0, 0.6, encoder="profile", standing="floor", cost={"train_seconds": 0.0}
    )
    board = build_board([make_run(), floor])
    (section,) = board.sections
    rows = [
        replace(row, group="told by measurements") if row.standing == "floor" else row for row in section.rows
    ]
    text = Found(html_page(replace(board, sections=(replace(section, rows=tuple(rows)),)))).text

    assert "Told by measurements" not in text
    assert "Floors untrained encoders" in text
    assert "1 training run and 1 run without training: 2 entries in 1 table, one for each" in text


def test_a_repetition_by_others_makes_a_row_rerun(make_run):
    """Equal or inside the forecast: re-run; outside: said so; none: reported."""
    assert state_of([make_run()]) == "reported"
    assert state_of([make_run(), make_run(reproductions=[again("inside")])]) == "re-run"
    assert state_of([make_run(reproductions=[again("equal"), again("outside")])]) == "re-run: outside"


def again(verdict):
    return {"commit": "c0ffee", "date": "2026-11-28", "environment": {}, "verdict": verdict}


def test_sections_of_one_title_are_told_apart(make_run):
    """Tabs of one name say what differs."""
    board = build_board([make_run(), make_run(splits="other")])
    titles = [section.heading for section in board.sections]

    assert len(set(titles)) == 2
    assert all("splits" in title for title in titles)
    assert len({a["id"] for a in Found(html_page(board)).of("section", role="tabpanel")}) == 2


def test_the_command_asks_for_the_recorded_options(make_run):
    """Typed in again, it resolves to the very options of the record, whatever the defaults are then."""
    registry = load_registry([])
    names = {"objective": "mae", "masker": "brightness", "encoder": "vit-micro", "dataset": "synthetic"}
    asked = {
        "objective": {"learning_rate": 0.0007},
        "masker": {"temperature": 0.5},
        "dataset": {"shift": 8.0},
    }
    options = {
        kind: jsonable(Component.of(registry.get(kind, name), {kind: asked.get(kind, {})}).options)
        for kind, name in names.items()
    }
    runs = [make_run(**names, seed=seed, options=options) for seed in (20, 21)]
    words = shlex.split(run_command(runs))
    request = request_from(build_parser().parse_args([*words[1:]]))

    assert words[:2] == ["astrojepa-bench", "run"]
    assert (request.objectives, request.maskers, request.encoders) == (
        ("mae",),
        ("brightness",),
        ("vit-micro",),
    )
    assert (request.dataset, request.budget, request.seeds) == ("synthetic", "small", (20, 21))
    for kind, name in names.items():
        again = Component.of(registry.get(kind, name), request.settings)
        assert jsonable(again.options) == options[kind]


@pytest.mark.parametrize(("seeds", "text"), [((0, 1, 2), "0,1,2"), ((5,), "5,5"), ((20, 22), "20,22")])
def test_seeds_are_written_as_they_are_read(make_run, seeds, text):
    """As a list, which stands for itself whatever a suite says, a single seed included."""
    words = shlex.split(run_command([make_run(seed=seed) for seed in seeds]))

    assert words[words.index("--seeds") + 1] == text
    assert request_from(build_parser().parse_args(words[1:])).seeds == seeds


def test_a_board_of_nothing_scored_still_has_a_page(lost_run):
    """Failed and skipped runs alone: reasons, no drawing."""
    text = Found(
        html_page(build_board([lost_run("failed", "broke"), lost_run("skipped", skip_reason="no masks")]))
    ).text

    assert "broke" in text
    assert "no masks" in text
    assert "nan" not in text.lower().replace("finance", "")


def test_a_large_board_opens_to_less(six_entries, monkeypatch):
    """More entries than a browser can hold in full: no curves, no table of all scores, and a word on that."""
    board = build_board(six_entries)
    monkeypatch.setattr("astrojepa_bench.board.page.MOST_DETAILED", 2)
    text = Found(html_page(board)).text

    assert "those stand in board.csv and in the records" in text
    assert "All scores, mean" not in text
    assert "astrojepa-bench reproduce" in text
