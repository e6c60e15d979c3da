"""The page of a board, `index.html`: one file that needs no network, made from the records alone.

Every text comes from records and is escaped by the templates. The page's own policy lets a browser run the script
below `templates/` and nothing else, so that a name of a plugin can do nothing whatever it holds.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from astrojepa_bench.board.certificate import (
    HEADINGS,
    INTRODUCTION,
    TITLE,
    SimulatorCertificate,
    in_common,
    means_of,
    places_of,
)
from astrojepa_bench.board.charts import (
    Agreement,
    CostPoint,
    Forest,
    HeatMap,
    Scatter,
    agreement,
    cost_plot,
    forest,
    heat_map,
)
from astrojepa_bench.board.citation import citation
from astrojepa_bench.board.columns import ACCURACY, Column, mean_cost
from astrojepa_bench.board.drawings import Axis
from astrojepa_bench.board.entries import was_trained
from astrojepa_bench.board.page_rows import (
    PageRow,
    frame_of,
    interval_text,
    page_rows,
    reference_of,
)
from astrojepa_bench.board.published import LEGEND, published_lines
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.board.terms import terms_of
from astrojepa_bench.board.text import (
    awaited,
    headline_name,
    headline_of,
    interaction_text,
    runs_by_row,
    section_facts,
    section_title,
    short_label,
    skipped_reasons,
    unranked_reasons,
    usual_encoder,
)
from astrojepa_bench.board.verdicts import FactorEffect, TrackRecord
from astrojepa_bench.escaping import plain_value
from astrojepa_bench.groups import SELF_SUPERVISED, TOLD_BY_MEASUREMENTS, USES_LABELS
from astrojepa_bench.results.record import SCORED
from astrojepa_bench.suites import Published

CURVE_POINTS_OF_THE_PAGE = 50_000  # shared by all curves, so that the page of a large board stays readable
LEAST_POINTS, MOST_POINTS = 12, 60
MOST_DETAILED = 400  # entries; rows of larger boards open to less, so that a browser can still hold the page
BLOCKS: Mapping[str, tuple[str, str]] = {
    SELF_SUPERVISED: ("Self-supervised", "learn from the images alone; ranked"),
    TOLD_BY_MEASUREMENTS: (
        "Told by measurements",
        "are shown hand-made measurements of each galaxy while they learn",
    ),
    USES_LABELS: ("Use labels", "trained on the classes that they are scored on: a ceiling, not ranked"),
    "floor": ("Floors", "untrained encoders and hand-made features, which training has to beat; not ranked"),
}


@dataclass(frozen=True)
class PageBlock:
    """Rows of one kind: what they are, a word on what that means, and the rows."""

    title: str
    note: str
    rows: tuple[PageRow, ...]


@dataclass(frozen=True)
class PageSection:
    """A tab of the page.

    Attributes:
        anchor: its name in links.
        title: its galaxies and budget.
        facts: what all its runs share.
        headline: what contestants are judged by, with its unit.
        encoder: that rows do not name.
        blocks: the rows, by kind.
        axis: of the bars.
        chance: what knowing nothing scores; empty where that is not known.
        reference: what the grey mark of a bar stands for.
        charts: drawn beside the table.
        notes: what a reader must know.
        unranked, skipped: why entries have no rank or did not run.
        forecasts: how the board's own forecasts came out, in words.
    """

    anchor: str
    title: str
    facts: str
    headline: str
    encoder: str
    blocks: tuple[PageBlock, ...]
    axis: Axis | None
    chance: str
    reference: str
    heat: HeatMap | None
    effects: Forest | None
    warnings: tuple[str, ...]
    cost: Scatter | None
    notes: tuple[str, ...]
    unranked: tuple[str, ...]
    skipped: tuple[str, ...]
    forecasts: str

    @property
    def rows(self) -> list[PageRow]:
        """All rows, whatever they are."""
        return [row for block in self.blocks for row in block.rows]


def html_page(
    board: Board,
    published: Sequence[Published] = (),
    findings: Sequence[str] = (),
    certified: Sequence[SimulatorCertificate] = (),
    *,
    has_findings: bool = False,
) -> str:
    """Render the page.

    Args:
        board: what it shows.
        published: figures of others, quoted at its end.
        findings: sentences that the records support; without any, the block is left out.
        certified: how simulated galaxies order contestants, against real ones.
        has_findings: whether `findings.md` lies beside it.
    """
    templates = Environment(
        loader=PackageLoader("astrojepa_bench.board"),
        autoescape=True, finalize=plain_value, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.filters["px"] = lambda value: f"{value:g}"
    script = templates.get_template("page.js").render()
    names = [section_title(section) for section in board.sections]
    counts = _counts(board)
    is_whole = counts["entries"] <= MOST_DETAILED
    drawn = sum(2 for record in board.records if record.training.loss_curve)
    points = min(max(CURVE_POINTS_OF_THE_PAGE // max(drawn, 1), LEAST_POINTS), MOST_POINTS) if is_whole else 0
    shared = headline_of(board.sections[0]) if board.sections else ACCURACY  # every section is judged by it
    sections = [
        page_section(board, section, title, anchor, points)
        for section, title, anchor in zip(board.sections, names, _anchors(names), strict=True)
    ]
    return templates.get_template("page.html").render(
        sections=sections,
        awaited=awaited(board),
        first=max(range(len(sections)), key=lambda at: len(sections[at].rows), default=0),
        agreements=agreements(board),
        certified=certified,
        certifying=(TITLE, INTRODUCTION, HEADINGS),
        effects=_effects(board.factors, shared, board.rules.alpha),
        warnings=_interactions(board.factors, shared, board.rules.alpha),
        forecasts=_forecasts(board.track_record),
        findings=list(findings),
        has_findings=has_findings,
        quoted=published_lines(published, board.records, board.rules.titles),
        quoting=LEGEND.replace("*", ""),
        citation=citation(),
        cite=board.rules.cite,
        measured=headline_name(shared),
        terms=terms_of(board),
        counts=counts,
        is_whole=is_whole,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def page_section(board: Board, section: Section, title: str, anchor: str, points: int) -> PageSection:
    """Make one tab."""
    frame, verdicts, usual = frame_of(board, section, points), section.verdicts, usual_encoder(section)
    headline, reference = frame.headline, frame.reference
    chance = section.chance.get(headline.key)
    factors = verdicts.factors if verdicts else ()
    return PageSection(
        anchor, title, section_facts(section), headline.title, usual,
        blocks=_blocks(page_rows(board, frame)),
        axis=frame.axis,
        chance="" if chance is None else f"{headline.number(chance)} ({headline.title})",
        reference="" if reference is None else f"untrained {usual}, {headline.number(reference)}",
        heat=_heat(section, headline),
        effects=_effects(factors, headline, board.rules.alpha),
        warnings=_interactions(factors, headline, board.rules.alpha),
        cost=_cost(board, section, headline),
        notes=tuple(dict.fromkeys([*section.notes, *(verdicts.notes if verdicts else ())])),
        unranked=tuple(unranked_reasons(section)), skipped=tuple(skipped_reasons(section)),
        forecasts=_forecasts(verdicts.track_record) if verdicts else "",
    )  # fmt: skip


def _anchors(titles: Iterable[str]) -> list[str]:
    """Make names for links from titles, each its own."""
    found = list[str]()
    for title in titles:
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        found.append(slug if slug not in found else f"{slug}-{len(found) + 1}")
    return found


def _forecasts(record: TrackRecord) -> str:
    """Tell how the board's own forecasts came out; nothing where no entry has a fourth seed."""
    if not record.forecasts:
        return ""
    return (
        f"From the first three seeds of each entry its later ones were forecast: {record.inside} of "
        f"{record.forecasts} fell inside their 95 % interval."
    )


def _counts(board: Board) -> dict[str, int]:
    """Count what the page shows."""
    scored = [record for record in board.records if record.status in SCORED]
    return {
        "trained": sum(map(was_trained, scored)),
        "untrained": sum(not was_trained(record) for record in scored),
        "entries": sum(len(section.rows) for section in board.sections),
        "sections": len(board.sections),
    }


def _blocks(rows: Sequence[PageRow]) -> tuple[PageBlock, ...]:
    """Gather rows by what they may learn from, those that are not ranked last."""
    found: dict[str, list[PageRow]] = {name: [] for name in BLOCKS}
    own = list[str]()
    for row in rows:
        name = {"ceiling": USES_LABELS, "floor": "floor"}.get(row.standing, row.group or SELF_SUPERVISED)
        if name not in found:
            own.append(name)
        found.setdefault(name, []).append(row)
    order = [*list(BLOCKS)[:2], *own, *list(BLOCKS)[2:]]
    return tuple(
        PageBlock(*BLOCKS.get(name, (name, "")), tuple(found[name])) for name in order if found[name]
    )


# --- charts -------------------------------------------------------------------------------------------------


def _heat(section: Section, headline: Column) -> HeatMap | None:
    """Draw contestants at their recipe, with the encoder that most use; of several, the one with most seeds."""
    usual = usual_encoder(section)
    plain = [
        row
        for row in section.rows
        if row.standing == "contestant" and row.encoder == usual and headline.key in row.cells
        and row.label.startswith(f"{row.objective} + {row.masker} + {usual}")
    ]  # fmt: skip
    plain.sort(key=lambda row: (len(row.seeds), row.entry_id))
    values = {(row.objective, row.masker): row.cells[headline.key] for row in plain}
    return heat_map(
        {
            pair: (
                found.mean,
                headline.number(found.mean),
                "one seed" if found.n == 1 else interval_text(headline, found),
            )
            for pair, found in values.items()
        }
    )


def _effects(effects: Iterable[FactorEffect], headline: Column, alpha: float) -> Forest | None:
    """Draw what each level of a factor gains over its reference."""
    return forest(
        [
            (
                f"{each.level} − {each.reference}" + "*" * each.hides_differences(alpha),
                headline.scale * each.effect,
                headline.scale * each.low_family, headline.scale * each.high_family,
                f"{headline.number(each.effect, '+')} "
                f"[{headline.number(each.low_family)}, {headline.number(each.high_family)}]",
                each.p_holm < alpha,
            )
            for each in effects if each.metric == headline.key
        ]
    )  # fmt: skip


def _interactions(effects: Iterable[FactorEffect], headline: Column, alpha: float) -> tuple[str, ...]:
    """Warn of factors whose effect depends on the rest, so that their average hides differences."""
    telling = {
        each.factor: each for each in effects if each.metric == headline.key and each.hides_differences(alpha)
    }
    return tuple(f"* {interaction_text(each)}" for each in telling.values())


def _cost(board: Board, section: Section, headline: Column) -> Scatter | None:
    """Draw scores against what training took: computation where it is known of all, else time."""
    placed = [
        (row, row.cells[headline.key], runs)
        for row, runs in zip(section.rows, runs_by_row(board, section), strict=True)
        if headline.key in row.cells and row.standing != "floor" and (row.rank or row.standing == "ceiling")
    ]
    fields = (("flops", 1e-12, "training [TFLOP]"), ("train_seconds", 1 / 60, "training [minutes]"))
    costs = {field: [mean_cost(runs, field) for *_, runs in placed] for field, _, _ in fields}
    chosen = next(((f, scale, title) for f, scale, title in fields if all(costs[f])), None)
    if chosen is None:
        return None
    field, scale, title = chosen
    reference = reference_of(section, headline)
    points = [
        CostPoint(
            short_label(section, row), cost * scale, headline.scale * found.mean,
            low=None if found.low is None else headline.scale * found.low,
            high=None if found.high is None else headline.scale * found.high,
            text=f"{headline.text(found)} {headline.title}, {cost * scale:.3g} {title[10:-1]}",
            kind=row.standing,
        )
        for (row, found, _), cost in zip(placed, costs[field], strict=True) if cost
    ]  # fmt: skip
    level = None if reference is None else (headline.scale * reference, "untrained")
    return cost_plot(points, level, (title, headline.title))


@dataclass(frozen=True)
class Pair:
    """Two places whose entries are compared: their titles, and how far they agree."""

    first: str
    second: str
    found: Agreement


def agreements(board: Board) -> list[Pair]:
    """Compare how different galaxies order the contestants that stand on both, as the certificates do."""
    places, pairs = places_of(board), list[Pair]()
    means = {key: means_of(board, found) for key, found in places.items()}
    for one, other in itertools.combinations(places, 2):
        (a, *_), (b, *_) = places[one], places[other]
        x, y = headline_of(a), headline_of(b)
        if one[0] == other[0] or one[2:] != other[2:] or x.key != y.key:
            continue
        shared = in_common(means[one], means[other])[1].get(x.key, ())
        here, there = (means[key].get(x.key, {}) for key in (one, other))  # where nothing was scored, nothing
        points = {entry: (x.scale * here[entry][0], y.scale * there[entry][0]) for entry in shared}
        objectives = {entry: here[entry][2] for entry in shared}
        found = agreement(points, (x.title, y.title), objectives)
        first, second = (f"{each.title}, budget {each.budget}" for each in (a, b))
        pairs += [Pair(first, second, found)] if found else []
    return pairs
