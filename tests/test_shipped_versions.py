"""Versions in short, and those of what is shipped: a raised one moves all that it feeds, and nothing else."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

import astrojepa_bench
from astrojepa_bench import versions
from astrojepa_bench.registry import load_registry
from astrojepa_bench.versions import UNCOUNTED, chain_of, newest, version_text


@pytest.fixture(scope="module")
def registry():
    return load_registry()


# --- in short -----------------------------------------------------------------------------------------------


def test_a_chain_in_short_begins_with_its_own_version():
    """And ends with a digest of the rest, whatever its order."""
    assert version_text({"own": "v3"}) == "v3"
    forth = version_text({"own": "v3", "a": "v1", "b": "v2"})
    assert forth == version_text({"own": "v3", "b": "v2", "a": "v1"})
    assert forth != version_text({"own": "v3", "a": "v1", "b": "v3"})
    assert forth.startswith("v3-")


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v2", "v10"], "v10"),
        (["v2-aaaa", "v2-bbbb", "v2-aaaa"], "v2-aaaa"),
        (["v2-aaaa", "v2-bbbb"], "v2-bbbb"),
        (["0123456789abcdef", "v1"], "v1"),
        (["0123456789abcdef", "0123456789abcdef", "v1"], "v1"),
        (["v3 (edition 1)", "v2-aaaa", "v2-aaaa"], "v3 (edition 1)"),
    ],
)
def test_the_newest_version_is_the_greatest_then_the_most_frequent(texts, found):
    """Integers are counted by authors; a digest has no order."""
    assert newest(texts) == newest(reversed(texts)) == found


# --- what is shipped ----------------------------------------------------------------------------------------


def offers(registry):
    return [offer for offer in registry.offers() if not offer.is_family]


def ids(registry):
    return {(offer.kind, offer.name): chain_of(offer.factory) for offer in offers(registry)}


@pytest.mark.parametrize(
    ("module", "name", "moved"),
    [
        ("astrojepa_ijepa", "IJEPA", {"ijepa", "ijepa-sigreg"}),
        ("astrojepa_ijepa", "Predictor", {"ijepa", "ijepa-sigreg", "masked-lejepa"}),
        ("astrojepa_sigreg", "", {"lejepa", "lejepa-morphology", "masked-lejepa", "ijepa-sigreg", "visreg"}),
        ("astrojepa_two_views", "", {"simclr", "barlow-twins", "byol", "dino", "vicreg"}),
        ("astrojepa_weighted_blocks", "WeightedBlocks", {"brightness", "inverse", "radial", "saliency"}),
        ("astrojepa_mae", "MAE", {"mae"}),
        (
            "astrojepa_bench.encoders.vit",
            "TokenViT",
            {"vit-micro", "vit-micro-rings", "vit-tiny", "vit-small", "vit-base"},
        ),
        (
            "astrojepa_bench.evaluators.probes.logistic",
            "",
            {"linear", "few-shot", "robustness", "layers", "nuisance", "transfer", "finetune"},
        ),
        (
            "astrojepa_bench.geometry.sky",
            "",
            {"brightness", "inverse", "radial", "saliency", "profile", "lejepa-morphology"},
        ),
    ],
)
def test_a_raised_version_moves_everything_that_it_feeds_and_nothing_else(
    registry, monkeypatch, module, name, moved
):
    """The hole of old: a base could be changed without moving what is built on it."""
    before = ids(registry)
    target = importlib.import_module(module)
    monkeypatch.setattr(getattr(target, name) if name else target, "version", 99)
    after = ids(registry)
    assert {key[1] for key in before if before[key] != after[key]} == moved


def test_every_shipped_piece_declares_its_version_and_so_does_all_that_it_is_made_of(registry):
    """A board that is shipped is tied to integers, which a person raises; hashes are for the plugins of others."""
    texts = {text for chain in ids(registry).values() for text in chain.values()}
    assert {text for text in texts if not (text[0] == "v" and text[1:].isdigit())} == set()


def test_helpers_of_the_ruler_that_a_piece_is_made_of_declare_a_version(registry):
    """What is reached from a shipped piece, and can move a number, has an integer of its own or in its classes."""
    reached, found = set(), []

    class Walk(versions._Walk):
        def _add_imports(self, source):
            reached.add(source.name)
            super()._add_imports(source)

    for offer in offers(registry):
        Walk().add_piece(offer.factory, "own")
    for name in sorted(name for name in reached if name.startswith("astrojepa_bench.")):
        path = Path(sys.modules[name].__file__)
        if not _has_integer(path) and not any(map(_declares, _classes(path))):
            found.append(name)
    assert len(reached) > 20
    assert found == []


def test_names_in_chains_are_unique():
    """Helpers of the ruler stand in chains by their last name, so that a file may move without moving an id."""
    root = Path(astrojepa_bench.__file__).parent
    names = [path.stem for path in root.rglob("*.py") if _has_integer(path)]
    classes = [node.name for path in root.rglob("*.py") for node in _classes(path) if _declares(node)]
    assert len(names) > 15
    assert len(set(names)) == len(names)
    assert len(set(classes)) == len(classes)


def test_rooms_without_a_version_exist():
    """A room that was renamed must not slip through."""
    root = Path(astrojepa_bench.__file__).parent
    paths = [root / name.replace(".", "/") for name in UNCOUNTED]
    assert [path.name for path in paths if not path.is_dir() and not path.with_suffix(".py").is_file()] == []


def _declares(node):
    targets = [getattr(each, "target", None) or getattr(each, "targets", [None])[0] for each in node.body]
    return any(isinstance(target, ast.Name) and target.id == "version" for target in targets)


def _classes(path):
    return [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]


def _has_integer(path):
    return _declares(ast.parse(path.read_text()))
