"""Options are what a signature says, and nothing that does not fit it gets through."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from astrojepa_bench.errors import ConfigError, PluginError
from astrojepa_bench.options import (
    check_all_used,
    jsonable,
    parse_settings,
    resolve,
    settings_for,
)
from astrojepa_bench.signatures import option_schema
from tests.option_pieces import Ring, offer


class Table:
    """Galaxies of a file."""

    def __init__(self, *, path: Path, size: int = 64) -> None:
        """Keep nothing."""


def given(**options):
    return resolve(offer(Ring), options)


def test_keyword_only_parameters_are_the_options():
    """What stands before the star is the bench's business and no option."""
    names = [option.name for option in option_schema(Ring)]

    assert names[:2] == ["radius", "inner"]
    assert "grid" not in names


def test_docstring_lines_become_option_docs():
    """Continuation lines are joined, and names that share a line share its text."""
    docs = {option.name: option.doc for option in option_schema(Ring)}

    assert docs["radius"] == "of the ring [pixel], from its centre."
    assert docs["inner"] == docs["outer"] == "edges [pixel]."
    assert docs["mode"] == ""


def test_constructor_docstring_documents_options_too():
    """Some authors describe the options where they are taken."""

    class Late:
        """A piece."""

        def __init__(self, *, tau: float = 1.0):
            """Return how closely.

            Args:
                tau: temperature (small follows the light).

            Raises:
                ConfigError: no.
            """

    assert option_schema(Late)[0].doc == "temperature (small follows the light)."


def test_a_single_option_whose_words_begin_on_the_next_line_keeps_them():
    """The margin of a section is that of its first line, not of the lines that continue it."""

    class Lone:
        """Hide a ring.

        Args:
            temperature:
                small follows the light.
        """

        def __init__(self, *, temperature: float = 1.0) -> None: ...

    assert option_schema(Lone)[0].doc == "small follows the light."


def test_types_are_shown_as_written():
    """Module prefixes are left out of the types a user reads."""
    shown = {option.name: option.type for option in option_schema(Ring)}

    assert shown["radius"] == "float"
    assert shown["outer"] == "int | None"
    assert shown["span"] == "tuple[float, float]"
    assert shown["bands"] == "Sequence[str]"
    assert shown["mode"] == "Literal['hard', 'soft']"
    assert shown["weights"] == "Path | None"


def test_dataclass_fields_are_options():
    """A dataset may be a keyword-only dataclass."""

    @dataclass(frozen=True, kw_only=True)
    class Survey:
        """A survey.

        Attributes:
            galaxies: how many.
        """

        galaxies: int = 8000

    assert resolve(offer(Survey), {"galaxies": "12"}) == {"galaxies": 12}
    assert option_schema(Survey)[0].doc == "how many."


def test_defaults_are_filled_in():
    """The record stores options resolved, defaults included."""
    resolved = given(radius="2")

    assert resolved["radius"] == 2.0
    assert resolved["span"] == (0.15, 0.2)
    assert set(resolved) == {option.name for option in option_schema(Ring)}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("radius", "3", 3.0),
        ("radius", "1e3", 1000.0),
        ("radius", "inf", float("inf")),
        ("inner", "none", None),
        ("inner", "4", 4),
        ("outer", "None", None),
        ("span", "0.1,0.3", (0.1, 0.3)),
        ("span", "[0.1, 0.3]", (0.1, 0.3)),
        ("span", "(0.1, 0.3)", (0.1, 0.3)),
        ("bands", "z,r,g", ["z", "r", "g"]),
        ("bands", '["z", "r"]', ["z", "r"]),
        ("bands", "z", ["z"]),
        ("mode", "soft", "soft"),
        ("mirror", "true", True),
        ("mirror", "False", False),
        ("mirror", "yes", True),
        ("mirror", "0", False),
        ("weights", "a b/c.pt", Path("a b/c.pt")),
        ("weights", "none", None),
        ("label", "12", "12"),
        ("label", "1,2", "1,2"),
        ("label", "true", "true"),
        ("depth", "auto", "auto"),
        ("depth", "6", 6),
    ],
)
def test_command_line_texts_are_read_by_type(name, text, value):
    """The same text means a number, a word or a tuple, as the annotation says."""
    found = given(**{name: text})[name]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("name", "value"), [("span", [0.1, 0.3]), ("radius", 3), ("weights", "x.pt")])
def test_values_from_a_config_file_are_converted(name, value):
    """TOML knows lists and whole numbers only; they become tuples and floats."""
    assert isinstance(given(**{name: value})[name], tuple | float | Path)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("radius", "banana", "float"),
        ("radius", "nan", "float"),
        ("inner", "0.5", "int | None"),
        ("inner", "true", "int | None"),
        ("inner", True, "int | None"),
        ("span", "0.1", "tuple[float, float]"),
        ("span", "0.1,0.2,0.3", "tuple[float, float]"),
        ("mode", "sof", "'hard', 'soft'"),
        ("mirror", "maybe", "bool"),
    ],
)
def test_wrong_types_are_refused_with_the_expected_one(name, value, expected):
    """The message shows what was found, what was expected, and which setting to correct."""
    with pytest.raises(ConfigError) as refused:
        given(**{name: value})

    assert repr(value) in str(refused.value)
    assert expected in str(refused.value)
    assert f"masker.{name}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unknown_option_names_owner_and_nearest():
    """A slip of the finger is answered with the word that was meant and whose it is."""
    with pytest.raises(
        ConfigError,
        match=r"masker 'ring' \(plugin astrojepa_ring\) has no option 'raduis'; did you mean 'radius'",
    ):
        given(raduis=1)


def test_missing_required_option_says_how_to_give_it():
    """A file that is needed is asked for in the words of the command line."""
    with pytest.raises(ConfigError, match=r"needs the option 'path'; add --set dataset\.path=FILE"):
        resolve(offer(Table, "dataset", "table"), {})


def test_annotation_that_cannot_be_resolved_blames_the_plugin():
    """A type that exists for the type checker only cannot be checked, and that is the author's to mend."""

    class Odd:
        """A piece."""

        def __init__(self, *, size: "Nowhere" = 1) -> None:
            """Keep nothing."""

    assert option_schema(Odd)[0].type == "Nowhere"
    with pytest.raises(PluginError, match=r"astrojepa_ring.*'size'"):
        resolve(offer(Odd), {"size": "2"})


def test_settings_are_split_by_kind_piece_and_option():
    """Names of pieces may hold dots and colons; option names never do."""
    assert parse_settings(["masker.tau=0.5", "masker:ring.tau=a=b", "encoder:timm:vit.in1k.width=192"]) == {
        "masker": {"tau": "0.5"},
        "masker:ring": {"tau": "a=b"},
        "encoder:timm:vit.in1k": {"width": "192"},
    }


def test_a_value_may_hold_dots_and_equals_signs():
    """The option ends at the first sign; a path below it is nobody's name."""
    assert parse_settings(["dataset:hdf5.path=a/x.y=z.h5", "dataset.path=x.y=z.h5"]) == {
        "dataset:hdf5": {"path": "a/x.y=z.h5"},
        "dataset": {"path": "x.y=z.h5"},
    }


@pytest.mark.parametrize("text", ["masker", "masker.tau", "tau=1", "=1", "masker.=1", "", "maskr.tau=1"])
def test_malformed_settings_are_refused(text):
    """Anything but KIND.OPTION=VALUE with one of the five kinds is an error, never a guess."""
    with pytest.raises(ConfigError):
        parse_settings([text])


def test_plain_setting_applies_to_those_that_have_it():
    """In a grid of several pieces a shared setting reaches the ones that know it."""
    settings = parse_settings(["masker.radius=2"])
    other = offer(Table, "masker", "table")

    assert settings_for(settings, offer(Ring)) == {"radius": "2"}
    assert settings_for(settings, other) == {}
    check_all_used(settings, [offer(Ring), other])


def test_named_setting_wins_over_plain_one():
    """The more specific address decides."""
    settings = parse_settings(["masker:ring.radius=3", "masker.radius=2"])

    assert settings_for(settings, offer(Ring)) == {"radius": "3"}
    assert settings_for(settings, offer(Ring, name="other")) == {"radius": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("masker.raduis=2", r"none of the selected maskers \(ring, table\) has an option 'raduis'.*'radius'"),
        ("masker:ring.size=2", r"masker 'ring' \(plugin astrojepa_ring\) has no option 'size'"),
        ("masker:rng.size=2", "reaches no selected masker; did you mean 'ring'"),
        ("encoder.size=2", "reaches no selected encoder"),
    ],
)
def test_setting_that_reaches_nobody_is_refused(text, message):
    """A setting without effect would let a user believe in one."""
    with pytest.raises(ConfigError, match=message):
        check_all_used(parse_settings([text]), [offer(Ring), offer(Table, "masker", "table")])


def test_records_hold_base_names_of_paths():
    """Where a file lies on somebody's disk is nobody's business; what JSON cannot write becomes text."""
    options = {"path": Path("/somewhere/galaxies.h5"), "span": (1, 2.5), "limit": float("inf"), "off": None}

    assert jsonable(options) == {"path": "galaxies.h5", "span": [1, 2.5], "limit": "inf", "off": None}


def test_recorded_options_resolve_to_themselves():
    """A record's options, given again, make the same piece."""
    resolved = given(span="0.3,0.4", radius="inf", mode="soft", depth="3", bands="z,r")

    assert jsonable(given(**jsonable(resolved))) == jsonable(resolved)
