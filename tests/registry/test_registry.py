"""Plugins are found, kept apart from one another, and known by name and owner."""

import sys

import pytest

from astrojepa_bench import registry as registry_module
from astrojepa_bench.errors import ConfigError, PluginError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.versions import chain_of
from tests.registry.conftest import HEAD, RING


def test_strangers_plugin_is_found_with_its_provenance(alone):
    """A package that only its metadata announces is offered under its own name and version."""
    alone.install("ringmasks", RING)

    offer = load_registry().get("masker", "ring")

    assert (offer.plugin, offer.distribution, offer.version_text) == ("ringmasks", "ringmasks", "0.3")
    assert offer.owner == "ringmasks (ringmasks 0.3)"
    assert offer.summary == "Hide a ring."
    assert [option.name for option in offer.options] == ["radius"]
    assert offer.factory(None, radius=3.0).radius == 3.0


def test_broken_import_spares_the_others(alone):
    """One plugin that raises at import is kept as a failure, and everybody else is still there."""
    alone.install("broken", "raise RuntimeError('no\\nluck')")
    alone.install("ringmasks", RING)

    registry = load_registry()

    assert registry.get("masker", "ring").plugin == "ringmasks"
    assert [str(failure) for failure in registry.failures] == ["broken (broken 0.3): RuntimeError: no luck"]


def test_exit_at_import_spares_the_others(alone):
    """A plugin that calls sys.exit does not end the program."""
    alone.install("leaver", "raise SystemExit(3)")

    assert load_registry().failures[0].plugin == "leaver"


def test_strict_loading_raises_at_the_first_failure(alone):
    """Continuous integration wants to know at once."""
    alone.install("broken", "import nothing_of_that_name")

    with pytest.raises(PluginError, match=r"plugin broken \(broken 0\.3\): ModuleNotFoundError"):
        load_registry(strict=True)


def test_equal_entry_point_names_both_count(alone):
    """Pluggy's own loader would drop the second of two equal names without a word."""
    alone.install("ringmasks", RING, entry="mine")
    alone.install("discs", RING.replace("ring", "disc"), entry="mine")

    assert [offer.name for offer in load_registry().offers("masker")] == ["disc", "ring"]


def test_two_offers_of_one_name_are_refused_naming_both_owners(alone):
    """No choice between two pieces of one name would be safe in a benchmark; all other names stay usable."""
    disc = RING.replace("Ring", "Disc").replace('"ring"', '"disc"')
    alone.install("discs", disc)
    alone.install("rings", RING)
    alone.install("rivals", RING, version="1.1")
    alone.install("thirds", RING)

    registry = load_registry()

    assert [offer.name for offer in registry.offers()] == ["disc"]
    assert [failure.plugin for failure in registry.failures] == ["rivals", "thirds"]
    with pytest.raises(PluginError) as refused:
        registry.get("masker", "ring")
    assert "masker 'ring'" in str(refused.value)
    for owner in ("rings (rings 0.3)", "rivals (rivals 1.1)", "thirds (thirds 0.3)"):
        assert owner in str(refused.value)
    assert "uninstall" in str(refused.value)
    with pytest.raises(PluginError, match="two plugins offer masker 'ring'"):
        load_registry(strict=True)


def test_two_families_of_one_name_are_refused_with_all_their_members(alone):
    """Whichever of them was meant, the member would be another encoder."""
    alone.install("rings", FAMILY)
    alone.install("rivals", FAMILY)

    with pytest.raises(PluginError, match="two plugins offer encoder 'ring:<name>'"):
        load_registry().get("encoder", "ring:saturn")


def test_one_name_may_serve_several_kinds(alone):
    """A masker and an objective of one name do not collide."""
    alone.install("ringmasks", RING)
    alone.install("ringloss", RING.replace("astrojepa_maskers", "astrojepa_objectives"))

    assert {offer.kind for offer in load_registry().offers()} == {"masker", "objective"}


def test_an_exception_that_cannot_be_written_is_a_failure_like_any_other(alone):
    """The loader writes down what a plugin raised; that is the plugin's code too."""
    alone.install("mute", "class Mute(BaseException):\n    def __str__(self): raise self\nraise Mute")
    alone.install("ringmasks", RING)

    registry = load_registry()

    assert registry.failures[0].reason.startswith("Mute: (its message cannot be had")
    assert registry.get("masker", "ring").name == "ring"


def test_one_bad_hook_spares_the_plugins_other_hooks(alone):
    """What a plugin offers elsewhere does not depend on its broken corner."""
    alone.install("ringmasks", RING + "\n@hookimpl\ndef astrojepa_encoders():\n    raise KeyError('dim')\n")

    registry = load_registry()

    assert registry.get("masker", "ring").name == "ring"
    assert registry.failures[0].reason == "KeyError: 'dim'"


def test_unknown_name_is_answered_with_nearest_and_failures(alone):
    """The piece that was asked for may be the one that failed to load."""
    alone.install("ringmasks", RING)
    alone.install("broken", "import nothing_of_that_name")

    with pytest.raises(ConfigError) as refused:
        load_registry().get("masker", "rin")

    assert "unknown masker 'rin'; did you mean 'ring'? Known: ring" in str(refused.value)
    assert "1 failed to load" in str(refused.value)
    assert "broken (broken 0.3): ModuleNotFoundError" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_uninstalled_module_of_the_checkout_is_pointed_out(alone, monkeypatch):
    """An editable install does not see a new entry point until pip runs again."""
    folder = alone.folder / "plugins"
    folder.mkdir()
    (folder / "astrojepa_my_ring.py").write_text(RING)
    monkeypatch.setattr(registry_module, "PLUGINS_FOLDER", folder)

    with pytest.raises(ConfigError, match=r"plugins/astrojepa_my_ring\.py exists .* pip install -e \. again"):
        load_registry().get("masker", "my-ring")


def test_empty_registry_says_how_to_fill_it(alone):
    """Without any plugin nothing can run, and the reader is told why."""
    with pytest.raises(ConfigError, match=r"nothing is installed: run pip install -e \."):
        load_registry().get("masker", "ring")


def test_unknown_kind_is_refused(alone):
    """There are five kinds."""
    with pytest.raises(ConfigError, match="unknown kind 'maskers'; did you mean 'masker'"):
        load_registry().offers("maskers")


def test_plugin_file_needs_no_installation(alone):
    """A file in a folder is enough to try an idea, even one with the name of a standard module."""
    import random

    path = alone.folder / "elsewhere" / "random.py"
    path.parent.mkdir()
    path.write_text(RING)

    offer = load_registry([path]).get("masker", "ring")

    assert offer.owner == "random (file random.py)"
    assert sys.modules["random"] is random
    assert sys.modules[offer.factory.__module__].__file__ == str(path)


def test_missing_plugin_file_is_a_wrong_request(alone):
    """A path that does not exist was mistyped."""
    with pytest.raises(ConfigError, match=r"nope\.py: no such Python file"):
        load_registry([alone.folder / "nope.py"])


def test_broken_plugin_file_raises_because_it_was_asked_for(alone):
    """Whoever names a plugin wants it, or wants to know."""
    (alone.folder / "bad.py").write_text("syntax error here")

    with pytest.raises(PluginError, match=r"plugin bad \(file bad\.py\): SyntaxError"):
        load_registry([alone.folder / "bad.py"])


def test_plugin_file_may_not_take_an_installed_name(alone):
    """An experiment must not pass for the published piece."""
    alone.install("ringmasks", RING)
    (alone.folder / "mine.py").write_text(RING)

    with pytest.raises(PluginError, match=r"ringmasks \(ringmasks 0\.3\) and mine \(file mine\.py\)"):
        load_registry([alone.folder / "mine.py"])


FAMILY = (
    HEAD
    + '''
class Any:
    """Any ring."""

    def __init__(self, spec, *, width: int = 3):
        self.width = width

    @classmethod
    def member(cls, name):
        return type(f"Any_{name}", (cls,), {"__doc__": f"The ring {name}."})

@hookimpl
def astrojepa_encoders():
    return {"ring:<name>": Any}
'''
)


def test_family_stands_for_all_its_members(alone):
    """One row in the list, and every member is found by its own name with the family's options."""
    alone.install("rings", FAMILY)
    registry = load_registry()

    offer = registry.get("encoder", "ring:saturn.b")

    assert [offer.name for offer in registry.offers()] == ["ring:<name>"]
    assert (offer.name, offer.summary, offer.plugin) == ("ring:saturn.b", "The ring saturn.b.", "rings")
    assert [option.name for option in offer.options] == ["width"]
    assert offer.factory(None, width=4).width == 4


@pytest.mark.parametrize("name", ["rings:saturn", "ring:", "ring"])
def test_name_outside_every_family_is_unknown(alone, name):
    """A family answers to its own name, a colon and something more."""
    alone.install("rings", FAMILY)

    with pytest.raises(ConfigError, match=r"unknown encoder .*ring:<name>"):
        load_registry().get("encoder", name)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise KeyError(name)", "has no usable member 'saturn': KeyError: 'saturn'"),
        ("return 5", "has no usable member 'saturn': Type"),
    ],
)
def test_member_that_cannot_be_had_is_refused_with_its_plugin(alone, body, told):
    """The code of a family is a plugin's too, and is run when a name is looked up."""
    alone.install(
        "rings", FAMILY.replace('return type(f"Any_{name}"', f"{body}\n        return type(f'Any_{{name}}'")
    )

    with pytest.raises(PluginError, match=r"plugin rings") as refused:
        load_registry().get("encoder", "ring:saturn")
    assert told in str(refused.value)


def test_family_without_members_is_refused(alone):
    """A name that stands for many needs a factory that can tell them apart."""
    alone.install("rings", FAMILY.replace("def member", "def other"))

    assert "without a class method `member(name)`" in load_registry().failures[0].reason


def test_any_model_of_timm_is_an_encoder():
    """`timm:resnet18` is found, and a misspelt one is answered with the nearest."""
    registry = load_registry()

    assert registry.get("encoder", "timm:resnet18").factory.model_name == "resnet18"
    assert registry.get("encoder", "timm:resnet18") == registry.get("encoder", "timm:resnet18")
    with pytest.raises(ConfigError, match="did you mean timm:resnet18"):
        registry.get("encoder", "timm:resnt18")
    with pytest.raises(ConfigError, match="unknown timm model '<name>'"):
        registry.get("encoder", "timm:<name>")


def test_version_of_a_file_is_taken_from_the_text_that_was_executed(tmp_path):
    """A file that changes right after it was read, as in an editor, must not lend its run another version."""
    text = RING + "\nfrom pathlib import Path\nPath(__file__).write_text('x = ' + repr(__file__))\n"
    versions = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "changing.py"
        path.write_text(text)
        versions.append(chain_of(load_registry([path]).get("masker", "ring").factory)["own"])
        assert path.read_text() != text

    assert versions[0] == versions[1]


def test_file_is_compiled_as_its_own_module(tmp_path):
    """Neither the future imports of the loader nor its names reach a plugin."""
    path = tmp_path / "eager.py"
    path.write_text("def f(x: 1 + 1): ...\nassert f.__annotations__['x'] == 2\n" + RING)

    assert load_registry([path]).get("masker", "ring").plugin == "eager"
