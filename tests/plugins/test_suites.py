"""The suites of this field: everything they name is there, and they ask what they say."""

import pytest
from astrojepa_suites import MASKERS, astrojepa_suites

from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def cells_of(registry, suite, **fields):
    return make_plan(make_request({"suite": suite, "floors": False, **fields}), registry).cells


@pytest.mark.parametrize("name", astrojepa_suites())
def test_every_name_and_option_of_a_suite_is_there(registry, name):
    """A suite that cannot be planned is a promise on paper."""
    assert all(cell.skip is None for cell in cells_of(registry, name))


def test_baseline_is_the_whole_field(registry):
    """Every installed objective that trains from a random start is in it, with every masker that hides."""
    cells = cells_of(registry, "baseline")
    installed = {offer.name for offer in registry.offers("objective")} - {
        "frozen",
        "astrojepa",
    }  # need weights
    masked = [cell for cell in cells if cell.masker.name != "none"]

    assert {cell.objective.name for cell in cells} == installed
    assert set(MASKERS) == {offer.name for offer in registry.offers("masker")} - {"none"}
    assert (len(masked), len(cells)) == (36, 39)


def test_baseline_of_a_convnet_merges_maskers_and_says_who_cannot_run(registry):
    """One cell an objective; those that need patches carry the reason."""
    cells = cells_of(registry, "baseline", encoders="timm:resnet18")

    assert len(cells) == 9
    assert {cell.masker.name for cell in cells} == {"none"}
    runs = {cell.objective.name for cell in cells if cell.skip is None}
    assert runs == {"lejepa", "lejepa-morphology", "vicreg", "supervised", "untrained"}


def test_the_collapse_suite_takes_only_the_teacher_away(registry):
    """Its arms differ in what prevents collapse and in nothing else, or it would show something else."""
    cells = cells_of(registry, "collapse")
    published, _, bare, _ = cells

    assert [(cell.objective.name, cell.altered) for cell in cells] == [
        ("ijepa", {}),
        ("ijepa-sigreg", {}),
        ("ijepa", {"objective": {"teacher": "none"}}),
        ("ijepa-sigreg", {"objective": {"teacher": "none"}}),
    ]
    assert (published.masker, published.encoder) == (bare.masker, bare.encoder)
