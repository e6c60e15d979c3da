"""The catalogue that is kept between commands: recalled as it was, and never where anything has changed."""

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from astrojepa_bench.cli import names, remembered
from astrojepa_bench.cli.listed import OfferCatalogue
from astrojepa_bench.cli.remembered import Memory
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.seals import seal_of

FAMILY = '''
from astrojepa_bench.plugin import Block, Suite, hookimpl

class Rings:
    """Any ring.

    Args:
        share: hidden.
    """
    def __init__(self, grid, *, share: float = float("inf"), bands: tuple = ("g", 1), names: object = print):
        """Keep nothing."""

    @classmethod
    def member(cls, name):
        return cls

@hookimpl
def astrojepa_maskers():
    return {"rings:<name>": Rings, "rings": Rings}

@hookimpl
def astrojepa_suites():
    blocks = [Block(objectives=["a"], maskers=["rings"], options={"masker": {"share": 0.5, "bands": (1, 2)}})]
    return {"s": Suite(summary="What\\ud800?", blocks=blocks)}
'''


def _sealed(content):
    return content + seal_of(content)


@pytest.fixture
def plugin(ring, tmp_path, monkeypatch):
    """Return a plugin that was written long ago, while caches lie in a folder of their own."""
    monkeypatch.setattr(remembered, "default_cache", lambda: tmp_path / "cache")
    for name, module in [*sys.modules.items()]:  # plugins of earlier tests, whose files went with them
        if not Path(getattr(module, "__dict__", {}).get("__file__") or __file__).exists():
            monkeypatch.delitem(sys.modules, name)
    path = tmp_path / "plugins" / "family.py"
    path.parent.mkdir()
    path.write_text(FAMILY)
    os.utime(path, (1e9, 1e9))
    return path


@pytest.fixture
def kept(plugin):
    """Return the memory of a catalogue that was just kept, and the catalogue."""
    return keep(plugin)


def keep(*plugins):
    """Read plugins and keep what they offer, as a command does."""
    memory = Memory.of(plugins)
    catalogue = OfferCatalogue.of(load_registry(plugins))
    memory.keep(catalogue)
    return memory, catalogue


def test_a_catalogue_is_recalled_as_it_was(plugin, kept):
    """To the letter, whatever odd defaults and texts a plugin has; another command finds it."""
    memory, catalogue = kept

    assert memory.path.is_file()
    assert Memory.of([plugin]).recall() == catalogue
    assert [option.text for option in catalogue.components[0].options[:2]] == ["share=inf", "bands=('g', 1)"]
    assert "masker.bands=(1, 2)" in catalogue.suites[0].entries[0]


def test_names_are_known_without_the_plugin(kept):
    """What nobody offers is refused; what may be a member of a family is left to the plugin."""
    catalogue = kept[0].recall()

    assert catalogue.get("masker", "rings") is None
    assert catalogue.get("masker", "rings:f.1") is None
    assert catalogue.suite("s").not_installed == ("objective a",)
    with pytest.raises(ConfigError, match="unknown objective 'a'; Known: none"):
        catalogue.get("objective", "a")
    with pytest.raises(ConfigError, match="unknown kind 'maskr'; did you mean 'masker'"):
        catalogue.offers("maskr")


def edited(plugin):
    """Change one letter, and neither the size nor the time of writing."""
    plugin.write_text(FAMILY.replace("Any ring", "Any rung"))
    os.utime(plugin, (1e9, 1e9))


def joined(plugin):
    """Put a module beside it, that it may import next time."""
    plugin.with_name("helper.py").write_text("")


@pytest.mark.parametrize("change", [edited, joined, os.unlink])
def test_a_change_of_the_files_is_seen_at_once(plugin, kept, change):
    """An author who saves a file must not be shown what it was."""
    assert kept[0].recall() is not None

    change(plugin)

    assert Memory.of([plugin]).recall() is None


def test_other_surroundings_have_another_catalogue(plugin, kept, monkeypatch):
    """A package that was upgraded, another environment, another folder on Python's path, one more plugin."""
    more = SimpleNamespace(plugin="more", package="pack 1")
    changes = {"_packages": ["torch-9.9.dist-info"], "installed_sources": [more]}
    for name, value in changes.items():
        with monkeypatch.context() as changed:
            changed.setattr(remembered, name, lambda value=value: value)
            assert Memory.of([plugin]).recall() is None
    assert Memory.of([plugin, plugin]).recall() is None
    assert Memory.of([plugin]).recall() == kept[1]

    monkeypatch.syspath_prepend(str(plugin.parent))
    assert Memory.of([plugin]).recall() is None


def test_a_package_that_was_installed_anew_is_read_anew(plugin, tmp_path, monkeypatch):
    """From another checkout, say: its version is the same, and what was kept lies untouched in the first."""
    (tmp_path / "pack-1.dist-info").mkdir()
    os.utime(tmp_path / "pack-1.dist-info", (1e9, 1e9))
    monkeypatch.syspath_prepend(str(tmp_path))
    _, catalogue = keep(plugin)
    assert Memory.of([plugin]).recall() == catalogue

    os.utime(tmp_path / "pack-1.dist-info")
    assert Memory.of([plugin]).recall() is None


def truncated(content):
    """Lose the end."""
    return content[:-99]


def flipped(content):
    """Flip one bit of one letter."""
    place = content.index(b"Any ring")
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def foreign(content):
    """Write something else there, well-formed and sealed."""
    return _sealed(b'{"format": 1, "files": {}, "folders": {}, "catalogue": {"plugins": []}, "run": "me"}')


def test_what_is_damaged_is_read_anew_and_mended(plugin, kept):
    """In silence: the plugins know better, and the next command keeps a sound one."""
    memory, catalogue = kept
    sound = memory.path.read_bytes()
    for damage in (truncated, flipped, foreign, lambda _: b"", lambda _: _sealed(b"\x80\x04N.")):
        memory.path.write_bytes(damage(sound))
        assert memory.recall() is None

    assert keep(plugin)[0].recall() == catalogue


def test_a_folder_that_cannot_be_written_harms_nothing(plugin, tmp_path):
    """A cache is a convenience."""
    (tmp_path / "cache").write_text("a file, where a folder should be")

    memory, _ = keep(plugin)

    assert memory.recall() is None


def test_what_cannot_be_relied_on_is_not_kept(plugin, tmp_path, monkeypatch):
    """A plugin that failed may work next time; one written this moment may be written again in the same tick."""
    os.utime(plugin)
    assert not keep(plugin)[0].path.exists()

    os.utime(plugin, (1e9, 1e9))
    failing = type(
        "Point", (), {"value": "none_such", "name": "n", "dist": None, "load": staticmethod(lambda: 1 / 0)}
    )
    monkeypatch.setattr("astrojepa_bench.registry.entry_points", lambda group: [failing])
    memory, catalogue = keep(plugin)
    assert catalogue.failures
    assert not memory.path.exists()


def test_few_catalogues_are_kept(plugin, monkeypatch):
    """Each pair of environment and plugins has one; what nobody asked for lately goes."""
    monkeypatch.setattr(remembered, "KEPT", 2)
    monkeypatch.setattr(remembered, "installed_sources", lambda: [])
    folder = Memory.of([plugin]).path.parent
    folder.mkdir(parents=True)
    for age in (1, 2, 3):
        (folder / f"{age}.json").touch()
        os.utime(folder / f"{age}.json", (time.time() - age,) * 2)

    memory, _ = keep(plugin)

    assert {path.name for path in folder.iterdir()} == {memory.path.name, "1.json"}


def test_only_a_command_in_a_process_of_its_own_recalls(command, plugin, monkeypatch):
    """A notebook may hold modules that were edited since; and who says --strict-plugins wants all of them read."""
    monkeypatch.setattr(names, "Memory", None)  # whoever asks it fails

    assert command("list", plugin=plugin)[0] == 0
    assert command("list", "--strict-plugins", plugin=plugin)[0] == 0
