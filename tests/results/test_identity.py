"""What makes two runs the same run."""

import functools
import importlib.util
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrojepa_bench.errors import ContractError, PluginError
from astrojepa_bench.results.identity import (
    canonical_json,
    digest,
    entry_digest,
    identity_block,
    source_version,
)

PLUGIN = '''
"""A masker."""

class Half:
    """Hides half."""

    version = None

    def draw(self):
        """Draw."""
        # the nearer half
        return 0.5
'''


@pytest.fixture
def load(tmp_path):
    """Import source text as a module, and forget it afterwards."""
    names = []

    def _load(source, name="a_plugin"):
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        exec(compile(source, str(path), "exec"), module.__dict__)
        return module

    yield _load
    for name in names:
        sys.modules.pop(name, None)


def identity(**changed):
    facts = dict(
        names={"objective": "obj", "masker": "none", "encoder": "vit-micro", "dataset": "synthetic"},
        options={"objective": {"weight": 0.05}, "masker": {}, "encoder": {"patch": 8}, "dataset": {}},
        versions={"objective": "v1", "masker": "v1", "encoder": "v1", "dataset": "v1"},
        seed=0,
        fingerprint="0123",
        splits="4567",
        mirror_safe=True,
        budget="smoke",
        precision="float32",
        device_class="cpu",
    )
    return identity_block(**{**facts, **changed})


def test_a_known_identity_keeps_its_hash():
    """The hash of one fixed identity is the one computed by hand with coreutils' sha256sum."""
    assert digest({"b": [1, 2.5, None], "a": "é"}) == "84afbf1d4853005f"
    assert canonical_json({"b": (1, 2.5, None), "a": "é"}) == '{"a":"\\u00e9","b":[1,2.5,null]}'


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
def test_key_order_does_not_change_a_hash(mapping):
    """A mapping written in another order is the same mapping."""
    assert digest(mapping) == digest(dict(reversed(mapping.items())))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}, {1, 2}, object()])
def test_what_json_has_no_word_for_is_refused(value):
    """NaN, infinities and foreign objects have no canonical form, and the refusal is one line."""
    with pytest.raises(ContractError) as caught:
        canonical_json(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"fingerprint": "x"},
        {"splits": "x"},
        {"mirror_safe": False},
        {"budget": "small"},
        {"precision": "bf16"},
        {"device_class": "cuda"},
        {"versions": {"objective": "v2"}},
        {"options": {"objective": {"weight": 0.06}}},
    ],
)
def test_whatever_moves_the_numbers_moves_the_run_id(change):
    """Each part of the identity, changed alone, gives another run."""
    assert digest(identity(**change)) != digest(identity())


def test_runs_on_all_galaxies_keep_the_id_they_had_before_there_was_a_limit():
    """The id of a run without the option is the one that coreutils' sha256sum gave without its key."""
    assert digest(identity()) == digest(identity(pretraining=None)) == "c6dc7dc83c0c66c7"
    assert "pretraining" not in identity()


def test_fewer_pretraining_galaxies_are_another_entry():
    """What was learnt from 500 galaxies is not what was learnt from 2,000, nor from all."""
    limited = [identity(pretraining=most) for most in (None, 500, 2000)]
    assert len({entry_digest(one) for one in limited}) == 3


def test_seeds_share_their_entry():
    """Two seeds are two runs of one entry; another option is another entry."""
    assert entry_digest(identity(seed=1)) == entry_digest(identity(seed=0))
    assert entry_digest(identity(budget="small")) != entry_digest(identity())


def test_comments_docstrings_and_layout_do_not_change_the_version(load):
    """Text that cannot change what the code does leaves its version alone."""
    before = source_version(load(PLUGIN).Half)
    rewritten = (
        PLUGIN.replace("Hides half.", "Other words.")
        .replace("# the nearer half", "")
        .replace("\n\n", "\n\n\n")
    )
    undocumented = PLUGIN.replace('"""Draw."""', "").replace('"""A masker."""', "")
    assert source_version(load(rewritten).Half) == before
    assert source_version(load(undocumented).Half) == before


@pytest.mark.parametrize(
    "old_new",
    [("0.5", "0.25"), ("return 0.5", "return '0.5'"), ("def draw(self)", "def draw(self, twice=None)")],
)
def test_code_changes_the_version(load, old_new):
    """A changed constant, type or signature is another version."""
    before = source_version(load(PLUGIN).Half)
    assert source_version(load(PLUGIN.replace(*old_new)).Half) != before


def test_a_declared_version_stands_for_the_source(load):
    """An author who counts versions decides alone which changes count."""
    module = load(PLUGIN.replace("version = None", "version = 3"))
    assert source_version(module.Half) == "v3"
    assert source_version(functools.partial(module.Half)) == "v3"


def test_a_version_inherited_from_another_module_does_not_count(load):
    """A subclass elsewhere changes behaviour that its parent's integer knows nothing of."""
    parent = "class Parent:\n    version = 3\n    def draw(self): return 1\n"
    child = "from parent_plugin import Parent\nclass Child(Parent):\n    def draw(self): return 2\n"
    load(parent, "parent_plugin")
    before = source_version(load(child, "child_plugin").Child)
    assert before != "v3"
    assert source_version(load(child.replace("2", "4"), "child_plugin").Child) != before


def test_a_changed_parent_changes_its_children(load):
    """What a piece inherits from another module is part of what it does."""
    child = "from parent_plugin import Parent\nclass Child(Parent):\n    pass\n"
    versions = []
    for constant in "12":
        load(f"class Parent:\n    version = None\n    def draw(self): return {constant}\n", "parent_plugin")
        versions.append(source_version(load(child, "child_plugin").Child))
    assert versions[0] != versions[1]


def test_code_without_source_is_asked_for_a_version():
    """A class typed into a session has no file; the message says what to do."""
    nowhere = type("Nowhere", (), {"__module__": "no_such_module"})
    with pytest.raises(PluginError, match="declare an integer `version`"):
        source_version(nowhere)


def test_the_version_of_a_known_source_is_the_same_on_every_python(load):
    """A hash that moved with the interpreter would retrain every board at each upgrade."""
    assert source_version(load(PLUGIN).Half) == "7c972f2a220a4577"
