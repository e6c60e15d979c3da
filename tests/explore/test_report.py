"""A report is one page that needs nothing else, whatever its galaxies lack and whatever stands in their names."""

import base64
import csv
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from astrojepa_bench.evaluators.meanings import MEANINGS, meaning_of
from astrojepa_bench.evaluators.metrics.geometry import is_collapsed
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.events import listening
from astrojepa_bench.explore import report as report_module
from astrojepa_bench.explore import report_page
from astrojepa_bench.explore.figures import picture_bytes
from astrojepa_bench.explore.report import report
from astrojepa_bench.explore.report_figures import confusion_figure, confusion_of, training_figure
from astrojepa_bench.explore.report_scores import collapse_text, floors_beside
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.metric import Metric
from astrojepa_bench.results.record import Cost, RunRecord, Training
from astrojepa_bench.results.store import Store

HOSTILE = "<script>alert('spiral $x_1$')</script>"
SECTIONS = (
    "Scores", "Training", "Confusion", "Map", "Anomalies", "Clusters", "Latents", "Neighbours", "Provenance",
    "Environment",
)  # fmt: skip


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(run, table):
    return report(Sample(run, table, table.rows("test"), own=True))


@pytest.fixture
def light(monkeypatch):
    """Draw no pixels: two thirds of the time of a report, and nothing of its words."""
    monkeypatch.setattr(report_page, "picture_bytes", lambda figure: b"\x89PNG")
    monkeypatch.setattr(report_module, "LOOKED_AT", 1)


def bare_table(table, rows):
    """Leave some galaxies and nothing that is known of them."""
    rows = np.asarray(rows)
    changed = {name: None for name in ("redshift", "ra", "dec", "pixel_scale", "group")}
    kept = {
        name: getattr(table, name)[rows] for name in ("images", "ids", "split", "anomaly", "anomaly_type")
    }
    return replace(
        table,
        **changed,
        **kept,
        label=np.full(len(rows), -1),
        factors={},
        card=replace(table.card, class_names=()),
    )


@pytest.mark.slow
def test_page_has_every_section_and_loads_nothing(page):
    """No script, no link that is fetched, and every picture inside the page."""
    found = Page(page)

    assert tuple(word.strip() for word in re.findall(r"<h2>(.*?)</h2>", page)) == SECTIONS
    assert not found.of("script")
    assert not found.of("link")
    assert len(found.of("img")) >= 10
    assert all(image["src"].startswith("data:image/png;base64,") for image in found.of("img"))
    assert all(image["alt"] for image in found.of("img"))
    assert not re.findall(r"url\(|@import|srcset|<iframe|<object|\bon\w+=", page)


@pytest.mark.slow
def test_every_picture_is_a_picture(page):
    """What is inlined decodes to a PNG of the stated shape."""
    for image in Page(page).of("img"):
        content = base64.b64decode(image["src"].partition(",")[2])
        wide, high = (int.from_bytes(content[16 + 4 * i : 20 + 4 * i], "big") for i in range(2))
        assert content.startswith(b"\x89PNG")
        assert wide / high == pytest.approx(int(image["width"]) / int(image["height"]), rel=0.01)


@pytest.mark.slow
def test_scores_stand_beside_chance(page, run):
    """Each number of the record, with what knowing nothing scores."""
    text = Page(page).text
    rows = [
        [re.sub("<.*?>", " ", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    ]

    for score in run.record.scores:
        name = score.metric.replace("_", " ").replace("recall ", "recall of class ")
        assert any(name in row[0] and row[1].strip().startswith(f"{score.value:.4f}") for row in rows if row)
        assert meaning_of(score.evaluator, score.metric) in text
    assert "chance" in text
    assert run.record.run_id in text
    assert (
        "Measured on the test galaxies of tiny, which the run was trained and scored on: those shown" in text
    )


@pytest.mark.slow
def test_places_have_five_decimals_and_ids_lead_to_the_sky(page, table):
    """0.04 arcsec; the id is the link, and its address names the same place."""
    found = re.findall(r'<a href="[^"]*\?ra=([\d.-]+)&amp;dec=([\d.-]+)[^"]*"[^>]*>(.*?)</a>', page)
    places = {str(name): at for name, *at in zip(table.ids, table.ra, table.dec, strict=True)}

    assert len(found) > 10
    for ra, dec, name in found:
        assert [float(ra), float(dec)] == pytest.approx(places[name], abs=1e-6)
        assert f">{places[name][0]:.5f}<" in page


@pytest.mark.slow
def test_links_lead_to_the_sky_viewer_only(page):
    """Places of galaxies are links; nothing else leaves the page."""
    links = [link["href"] for link in Page(page).of("a")]

    assert any("legacysurvey.org/viewer?ra=" in link for link in links)
    assert all(link.startswith(("#", "https://www.legacysurvey.org/")) for link in links)


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(page, run, table):
    """Byte for byte: nothing of the page knows what time it is."""
    assert report(Sample(run, table, table.rows("test"), own=True)) == page


def test_hostile_names_are_shown_and_not_obeyed(run, table, light):
    """A class, an id and a dataset may be called anything."""
    ids = np.array([f"{HOSTILE}{i}" for i in range(len(table))])
    named = replace(table, ids=ids, card=replace(table.card, name=HOSTILE, class_names=(HOSTILE, "</table>")))
    found = Page(report(Sample(run, named, np.arange(30))))

    assert not found.of("script")
    assert f"{HOSTILE}0"[:40] in found.text
    assert len(found.of("table")) == len(Page(report(Sample(run, table, np.arange(30)))).of("table"))
    assert found.of("img")


def test_hostile_names_can_be_drawn(run, table):
    """A dollar sign in the name of a class is no formula, and a long name no reason to fail."""
    named = replace(table, card=replace(table.card, class_names=(HOSTILE, "$\\frac{" * 20)))
    counts = confusion_of({"ids": table.ids.astype(str), "class": table.label}, named)

    assert picture_bytes(confusion_figure(counts, Sample(run, named, np.arange(30)).classes, "a probe"))


def test_twenty_galaxies_without_labels_or_redshifts_are_enough(run, table, light):
    """What cannot be had leaves its reason, and the rest stands."""
    few = bare_table(table, table.rows("test")[:20])
    text = Page(page := report(Sample(run, few, np.arange(20)))).text

    assert len(Page(page).of("img")) >= 7
    assert "No confusion matrix" in text
    assert "redshift" not in text.lower().split("provenance")[0].split("anomalies")[-1]


def test_too_few_galaxies_for_a_map_are_told(run, table, light):
    """One part that fails does not take the others with it."""
    text = Page(report(Sample(run, bare_table(table, [0, 1, 2]), np.arange(3)))).text

    assert "No map: 3 galaxies" in text
    assert "Cite:" not in text  # nobody states anything of them
    assert "Environment" in text


def test_other_galaxies_are_not_said_to_be_scored(run, table, light):
    """A report on them still shows the run's scores, and says on which galaxies they were measured."""
    known = replace(
        table, card=replace(table.card, name="elsewhere", licence="CC BY 4.0", citation="Doe 2024")
    )
    text = Page(report(Sample(run, bare_table(known, range(4)), np.arange(4)))).text

    assert "not on the 4 galaxies of elsewhere shown below" in text
    assert "elsewhere: licence: CC BY 4.0. Cite: Doe 2024." in text
    assert "`anomalies` computes it" in text


@pytest.mark.slow
def test_all_of_a_runs_galaxies_are_more_than_it_was_scored_on(run, table, light):
    """Scores stay those of the test galaxies; the page shows all and numbers them so, and no empty table."""
    page = report(Sample(run, table, np.arange(len(table))))

    assert "scored on. They are among the 120 galaxies of tiny shown below" in Page(page).text
    assert "An index counts the 120 galaxies of tiny" in Page(page).text
    assert not re.findall(r"<tbody>\s*</tbody>", page)


def test_floors_stand_beside_the_scores_that_they_are_of(run):
    """The mean over seeds of what was scored on the same galaxies in the same way; the run's own encoder first."""

    def floor(value, encoder="pixels", **changed):
        scores = [score.model_copy(update={"value": value}) for score in run.record.scores]
        facts = {
            "standing": "floor",
            "encoder": encoder,
            "scores": scores,
            "cost": Cost(parameters=0),
            **changed,
        }
        return run.record.model_copy(update=facts)

    elsewhere = {**run.record.identity, "fingerprint": "f00d"}
    records = [
        floor(0.2), floor(0.4), floor(0.9, identity=elsewhere), floor(0.1, "majority"), run.record,
        floor(0.5, run.record.encoder, cost=Cost(parameters=9)), floor(0.3, "lost", status="failed"),
    ]  # fmt: skip
    found = floors_beside(run.record, records)

    assert [each.name for each in found] == [f"untrained {run.record.encoder}", "majority", "pixels"]
    assert [{round(value, 6) for value in each.values.values()} for each in found] == [{0.5}, {0.1}, {0.3}]


@pytest.mark.parametrize(
    ("status", "std", "said"),
    [("collapsed", 0.02, "This run counts as collapsed."), ("ok", 0.4, "This run has not collapsed.")],
)
def test_collapse_is_told_as_the_board_judges_it(run, status, std, said):
    """By the spread of the features and not by their rank, with the limits of the judge."""
    health = {"normalised_std": std, "untrained_normalised_std": 0.6, "effective_rank": 90.0}
    text = collapse_text(run.record.model_copy(update={"status": status, "health": health}))
    judged = is_collapsed(effective_rank=90.0, dim=96, normalised_std=std, untrained_normalised_std=0.6)

    assert text.startswith(
        f"{said} Unit feature vectors spread by {std:.3f} after training and by 0.600 before"
    )
    assert judged is (status == "collapsed")


def test_every_metric_of_the_ruler_has_a_meaning(run):
    """Of each evaluator whose scores stand on the board; a plugin's own words go before."""
    known = set[tuple[str, str]]()
    for board in (Path(__file__).parents[2] / "leaderboard").rglob("board.csv"):
        with board.open(newline="") as file:
            known |= {(line["evaluator"], line["metric"]) for line in csv.DictReader(file)}

    assert len(known) > 100
    assert sorted(pair for pair in known if not meaning_of(*pair)) == []
    assert sorted({*SHOWN} - {*MEANINGS}) == []
    assert meaning_of("mine", "blur", [Metric("bl.*", meaning="how blurred")]) == "how blurred"


def test_confusion_counts_what_the_probe_said(table):
    """Against a count by hand; unknown galaxies and unlabelled ones do not count."""
    ids, label = table.ids[:4].astype(str), table.label[:4]
    wrong = np.array([label[0], 1 - label[1], label[2], label[3], 0])
    counts = confusion_of({"ids": np.array([*ids, "nobody"]), "class": wrong}, table)

    assert counts.sum() == 4
    assert np.trace(counts) == 3
    assert counts[label[1], 1 - label[1]] == 1
    assert confusion_of({"ids": np.array(["nobody"]), "class": np.array([0])}, table) is None


def test_confusion_is_of_the_runs_own_galaxies(run, table):
    """Row numbers are ids of every table: other galaxies have no matrix, whatever they are called."""
    others = replace(
        table, fingerprint="another file's", label=np.where(table.label < 0, -1, 0),
        card=replace(table.card, class_names=()),
    )  # fmt: skip
    own, elsewhere = (
        report_module._Report(Sample(run, each, each.rows("test"))).confusion() for each in (table, others)
    )

    assert isinstance(own[0], report_page.ReportPicture)
    assert elsewhere[0].text.startswith("No confusion matrix: the probe was fitted to other galaxies")


@pytest.mark.slow
def test_a_part_that_nobody_foresaw_to_fail_leaves_the_rest(run, table, light, monkeypatch):
    """The page says what it was, and so does a note."""
    notes = []

    def broken(sample):
        raise IndexError("index -1 is out of bounds")

    monkeypatch.setattr(report_module, "make_map", broken)
    with listening(lambda event: notes.append(event.fields.get("text", ""))):
        text = Page(report(Sample(run, bare_table(table, range(6)), np.arange(6)))).text

    assert "No map: IndexError: index -1 is out of bounds" in text
    assert "Environment" in text
    assert "the report has no map: IndexError: index -1 is out of bounds" in notes


def test_run_without_training_or_scores_has_a_page(run, table, light):
    """A model that was imported knows no curves and no scores."""
    facts = {
        **run.record.facts(),
        "scores": [],
        "training": {},
        "health": {},
        "warnings": ["trained elsewhere"],
    }
    bare = replace(run, record=RunRecord.model_validate(facts), store=Store(run.store.out / "nowhere"))
    text = Page(report(Sample(bare, bare_table(table, range(6)), np.arange(6)))).text

    assert "Nothing was scored" in text
    assert "Nothing was trained here" in text
    assert "trained elsewhere" in text


@pytest.mark.parametrize("terms", [0, 2, 4])
def test_each_curve_of_training_has_a_panel(run, terms):
    """Loss, terms and rank in order, three a line; what is left of the last line is blank."""
    curve = [(0.0, 3.0), (10.0, 2.0)]
    named = {f"term {index}": curve for index in range(terms)}
    training = Training(steps=10, images_seen=640, loss_curve=curve, term_curves=named, rank_curve=curve[:1])
    panels = training_figure(run.record.model_copy(update={"training": training})).axes
    drawn = [axes for axes in panels if axes.axison]

    assert [axes.get_ylabel() for axes in drawn] == ["loss", *named, "effective rank"]
    assert drawn[0].lines[0].get_xydata().tolist() == [list(point) for point in curve]
    assert len(panels) == 2 if not terms else len(panels) == 6
    assert drawn[-1].get_ylim()[0] == 0
