"""Whose fault it was: the object that acted innermost, not the code that it was written in or called by."""

import signal
import types

import pytest
import torch

from astrojepa_bench.border import blamed_on
from astrojepa_bench.errors import ConfigError, ContractError, DataError, DivergedError, StorageError
from astrojepa_bench.geometry.grids import MaskSizes, PatchGrid
from astrojepa_bench.interrupts import noting_interrupts
from astrojepa_bench.options import Offer
from astrojepa_bench.results.record import Failure
from astrojepa_bench.roles import Encoder
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.failures import classify, ends_the_command
from astrojepa_bench.streams import Streams
from astrojepa_bench.training.draw import MaskDraw

BASE = """
from astrojepa_bench.plugin import Masker


class Weighted(Masker):
    def draw(self, images, sizes, generator):
        raise ValueError("no weight")


def helper():
    raise ValueError("helper")
"""
BRIGHT = """
from fake_weighted import Weighted


class Bright(Weighted):
    def weight(self):
        return 1
"""
LEARNS = """
from astrojepa_bench.plugin import Objective
from fake_weighted import helper


class Learns(Objective):
    def __init__(self):
        pass

    def loss(self, batch, draw, streams):
        return draw.draw(None, None, None)

    def broken(self):
        return {}["nothing"]

    def asks(self):
        return helper()

    def wraps(self, encoder):
        return encoder.forward(None)


class Wrong(Learns):
    def __init__(self):
        raise ValueError("no start")
"""


@pytest.fixture
def modules(monkeypatch):
    """Import three plugins that build on one another."""
    made = []
    for name, text in {"fake_weighted": BASE, "fake_bright": BRIGHT, "fake_learns": LEARNS}.items():
        module = types.ModuleType(name)
        monkeypatch.setitem(__import__("sys").modules, name, module)
        exec(text, vars(module))
        made.append(module)
    return made


def offer(kind, factory, plugin):
    return Offer(kind, plugin, factory, plugin, "tests", "", "", ())


@pytest.fixture
def cell(modules):
    """Offer an objective and a masker, and the shipped encoder."""
    _, bright, learns = modules
    return [
        offer("objective", learns.Learns, "learns"),
        offer("masker", bright.Bright, "bright"),
        offer("encoder", Flat, "astrojepa_bench.builtin"),
    ]


class Flat(Encoder):
    """An encoder of the bench that fails."""

    def __init__(self):
        pass

    def forward(self, images, keep=None):
        raise ValueError("shapes")


def blamed(offers, action):
    try:
        action()
    except Exception as error:
        failure = classify(error, "training", offers).failure
        return failure.origin, failure.plugin
    raise AssertionError("nothing went wrong")


def test_a_masker_is_blamed_for_code_that_it_inherits(cell, modules):
    """The base class lies in a plugin of which no component is in the cell, and the objective only called."""
    _, bright, learns = modules
    masker = bright.Bright.__new__(bright.Bright)

    assert blamed(cell, lambda: learns.Learns().loss(None, masker, None)) == ("plugin", "bright")


def test_who_calls_a_helper_is_blamed_for_it(cell, modules):
    """A function of another plugin acts for the object that called it."""
    _, _, learns = modules

    assert blamed(cell, learns.Learns().asks) == ("plugin", "learns")
    assert blamed(cell, learns.Learns().broken) == ("plugin", "learns")


def test_what_inherits_from_another_component_of_the_cell_is_blamed_itself(cell, modules):
    """Two evaluators of which one extends the other both own its frames; the nearer class counts."""
    base, bright, _ = modules
    both = [offer("evaluator", base.Weighted, "weighted"), offer("evaluator", bright.Bright, "bright")]
    masker = bright.Bright.__new__(bright.Bright)

    assert blamed([cell[0], *both], lambda: masker.draw(None, None, None)) == ("plugin", "bright")


def test_a_masker_is_blamed_for_masks_that_are_none(cell, modules):
    """It has returned by then, and the objective that asked for them is on the stack."""
    _, bright, learns = modules

    class Empty(bright.Bright):
        def __init__(self):
            self.grid = PatchGrid.tiling(64, 8)

        def draw(self, images, sizes, generator):
            return None

    class Asks(learns.Learns):
        def loss(self, batch, draw, streams):
            return draw(torch.zeros(1, 1, 64, 64), MaskSizes(4))

    draw = MaskDraw(Empty(), Streams(0, 0, torch.device("cpu")))
    assert blamed(cell, lambda: Asks().loss(None, draw, None)) == ("plugin", "bright")


def test_a_component_that_cannot_be_built_is_blamed(cell, modules):
    """Its own frames lie behind the error of the bench that says so."""
    _, _, learns = modules
    broken = Component(offer("objective", learns.Learns, "learns"), {"unknown": 1})
    wrong = Component(offer("objective", learns.Wrong, "learns"), {})

    assert blamed(cell, wrong.build) == ("plugin", "learns")
    assert blamed(cell, broken.build)[0] == "plugin"


def test_the_bench_is_no_plugin(cell, modules):
    """A shipped encoder that fails is a fault of the bench, whoever called it; so is code of the bench itself."""
    _, _, learns = modules

    def fails():
        raise KeyError("bench")

    assert blamed(cell, lambda: learns.Learns().wraps(Flat())) == ("harness", None)
    assert blamed(cell, fails) == ("harness", None)


def test_kinds_of_errors_have_kinds_of_origins(cell):
    """Data, infrastructure, memory and divergence are told apart by what was raised."""
    errors = (DataError("x"), OSError("disk"), MemoryError("full"), DivergedError(3, "fit"), ConfigError("y"))
    ends = {type(error).__name__: classify(error, "training", cell) for error in errors}

    assert {name: (end.status, end.failure.origin) for name, end in ends.items()} == {
        "DataError": ("failed", "data"),
        "OSError": ("failed", "infrastructure"),
        "MemoryError": ("oom", "infrastructure"),
        "DivergedError": ("diverged", "plugin"),
        "ConfigError": ("failed", "harness"),
    }
    assert ends["DivergedError"].failure.plugin == "learns"


def test_factories_without_a_class_are_blamed_by_their_module(modules):
    """A plain function offers no class; the module that it lies in still says whose it is."""
    weighted, _, _ = modules
    offers = [offer("masker", weighted.helper, "functional")]

    assert offers[0].cls is None
    assert blamed(offers, weighted.helper) == ("plugin", "functional")


# --- the border ---------------------------------------------------------------------------------------------------


def raised(error, offer_of_error=None):
    """Raise an exception here, marked with an offer or with none, and return it."""
    try:
        if offer_of_error is None:
            raise error
        with blamed_on(offer_of_error):
            raise error
    except BaseException as caught:
        return caught


def ending(offers, error, asked=None):
    end = classify(raised(error, asked), "training", offers)
    return end.status, end.failure.origin, end.failure.plugin


class Odd(BaseException):
    """No `Exception`."""


class Mute(Exception):
    """Its text cannot be had."""

    def __str__(self):
        raise SystemExit


def test_every_exception_of_a_plugin_has_a_status_and_its_name(cell):
    """Whatever a plugin raises, `Exception` or not: who was asked is named, by the mark of the border."""
    masker = cell[1]
    ends = {type(error): ending(cell, error, masker) for error in (
        ValueError("x"), KeyError(object()), StopIteration(), RecursionError(), SystemExit(0), GeneratorExit(),
        KeyboardInterrupt(), Odd(), Mute(), MemoryError(), FileNotFoundError(2, "no", "teacher.npz"),
        OSError(28, "No space left"), DataError("x"), ConfigError("x"), ContractError("x"),
    )}  # fmt: skip

    assert {plugin for _, _, plugin in ends.values()} == {"bright"}
    odd = {MemoryError: "oom", KeyboardInterrupt: "interrupted"}
    assert {kind: status for kind, (status, _, _) in ends.items() if status != "failed"} == odd
    origins = {kind: origin for kind, (_, origin, _) in ends.items() if origin != "plugin"}
    assert origins == {MemoryError: "infrastructure", OSError: "infrastructure", DataError: "data"}


def test_the_mark_counts_before_the_traceback(cell, modules):
    """A masker that returned long ago is named, though the objective's code raised."""
    _, _, learns = modules

    def late():
        with blamed_on(cell[1]):
            learns.Learns().broken()

    assert blamed(cell, late) == ("plugin", "bright")


def test_an_encoder_of_a_plugin_is_blamed_before_the_objective_that_called_it(modules):
    """The objective was asked, and the encoder's own code failed; one of the bench is nobody's plugin."""
    _, _, learns = modules
    objective = offer("objective", learns.Learns, "learns")

    def fails():
        with blamed_on(objective):
            learns.Learns().wraps(Flat())

    assert blamed([objective, offer("encoder", Flat, "flat")], fails) == ("plugin", "flat")
    assert blamed([objective, offer("encoder", Flat, "astrojepa_bench.builtin")], fails) == (
        "plugin",
        "learns",
    )


def test_what_is_shipped_is_nobodys_plugin(cell):
    """Unless it breaks a contract that it kept until the objective trained it."""
    shipped = cell[2]

    assert ending(cell, ValueError("x"), shipped) == ("failed", "harness", None)
    assert ending(cell, StorageError("no room", "full"), cell[1]) == ("failed", "infrastructure", None)
    assert ending(cell, ContractError("not finite"), shipped) == ("failed", "plugin", "learns")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Mute(), "Mute: (its message cannot be had: it raised SystemExit)"),
        (ValueError("\x1b[31mred\x00\x9b2J\ud800\n\tend\x7f"), "ValueError: [31mred2J? end"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (ContractError("two\nlines"), "two lines"),
    ],
)
def test_messages_are_one_clean_line(cell, error, message):
    """They go to records, pages and terminals, and come back."""
    failure = classify(raised(error, cell[0]), "training", cell).failure

    assert failure.message == message
    assert Failure.model_validate_json(failure.model_dump_json()) == failure


def test_a_megabyte_of_message_is_cut(cell):
    """At the length that a page can show."""
    failure = classify(raised(ValueError("line\n" * 200_000)), "training", cell).failure

    assert len(failure.message) == 2_000


def test_a_knot_of_causes_is_untied(cell):
    """Two exceptions that were raised from one another would be followed for ever."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one

    assert ending(cell, one, cell[0]) == ("failed", "plugin", "learns")
    assert ending(cell, ValueError("x")) == ("failed", "harness", None)


def test_only_a_person_ends_the_command(cell):
    """A plugin's interrupt or exit costs its cell; one of nobody's, or any error after Ctrl-C, ends the command."""
    assert not ends_the_command(raised(KeyboardInterrupt(), cell[0]), cell)
    assert not ends_the_command(raised(SystemExit(), cell[1]), cell)
    assert not ends_the_command(raised(ValueError()), cell)
    assert ends_the_command(raised(KeyboardInterrupt()), cell)
    assert ends_the_command(raised(SystemExit()), cell)
    with noting_interrupts():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert ends_the_command(raised(ValueError(), cell[0]), cell)
    assert not ends_the_command(raised(ValueError(), cell[0]), cell)
