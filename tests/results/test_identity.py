"""What makes two runs the same run."""

import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrojepa_bench.errors import ContractError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results import identity as identity_module
from astrojepa_bench.results.identity import EDITION_1, RunIdentity, canonical_json, digest, split_hash
from astrojepa_bench.runs.component import Cell, Component
from astrojepa_bench.training.budgets import find_budget


def identity(**changed):
    facts = dict(
        names={"objective": "obj", "masker": "none", "encoder": "vit-micro", "dataset": "synthetic"},
        options={"objective": {"weight": 0.05}, "masker": {}, "encoder": {"patch": 8}},
        chain={kind: {"own": "v1"} for kind in ("objective", "masker", "encoder", "dataset")},
        seed=0,
        fingerprint="0123",
        splits="4567",
        mirror_safe=True,
        budget="smoke",
        precision="float32",
        device_class="cpu",
    )
    return RunIdentity(**{**facts, **changed})


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
        {"protocol": 99},
        {"pretraining": 500},
        {"names": {"objective": "other"}},
        {"chain": {"objective": {"own": "v2"}}},
        {"chain": {"objective": {"own": "v1", "helper": "v1"}}},
        {"options": {"objective": {"weight": 0.06}}},
    ],
)
def test_whatever_moves_the_numbers_moves_the_run_id(change):
    """Each part of the identity, changed alone, gives another run."""
    assert identity(**change).run_id != identity().run_id
    assert identity(**change).entry_id == identity().entry_id or "seed" not in change


def test_seeds_share_their_entry():
    """Two seeds are two runs of one entry; another option is another entry."""
    assert identity(seed=1).entry_id == identity(seed=0).entry_id
    assert identity(budget="small").entry_id != identity().entry_id


def test_fewer_pretraining_galaxies_are_another_entry():
    """What was learnt from 500 galaxies is not what was learnt from 2,000, nor from all."""
    assert len({identity(pretraining=most).entry_id for most in (None, 500, 2000)}) == 3
    assert "pretraining" not in identity().facts()


@pytest.mark.parametrize(
    "changed", [{}, {"pretraining": 500}, {"chain": EDITION_1, "versions": {"masker": "v1"}}]
)
def test_an_identity_is_read_back_from_its_record(changed):
    """What was written gives the same id again."""
    made = identity(**changed)
    assert RunIdentity.read(made.facts()) == made


# --- assembled from a cell ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def identity_of(registry, settings=None, objective="lejepa", masker="multiblock", encoder="vit-micro"):
    """Assemble the identity of a cell without galaxies."""
    budget = find_budget("smoke")
    names = {"objective": objective, "masker": masker, "encoder": encoder}
    offers = {kind: registry.get(kind, name) for kind, name in names.items()}
    parts = [Component.of(offer, settings or {}, {"patch": budget.patch_px}) for offer in offers.values()]
    return RunIdentity.of(Cell(*parts, seed=0), None, budget)


def test_options_at_their_defaults_are_left_out(registry):
    """To set an option to its default is to leave it alone."""
    plain = identity_of(registry)
    assert plain.options == {"objective": {}, "masker": {}, "encoder": {}}
    assert identity_of(registry, {"encoder": {"width": 96}}).run_id == plain.run_id
    assert identity_of(registry, {"encoder": {"width": 48}}).options["encoder"] == {"width": 48}


def test_a_new_option_at_its_default_moves_no_id(registry):
    """A component that gains an option keeps its records."""
    settings = {"objective": {"lam": 0.1}}
    offer = registry.get("objective", "lejepa")
    grown = replace(offer, options=(*offer.options, replace(offer.options[0], name="added", default=0.5)))
    part = Component(grown, Component.of(offer, settings).options | {"added": 0.5})
    cell = Cell(
        part, *(Component.of(registry.get(*what), {}) for what in (("masker", "none"), ("encoder", "pca"))), 0
    )
    before = replace(cell, objective=Component.of(offer, settings))
    changed = replace(cell, objective=replace(part, options=part.options | {"added": 0.7}))
    ids = [RunIdentity.of(each, None, find_budget("smoke")).run_id for each in (before, cell, changed)]
    assert ids[0] == ids[1] != ids[2]


def test_what_a_budget_sets_counts_where_it_is_not_the_default_of_the_signature(registry):
    """The patch of a budget is in the identity of an encoder whose own default is another."""
    assert identity_of(registry, encoder="vit-tiny").options["encoder"] == {"patch": 8}
    assert identity_of(registry, encoder="vit-micro").options["encoder"] == {}


def test_a_file_counts_by_its_content(registry, tmp_path):
    """Other weights under the same name are another run; the same weights elsewhere are the same."""
    ids = []
    for folder, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.safetensors").write_bytes(content)
        settings = {"objective": {"weights": tmp_path / folder / "w.safetensors"}}
        ids.append(identity_of(registry, settings, "frozen").run_id)
    assert ids[0] == ids[1] != ids[2]


@pytest.fixture
def galaxies():
    """What an identity reads of loaded galaxies."""
    table = types.SimpleNamespace(
        ids=np.array(["a", "b"]),
        split=np.array(["train", "test"]),
        fingerprint="f00d",
        spec=types.SimpleNamespace(mirror_safe=False),
    )
    device = types.SimpleNamespace(type="cuda")
    return types.SimpleNamespace(name="survey", chain={"own": "v2"}, table=table, device=device)


def test_galaxies_make_an_identity_complete(registry, galaxies):
    """A model from elsewhere gets the id that it would have got on these galaxies at once."""
    made = identity_of(registry).on(galaxies)
    assert (made.names["dataset"], made.chain["dataset"]) == ("survey", {"own": "v2"})
    assert (made.fingerprint, made.mirror_safe) == ("f00d", False)
    assert (made.precision, made.device_class) == ("bf16", "cuda")
    assert made.splits == digest([["a", "b"], ["train", "test"]])


def test_on_galaxies_nobody_learns_which_code_an_old_run_ran(galaxies):
    """A run of edition 1 stays one, wherever it is scored."""
    old = replace(identity(), chain=EDITION_1, versions={"objective": "v1"})
    assert old.on(galaxies).chain == EDITION_1


def test_splits_are_hashed_once_for_a_table(monkeypatch):
    """A survey of many galaxies is not hashed anew for each cell, and another table is not taken for it."""
    hashed = []
    monkeypatch.setattr(identity_module, "digest", lambda value: hashed.append(value) or str(len(hashed)))
    ids, split = np.array(["a", "b"]), np.array(["train", "test"])
    assert split_hash(ids, split) == split_hash(ids, split) == "1"
    assert split_hash(ids, split.copy()) == "2"
