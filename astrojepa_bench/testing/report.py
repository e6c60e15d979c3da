"""All checks of a component, applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from astrojepa_bench.errors import ConfigError, DataError, Unsuitable
from astrojepa_bench.events import track
from astrojepa_bench.options import Kind, Offer, Settings
from astrojepa_bench.testing import (
    dataset,
    encoder,
    evaluator,
    general,
    masker,
    objective,
    objective_ranks,
    objective_runs,
    objective_told,
)
from astrojepa_bench.testing.checks import Check, Outcome, RuleSet
from astrojepa_bench.testing.galaxies import PATCH_PX, SIZE_PX
from astrojepa_bench.testing.rehearsal import construct, load_into_memory
from astrojepa_bench.testing.subject import Subject

_RULES: Mapping[Kind, tuple[RuleSet, ...]] = {
    "dataset": (dataset.rules,),
    "encoder": (encoder.rules,),
    "masker": (masker.rules,),
    "objective": (objective.rules, objective_told.rules, objective_runs.rules),
    "evaluator": (evaluator.rules,),
}
UNBUILT = "it cannot be built"
# Options that checks set by default: patches that tile the images, and few galaxies.
SMALL: Mapping[str, object] = {"patch": PATCH_PX, "galaxies": 200, "images": 640}


@dataclass(frozen=True)
class Report:
    """Results of all checks of one component.

    Attributes:
        offer: the component.
        outcomes: one for each check; all but the first are skipped if it cannot be built.
        notes: what is worth knowing and no rule.
    """

    offer: Offer
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[Outcome, ...]:
        """The checks that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.verdict == "failed")


def checks_of(kind: Kind) -> tuple[Check, ...]:
    """Return the checks of one kind of component: the general ones, then its own."""
    return tuple(check for rules in (general.rules, *_RULES[kind]) for check in rules.checks)


def subject_of(offer: Offer, settings: Settings | None = None) -> Subject:
    """Resolve the options of a component; sizes are small by default.

    Raises:
        ConfigError: an option is unknown, of the wrong type, or has to be set.
    """
    subject = Subject.of(offer, settings or {}, SMALL)
    return Subject(subject.offer, subject.options, subject.usual)


def conform(subject: Subject) -> Report:
    """Apply every check to a component."""
    first, *others = checks_of(subject.offer.kind)
    outcomes = [first.run(subject)]
    if outcomes[0].verdict == "failed":
        skipped = [Outcome(check.id, "skipped", check.claim, UNBUILT) for check in others]
        return Report(subject.offer, (*outcomes, *skipped))
    title = f"checking {subject.offer.kind} {subject.name}"
    outcomes += [check.run(subject) for check in track(others, task=title, total=len(others), unit="checks")]
    notes = objective_ranks.notes_of(subject) if subject.offer.kind == "objective" else ()
    return Report(subject.offer, tuple(outcomes), notes)


def absent(subject: Subject) -> str | None:
    """Return why a component is not available here: it needs an option, or its data were never fetched."""
    try:
        made = construct(subject)
        if subject.offer.kind == "dataset":
            subject.once(("table", SIZE_PX), lambda: load_into_memory(made, SIZE_PX))
    except (ConfigError, DataError, Unsuitable) as error:
        return str(error)
    except Exception:  # the checks report every other fault
        return None
    return None
