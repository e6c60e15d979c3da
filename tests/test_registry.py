"""Plugins are found, kept apart from one another, and known by name and owner."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from astrojepa_bench import registry as registry_module
from astrojepa_bench.border import owner_of
from astrojepa_bench.errors import ConfigError, PluginError
from astrojepa_bench.events import Event, emit, listening
from astrojepa_bench.options import jsonable
from astrojepa_bench.registry import load_registry
from astrojepa_bench.roles import ROLES
from astrojepa_bench.runs.component import Component
from astrojepa_bench.versions import chain_of

HEAD = "from astrojepa_bench.hookspecs import hookimpl\n\n"
RING = (
    HEAD
    + '''
class Ring:
    """Hide a ring."""

    def __init__(self, grid, *, radius: float = 8.0):
        self.radius = radius

@hookimpl
def astrojepa_maskers():
    return {"ring": Ring}
'''
)


def hook(signature, returned):
    """Write a plugin of one hook."""
    return f"{HEAD}@hookimpl\ndef {signature}:\n    return {returned}\n"


class Site:
    """A folder on the path where packages can be put as pip would put them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, module: str, source: str, version: str = "0.3", entry: str = "") -> None:
        """Put a module there, with the metadata that makes it discoverable."""
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[astrojepa_bench]\n{entry or module} = {module}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a site, forgetting afterwards what was imported from it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def alone(site, monkeypatch):
    """Hide the bench's own plugins, which are slow to import and not the point."""

    def entry_points(group):
        found = importlib.metadata.entry_points(group=group)
        return [point for point in found if point.dist.name != "astrojepa-bench"]

    monkeypatch.setattr(registry_module, "entry_points", entry_points)
    return site


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


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            hook("astrojepa_masker()", "{}"),
            "unknown hook 'astrojepa_masker'; did you mean 'astrojepa_maskers'",
        ),
        (hook("maskers()", "{}"), "unknown hook 'maskers'"),
        ("def astrojepa_maskers(): ...", "astrojepa_maskers is not registered: decorate it with @hookimpl"),
        (hook("astrojepa_maskers(grid)", "{}"), "hook 'astrojepa_maskers' hookimpl definition"),
        ("x = 1", "offers nothing"),
        (hook("astrojepa_maskers()", "[1]"), "returned list; expected a mapping"),
        (hook("astrojepa_maskers()", "{'ring': 1}"), "'ring' as int; expected a class"),
        (hook("astrojepa_maskers()", "{'../up': list}"), "offers the name '../up'"),
        (hook("astrojepa_maskers()", "{1: list}"), "offers the name 1"),
        (hook("astrojepa_maskers()", "{'a' * 81: list}"), "a name of 81 letters"),
        (hook("astrojepa_maskers()", "{'ä' * 41: list}"), "offers"),
        (hook("astrojepa_maskers()", "1 / 0"), "ZeroDivisionError"),
    ],
)
def test_author_mistakes_are_explained(alone, source, reason):
    """A misspelt hook would otherwise be silence, and silence is the worst message."""
    alone.install("mistaken", source)

    [failure] = load_registry().failures

    assert failure.plugin == "mistaken"
    assert reason in failure.reason
    assert "\n" not in failure.reason


DECLARING = (
    HEAD
    + """
from astrojepa_bench.metric import Metric

class Odd:
    {fact}

class Sound:
    version = 1

@hookimpl
def astrojepa_{kind}s():
    return {{"odd": Odd, "sound": Sound}}
"""
)
NAMES = """
@hookimpl
def astrojepa_maskers():
    return {"a" * 81: list, "b/c": list}
"""


@pytest.mark.parametrize(
    ("kind", "fact", "reason"),
    [
        ("objective", 'standing = "winner"', "declares the standing 'winner'; use one of contestant, floor"),
        (
            "objective",
            'masks = "maybe"',
            "declares the masks 'maybe'; use one of required, optional, ignored",
        ),
        ("objective", 'labels = "few"', "declares the labels 'few'; use one of none, some, all"),
        (
            "objective",
            'columns = "redshift"',
            "declares the columns 'redshift'; use a tuple of names, or how many",
        ),
        (
            "objective",
            'columns = {"spectrum": 0}',
            "declares the columns {'spectrum': 0}; use a tuple of names",
        ),
        ("objective", "trains = 1", "declares the trains 1; use True or False"),
        ("objective", 'group = ["best"]', "declares the group ['best']; use one of self-supervised"),
        ("objective", "version = True", "declares the version True; use a whole number from 1 on"),
        ("encoder", "version = 0", "declares the version 0"),
        ("encoder", "standing = property(lambda self: 'floor')", "declares the standing <property"),
        ("masker", "version = 1.5", "declares the version 1.5"),
        ("masker", "hides = None", "declares the hides None"),
        ("dataset", "version = [1]", "declares the version [1]"),
        ("evaluator", 'version = "2"', "declares the version '2'"),
        ("evaluator", 'requires = "label"', "declares the requires 'label'; use a tuple of names"),
        ("evaluator", 'requests = ("spectra",)', "declares the requests ('spectra',)"),
        ("evaluator", 'metrics = ("accuracy",)', "`metrics` holds 'accuracy'; expected Metric"),
        ("evaluator", 'metrics = (Metric("a", digits=-1),)', "Metric 'a': `digits` is -1"),
        ("evaluator", 'metrics = (Metric("a", scale=float("nan")),)', "Metric 'a': `scale` is nan"),
    ],
)
def test_a_fact_of_the_wrong_kind_is_named_and_what_declares_it_never_built(alone, kind, fact, reason):
    """Found when a record is written, it would have cost a training. Its cells have records: they fail by name."""
    alone.install("facts", DECLARING.format(kind=kind, fact=fact))
    registry = load_registry()
    odd, wrong = registry.get(kind, "odd"), fact.split()[0]

    assert [failure.plugin for failure in registry.failures] == ["facts"]
    assert f"{kind} 'odd' " in registry.failures[0].reason
    assert reason in registry.failures[0].reason
    assert odd.declares(wrong) == getattr(ROLES[kind], wrong)
    with pytest.raises(PluginError, match=r"\(plugin facts\)") as refused:
        Component(odd, {}).build()
    assert reason in str(refused.value)
    assert owner_of(refused.value) is odd
    assert Component(registry.get(kind, "sound"), {}).build() is not None


def test_a_word_that_the_role_has_no_more_names_the_new_one(alone):
    """An objective that would silently be told no labels is not built."""
    alone.install("facts", DECLARING.format(kind="objective", fact="needs_labels = True"))
    registry = load_registry()

    assert 'the needs_labels True; use labels = "all" or "some" in its place' in registry.failures[0].reason
    with pytest.raises(PluginError, match=r"needs_labels True; use labels .*\(plugin facts\)"):
        Component(registry.get("objective", "odd"), {}).build()


def test_a_file_that_was_asked_for_is_used_as_far_as_it_is_sound(alone):
    """One broken offer of many spares the others; of a file of which nothing is left nothing can be meant."""
    mixed, lost = alone.folder / "mixed.py", alone.folder / "lost.py"
    mixed.write_text(DECLARING.format(kind="objective", fact='standing = "winner"') + NAMES)
    lost.write_text(HEAD + NAMES)

    registry = load_registry([mixed])

    assert [offer.name for offer in registry.offers()] == ["odd", "sound"]
    assert len(registry.failures) == 3
    with pytest.raises(ConfigError, match=r"unknown masker 'aaaaaaaa.* mixed "):
        registry.get("masker", "a" * 81)
    with pytest.raises(PluginError, match=r"plugin lost \(file lost.py\): .* a name of 81 letters"):
        load_registry([lost])
    with pytest.raises(PluginError, match=r"declares the standing 'winner'|a name of 81"):
        load_registry([mixed], strict=True)


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (
            "__init__ = lambda self, grid, *, a=Unwritable(): None",
            "option 'a' has a default that no record can",
        ),
        ("__doc__ = 5", "cannot be read"),
    ],
)
def test_an_offer_that_cannot_be_read_or_recorded_is_refused_alone(alone, fact, reason):
    """The loader runs code of plugins when it reads them; the other offers stay."""
    unwritable = "class Unwritable:\n    def __str__(self): raise ValueError\n    __repr__ = __str__\n"
    alone.install("facts", unwritable + DECLARING.format(kind="masker", fact=fact))

    registry = load_registry()

    assert [offer.name for offer in registry.offers()] == ["sound"]
    assert [failure.plugin for failure in registry.failures] == ["facts"]
    assert "masker 'odd'" in registry.failures[0].reason
    assert reason in registry.failures[0].reason
    with pytest.raises(ConfigError, match=r"unknown masker 'odd'.*facts"):
        registry.get("masker", "odd")


def test_a_default_that_is_a_function_is_recorded_by_its_name():
    """Its address would be another one, and its run a new one, in every process."""
    recorded = jsonable({"act": load_registry, "made": object()})
    assert recorded == {"act": "astrojepa_bench.registry.load_registry", "made": "<object object>"}


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
