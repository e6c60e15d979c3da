"""Whose fault it was: the object that acted innermost, not the code that it was written in or called by."""

import types

import pytest
import torch

from astrojepa_bench.errors import ConfigError, DataError, DivergedError
from astrojepa_bench.geometry.grids import MaskSizes, PatchGrid
from astrojepa_bench.options import Offer
from astrojepa_bench.roles import Encoder
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.failures import classify
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
