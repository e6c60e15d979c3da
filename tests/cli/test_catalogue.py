"""`list` shows what is on offer, to people and to scripts."""

import json

import pytest

from astrojepa_bench import registry
from astrojepa_bench.cli import catalogue


class BrokenPoint:
    """An entry point whose module cannot be imported."""

    value = name = "broken"
    dist = None

    @staticmethod
    def load():
        raise OSError("no disk")


@pytest.fixture
def broken(ring, monkeypatch):
    """Let a plugin be installed that cannot be imported."""
    monkeypatch.setattr(
        registry, "_from_entry_point", lambda point: registry._Source("broken", "pack", "1", point.load)
    )
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
    """Scripts rely on these five keys."""
    _, out, _ = command("list", "--json")
    doc = "of the ring [pixel]."

    assert json.loads(out)[1] == {
        "kind": "masker",
        "name": "ring",
        "plugin": "ringmasks",
        "summary": "Hide a ring.",
        "options": [{"name": "radius", "type": "float", "default": 8.0, "required": False, "doc": doc}],
    }


def test_kind_in_singular_or_plural_narrows_the_list(command):
    """Both are what people type."""
    assert command("list", "maskers")[1] == command("list", "masker")[1]
    assert "survey" not in command("list", "masker")[1]


def test_unknown_kind_is_a_wrong_request(command):
    """There are five kinds."""
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
