"""Everything about a run as one HTML page: scores, training, and pictures of its galaxies and latents.

Where a part cannot be made (no labels, no redshifts, an objective that predicts nothing, too few galaxies for a
map), the page gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from astrojepa_bench import events
from astrojepa_bench.board.terms import terms_text
from astrojepa_bench.errors import BenchError, named, reason_of
from astrojepa_bench.evaluation.store import read_predictions
from astrojepa_bench.explore.anomalies import BY_DISTANCE, BY_ERROR, SCORES, anomaly_table
from astrojepa_bench.explore.clusters import clusters_figure, find_clusters, title_of
from astrojepa_bench.explore.latents_figure import latents_figure
from astrojepa_bench.explore.map import make_map, usual_colour
from astrojepa_bench.explore.map_figures import map_figure, thumbnail_map_figure
from astrojepa_bench.explore.mosaic import anomalies_figure
from astrojepa_bench.explore.neighbours import neighbours_figure
from astrojepa_bench.explore.report_figures import (
    confusion_figure,
    confusion_of,
    curves_of,
    geometry_of,
    training_figure,
)
from astrojepa_bench.explore.report_page import (
    Part,
    ReportPicture,
    ReportSection,
    Table,
    TableCell,
    Text,
    render,
)
from astrojepa_bench.explore.report_scores import collapse_text, score_parts
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import column_label, spelt, written
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.streams import numpy_stream

ANOMALIES = 25
LOOKED_AT = 3  # galaxies whose latents and neighbours are drawn
PROBES = {"linear": "linear probe", "knn": "k-NN vote"}  # of these, the first with predictions is shown


def report(sample: Sample) -> str:
    """Write the report of a run, as HTML that needs no other file and no network.

    The same run and galaxies give the same page.

    Args:
        sample: the run and its galaxies.
    """
    record = sample.run.record
    writers = _Report(sample).sections
    tracked = events.track(writers.items(), task="writing the report", total=len(writers), unit="sections")
    sections = [ReportSection(title, _tried(write, title.lower())) for title, write in tracked]
    stated = [terms for terms in (record.terms, sample.table.card.terms) if terms]
    terms = {str(each["name"]): terms_text(each) for each in stated}
    title = f"{record.title} on {record.dataset}"
    return render(title, f"{sample.run_title}; {sample.title}", sections, [*terms.items()])


def _tried(make: Callable[[], Sequence[Part]], what: str) -> list[Part]:
    """Make parts, or the reason why there are none: one failure must not spoil the rest of the page."""
    try:
        return list(make())
    except Exception as error:  # not foreseen by anybody, either
        if not isinstance(error, BenchError):
            events.emit("note", text=f"the report has no {what}: {named(error)}")
        return [Text(f"No {what}: {reason_of(error)}", "absent")]


class _Report:
    """Writes the sections; what several of them need is computed once.

    Args:
        sample: the run and its galaxies.
    """

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.record: RunRecord = sample.run.record

    @property
    def sections(self) -> Mapping[str, Callable[[], list[Part]]]:
        """The writers of the sections, in the order of the page."""
        return {
            "Scores": lambda: score_parts(self.sample),
            "Training": self.training,
            "Confusion": self.confusion,
            "Map": self.map,
            "Anomalies": self.anomalies,
            "Clusters": self.clusters,
            "Latents": self.latents,
            "Neighbours": self.neighbours,
            "Provenance": self.provenance,
            "Environment": self.environment,
        }

    # -- from the record --

    def training(self) -> list[Part]:
        record, done = self.record, self.record.training
        seen = f"{done.images_seen:,} images ({done.epochs:.3g} epochs)"
        ended = f"Ended {record.status} after {seen}, seed {record.seed}, budget {record.budget}."
        parts: list[Part] = [Text(f"{ended} {collapse_text(record)}".strip())]
        if curves_of(record):
            alt = f"curves of {', '.join(curves_of(record))} over the steps of the training"
            caption = (
                "Effective rank: how many directions the features of some training galaxies use. It does not tell "
                "a collapse by itself: features that shrink onto a common vector can keep it."
            )
            parts.append(ReportPicture.of(training_figure(record), alt, caption))
        else:
            parts.append(Text("Nothing was trained here, so there are no curves.", "absent"))
        facts = geometry_of(record.health)
        return parts + ([Table(("health", "value"), facts, numbers=frozenset({1}))] if facts else [])

    def provenance(self) -> list[Part]:
        facts = self.record.provenance.model_dump()
        known = {
            "run": self.record.run_id,
            "entry": self.record.entry_id,
            **facts,
            **self.record.cost.model_dump(),
        }
        parts: list[Part] = [_facts_table("", known)]
        return parts + [
            _facts_table(f"options of the {kind}", chosen) for kind, chosen in self.record.options.items()
        ]

    def environment(self) -> list[Part]:
        facts = self.record.environment.model_dump()
        packages = facts.pop("packages", {})
        return [_facts_table("", facts), _facts_table("packages", packages)]

    def confusion(self) -> list[Part]:
        path = self.sample.run.store.features_path(self.record.run_id)
        kept = {
            name: found for name in PROBES if (found := read_predictions(path, name)) and "class" in found
        }
        if not kept:
            return [
                Text("No confusion matrix: no probe was fitted, for want of labels or of scoring.", "absent")
            ]
        name, predictions = next(iter(kept.items()))
        # Ids alone do not tell: as row numbers, those of any two tables are the same.
        counts = confusion_of(predictions, self.sample.table) if self.sample.knows_run else None
        if counts is None:
            return [Text("No confusion matrix: the probe was fitted to other galaxies than these.", "absent")]
        of = f"test galaxies of {self.sample.run.facts.dataset}, seen by {self.sample.run_title}"
        figure = confusion_figure(counts, self.sample.classes, PROBES[name], of)
        right, largest = np.trace(counts) / counts.sum(), counts.sum(axis=1).max() / counts.sum()
        caption = (
            f"Right for {right:.1%} of {counts.sum():,} test galaxies; the largest class holds {largest:.1%}."
        )
        return [ReportPicture.of(figure, "share of each true class that is taken for each class", caption)]

    # -- from the galaxies --

    def map(self) -> list[Part]:
        laid_out = make_map(self.sample)
        by = spelt(usual_colour(self.sample))
        return [
            ReportPicture.of(
                map_figure(laid_out), f"galaxies as points on a plane, by {by}", f"Coloured by {by}."
            ),
            ReportPicture.of(
                thumbnail_map_figure(laid_out), "the same plane, tiled with pictures of its galaxies"
            ),
        ]

    def anomalies(self) -> list[Part]:
        every = anomaly_table(self.sample, predicts=False)
        first = every.head(ANOMALIES)
        picture = ReportPicture.of(
            anomalies_figure(self.sample, every, number=ANOMALIES),
            f"pictures of the {len(first)} most anomalous galaxies",
            f"{spelt(BY_DISTANCE[0])}: the mean distance to the ten nearest training galaxies; the farther, the "
            "stranger to the run.",
        )
        said = (
            f"The same galaxies in numbers. An index counts the {self.sample.title}, from 0, as commands do"
        )
        said += "." if self.sample.own else " that are given the same galaxies."
        if "viewer" in first:
            said += " An id leads to its place on the sky (Legacy Survey viewer)."
        if BY_ERROR[0] not in first:
            said += " How badly the objective predicts each galaxy is not kept; `anomalies` computes it."
        return [picture, Text(said), _oddities(first)]

    def clusters(self) -> list[Part]:
        found = find_clusters(self.sample)
        alt = "clusters, and the galaxies nearest to their centres"
        return [ReportPicture.of(clusters_figure(found), alt, f"{title_of(found)}.")]

    @cached_property
    def looked_at(self) -> list[int]:
        """A few galaxies, chosen at random, the same for every run on them."""
        drawn = numpy_stream(0, "report").permutation(len(self.sample))[:LOOKED_AT]
        return sorted(drawn.tolist())

    def latents(self) -> list[Part]:
        return self._for_each(latents_figure, "context and predictions of galaxy", "panels")

    def neighbours(self) -> list[Part]:
        return self._for_each(neighbours_figure, "the galaxies most similar to galaxy", "strip")

    def _for_each(self, draw: Callable[[Sample, int], Figure], alt: str, what: str) -> list[Part]:
        def one(index: int) -> list[Part]:
            return [ReportPicture.of(draw(self.sample, index), f"{alt} {index}")]

        return [part for index in self.looked_at for part in _tried(partial(one, index), what)]


# --- rows and cells -----------------------------------------------------------------------------------------


def _facts_table(caption: str, facts: Mapping[str, object]) -> Table:
    known = [
        (name.replace("_", " "), _written(value))
        for name, value in facts.items()
        if value not in (None, "", {})
    ]
    return Table(("what", "value"), known, caption, code=True)


def _written(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _oddities(first: pd.DataFrame) -> Table:
    """Lay out the first rows of an anomaly table: each id with its place in the sample and, known, on the sky."""
    named = ["rank", "id", "class", "anomaly_type", "redshift", "ra", "dec", *SCORES]
    shown = [name for name in named if name in first and not first[name].isin(["", np.nan]).all()]
    rows = [
        [
            TableCell(str(fact["id"]), f"index {fact['index']}", str(fact.get("viewer", "")))
            if name == "id"
            else _cell(name, fact[name])
            for name in shown
        ]
        for _, fact in first.iterrows()
    ]
    numbers = frozenset(
        at for at, name in enumerate(shown) if first[name].dtype.kind in "if" and name != "id"
    )
    return Table([column_label(name) for name in shown], rows, numbers=numbers)


def _cell(name: str, value: object) -> str:
    if isinstance(value, float):
        if not np.isfinite(value):
            return ""
        return f"{value:.5f}" if name in ("ra", "dec") else written(value)  # 1e-5 degrees are 0.04 arcsec
    return str(value)
