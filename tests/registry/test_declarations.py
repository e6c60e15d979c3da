"""What a plugin wrongly offers or declares is named, and spares whatever is sound."""

import pytest

from astrojepa_bench.border import owner_of
from astrojepa_bench.errors import ConfigError, PluginError
from astrojepa_bench.options import jsonable
from astrojepa_bench.registry import load_registry
from astrojepa_bench.roles import ROLES
from astrojepa_bench.runs.component import Component
from tests.registry.conftest import HEAD


def hook(signature, returned):
    """Write a plugin of one hook."""
    return f"{HEAD}@hookimpl\ndef {signature}:\n    return {returned}\n"


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
