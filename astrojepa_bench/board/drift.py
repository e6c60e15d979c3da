"""Scores that contradict what their own records say of single galaxies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from astrojepa_bench.errors import DataError
from astrojepa_bench.results.correct import Classes, Right, decode_bits, recalls
from astrojepa_bench.results.record import RecordedScore, RunRecord
from astrojepa_bench.results.store import Store

TOLERANCE = 1e-6  # between a share and the bits that it is of
ACCURACY, BALANCED, RECALL = "accuracy", "balanced_accuracy", "recall_"


def contradictions(store: Store, records: Iterable[RunRecord]) -> list[str]:
    """List the records whose bits contradict their scores, one line each.

    Args:
        store: the folder that they lie in, with the classes of their galaxies.
        records: whose scores are checked.

    Raises:
        DataError: a list of galaxies is damaged.
    """
    classes: dict[str, Classes | None] = {}
    lines = []
    for record in records:
        fingerprint = str(record.identity.get("fingerprint", ""))
        if record.correct and fingerprint not in classes:
            classes[fingerprint] = store.classes(fingerprint)
        faults = list(_faults(record, classes.get(fingerprint)))
        if faults:
            lines.append(f"{store.path(record).relative_to(store.out)}: {'; '.join(faults)}")
    return lines


def _faults(record: RunRecord, classes: Classes | None) -> Iterator[str]:
    scores = {(score.evaluator, score.metric): score for score in record.scores}
    by_name = {f"{evaluator}.{metric}": score for (evaluator, metric), score in scores.items()}
    for name, bits in sorted(record.correct.items()):
        score = by_name.get(name)
        if score is None:
            yield f"`correct` holds bits of {name}, which has no score"
            continue
        try:
            right = decode_bits(bits, score.n)
        except DataError as error:
            yield f"`correct` of {name}: {error}"
            continue
        yield from _contradicted(name, score, float(right.mean()))
        if classes is None or score.metric != ACCURACY:
            continue
        if len(classes) == score.n:
            yield from _by_class(score.evaluator, right, classes, scores)
        else:
            yield f"{name} has bits of {score.n} galaxies, {len(classes)} are listed with a class"


def _by_class(
    evaluator: str, right: Right, classes: Classes, scores: Mapping[tuple[str, str], RecordedScore]
) -> Iterator[str]:
    """Check the balanced accuracy and the recalls of an evaluator against the bits of its accuracy."""
    found = recalls(right, classes)
    known = {BALANCED: sum(found.values()) / len(found)} | {f"{RECALL}{k}": v for k, v in found.items()}
    for metric, value in known.items():
        score = scores.get((evaluator, metric))
        if score is not None:
            yield from _contradicted(f"{evaluator}.{metric}", score, value)


def _contradicted(name: str, score: RecordedScore, said: float) -> Iterator[str]:
    if abs(score.value - said) > TOLERANCE:
        yield f"{name} is {score.value:.6g}, but its galaxies say {said:.6g}"
