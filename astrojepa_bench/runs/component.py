"""Named components with their options, the cells of a grid, and what all cells share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrojepa_bench.border import blamed_on, owned, owner_of
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import (
    BenchError,
    ConfigError,
    ContractError,
    PluginError,
    Unsuitable,
    named,
    said_by,
)
from astrojepa_bench.evaluation.extras_on_offer import extras_chain
from astrojepa_bench.evaluation.score import ReadyEvaluator, Scored, without_score
from astrojepa_bench.groups import SELF_SUPERVISED, TOLD_BY_MEASUREMENTS, USES_LABELS, group_of
from astrojepa_bench.offering import check_sound
from astrojepa_bench.options import Offer, Settings, jsonable, resolve, settings_for
from astrojepa_bench.results.naming import titled
from astrojepa_bench.results.store import Store
from astrojepa_bench.roles import Encoder, Evaluator, Masker, Objective, Standing
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.versions import chain_of, version_text

if TYPE_CHECKING:
    from astrojepa_bench.runs.ranks.leader import Leader


@dataclass(frozen=True)
class Component:
    """An offer with resolved options: ready to be built.

    Attributes:
        offer: what it is and where it comes from.
        options: every option, defaults included.
        usual: what those are that have a default, on the signature or by the budget.
    """

    offer: Offer
    options: Mapping[str, object]
    usual: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, offer: Offer, settings: Settings, defaults: Mapping[str, object] | None = None) -> Component:
        """Resolve an offer's options: the budget's defaults below what the user set.

        Raises:
            ConfigError: an option is unknown or has the wrong type.
        """
        applicable = {name: value for name, value in (defaults or {}).items() if offer.has(name)}
        options = resolve(offer, {**applicable, **settings_for(settings, offer)})
        declared = {option.name: option.default for option in offer.options if not option.required}
        return cls(offer, options, {**declared, **applicable})

    @property
    def name(self) -> str:
        """The name it is asked for by."""
        return self.offer.name

    @property
    def chain(self) -> dict[str, str]:
        """The versions of all code behind it, by name; of an evaluator also of the extras that it requests."""
        return component_chain(self.offer)

    @property
    def version(self) -> str:
        """The same in short."""
        return version_text(self.chain)

    def build(self, *given: object) -> Any:  # noqa: ANN401 the role depends on the kind
        """Build it from what the bench gives.

        Raises:
            BenchError: as the factory says.
            PluginError: the factory itself fails.
        """
        with blamed_on(self.offer):
            check_sound(self.offer)
            try:
                return owned(self.offer.factory(*given, **self.options), self.offer)
            except BenchError:
                raise
            except Exception as error:
                raise PluginError(
                    f"{self.offer.title} cannot be built: {named(error)}; ask its author"
                ) from error

    def ready(self) -> ReadyEvaluator:
        """Build an evaluator, with what records say of it.

        Raises:
            BenchError: as the factory says.
            PluginError: the factory itself fails.
        """
        evaluator: Evaluator = self.build()
        return ReadyEvaluator(
            self.name,
            self.offer.title,
            evaluator,
            self.chain,
            self.version,
            self.recorded(),
            self.offer.package,
        )

    @property
    def altered(self) -> dict[str, object]:
        """The options that are not what they usually are, as recorded."""
        usual = jsonable(self.usual)
        return {k: v for k, v in self.recorded().items() if k not in usual or usual[k] != v}

    def recorded(self) -> dict[str, object]:
        """Render the options for a record: paths as base names."""
        return jsonable(self.options)

    def identifying(self) -> dict[str, object]:
        """Render the options that make runs differ: a file by a hash of its content, wherever it lies.

        Raises:
            ConfigError: a file that was asked for does not exist.
        """
        hashes = {}
        for option, path in self.options.items():
            if isinstance(path, Path):
                try:
                    with path.expanduser().open("rb") as file:
                        hashes[option] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
                except OSError as error:
                    raise ConfigError(
                        f"{self.offer.kind}.{option}={path} cannot be read ({error.strerror}); give the path of a "
                        "file"
                    ) from None
        return jsonable({**self.options, **hashes})


def component_chain(offer: Offer) -> dict[str, str]:
    """Collect the versions of all code behind an offer, by name; of an evaluator also of its extras.

    Raises:
        PluginError: the version of a component cannot be told.
    """
    with blamed_on(offer):
        chain = chain_of(offer.factory)
        return chain | extras_chain(offer.declares("requests")) if offer.kind == "evaluator" else chain


def made_ready(evaluators: Iterable[Component]) -> tuple[list[ReadyEvaluator], Scored]:
    """Build evaluators, and return beside them what a record holds of those that cannot be built: the reason."""
    ready, lost = list[ReadyEvaluator](), Scored()
    for each in evaluators:
        try:
            ready.append(each.ready())
        except BaseException as error:
            chain: dict[str, str] = {}
            with suppress(Exception):  # it may be what cannot be told
                chain = each.chain
            facts = {"version": chain, "options": each.recorded(), "plugin": each.offer.package}
            lost = lost.plus(without_score(each.name, facts, error, each.offer.title))
    return ready, lost


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        objective, masker, encoder: what is run.
        seed: of its random streams.
        skip: why it cannot mean anything, or None.
    """

    objective: Component
    masker: Component
    encoder: Component
    seed: int
    skip: str | None = None

    @property
    def components(self) -> dict[str, Component]:
        """Its components by kind."""
        return {"objective": self.objective, "masker": self.masker, "encoder": self.encoder}

    @property
    def altered(self) -> dict[str, dict[str, object]]:
        """The options that are not the defaults, by kind."""
        return {kind: part.altered for kind, part in self.components.items() if part.altered}

    @property
    def label(self) -> str:
        """Its name for a reader."""
        parts = (titled(part.name, part.altered) for part in self.components.values())
        return f"{' + '.join(parts)}, seed {self.seed}"

    @property
    def standing(self) -> Standing:
        """Floors and ceilings frame the board; contestants are ranked, and who is given labels is none."""
        mine: Standing = self.objective.offer.declares("standing")
        encoders: Standing = self.encoder.offer.declares("standing")
        found = encoders if mine == "contestant" else mine
        return "ceiling" if found == "contestant" and self.group == USES_LABELS else found

    @property
    def group(self) -> str:
        """Whom it is ranked with, or stands beside: whoever is given labels uses them, whatever it says."""
        if self.reads_labels:
            return USES_LABELS
        mine, encoders = (
            group_of(part.offer.cls, part.offer.declares("group")) for part in (self.objective, self.encoder)
        )
        told = TOLD_BY_MEASUREMENTS if self.reads and mine == SELF_SUPERVISED else mine
        return encoders if told == SELF_SUPERVISED else told

    @property
    def reads_labels(self) -> bool:
        """Whether its objective is told labels."""
        return bool(self.objective.offer.declares("labels") != "none")

    @property
    def reads(self) -> list[str]:
        """What its objective is told beside images: `labels`, and columns by name."""
        return [*["labels"] * self.reads_labels, *self.objective.offer.declares("columns")]


@dataclass(frozen=True)
class RunContext:
    """What all cells of a request share.

    Attributes:
        galaxies: the dataset.
        budget: what every entry is given.
        evaluators: what scores them.
        store: where records go.
        command: the command line or call that asked for them.
        leader: calls the other ranks to what is trained, where several train together.
    """

    galaxies: Galaxies
    budget: Budget
    evaluators: Sequence[Component]
    store: Store
    command: str
    leader: Leader | None = None

    def offers_of(self, cell: Cell) -> dict[str, Offer]:
        """Return whose code a cell runs: its components by kind, the dataset among them, and every evaluator."""
        offers = {kind: part.offer for kind, part in cell.components.items()}
        galaxies = owner_of(self.galaxies.dataset)
        scored_by = {f"evaluator {each.name}": each.offer for each in self.evaluators}
        return {**offers, **({} if galaxies is None else {"dataset": galaxies}), **scored_by}


def reason_to_skip(
    objective: Offer, masker: Offer, encoder: Offer, built: Encoder | None = None
) -> str | None:
    """Return why an objective cannot run with a masker and an encoder, or None.

    Args:
        objective: its offer; what it declares on its class is asked.
        masker: its offer.
        encoder: its offer.
        built: the encoder itself, once there is one.
    """
    asked: type[Objective] = _class_of(objective, Objective)
    with blamed_on(objective):
        try:
            reason: object = asked.skip(built or _class_of(encoder, Encoder), _class_of(masker, Masker))
        except Unsuitable as error:
            reason = said_by(error)
        if reason is None:
            return None
        if not isinstance(reason, str):
            raise ContractError(
                f"skip() of {objective.title} returned {type(reason).__name__}; expected a reason in words, or None"
            )
    return f"objective '{objective.name}' with encoder '{encoder.name}' and masker '{masker.name}': {reason}"


def why_unsuitable(error: Unsuitable) -> str:
    """Return why a cell cannot mean anything, with the component that says so where it is a plugin's word."""
    owner, said = owner_of(error), said_by(error)
    return said if owner is None else f"{owner.kind} '{owner.name}': {said}"


def _class_of(offer: Offer, role: type) -> Any:  # noqa: ANN401 a subclass of the role
    """Return the class that an offer makes, or the role itself where that is not known or is of another role."""
    return offer.cls if offer.cls is not None and issubclass(offer.cls, role) else role
