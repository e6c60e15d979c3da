"""Suites enter through the plugins' door, as data, and are refused there if they are none."""

import pytest

from astrojepa_bench.errors import ConfigError, PluginError
from astrojepa_bench.registry import load_registry

PLUGIN = """
from astrojepa_bench.plugin import Block, Data, Suite, hookimpl

@hookimpl
def astrojepa_suites():
    return {body}
"""


def board(more):
    """Spell a suite on galaxies of its own."""
    data = "" if "data=" in more else "data={'a': Data(title='A', dataset='d')}, "
    return "{'mine': Suite(summary='s', blocks=[Block(objectives=['a'])], " + f"{data}{more})}}"


GOOD = "{'mine': Suite(summary='Does it matter?', blocks=[Block(objectives=['a'], maskers=['b', 'c'])])}"


@pytest.fixture
def offered(tmp_path):
    """Load a plugin whose suites are the given expression."""

    def load(body, name="suites_of_mine", more=()):
        path = tmp_path / f"{name}.py"
        path.write_text(PLUGIN.format(body=body))
        return load_registry([path, *more]), path

    return load


def test_a_suite_is_found_by_name_with_its_owner(offered):
    """What a plugin offers is what is asked for; its lists are read as tuples and nothing is looked up yet."""
    offer = offered(GOOD)[0].suite("mine")

    assert (offer.plugin, offer.package) == ("suites_of_mine", "file suites_of_mine.py")
    (block,) = offer.suite.blocks
    assert (block.objectives, block.maskers, block.encoders) == (("a",), ("b", "c"), ())


def test_unknown_suite_is_answered_with_the_nearest(offered):
    """A slip of the finger is one line with a question."""
    with pytest.raises(ConfigError, match="unknown suite 'mien'; did you mean 'mine'"):
        offered(GOOD)[0].suite("mien")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("['mine']", "expected a mapping, name to Suite"),
        ("{'mine': {'objectives': ['a']}}", "'mine' as dict; expected astrojepa_bench.plugin.Suite"),
        ("{'my suite': " + GOOD[9:], "the name 'my suite'"),
        ("{'mine': Suite(summary='s', blocks=[])}", "blocks"),
        ("{'mine': Suite(summary='s', blocks=[Block(objectives='a')])}", "objectives"),
        ("{'mine': Suite(summary='s', blocks=[Block(objectives=['a'], masks=['b'])])}", "masks"),
        ("{'mine': Suite(summary='s', grids={'all': []})}", "grids"),
        ("{'mine': Suite(summary='s', blocks=[Block(objectives=['a'])], products=['maps'])}", "products"),
        (board("seeds=[1], products=['map']"), "products are of a suite that runs on whatever is asked for"),
        ("{'mine': Suite(summary='s', blocks=[Block(objectives=['a'])], seeds=[1])}", "belong to data"),
        (board("seeds=[]"), "data without seeds"),
        (board("seeds=[1, 2], tuning_seeds=[2]"), "used for tuning and for the board"),
        (board("seeds=[1], margins={'b': .1}"), "margin names data that are not there"),
        (board("seeds=[1], margins={'a': 2.0}"), "margins"),
        (board("seeds=[1], families=['maskers']"), "families holds others than lift, masker"),
        (board("seeds=[1], data={'a': Data(title='A', dataset='d', grid='z')}"), "a grid that is not there"),
        (board("seeds=[1], grids={'z': [Block(objectives=['a'])]}"), "name blocks, or grids, and not both"),
    ],
)
def test_what_is_no_suite_is_refused_by_name(offered, body, said):
    """A wrong type, an empty grid, a bare string and an unknown field each name what is wrong, in one line."""
    with pytest.raises(PluginError) as caught:
        offered(body)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_suites_of_one_name_are_refused(offered):
    """Which of the two was meant cannot be known."""
    _, other = offered(GOOD, "others")
    with pytest.raises(PluginError, match=r"two plugins offer suite 'mine': others .* and suites_of_mine"):
        load_registry([other, offered(GOOD)[1]])


def test_grids_have_names_and_the_first_one_needs_none(offered):
    """One grid for each kind of galaxies; blocks alone are the only grid of a simple suite."""
    grids = "grids={'all': [Block(objectives=['a'])], 'few': [Block(objectives=['b'])]}"
    suite = offered("{'mine': Suite(summary='s', " + grids + ")}")[0].suite("mine").suite

    assert suite.grid() == suite.grid("all") == suite.all_blocks[:1]
    assert suite.grid("few") == suite.all_blocks[1:]
    simple = offered(GOOD, "simple")[0].suite("mine").suite
    assert simple.grid() == simple.all_blocks == simple.blocks
