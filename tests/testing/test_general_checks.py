"""Each rule for all pieces is broken once; and what the kit itself promises."""

import importlib.util
import inspect
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import get_state

from astrojepa_bench.options import KINDS
from astrojepa_bench.testing import MaskerChecks, checks_of, general
from astrojepa_bench.testing.templates.encoder import TemplateEncoder as Encoder
from astrojepa_bench.testing.templates.masker import TemplateMasker as Template
from astrojepa_bench.testing.watching import disturbed_by

SLOW_MODULE = """
import time

from astrojepa_bench.testing.templates.masker import TemplateMasker as Template

began = time.process_time()
while time.process_time() < began + 0.2:
    pass

class Slow(Template):
    '''Costs a fifth of a second to import.'''
"""


def no_masker(grid):
    return object()


class Unexplained(Template):
    def __init__(self, grid, *, width=2.0):
        super().__init__(grid, width=width)


class NoNumber(Template):
    """Its default equals nothing, not even itself."""

    def __init__(self, grid, *, limit: float = float("nan")):
        super().__init__(grid)


class FailsToBuild(Template):
    def __init__(self, grid):
        super().__init__(grid.missing)


class FailsToDraw(Template):
    def draw(self, images, sizes, generator):
        return super().draw(images, sizes, generator.missing)


class Words(Template):
    version = "1.0"


class HoldsALambda(Template):
    def __init__(self, grid):
        super().__init__(grid)
        self.weigh = lambda value: value


class Global(Template):
    def draw(self, images, sizes, generator):
        torch.rand(())
        np.random.rand()  # noqa: NPY002 what ought not to be done
        return super().draw(images, sizes, generator)


class Seeding(Encoder):
    def __init__(self, spec):
        torch.manual_seed(0)
        super().__init__(spec)


class Remembering(Template):
    calls = 0

    def draw(self, images, sizes, generator):
        self.calls += 1
        return super().draw(images, sizes, generator.manual_seed(self.calls))


class Logging(Template):
    def draw(self, images, sizes, generator):
        Path("trace.txt").write_text("drawn")
        return super().draw(images, sizes, generator)


class FailsToSpeak(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Speechless(Template):
    def draw(self, images, sizes, generator):
        raise FailsToSpeak


class Leaving(Template):
    def draw(self, images, sizes, generator):
        raise SystemExit(0)


class Talking(Template):
    def draw(self, images, sizes, generator):
        print("drawing", sizes)
        return super().draw(images, sizes, generator)


class Meddling(Template):
    def draw(self, images, sizes, generator):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return super().draw(images, sizes, generator)


class Winner(Encoder):
    standing = "winner"


BROKEN = {
    "acts": ("masker", Speechless, "raised FailsToSpeak: an exception that cannot be put into words"),
    "declared": ("encoder", Winner, "declares the standing 'winner'; use one of contestant, floor, ceiling"),
    "quiet": ("masker", Talking, "characters: 'drawing MaskSizes"),
    "settings": ("masker", Meddling, "it changed gradients, the default dtype"),
    "builds": ("masker", no_masker, "built a object, not a Masker"),
    "documented": ("masker", Unexplained, "option 'width' has no type"),
    "options": ("masker", NoNumber, "option 'limit' is 'nan', expected float"),
    "version": ("masker", Words, "version is '1.0', not a whole number"),
    "picklable": ("masker", HoldsALambda, "raised"),
    "global-random": ("masker", Global, "of numpy.random, torch moved"),
    "own-weights": ("encoder", Seeding, "two seeds start from the same weights"),
    "repeatable": ("masker", Remembering, "the second call gave something else"),
    "no-files": ("masker", Logging, "wrote trace.txt"),
}


@pytest.mark.parametrize("check", BROKEN)
def test_check_finds_the_piece_that_breaks_it(fault, check, tmp_path, monkeypatch):
    """A rule that nothing can break is no rule."""
    monkeypatch.chdir(tmp_path)
    kind, factory, words = BROKEN[check]

    assert words in fault(kind, check, factory)


@pytest.mark.parametrize("factory", [FailsToDraw, Speechless, Leaving], ids=["error", "no words", "exit"])
def test_one_broken_verb_is_one_fault(outcomes, factory):
    """Rules that could only repeat it are skipped, and say which rule comes first."""
    found = outcomes("masker", factory)

    failed = [name for name, outcome in found.items() if outcome.verdict == "failed"]
    assert failed == ["acts", "documented"]  # the classes above have no docstrings
    assert found["masker-sizes"].found == "rule 'acts' comes first"


def test_settings_that_a_piece_moves_are_put_back(outcomes):
    """The pieces after it are checked as it was."""
    outcomes("masker", Meddling)

    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def test_module_that_is_slow_to_import_is_found(fault, tmp_path, monkeypatch):
    """Every command would wait for it."""
    path = tmp_path / "slow_to_import.py"
    path.write_text(SLOW_MODULE)
    spec = importlib.util.spec_from_file_location("slow_to_import", path)
    monkeypatch.setitem(sys.modules, "slow_to_import", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(sys.modules["slow_to_import"])
    monkeypatch.setattr(general, "IMPORT_S", 0.1)

    assert "importing slow_to_import.py took 0." in fault(
        "masker", "quick-import", sys.modules["slow_to_import"].Slow
    )


def test_every_general_check_has_a_control():
    """A new check comes with a piece that it finds."""
    assert {check.id for check in general.rules.checks} == {*BROKEN, "quick-import"}


@pytest.mark.parametrize("kind", KINDS)
def test_checks_have_ids_of_their_own_and_say_how_to_mend(kind):
    """A failure names the check, what ought to hold and the fix."""
    checks = checks_of(kind)

    assert len({check.id for check in checks}) == len(checks) > 15
    assert all(check.claim.endswith(".") and check.fix for check in checks)


def test_checking_leaves_global_generators_as_they_were(outcomes):
    """A check that looks for global randomness uses none, even where it finds some."""
    before = torch.get_rng_state(), get_state()[1].copy()  # noqa: NPY002
    outcomes("masker", Global)

    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], get_state()[1])  # noqa: NPY002


def test_pythons_own_generator_is_watched_unless_beartype_draws_from_it(monkeypatch):
    """Type checking while testing must not be taken for a fault of the piece."""
    assert disturbed_by(random.random) == []
    monkeypatch.delitem(sys.modules, "beartype")
    assert disturbed_by(random.random) == ["random"]


class TestWrittenOutInFull(MaskerChecks):
    """The classes for pytest show each check as a test: these pass."""

    factory = Template
    options = {"width": 1.0}  # noqa: RUF012 a class attribute is what contributors write


def test_pytest_class_has_a_test_for_each_check():
    """Nothing is checked by the command alone."""
    named = {name for name in dir(TestWrittenOutInFull) if name.startswith("test_")}

    assert named == {f"test_{check.id.replace('-', '_')}" for check in checks_of("masker")}


def test_pytest_class_fails_with_the_finding():
    """A contributor reads the id, what was found and the fix."""

    class Broken(MaskerChecks):
        factory = Words

    with pytest.raises(AssertionError, match=r"version: version is '1.0', .* declare `version = 1`"):
        Broken().test_version()


@pytest.mark.parametrize(
    ("factory", "check"), [(FailsToBuild, "builds"), (FailsToDraw, "masker-sizes")], ids=["built", "acting"]
)
def test_what_a_piece_raises_is_told_with_its_own_line(fault, factory, check):
    """The last line of the plugin itself, whatever it called; and the error itself, not what was made of it."""
    written = inspect.getsourcelines(factory)
    line = written[1] + len(written[0]) - 1

    found = fault("masker", check, factory)

    assert found.startswith("raised AttributeError: ")
    assert found.endswith(f"(test_general_checks.py, line {line})")
