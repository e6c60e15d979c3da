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

SIMULATOR = "synthetic"
"""The ruler's own data set of simulated galaxies."""
TITLE = "Do simulated galaxies order contestants as real ones do?"
INTRODUCTION = (
    "The simulator's certificate: Spearman's rank correlation (rho) between the means of contestants on "
    "simulated and on real galaxies, with its 95 % interval, metric by metric. Entries count that stand in "
    "both tables under the same name, options, encoder, budget, device class and precision. The first interval "
    "takes each of them for a sample of its own. Maskers of one objective are much alike, though: the second "
    "interval, by which verdicts go, lets whole objectives come and go. Where it holds 0, these objectives do "
    "not show that the order on simulated galaxies tells that on real ones; where it lies below 0, the one "
    "order is rather the reverse of the other."
)
HEADINGS = ("metric", "rho", "95 % of entries", "95 % of objectives", "entries")
Entry = tuple[str, str, str]
"""Its title, the class of device and the precision that it was trained with."""


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

    An entry counts where it is a ranked contestant on both, of one name and options, with the same encoder,
    number of pretraining galaxies, budget, device class and precision: the two numbers then differ in nothing but
    the galaxies. Of several encoders the one that most entries share counts alone, since a better way to read
    tokens is better everywhere and would pass for agreement. Metrics that evaluators call details are left out.
    """
    places: dict[tuple[str, ...], list[Section]] = {}
    for section in board.sections:
        key = (section.fingerprint, section.splits, section.budget, section.effort, section.protocol)
        places.setdefault(key, []).append(section)
    simulated = {key: found for key, found in places.items() if found[0].dataset == SIMULATOR}
    means = {key: _means(board, found) for key, found in places.items()}
    made = [
        _certificate(places[one], means[one], places[other], means[other])
        for one in simulated
        for other in places
        if other not in simulated and one[2:] == other[2:]
    ]
    told = [each for each in made if each.lines]
    return tuple(sorted(told, key=lambda each: -max(line.found.n for line in each.lines)))


Means = Mapping[str, Mapping[Entry, tuple[float, str, str]]]
"""By metric and entry: the mean over seeds, the encoder and the objective."""


def _certificate(
    simulated: Sequence[Section], here: Means, real: Sequence[Section], there: Means
) -> SimulatorCertificate:
    titles = {
        column.key: column.title for section in (*simulated, *real) for column in section.columns
    }  # what is no column has no title
    shared = {
        metric: sorted(here[metric].keys() & there[metric].keys()) for metric in here if metric in there
    }
    counts = Counter(here[metric][entry][1] for metric, entries in shared.items() for entry in entries)
    encoder = min(counts, key=lambda name: (-counts[name], name), default="")
    lines = list[MetricAgreement]()
    for metric, entries in shared.items():
        same = [entry for entry in entries if here[metric][entry][1] == encoder]
        a, b = ([side[metric][entry][0] for entry in same] for side in (here, there))
        found = rank_correlation(a, b)
        wider = rank_correlation(a, b, [here[metric][entry][2] for entry in same])
        if found is not None and wider is not None:
            title = titles.get(metric) or metric.replace(".", " ", 1).replace("_", " ")
            lines.append(MetricAgreement(metric, title, found, (wider.low, wider.high)))
    return SimulatorCertificate(
        simulated[0].title, real[0].title, simulated[0].fingerprint, real[0].fingerprint,
        real[0].budget, real[0].effort, encoder, tuple(lines),
    )  # fmt: skip


def _means(board: Board, sections: Sequence[Section]) -> Means:
    """Gather the means of ranked contestants in every metric; of namesakes, none."""
    found: dict[str, dict[Entry, tuple[float, str, str]]] = {}
    for section in sections:
        titles = [runs[0].title for runs in runs_by_row(board, section)]
        alone = {title for title, count in Counter(titles).items() if count == 1}
        for group in metric_groups(board, section):
            for line in group.lines:
                own = found.setdefault(f"{group.evaluator}.{line.metric}", {})
                for row, title, cell in zip(section.rows, titles, line.cells, strict=True):
                    if row.rank is not None and cell is not None and title in alone:
                        entry = title, section.device_class, section.precision
                        own[entry] = cell.mean, row.encoder, row.objective
    return found
