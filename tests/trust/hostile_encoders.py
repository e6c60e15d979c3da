"""Encoders that break their word; each must end as `failed` or as it says, in the name of this plugin."""

import sys

from astrojepa_file_sound_pieces import Plain

from astrojepa_bench.plugin import Tokens, hookimpl

OFFERED, EXPECTED = {}, {}


def offered(name, status="failed"):
    """Offer a class under a name; it must end in this status."""

    def keep(cls):
        OFFERED[name], EXPECTED[name] = cls, status
        return cls

    return keep


@offered("x-forward")
class Forward(Plain):
    """Raises wherever it is called."""

    def forward(self, images, keep=None):
        raise ValueError("blind")


@offered("x-exits")
class Exits(Plain):
    """Leaves while it encodes for the scores."""

    def taps(self, images):
        sys.exit(0)


@offered("x-keyboard", "interrupted")
class Keyboard(Plain):
    """Interrupts."""

    def taps(self, images):
        raise KeyboardInterrupt


@offered("x-unbuilt")
class Unbuilt(Plain):
    """Cannot be built."""

    def __init__(self, spec):
        raise ValueError("not today")


@offered("x-grid")
class Grid(Plain):
    """Its grid is a list."""

    def __init__(self, spec):
        super().__init__(spec)
        self.grid = [4, 4]


@offered("x-dim")
class Dim(Plain):
    """Its width is text."""

    def __init__(self, spec):
        super().__init__(spec)
        self.dim = "wide"


@offered("x-no-last")
class NoLast(Plain):
    """Lacks the tap that all are scored by."""

    def taps(self, images):
        return {"first": self(images).values.mean(1)}


@offered("x-taps-none")
class TapsNone(Plain):
    """Has no taps."""

    def taps(self, images):
        return None


@offered("x-nan")
class NaN(Plain):
    """Its features are not finite."""

    def taps(self, images):
        return {"last": self(images).values.mean(1) * float("nan")}


@offered("x-fit")
class Fit(Plain):
    """Raises while its inputs are fitted."""

    def fit_inputs(self, images):
        raise ArithmeticError("singular")


@offered("x-readout")
class Readout(Plain):
    """Raises while its readout is fitted."""

    def fit_readout(self, images):
        raise ArithmeticError("singular")


@offered("x-tuple")
class Tuple(Plain):
    """Returns no tokens."""

    def forward(self, images, keep=None):
        found = super().forward(images, keep)
        return found.values, found.positions


@offered("x-ragged")
class Ragged(Plain):
    """More positions than tokens."""

    def forward(self, images, keep=None):
        found = super().forward(images, keep)
        return Tokens(found.values[:, 1:], found.positions)


@hookimpl
def astrojepa_encoders():
    return OFFERED
