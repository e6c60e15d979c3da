"""The suites of this field: everything they name is there, and they ask what they say."""

import json
from pathlib import Path

import pytest
from astrojepa_suites import MASKERS, astrojepa_suites

from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.runs.suite_board import make_plans


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
    offers = [offer for offer in registry.offers("objective") if not offer.is_family]
    installed = {offer.name for offer in offers} - {"frozen", "astrojepa"}  # need weights
    masked = [cell for cell in cells if cell.masker.name != "none"]

    assert {cell.objective.name for cell in cells} == installed
    assert set(MASKERS) == {offer.name for offer in registry.offers("masker")} - {"none"}
    assert (len(masked), len(cells)) == (42, 50)


def test_baseline_is_a_board(registry):
    """Without files it runs on what needs none: the field on simulated galaxies, five maskers off the centre."""
    request = make_request({"suite": "baseline", "floors": False, "seeds": 3})
    simulated, shifted = make_plans(request, registry)

    assert (len(simulated.cells), len(shifted.cells)) == (3 * 50, 3 * 7)
    assert {cell.seed for cell in simulated.cells} == {20, 21, 22}
    rare = {"anomaly_mix": "rare"}  # the set whose records are on the board
    assert (simulated.dataset.altered, shifted.dataset.altered) == (rare, {**rare, "shift": 8.0})
    assert simulated.notes == (
        "Galaxy Zoo 2 is skipped: give --data gz2=PATH, the folder that holds galaxy_zoo2.h5 and "
        "galaxy_zoo2_unlabelled.zip and galaxy_zoo2_odd.h5",
    )


def test_seeds_of_tuning_and_of_the_board_are_apart():
    """Ten of each kind but twenty of the board's, and nothing in between is either."""
    suite = astrojepa_suites()["baseline"]

    assert (suite.seeds, suite.tuning_seeds) == (tuple(range(20, 40)), tuple(range(10)))
    assert suite.margins == {"gz2": 0.02, "simulated": 0.01, "shifted": 0.01}


def test_fingerprints_are_those_of_the_committed_records():
    """Records on these galaxies are on the board, and no key stands for two sets of galaxies."""
    runs = Path(__file__).parents[2] / "leaderboard" / "runs"
    found = {json.loads(path.read_text())["identity"]["fingerprint"] for path in runs.rglob("*.json")}
    fixed = [data.fingerprint for data in astrojepa_suites()["baseline"].data.values()]

    assert {*fixed} <= found
    assert len({*fixed}) == 3


def test_groups_for_old_records_are_those_that_classes_declare(registry):
    """What the suite knows of records without a group is what their plugins say today."""
    offers = [*registry.offers("objective"), *registry.offers("encoder")]
    declared = {offer.name: offer.declares("group") for offer in offers if not offer.is_family}

    told = {name: group for name, group in declared.items() if group != "self-supervised"}
    assert told == astrojepa_suites()["baseline"].groups


def test_baseline_of_a_convnet_merges_maskers_and_says_who_cannot_run(registry):
    """One cell an objective; those that need patches carry the reason."""
    cells = cells_of(registry, "baseline", encoders="timm:resnet18")

    assert len(cells) == 14
    assert {cell.masker.name for cell in cells} == {"none"}
    runs = {cell.objective.name for cell in cells if cell.skip is None}
    two_views = {"vicreg", "visreg", "simclr", "barlow-twins", "byol", "dino"}
    assert runs == {"lejepa", "lejepa-morphology", "supervised", "untrained", *two_views}


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
