"""`list` shows what is on offer, to people and to scripts."""

import json
from types import SimpleNamespace

import pytest

from astrojepa_bench import registry
from astrojepa_bench.cli import catalogue
from astrojepa_bench.cli.pages import source_of


class BrokenPoint:
    """An entry point whose module cannot be imported."""

    value = name = "broken"
    dist = SimpleNamespace(name="pack", version="1")

    @staticmethod
    def load():
        raise OSError("no disk")


@pytest.fixture
def broken(ring, monkeypatch):
    """Let a plugin be installed that cannot be imported."""
    monkeypatch.setattr(registry, "entry_points", lambda group: [BrokenPoint])


def test_lines_name_kind_name_plugin_summary_and_options(command):
    """In a pipe each piece is one line."""
    code, out, err = command("list")

    assert code == 0
    assert out.splitlines() == [
        "dataset  survey  ringmasks  Galaxies of a file.  path=<Path> bands=('r',)",
        "masker   ring    ringmasks  Hide a ring.         radius=8.0",
    ]
    assert err == ""


def test_json_holds_kind_name_plugin_summary_and_options(command):
    """Scripts rely on these keys."""
    _, out, _ = command("list", "--json")
    doc = "of the ring [pixel]."

    assert json.loads(out)[1] == {
        "kind": "masker",
        "name": "ring",
        "plugin": "ringmasks",
        "summary": "Hide a ring.",
        "source": "",
        "expected": "",
        "options": [{"name": "radius", "type": "float", "default": 8.0, "required": False, "doc": doc}],
    }


def test_kind_in_singular_or_plural_narrows_the_list(command):
    """Both are what people type."""
    assert command("list", "maskers")[1] == command("list", "masker")[1]
    assert "survey" not in command("list", "masker")[1]


def test_unknown_kind_is_a_wrong_request(command):
    """There are five kinds of pieces, and suites."""
    code, out, err = command("list", "maskrs")

    assert (code, out) == (2, "")
    assert "did you mean 'masker'" in err


def test_failures_are_shown_beside_the_list(command, broken):
    """A plugin that is missing from the list is explained, and stdout stays JSON."""
    code, out, err = command("list", "--json")

    assert code == 0
    assert len(json.loads(out)) == 2
    assert err == "failed to load: broken (pack 1): OSError: no disk\n"


def test_strict_plugins_stop_at_a_broken_one(command, broken):
    """What `list` would mention in passing ends the command."""
    code, out, err = command("list", "--strict-plugins")

    assert (code, out) == (2, "")
    assert "plugin broken (pack 1): OSError: no disk" in err


def test_terminal_gets_a_table_with_the_same_words(command, monkeypatch):
    """Whatever is drawn around them, the facts are the same."""
    monkeypatch.setattr(catalogue, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")

    _, out, _ = command("list")

    for word in ("survey", "ring", "ringmasks", "Hide a ring.", "radius=8.0", "path=<Path>"):
        assert word in out


CITED = '''
"""Halves.

Source: The Module 1999, figure 2.
"""
from astrojepa_bench.plugin import Block, Suite, hookimpl

class Half:
    """Hide half.

    Source: Galle et al. 1846 (arXiv 0001.00001), section 2 and appendix A. Deviations: none.
    """

class Third:
    """Hide a third."""

class Quarter(Half):
    """Hide a quarter.

    Source:
        Le Verrier 1846, who calculated
        it first.
    """

@hookimpl
def astrojepa_maskers():
    return {"half": Half, "third": Third, "quarter": Quarter}

@hookimpl
def astrojepa_suites():
    return {"halves": Suite(summary="How much?", blocks=[Block(objectives=["a"], maskers=["half", "whole"])])}
'''


@pytest.fixture
def cited(ring, tmp_path):
    """Return the path of a plugin that cites its sources and offers a suite."""
    path = tmp_path / "cited.py"
    path.write_text(CITED)
    return path


def test_each_piece_is_listed_with_its_source(command, cited):
    """The first sentence of the nearest `Source:`: that of the class, or else of its module."""
    out = command("list", "maskers", plugin=cited)[1]

    assert out.splitlines() == [
        "masker  half     cited  Hide half.       "
        "Source: Galle et al. 1846 (arXiv 0001.00001), section 2 and appendix A.",
        "masker  quarter  cited  Hide a quarter.  Source: Le Verrier 1846, who calculated it first.",
        "masker  third    cited  Hide a third.    Source: The Module 1999, figure 2.",
    ]


def test_suites_are_listed_beside_the_pieces(command, cited):
    """A suite is asked for by name like a piece, so it stands in the same list, and alone on request."""
    line = "suite   halves   cited  How much?"

    assert command("list", plugin=cited)[1].splitlines()[-1] == line
    assert command("list", "suites", plugin=cited)[1].split() == line.split()
    (facts,) = json.loads(command("list", "suites", "--json", plugin=cited)[1])
    assert {"kind", "name", "plugin", "summary", "options"} <= set(facts)
    assert facts["blocks"][0]["maskers"] == ["half", "whole"]


def test_every_installed_contestant_cites_a_source_or_says_that_it_has_none():
    """`list` explains each objective and masker with its paper; the floor and a foreign encoder have none."""
    offers = [offer for kind in ("objective", "masker") for offer in registry.load_registry().offers(kind)]

    assert {offer.name for offer in offers if not source_of(offer.factory)} <= {"frozen", "untrained"}
