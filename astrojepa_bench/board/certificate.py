"""The simulator's certificate: whether simulated galaxies order contestants as real ones do, metric by metric.

A metric whose order on simulated galaxies says nothing of the order on real ones, or the contrary, must not be read
on simulated galaxies alone. So the correlation is printed for every metric, whatever it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from astrojepa_bench.board.metrics import metric_groups
from astrojepa_bench.board.statistics import Correlation, rank_correlation
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.board.text import runs_by_row
from astrojepa_bench.results.identity import digest
from astrojepa_bench.results.record import RunRecord

SIMULATOR = "synthetic"
"""The ruler's own data set of simulated galaxies."""
TITLE = "Do simulated galaxies order contestants as real ones do?"
INTRODUCTION = (
    "The simulator's certificate: Spearman's rank correlation (rho) between the means of contestants on "
    "simulated and on real galaxies, with its 95 % interval, metric by metric. Only entries that stand in both "
    "tables count: the same code, options, encoder, budget, device class and precision. The first interval "
    "takes each of them for a sample of its own. Maskers of one objective are much alike, though: the second "
    "interval, by which verdicts go, lets whole objectives come and go. Where it holds 0, these objectives do "
    "not show that the order on simulated galaxies tells that on real ones; where it lies below 0, the two "
    "orders tend to be the reverse of each other."
)
HEADINGS = ("metric", "rho", "95 % of entries", "95 % of objectives", "entries")
OF_GALAXIES = ("seed", "fingerprint", "splits", "mirror_safe")
"""Facts of an identity that follow from the galaxies or the seed."""
Entry = tuple[str, str]
"""A contestant whatever the galaxies: its title, and a digest of all else that can move its numbers."""
Place = tuple[str, ...]
"""Galaxies and the effort spent on them: fingerprint, splits, budget, effort, protocol."""


@dataclass(frozen=True)
class MetricAgreement:
    """One metric on two sets of galaxies.

    Attributes:
        metric: `evaluator.metric`.
        title: as the board calls it.
        found: correlation of the entries' means over seeds, as if they had nothing in common.
        objectives: its interval for other objectives.
    """

    metric: str
    title: str
    found: Correlation
    objectives: tuple[float, float]


@dataclass(frozen=True)
class SimulatorCertificate:
    """How simulated galaxies order contestants, against one set of real galaxies, under one budget.

    Attributes:
        simulated, real: titles of the galaxies.
        simulated_fingerprint, real_fingerprint: of the galaxies.
        budget, effort: that both share, as sections have them.
        encoder: of all entries that were compared.
        lines: the metrics that stand on both, in the order of the board.
    """

    simulated: str
    real: str
    simulated_fingerprint: str
    real_fingerprint: str
    budget: str
    effort: str
    encoder: str
    lines: tuple[MetricAgreement, ...]

    @property
    def heading(self) -> str:
        """Name both sets of galaxies, the budget and the encoder."""
        return f"{self.simulated} and {self.real}, budget {self.budget}, encoder {self.encoder}"

    def cells(self) -> list[list[str]]:
        """Return a line of text for each metric, under `HEADINGS`."""
        return [
            [
                line.title,
                f"{line.found.rho:.2f}",
                _written(line.found.low, line.found.high),
                _written(*line.objectives),
                str(line.found.n),
            ]
            for line in self.lines
        ]


def _written(low: float, high: float) -> str:
    return f"[{low:.2f}, {high:.2f}]"


def certificates(board: Board) -> tuple[SimulatorCertificate, ...]:
    """Compare each set of simulated galaxies with each set of real ones, those with most entries first.

    An entry counts where it is a ranked contestant on both and everything but the galaxies is the same: code,
    options, encoder, number of pretraining galaxies, budget, device class and precision. Of several encoders the
    one that most entries share counts alone, since a better way to read tokens is better everywhere and would pass
    for agreement. Metrics that evaluators call details are left out.
    """
    places = places_of(board)
    simulated = {key: found for key, found in places.items() if found[0].dataset == SIMULATOR}
    means = {key: means_of(board, found) for key, found in places.items()}
    made = [
        _certificate(places[one], means[one], places[other], means[other])
        for one in simulated
        for other in places
        if other not in simulated and one[2:] == other[2:]
    ]
    told = [each for each in made if each.lines]
    return tuple(sorted(told, key=lambda each: -max(line.found.n for line in each.lines)))


def places_of(board: Board) -> dict[Place, list[Section]]:
    """Put sections together that differ in device class or precision alone."""
    places: dict[Place, list[Section]] = {}
    for section in board.sections:
        key = (section.fingerprint, section.splits, section.budget, section.effort, section.protocol)
        places.setdefault(key, []).append(section)
    return places


Means = Mapping[str, Mapping[Entry, tuple[float, str, str]]]
"""By metric and entry: the mean over seeds, the encoder and the objective."""


def _certificate(
    simulated: Sequence[Section], here: Means, real: Sequence[Section], there: Means
) -> SimulatorCertificate:
    titles = {
        column.key: column.title for section in (*simulated, *real) for column in section.columns
    }  # what is no column has no title
    encoder, shared = in_common(here, there)
    lines = list[MetricAgreement]()
    for metric, entries in shared.items():
        a, b = ([side[metric][entry][0] for entry in entries] for side in (here, there))
        found = rank_correlation(a, b)
        wider = rank_correlation(a, b, [here[metric][entry][2] for entry in entries])
        if found is not None and wider is not None:
            title = titles.get(metric) or metric.replace(".", " ", 1).replace("_", " ")
            lines.append(MetricAgreement(metric, title, found, (wider.low, wider.high)))
    return SimulatorCertificate(
        simulated[0].title, real[0].title, simulated[0].fingerprint, real[0].fingerprint,
        real[0].budget, real[0].effort, encoder, tuple(lines),
    )  # fmt: skip


def in_common(here: Means, there: Means) -> tuple[str, Mapping[str, Sequence[Entry]]]:
    """Find the encoder that most entries of two places share, and by metric the entries with it."""
    shared = {metric: here[metric].keys() & there[metric].keys() for metric in here if metric in there}
    encoders = {entry: here[metric][entry][1] for metric, entries in shared.items() for entry in entries}
    counts = Counter(encoders.values())
    encoder = min(counts, key=lambda name: (-counts[name], name), default="")
    return encoder, {
        metric: sorted(entry for entry in entries if encoders[entry] == encoder)
        for metric, entries in shared.items()
    }


def means_of(board: Board, sections: Sequence[Section]) -> Means:
    """Gather the means of ranked contestants in every metric."""
    found: dict[str, dict[Entry, tuple[float, str, str]]] = {}
    for section in sections:
        entries = [(runs[0].title, _without_galaxies(runs[0])) for runs in runs_by_row(board, section)]
        for group in metric_groups(board, section):
            for line in group.lines:
                own = found.setdefault(f"{group.evaluator}.{line.metric}", {})
                for row, entry, cell in zip(section.rows, entries, line.cells, strict=True):
                    if row.rank is not None and cell is not None:
                        own[entry] = cell.mean, row.encoder, row.objective
    return found


def _without_galaxies(run: RunRecord) -> str:
    """Digest the identity of a run as far as it does not follow from its galaxies and its seed."""
    told = {name: value for name, value in run.identity.items() if name not in OF_GALAXIES}
    parts = {name: {**value, "dataset": None} for name, value in told.items() if isinstance(value, Mapping)}
    return digest({**told, **parts})
