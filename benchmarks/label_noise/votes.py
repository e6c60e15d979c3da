"""How often would volunteers call a galaxy the same again, and what accuracy can nobody pass on such labels?

    python benchmarks/label_noise/votes.py VOTES_TABLE LABELLED_FILE [OUT]

VOTES_TABLE is a `table.csv` of Galaxy Zoo 2 galaxies with total votes and vote fractions. LABELLED_FILE holds five
classes (`ans`) whose labels are thresholds on such fractions; their shares weight the answer.

A galaxy's votes say how volunteers in general would answer, as sure as their number allows: the answers to each
question have a Dirichlet posterior (Jeffreys' prior). Shares are drawn from it, and as many new volunteers from
those. Of the galaxies that have a class by the thresholds:

* `again`: how often new volunteers give the same class; else another one, or no class passes its threshold;
* `again_of_labelled`: the same, of those that have a class again: galaxies without one are in no test set;
* `ceiling`: how often somebody is right of the label it has who knows what volunteers in general would answer, and
  says the likeliest class. An image tells nobody more, so no accuracy on such labels is higher but by luck.

Intervals are over galaxies, resampled within their classes. Assumed: volunteers answer independently and count
alike (in the catalogue consistent ones count more), and the published fractions are theirs. How many they were
follows from the total votes, as everybody answers the questions that the own answers lead to: few are asked the
lower questions of an unlikely branch, and what they would say is little known. The table's galaxies are another
draw than the labelled ones (mergers and edge-on galaxies were sought): the shares of classes are set right, what
lies within them is not.

The thresholds stand on the fractions of the 2014 challenge, in which an answer counts by its share of all
volunteers (`of_all`). Read as the share of those who were asked (`of_asked`) they pass almost every galaxy, where
about half of the challenge's pass; this second reading is told as the worse case.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

OUT = Path(__file__).parents[2] / "leaderboard" / "label_ceiling.json"
CLASSES = ("round", "in between", "cigar", "edge-on", "spiral")
READINGS = ("of_all", "of_asked")
SMOOTH, FEATURED, SHAPES, EDGE_ON, FACE_ON, SPIRAL = 0.469, 0.430, 0.50, 0.602, 0.715, 0.69
JEFFREYS = 0.5
TRUTHS, POLLS, RESAMPLES, SEED = 200, 100, 2_000, 0
MEASURES = ("again", "again_of_labelled", "ceiling")


@dataclass(frozen=True)
class Votes:
    """Votes on the four questions that the classes rest on, one row a galaxy.

    Attributes:
        first: smooth, featured, star or artifact.
        shape: of who said smooth: round, in between, cigar.
        edge: of who said featured: edge-on, not.
        arms: of who said not edge-on: spiral, not.
    """

    first: np.ndarray
    shape: np.ndarray
    edge: np.ndarray
    arms: np.ndarray

    @property
    def questions(self):
        """All four."""
        return self.first, self.shape, self.edge, self.arms

    @property
    def volunteers(self):
        """How many there were; not a whole number where they were estimated."""
        return self.first.sum(axis=-1)


def read_votes(path):
    """Read votes off a table of total votes and fractions."""
    with Path(path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("f_smooth", "f_featured", "f_edge_on", "f_spiral", "f_odd", "f_round", "f_cigar")
    fractions = {name: np.array([float(row[name]) for row in rows]) for name in names}
    return votes_of(np.array([float(row["total_votes"]) for row in rows]), fractions)


def votes_of(total, fractions):
    """Spread the total votes of galaxies over the questions, by the fraction of each answer.

    Source: the decision tree of Willett et al. 2013 (MNRAS 435, 2835), figure 1. Who says smooth is asked for the
    shape and for anything odd; who says featured for edge-on and odd, then for the bulge's shape, or for bar, arms
    and bulge; who saw arms, two things about them; who saw something odd, what it is.
    """
    smooth, featured, edge, arms, odd = (
        fractions[name] for name in ("f_smooth", "f_featured", "f_edge_on", "f_spiral", "f_odd")
    )
    answers = 1 + smooth * (2 + odd) + featured * (2 + odd + edge + (1 - edge) * (3 + 2 * arms))
    count = total / answers
    asked_shape, asked_edge = count * smooth, count * featured
    asked_arms = asked_edge * (1 - edge)
    between = np.clip(1 - fractions["f_round"] - fractions["f_cigar"], 0, None)
    shapes = np.stack([fractions["f_round"], between, fractions["f_cigar"]], axis=-1)
    star = np.clip(1 - smooth - featured, 0, None)
    return Votes(
        count[:, None] * np.stack([smooth, featured, star], axis=-1),
        asked_shape[:, None] * shapes,
        asked_edge[:, None] * np.stack([edge, 1 - edge], axis=-1),
        asked_arms[:, None] * np.stack([arms, 1 - arms], axis=-1),
    )


def classes_of(votes, reading):
    """Return the class that passes its thresholds, by galaxy; -1 where none does. Works on any leading axes."""
    first, shape, edge, arms = (shares(question) for question in votes.questions)
    smooth, featured = first[..., 0], first[..., 1]
    seen_smooth, seen_featured, seen_face_on = (
        (smooth, featured, featured * edge[..., 1]) if reading == "of_all" else (1.0, 1.0, 1.0)
    )
    passed = [(smooth >= SMOOTH) & (seen_smooth * shape[..., kind] >= SHAPES) for kind in range(3)]
    passed.append((featured >= FEATURED) & (seen_featured * edge[..., 0] >= EDGE_ON))
    face_on = (featured >= FEATURED) & (seen_featured * edge[..., 1] >= FACE_ON)
    passed.append(face_on & (seen_face_on * arms[..., 0] >= SPIRAL))
    every = np.stack(passed, axis=-1)
    return np.where(every.any(axis=-1), every.argmax(axis=-1), -1)


def shares(votes):
    """Return the share of each answer; 0 where nobody was asked."""
    total = votes.sum(axis=-1, keepdims=True)
    return np.divide(votes, total, out=np.zeros_like(votes, dtype=float), where=total > 0)


def believed(votes, prior, draws, rng):
    """Draw what volunteers in general would answer, from the posterior of each question; (draw, galaxy, answer)."""
    drawn = [rng.standard_gamma(question + prior, (draws, *question.shape)) for question in votes.questions]
    return Votes(*(shares(each) for each in drawn))


def polled(truth, volunteers, polls, rng):
    """Ask new volunteers, who answer with given shares; (poll, ..., galaxy, answer)."""
    size = (polls, *truth.first.shape[:-1])
    count = np.broadcast_to(np.rint(volunteers).astype(int), size)
    first = rng.multinomial(count, truth.first)
    shape = rng.multinomial(first[..., 0], truth.shape)
    edge = rng.multinomial(first[..., 1], truth.edge)
    return Votes(first, shape, edge, rng.multinomial(edge[..., 1], truth.arms))


def repeated(votes, reading, prior=JEFFREYS, truths=TRUTHS, polls=POLLS, rng=None):
    """Poll each galaxy again.

    Returns:
        (galaxy, 3): how often it got the same class, how often any, and how often the class that its true shares
        make the likeliest is the one that it has. True shares by which no poll gave a class speak against nobody.
    """
    rng = rng or np.random.default_rng(SEED)
    before = classes_of(votes, reading)
    found = np.zeros((len(before), 3))
    for galaxy, kind in enumerate(before):
        own = Votes(*(question[galaxy : galaxy + 1] for question in votes.questions))
        truth = believed(own, prior, truths, rng)
        drawn = classes_of(polled(truth, own.volunteers, polls, rng), reading)[..., 0]
        counted = np.stack([(drawn == each).sum(axis=0) for each in range(len(CLASSES))], axis=-1)
        right = (counted.argmax(axis=-1) == kind) | ~counted.any(axis=-1)
        found[galaxy] = (drawn == kind).mean(), (drawn >= 0).mean(), right.mean()
    return found


def measured(found, before, weights):
    """Average over galaxies within classes, then over classes by their weights; by measure."""
    by_class = np.array([found[before == kind].mean(axis=0) for kind in range(len(CLASSES))])
    same, any_class, right = by_class.T
    each = {"again": same, "again_of_labelled": same / any_class, "ceiling": right}
    return {name: float((weights * values).sum()) for name, values in each.items()}


def intervals(found, before, weights, resamples=RESAMPLES, rng=None):
    """Resample galaxies within their classes; return the 95 % interval of each measure."""
    rng = rng or np.random.default_rng(SEED)
    rows = [np.flatnonzero(before == kind) for kind in range(len(CLASSES))]
    drawn = []
    for _ in range(resamples):
        chosen = np.concatenate([rng.choice(each, len(each)) for each in rows])
        drawn.append(measured(found[chosen], before[chosen], weights))
    return {name: np.percentile([each[name] for each in drawn], [2.5, 97.5]).tolist() for name in MEASURES}


def answer(votes, weights, reading):
    """Return all that is said of one reading of the thresholds, in per cent."""
    before = classes_of(votes, reading)
    counts = [int((before == kind).sum()) for kind in range(len(CLASSES))]
    if not all(counts):
        lacking = ", ".join(name for name, count in zip(CLASSES, counts, strict=True) if not count)
        sys.exit(f"error: no galaxy of the table passes the thresholds of {lacking}; nothing can be weighted")
    kept = Votes(*(question[before >= 0] for question in votes.questions))
    found, before = repeated(kept, reading), before[before >= 0]
    bounds = intervals(found, before, weights)
    values = measured(found, before, weights)
    told = {
        name: {
            "value": round(100 * values[name], 1),
            "interval": [round(100 * each, 1) for each in bounds[name]],
        }
        for name in MEASURES
    }
    of_class = [round(100 * float(found[before == kind, 2].mean()), 1) for kind in range(len(CLASSES))]
    return {
        "labelled": dict(zip(CLASSES, counts, strict=True)),
        "passing": round(100 * sum(counts) / len(votes.first), 1),
        **told,
        "ceiling_by_class": dict(zip(CLASSES, of_class, strict=True)),
    }


def main(table, labelled, out=OUT):
    """Write the answer for both readings."""
    votes = read_votes(table)
    with h5py.File(labelled) as file:
        weights = np.bincount(file["ans"][:], minlength=len(CLASSES)).astype(float)
    facts = {
        "galaxies": len(votes.first),
        "volunteers": round(float(np.median(votes.volunteers)), 1),
        "shares": dict(zip(CLASSES, (round(100 * each, 1) for each in weights / weights.sum()), strict=True)),
        **{reading: answer(votes, weights / weights.sum(), reading) for reading in READINGS},
    }
    Path(out).write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
