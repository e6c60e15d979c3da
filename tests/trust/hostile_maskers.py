"""Maskers that break their word; each must end as `failed` or as it says, in the name of this plugin."""

import sys

import torch

from astrojepa_bench.plugin import Masker, Masks, hookimpl

OFFERED, EXPECTED = {}, {}


def offered(name, draw, status="failed"):
    """Offer a masker that draws like this."""
    facts = {"draw": draw, "__doc__": f"Draws {name}.", "__module__": __name__, "version": 1}
    OFFERED[name], EXPECTED[name] = type(name, (Masker,), facts), status


def places(images, sizes, first=0):
    """Place the context first and the targets behind it."""
    count = sizes.context + sizes.targets * sizes.target
    order = (torch.arange(count, device=images.device) + first).expand(len(images), -1)
    targets = order[:, sizes.context :].reshape(len(images), sizes.targets, sizes.target)
    return Masks(order[:, : sizes.context], targets)


def throw(error):
    raise error


def overlapping(self, images, sizes, generator):
    found = places(images, sizes)
    return Masks(found.context, found.context[:, None, : sizes.target].clone())


def short(self, images, sizes, generator):
    found = places(images, sizes)
    return Masks(found.context[:, :2], found.targets)


offered("m-raises", lambda self, *given: throw(RuntimeError("out of paint")))
offered("m-exits", lambda self, *given: sys.exit(0))
offered("m-keyboard", lambda self, *given: throw(KeyboardInterrupt()), "interrupted")
offered("m-none", lambda self, *given: None)
offered("m-tuple", lambda self, images, sizes, generator: (1, 2))
offered("m-overlap", overlapping)
offered("m-short", short)
offered("m-outside", lambda self, images, sizes, generator: places(images, sizes, 1000))
offered("m-floats", lambda self, images, sizes, generator: Masks(places(images, sizes).context / 2, None))


class Unbuilt(Masker):
    """Cannot be built."""

    version = 1

    def __init__(self, grid):
        raise ValueError("no grid pleases me")

    def draw(self, images, sizes, generator):
        """Never called."""


OFFERED["m-unbuilt"], EXPECTED["m-unbuilt"] = Unbuilt, "failed"


@hookimpl
def astrojepa_maskers():
    return OFFERED
