"""Options of heirs and presets are those of their base, and an offer knows the class that it makes."""

from functools import partial, wraps
from typing import Literal

import pytest

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.options import Offer, resolve
from astrojepa_bench.roles import Objective
from astrojepa_bench.signatures import option_schema, summary_of
from tests.option_pieces import Ring, offer


def test_inherited_options_keep_their_docs():
    """A subclass without a constructor of its own has its parent's options."""

    class Wide(Ring):
        """Hide a wide ring."""

    assert option_schema(Wide)[0] == option_schema(Ring)[0]
    assert summary_of(Wide) == "Hide a wide ring."


def test_partial_presets_show_their_own_defaults():
    """A preset is a partial application; what it fixes is its default, and its summary is the class's."""
    small = partial(Ring, radius=2.0)

    assert option_schema(small)[0].default == 2.0
    assert summary_of(small) == "Hide a ring."
    assert resolve(offer(small), {"radius": "3"})["radius"] == 3.0


class Wide(Ring):
    """Hide a wide ring.

    Args:
        colour: of the ring.
        inner: edge [arcsec].
    """

    def __init__(
        self, grid: object, *, colour: "Colour" = "red", inner: int | None = 2, **options: object
    ) -> None:
        """Keep nothing."""
        super().__init__(grid, inner=inner, **options)


class Widest(Wide):
    """Hide a very wide ring, softly."""

    fixed_options = ("mode",)

    def __init__(self, grid: object, *, radius: float = 64.0, **options: object) -> None:
        """Keep nothing."""
        super().__init__(grid, radius=radius, mode="soft", **options)


Colour = Literal["red", "blue"]


def test_constructor_that_passes_options_on_has_those_of_its_base():
    """New options come first, then the base's in its order; what is declared anew has its own default and words."""
    options = {option.name: option for option in option_schema(Wide)}
    base = {option.name: option for option in option_schema(Ring)}

    assert list(options) == ["colour", *base]
    assert options["radius"] == base["radius"]
    assert (options["inner"].default, options["inner"].doc) == (2, "edge [arcsec].")
    assert options["outer"].doc == "edges [pixel]."


def test_options_are_inherited_over_several_levels():
    """A preset of a preset still knows everything, but for what it fixes."""
    options = {option.name: option for option in option_schema(Widest)}

    assert set(options) == {option.name for option in option_schema(Wide)} - {"mode"}
    assert (options["radius"].default, options["inner"].default) == (64.0, 2)
    assert resolve(offer(Widest), {"colour": "blue", "span": "0.1,0.3"})["span"] == (0.1, 0.3)
    with pytest.raises(ConfigError, match="has no option 'mode'"):
        resolve(offer(Widest), {"mode": "hard"})


def test_partial_presets_inherited_options():
    """What a preset fixes is found wherever it was declared."""
    preset = partial(Widest, depth=3, colour="blue")
    options = {option.name: option.default for option in option_schema(preset)}

    assert (options["depth"], options["colour"], options["radius"]) == (3, "blue", 64.0)
    assert resolve(offer(preset), {"depth": "auto"})["depth"] == "auto"


def test_constructor_that_passes_nothing_on_has_its_own_options_only():
    """Without `**options` a constructor decides alone what may be set."""

    class Narrow(Ring):
        """Hide a narrow ring."""

        def __init__(self, grid: object, *, radius: float = 1.0) -> None:
            """Keep nothing."""
            super().__init__(grid, radius=radius)

    assert [option.name for option in option_schema(Narrow)] == ["radius"]


def test_inherited_annotations_are_read_where_they_were_written(tmp_path):
    """A base in another module may use types that its heirs' module does not know."""
    base, heir = {"__name__": "base"}, {"__name__": "heir"}
    exec("from typing import Literal as L\nclass B:\n def __init__(self, *, m: 'L[1, 2]' = 1): ...", base)
    heir["B"] = base["B"]
    exec("class H(B):\n def __init__(self, *, n: int = 0, **options): super().__init__(**options)", heir)

    assert resolve(offer(heir["H"]), {"m": "2"}) == {"n": 0, "m": 2}
    with pytest.raises(ConfigError, match=r"expected Literal\[1, 2\]"):
        resolve(offer(heir["H"]), {"m": "3"})


def make_ring(grid, *, radius: float = 8.0) -> Ring:
    """Make a ring."""
    return Ring(grid, radius=radius)


def make_anything(grid, *, radius: float = 8.0):
    """Make who knows what."""


@pytest.mark.parametrize(
    ("factory", "made"),
    [
        (Ring, Ring),
        (partial(Ring, radius=2.0), Ring),
        (partial(partial(Ring, radius=2.0), inner=1), Ring),
        (wraps(Ring)(lambda *given, **options: Ring(*given, **options)), Ring),
        (wraps(partial(Ring, radius=2.0))(lambda *given, **options: None), Ring),
        (make_ring, Ring),
        (partial(make_ring, radius=1.0), Ring),
        (make_anything, None),
        (print, None),
    ],
)
def test_offer_knows_the_class_that_it_makes(factory, made):
    """Presets and decorators hide nothing; a plain function says it by its return annotation."""
    assert offer_without_options(factory).cls is made


def offer_without_options(factory, kind="masker"):
    return Offer(kind, "ring", factory, "astrojepa_ring", "someone", "0.3", "", ())


def test_offer_declares_what_its_class_or_else_its_role_declares():
    """Facts are read off classes before anything is built."""

    class Teacher(Objective):
        """Knows the labels."""

        standing = "ceiling"

    offered = offer_without_options(partial(Teacher), "objective")

    assert (offered.declares("standing"), offered.declares("masks")) == ("ceiling", "required")
    assert offer_without_options(make_anything, "objective").declares("standing") == "contestant"
    assert offer_without_options(make_ring, "masker").declares("hides") is True
    with pytest.raises(AttributeError):
        offered.declares("hides")


def test_offer_shows_the_docstring_of_what_it_makes():
    """The page of a preset is that of its class."""
    assert offer_without_options(partial(Wide)).doc.startswith("Hide a wide ring.\n\nArgs:\n    colour")
    assert offer_without_options(make_ring).doc == "Make a ring."
    assert offer_without_options(lambda grid: None).doc == ""
