"""The checks as classes for pytest: a subclass names a component, and each check becomes a test of its own."""

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
        factory: the component's class, or the function that makes it.
        options: options to set; the others keep their defaults.
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
        """Return the component with its options, shared by all tests of the class with what takes long to make."""
        if "_subject" not in vars(cls):
            given: Any = vars(cls)["factory"]  # not cls.factory, which makes a function a method
            factory = given.__func__ if isinstance(given, staticmethod) else given
            name = getattr(factory, "__name__", cls.__name__)
            facts = (factory.__module__, "tests", "")
            offer = Offer(cls.kind, name, factory, *facts, summary_of(factory), option_schema(factory))
            cls._subject = subject_of(offer, {cls.kind: cls.options})
        return cls._subject


def _as_test(tests: type[Conformance], check: Check) -> Callable[[object], None]:
    def test(self: object) -> None:
        __tracebackhide__ = True  # the finding is more useful than these lines
        outcome = check.run(tests.subject())
        if outcome.verdict == "skipped":
            raise SkipTest(outcome.found)
        if outcome.verdict == "failed":
            raise AssertionError(str(outcome))

    test.__doc__ = check.claim
    return test


class MaskerChecks(Conformance):
    """The rules for every masker."""

    kind = "masker"


class ObjectiveChecks(Conformance):
    """The rules for every objective."""

    kind = "objective"


class EncoderChecks(Conformance):
    """The rules for every encoder."""

    kind = "encoder"


class EvaluatorChecks(Conformance):
    """The rules for every evaluator."""

    kind = "evaluator"


class DatasetChecks(Conformance):
    """The rules for every dataset."""

    kind = "dataset"
