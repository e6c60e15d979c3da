"""Objectives that break their word by what they raise, return or are; each says how it must end."""

import sys

from astrojepa_file_sound_pieces import Spreads
from torch import nn

from astrojepa_bench.plugin import Loss, Objective, hookimpl

OFFERED, EXPECTED = {}, {}


def offered(name, status="failed"):
    """Offer a class under a name; it must end in this status, in the name of this plugin."""

    def keep(cls):
        OFFERED[name], EXPECTED[name] = cls, status
        return cls

    return keep


class Odd(BaseException):
    """No `Exception`."""


class Mute(Exception):
    """Its text cannot be had."""

    def __str__(self):
        raise RuntimeError("no text")


class Knot(Exception):
    """Is raised from itself, by way of another."""


def raises(name, error, status="failed"):
    """Offer an objective whose loss raises at the third step."""

    def loss(self, batch, draw, streams):
        if self.done == 2:
            raise error()
        return Spreads.loss(self, batch, draw, streams)

    OFFERED[name] = type(
        name, (Spreads,), {"loss": loss, "__doc__": f"Raises {name}.", "__module__": __name__}
    )
    EXPECTED[name] = status


def tied():
    one, other = Knot("one"), Knot("other")
    one.__cause__, other.__cause__ = other, one
    return one


raises("value-error", lambda: ValueError("no such value"))
raises("key-error", lambda: KeyError("<img src=x> | [link](javascript:alert(1))"))
raises("stop-iteration", StopIteration)
raises("assertion", AssertionError)
raises("exit-0", lambda: SystemExit(0))
raises("exit-text", lambda: SystemExit("bye"))
raises("generator-exit", GeneratorExit)
raises("base", lambda: Odd("odd"))
raises("keyboard", KeyboardInterrupt, "interrupted")
raises("memory", lambda: MemoryError("no more"), "oom")
raises("own-file", lambda: FileNotFoundError(2, "No such file", "teacher.npz"))
raises("mute", Mute)
raises("knot", tied)
raises("megabyte", lambda: ValueError("line\n" * 200_000))
raises("control", lambda: ValueError("\x1b[31mred\x00 \x9b2J \ud800 end"))


@offered("recursion")
class Recursion(Spreads):
    """Calls itself without end."""

    def loss(self, batch, draw, streams):
        return self.loss(batch, draw, streams)


@offered("after-step")
class AfterStep(Spreads):
    """Raises after a step."""

    def after_step(self, progress):
        raise ZeroDivisionError("after a step")


@offered("recipe-raises")
class RecipeRaises(Spreads):
    """Has no recipe."""

    def recipe(self):
        raise LookupError("no recipe")


@offered("health-raises")
class HealthRaises(Spreads):
    """Asks of its health in vain."""

    def health(self):
        return {"ratio": 1 / 0}


@offered("health-text")
class HealthText(Spreads):
    """A word where a number belongs."""

    def health(self):
        return {"mood": "fine"}


@offered("health-none")
class HealthNone(Spreads):
    """No health at all."""

    def health(self):
        return None


@offered("health-keys")
class HealthKeys(Spreads):
    """Numbers without names."""

    def health(self):
        return {3: 1.0}


@offered("scored-linear")
class ScoredLinear(Spreads):
    """What is scored is no encoder."""

    @property
    def scored_encoder(self):
        return nn.Linear(2, 2)


@offered("scored-raises")
class ScoredRaises(Spreads):
    """What is scored cannot be had."""

    @property
    def scored_encoder(self):
        raise RuntimeError("none yet")


@offered("no-super")
class NoSuper(Objective):
    """Forgets its base."""

    masks = "ignored"

    def __init__(self, encoder, grid, classes):
        self.encoder = encoder

    def loss(self, batch, draw, streams):
        return None


@offered("abstract")
class Abstract(Objective):
    """Has no loss."""

    masks = "ignored"


@offered("exits-when-built")
class ExitsWhenBuilt(Spreads):
    """Leaves while it is built."""

    def __init__(self, *given):
        sys.exit(0)


@offered("mute-when-built")
class MuteWhenBuilt(Spreads):
    """Raises something without a text while it is built."""

    def __init__(self, *given):
        raise Mute


@offered("no-objective")
class NoObjective(Spreads):
    """Makes something else."""

    def __new__(cls, *given):
        return object()


@offered("skip-raises")
class SkipRaises(Spreads):
    """Cannot say whether it fits."""

    @classmethod
    def skip(cls, encoder, masker):
        raise RuntimeError("who asks")


@offered("skip-number")
class SkipNumber(Spreads):
    """Gives a number as reason."""

    @classmethod
    def skip(cls, encoder, masker):
        return 3


@offered("bare-tensor")
class BareTensor(Spreads):
    """A tensor instead of a loss."""

    def loss(self, batch, draw, streams):
        return super().loss(batch, draw, streams).total


@offered("none-loss")
class NoneLoss(Spreads):
    """No loss at all."""

    def loss(self, batch, draw, streams):
        return None


@offered("float-loss")
class FloatLoss(Spreads):
    """A number without a gradient."""

    def loss(self, batch, draw, streams):
        return Loss(1.0, {})


@offered("nan", "diverged")
class NaN(Spreads):
    """Not finite from the fourth step on."""

    def loss(self, batch, draw, streams):
        found = super().loss(batch, draw, streams)
        return Loss(found.total * (float("nan") if self.done == 3 else 1.0), {})


@hookimpl
def astrojepa_objectives():
    return OFFERED
