"""Plugins that listen: whom they hear, and what becomes of those that raise."""

import sys
from pathlib import Path

import pytest

from astrojepa_bench.errors import ConfigError, PluginError
from astrojepa_bench.events import Event, emit, listening
from astrojepa_bench.registry import load_registry
from tests.registry.conftest import HEAD

OBSERVER = HEAD + "heard = []\n\n@hookimpl\ndef astrojepa_observe(event):\n    heard.append(event.name)\n"


def test_observers_hear_events(alone):
    """A plugin may listen without offering anything."""
    alone.install("ears", OBSERVER)
    registry = load_registry()

    with listening(registry.observe):
        emit("step", step=1, steps=2)

    assert registry.failures == []
    assert sys.modules["ears"].heard == ["step"]


ASKED = (
    HEAD
    + """heard = []

class Ears:
    def __init__(self, out):
        self.out = out

    def __call__(self, event):
        heard.append((self.out.name, event.name))

@hookimpl
def astrojepa_observers():
    return {"ears": Ears}
"""
)


def test_observers_that_are_asked_for_hear_from_then_on(alone):
    """Made with the output folder, once somebody names it; a misspelt name is no observer."""
    alone.install("listeners", ASKED)
    registry = load_registry()
    with listening(registry.observe):
        emit("step")
        registry.attend("ears", Path("board"))
        emit("step")

    assert sys.modules["listeners"].heard == [("board", "step")]
    with pytest.raises(ConfigError, match="unknown observer 'eras'; did you mean 'ears'"):
        registry.attend("eras", Path("board"))


def test_observers_that_cannot_be_made_stop_the_command(alone):
    """What it needs is told in its own words; whatever else it raises, with its name."""
    missing = "from astrojepa_bench.errors import ConfigError\n"
    alone.install(
        "needy", ASKED.replace("self.out = out", missing + "        raise ConfigError('pip install it')")
    )
    alone.install("broken", ASKED.replace("self.out = out", "1 / 0").replace('"ears"', '"nose"'))
    registry = load_registry()

    with pytest.raises(ConfigError, match="pip install it"):
        registry.attend("ears", Path("board"))
    with pytest.raises(
        PluginError, match=r"observer 'nose' \(plugin broken\) cannot be made: ZeroDivisionError"
    ):
        registry.attend("nose", Path("board"))


def test_raising_observer_is_muted_and_the_others_are_told(alone):
    """Somebody's broken logger must not end a run of hours."""
    alone.install("ears", OBSERVER)
    alone.install("deaf", OBSERVER.replace("heard.append(event.name)", "raise OSError('disk full')"))
    registry = load_registry()
    notes = []

    with listening(registry.observe), listening(notes.append):
        emit("step")
        emit("step")

    assert sys.modules["ears"].heard.count("step") == 2
    assert [note.fields["text"] for note in notes if note.name == "note"] == [
        "plugin deaf failed while listening and is muted: OSError: disk full"
    ]
    assert notes[-1] == Event("step")


def test_observer_that_exits_is_muted_too(alone):
    """Its exit would end the command with status 0 and half of the cells."""
    alone.install("leaver", OBSERVER.replace("heard.append(event.name)", "raise SystemExit(0)"))
    registry, notes = load_registry(), []

    with listening(registry.observe), listening(notes.append):
        emit("step")

    assert "plugin leaver failed while listening and is muted: SystemExit: 0" in str(notes)
