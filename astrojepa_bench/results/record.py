"""One run, one JSON: everything a reader needs to trust, repeat or plot it.

Records are frozen, refuse NaN, and round-trip byte for byte. Fields that this version does not know are kept
when a record is rewritten, so that an older bench never drops what a newer one wrote.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.options import legible
from astrojepa_bench.results.correct import decode_bits, packed
from astrojepa_bench.results.identity import canonical_json, digest, entry_digest
from astrojepa_bench.results.naming import titled

SCHEMA_VERSION: Final = 1
CURVE_POINTS = 200

Status: TypeAlias = Literal[
    "ok", "collapsed", "failed", "diverged", "timeout", "oom", "skipped", "interrupted"
]
Origin: TypeAlias = Literal["plugin", "harness", "infrastructure", "data"]
Standing: TypeAlias = Literal["contestant", "floor", "ceiling"]

SCORED: frozenset[Status] = frozenset({"ok", "collapsed"})
"""Statuses of runs that were trained to the end; their scores count."""


def _as_json(value: object) -> object:
    """Turn tuples into lists and refuse NaN, so that what is kept equals what is read back."""
    return json.loads(canonical_json(value))


def edition_1_version(number: object) -> object:
    """Write the integer by which records of edition 1 name an evaluator's version, as today's texts name theirs."""
    return f"v{number} (edition 1)" if isinstance(number, int) else number


Block: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_as_json)]
Blocks: TypeAlias = Annotated[dict[str, dict[str, Any]], BeforeValidator(_as_json)]
Numbers: TypeAlias = dict[str, int | float]
Bits: TypeAlias = Annotated[str, BeforeValidator(packed)]


Curve: TypeAlias = Annotated[list[tuple[int, float]], Field(max_length=CURVE_POINTS)]


class _RecordPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, ser_json_inf_nan="constants")


class Failure(_RecordPart):
    """Where a run failed: whose fault it was, in which phase, and the message (one line)."""

    origin: Origin
    phase: str
    message: str
    plugin: str | None = None


class RecordedScore(_RecordPart):
    """One number about one encoder, and the version of the evaluator that measured it (`version_text`)."""

    evaluator: str
    metric: str
    value: float
    higher_is_better: bool
    n: int
    evaluator_version: Annotated[str, BeforeValidator(edition_1_version)] = "v1"
    chance: float | None = None
    item_se: float | None = None


class Training(_RecordPart):
    """How training went, as curves of at most 200 points `[step, value]`: loss, its terms, effective rank."""

    steps: int = 0
    images_seen: int = 0
    epochs: float = 0.0
    loss_curve: Curve = []
    term_curves: dict[str, Curve] = {}
    rank_curve: Curve = []
    recipe: Block = {}


class Cost(_RecordPart):
    """What the run took; None where it was not measured. `evaluation` splits `eval_seconds` by evaluator."""

    train_seconds: float | None = None
    eval_seconds: float | None = None
    evaluation: Numbers = {}
    parameters: int | None = None
    tokens: int | None = None
    flops: float | None = None
    images_per_second: float | None = None
    peak_memory_bytes: int | None = None


class Environment(_RecordPart):
    """Versions, threads and device; no host name, user name or absolute path."""

    python: str = ""
    torch: str = ""
    packages: dict[str, str] = {}
    threads: int | None = None
    device: str = ""
    platform: str = ""


class Provenance(_RecordPart):
    """When, by which command and from which commit; code that differed from it makes it dirty.

    Attributes:
        plugins: which package or file offered each component when it was trained, by kind; evaluators have their
            own in `RunRecord.evaluators`.
    """

    created_utc: str = ""
    command: str = ""
    git_commit: str | None = None
    git_dirty: bool | None = None
    dirty_files: list[str] = []
    plugins: dict[str, str] = {}


class Reproduction(_RecordPart):
    """One rerun of a run, from its record alone, and how its numbers compare (`reproduce --record`).

    Attributes:
        commit: of the code that reran it, `-dirty` where files differed from it; None outside a checkout.
        date: the day.
        environment: where.
        verdict: `equal` to the last bit, `inside` the interval in which another seed was predicted, or `outside`.
    """

    commit: str | None = None
    date: str
    environment: Environment = Environment()
    verdict: Literal["equal", "inside", "outside"]


class RunRecord(_RecordPart):
    """Everything about one pretraining of one entry with one seed.

    Attributes:
        run_id: hash of `identity`; also the file's name.
        entry_id: hash of `identity` without the seed.
        formerly: the id that it had before `leaderboard migrate`; it is still found by it.
        status: how it ended; `skip_reason` and `failure` say why.
        standing: contestants are ranked; floors and ceilings frame them.
        group: what it was told beyond the images, and so whom it is ranked with; empty in older records.
        pretraining: most galaxies that it was pretrained on; None: all of `train` and the pool.
        reads: what its objective was told beside images: `labels`, and columns by name.
        labels: most labels that it was told; None: all, or none.
        options: resolved options by kind, defaults included.
        altered: the options among them that are not the defaults, by kind; they name the entry on the board.
        identity: everything that can move the numbers (`RunIdentity`).
        scores: the numbers of the last step, by evaluator.
        correct: which test galaxies were right, for each score that is the share of them: bits by
            `evaluator.metric` (`results.correct`).
        selection: what each evaluator chose on the validation split.
        evaluators: version, as a chain, options and package of each evaluator that was asked.
        not_scored: evaluators that had nothing to score, and why.
        health: numbers about the representation and the masks, by name, finite.
        reproductions: reruns of it, oldest first.
        disclosed: which test galaxies the weights that it started from had seen (`results.certificate`); a key only
            where somebody says so.
        terms: what its galaxies are called, their licence and citation, as their source states them; likewise.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    entry_id: str
    formerly: str | None = None
    status: Status
    skip_reason: str | None = None
    failure: Failure | None = None
    objective: str
    masker: str
    encoder: str
    dataset: str
    standing: Standing = "contestant"
    group: str = ""
    seed: int
    budget: str
    pretraining: int | None = None
    reads: list[str] = []
    labels: int | float | None = None
    options: Blocks = {}
    altered: Blocks = {}
    identity: Block
    scores: list[RecordedScore] = []
    correct: dict[str, Bits] = {}
    selection: Blocks = {}
    evaluators: Blocks = {}
    not_scored: dict[str, str] = {}
    warnings: list[str] = []
    health: Numbers = {}
    training: Training = Training()
    cost: Cost = Cost()
    environment: Environment = Environment()
    provenance: Provenance = Provenance()
    reproductions: list[Reproduction] = []
    disclosed: Block | None = None
    terms: Block | None = None

    @field_validator("identity")
    @classmethod
    def _chain_is_told(cls, identity: dict[str, Any]) -> dict[str, Any]:
        """Refuse an identity whose chain of versions cannot be read."""
        chain = identity.get("chain")
        if isinstance(chain, dict):
            _CHAIN.validate_python(chain)
        return identity

    @property
    def title(self) -> str:
        """Name the entry: objective + masker + encoder, each with the options that are not its defaults."""
        names = {"objective": self.objective, "masker": self.masker, "encoder": self.encoder}
        return " + ".join(titled(name, self.altered.get(kind, {})) for kind, name in names.items())

    def __repr__(self) -> str:
        return f"<run {self.run_id[:8]} {self.title}, seed {self.seed}, {self.status}>"

    @classmethod
    def from_json(cls, text: str | bytes, source: Path) -> Self:
        """Read a record back.

        Args:
            text: the file's content.
            source: the file, for the message.

        Raises:
            DataError: not a run record; names the file and the first field that is wrong.
        """
        return cls.hashed(text, source)[0]

    @classmethod
    def hashed(cls, text: str | bytes, source: Path) -> tuple[Self, str]:
        """Read a record back as `from_json` does, with the hash of its facts.

        Raises:
            DataError: not a run record; names the file and the first field that is wrong.
        """
        try:
            record = cls.model_validate_json(text)
            return record, digest(record.facts())  # fields unknown here were not validated
        except ValidationError as error:
            raise DataError(f"{source} is not a run record: {_first(error)}; restore or delete it") from None
        except ContractError as error:
            raise DataError(f"{source} is not a run record: {error}; restore or delete it") from None

    def to_json(self) -> str:
        """Write the record: keys sorted, one space of indent, a newline at the end.

        Raises:
            ContractError: a number is NaN or infinite.
        """
        facts = self.facts()
        if _SURROGATE.search(canonical_json(facts)):  # raises in the words of the bench
            facts = _legible(facts)
        return json.dumps(facts, sort_keys=True, indent=1) + "\n"

    def facts(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        facts = self.model_dump(mode="json")
        return {name: fact for name, fact in facts.items() if fact is not None or name not in _WHERE_STATED}

    @property
    def is_edition_1(self) -> bool:
        """Whether it was recorded before identities knew all code behind a run, so that nobody can tell it."""
        return not isinstance(self.identity.get("chain"), dict)

    def value(self, evaluator: str, metric: str) -> float | None:
        """Look one score up; None if it was not measured."""
        return next((s.value for s in self.scores if (s.evaluator, s.metric) == (evaluator, metric)), None)

    def share_unseen(self, metric: str) -> float | None:
        """Compute a share of right answers without the test galaxies that the weights had seen.

        Args:
            metric: as `evaluator.metric`.

        Returns:
            None where the metric has no bits, or nothing is disclosed, or every galaxy was seen.
        """
        told = self.disclosed
        if told is None or metric not in self.correct:
            return None
        unseen = ~decode_bits(told["bits"], told["labelled"])
        right = decode_bits(self.correct[metric], len(unseen))[unseen]
        return float(right.mean()) if unseen.any() else None

    def identity_faults(self) -> list[str]:
        """List the ids that do not follow from the identity; none in an honest record."""
        expected = {"run_id": digest(self.identity), "entry_id": entry_digest(self.identity)}
        found = {"run_id": self.run_id, "entry_id": self.entry_id}
        return [
            f"{name} is {found[name]}, its identity gives {expected[name]}"
            for name in expected
            if found[name] != expected[name]
        ]


_WHERE_STATED = ("disclosed", "terms")  # keys of a record that states them, and of no other
_CHAIN = TypeAdapter(dict[str, dict[str, str]])
_SURROGATE = re.compile(r"\\ud[89a-f]")


def _legible(facts: Any) -> Any:  # noqa: ANN401 anything that JSON can hold
    """Spell what no text file may hold, such as bytes of a path that is no UTF-8, so that it can be read back."""
    match facts:
        case str():
            return legible(facts)
        case dict():
            return {legible(key): _legible(value) for key, value in facts.items()}
        case list():
            return [_legible(value) for value in facts]
    return facts


def _first(error: ValidationError) -> str:
    """Phrase the first of pydantic's complaints in one line, and count the others."""
    first, *others = error.errors()
    field = ".".join(str(part) for part in first["loc"]) or "the file"
    more = f" (and {len(others)} more)" if others else ""
    found = "" if first["type"] in ("missing", "json_invalid") else f", found {first['input']!r:.60}"
    return f"{field}: {first['msg']}{found}{more}"
