"""The checks as classes for pytest: a subclass names a piece, and each check becomes a test of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from unittest import SkipTest

from astrojepa_bench.options import Kind, Offer
from astrojepa_bench.signatures import Factory, option_schema, summary_of
from astrojepa_bench.testing.checks import Check
from astrojepa_bench.testing.report import checks_of, subject_of
from astrojepa_bench.testing.subject import Subject


class Conformance:
    """Base of the classes below; pytest collects subclasses whose names begin with `Test`.

    Attributes:
        factory: the piece: its class, or the function that makes it.
        options: what to set on it, beside its defaults.
    """

    kind: ClassVar[Kind]
    factory: ClassVar[Factory]
    options: ClassVar[Mapping[str, object]] = {}
    _subject: ClassVar[Subject]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for check in checks_of(cls.kind) if "factory" in vars(cls) else ():
            setattr(cls, f"test_{check.id.replace('-', '_')}", _as_test(cls, check))

    @classmethod
    def subject(cls) -> Subject:
        """Give the piece with its options: the same for all tests of the class, which share what takes long."""
        if "_subject" not in vars(cls):
            cls._subject = subject_of(cls._offer(), {cls.kind: cls.options})
        return cls._subject

    @classmethod
    def _offer(cls) -> Offer:
        given: Any = vars(cls)["factory"]  # read past the class: a function must not become a method
        factory = given.__func__ if isinstance(given, staticmethod) else given
        name = getattr(factory, "__name__", cls.__name__)
        facts = (factory.__module__, "tests", "")
        return Offer(cls.kind, name, factory, *facts, summary_of(factory), option_schema(factory))


def _as_test(tests: type[Conformance], check: Check) -> Callable[[object], None]:
    def test(self: object) -> None:
        __tracebackhide__ = True  # the finding says more than our own lines do
        outcome = check.run(tests.subject())
        if outcome.verdict == "skipped":
            raise SkipTest(outcome.found)
        if outcome.verdict == "failed":
            raise AssertionError(str(outcome))

    test.__doc__ = check.claim
    return test


class MaskerChecks(Conformance):
    """What every masker keeps to."""

    kind = "masker"


class ObjectiveChecks(Conformance):
    """What every objective keeps to."""

    kind = "objective"


class EncoderChecks(Conformance):
    """What every encoder keeps to."""

    kind = "encoder"


class EvaluatorChecks(Conformance):
    """What every evaluator keeps to."""

    kind = "evaluator"


class DatasetChecks(Conformance):
    """What every dataset keeps to."""

    kind = "dataset"
