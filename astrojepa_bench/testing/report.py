"""All checks of a piece, applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import track
from astrojepa_bench.options import Kind, Offer, Settings
from astrojepa_bench.testing import dataset, encoder, evaluator, general, masker, objective
from astrojepa_bench.testing.checks import Check, Outcome, Rules
from astrojepa_bench.testing.galaxies import PATCH_PX, SIZE_PX
from astrojepa_bench.testing.rehearsal import construct, load_into_memory
from astrojepa_bench.testing.subject import Subject

_RULES: Mapping[Kind, Rules] = {
    "dataset": dataset.rules,
    "encoder": encoder.rules,
    "masker": masker.rules,
    "objective": objective.rules,
    "evaluator": evaluator.rules,
}
UNBUILT = "it cannot be built"
# What a check sets unless it is asked otherwise: patches that tile its images, and not too much to draw.
SMALL: Mapping[str, object] = {"patch": PATCH_PX, "galaxies": 200}


@dataclass(frozen=True)
class Report:
    """What the checks said of one piece.

    Attributes:
        offer: the piece.
        outcomes: one for each check; the rest are skipped if it cannot be built.
    """

    offer: Offer
    outcomes: tuple[Outcome, ...]

    @property
    def faults(self) -> tuple[Outcome, ...]:
        """The checks that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.verdict == "failed")


def checks_of(kind: Kind) -> tuple[Check, ...]:
    """Give the checks of one kind of piece: those of every piece, then its own."""
    return (*general.rules.checks, *_RULES[kind].checks)


def subject_of(offer: Offer, settings: Settings | None = None) -> Subject:
    """Resolve the options of a piece, small where nothing else is asked for.

    Raises:
        ConfigError: an option is unknown, of the wrong type, or has to be set.
    """
    piece = Subject.of(offer, settings or {}, SMALL)
    return Subject(piece.offer, piece.options, piece.usual)


def conform(piece: Subject) -> Report:
    """Apply every check to a piece."""
    first, *others = checks_of(piece.offer.kind)
    outcomes = [first.run(piece)]
    if outcomes[0].verdict == "failed":
        return Report(piece.offer, (*outcomes, *(_unbuilt(check) for check in others)))
    title = f"checking {piece.offer.kind} {piece.name}"
    outcomes += [check.run(piece) for check in track(others, task=title, total=len(others), unit="checks")]
    return Report(piece.offer, tuple(outcomes))


def absent(subject: Subject) -> str | None:
    """Say why a piece cannot be had here: it asks for an option, or its data were never fetched."""
    try:
        made = construct(subject)
        if subject.offer.kind == "dataset":
            subject.once(("table", SIZE_PX), lambda: load_into_memory(made, SIZE_PX))
    except (ConfigError, DataError) as error:
        return str(error)
    except Exception:  # whatever else is wrong is for the checks to say
        return None
    return None


def _unbuilt(check: Check) -> Outcome:
    return Outcome(check.id, "skipped", check.claim, UNBUILT)
