"""The suites of this field: everything they name is there, and they ask what they say."""

import json
import zipfile
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from astrojepa_suites import BLIND, DRIVEN_BY_MASKS, MASKERS, PLACES, astrojepa_suites
from scipy import ndimage

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.runs.suite_board import make_plans

BOARD = "galaxy-suite-1"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
FILES = {"gz2": "galaxy_zoo2.h5", "gz1": "galaxy_zoo1.h5", "radio": "radio_first.h5"}
real = pytest.mark.skipif(not SHARED.is_dir(), reason="the real galaxies are not here")


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


@pytest.fixture
def galaxies(tmp_path):
    """A folder with a file of each name that the board reads; none is opened by a plan."""
    for data in astrojepa_suites()[BOARD].data.values():
        for name in data.files.values():
            (tmp_path / name).touch()
    return tmp_path


def plans_of(registry, folder, **fields):
    data = dict.fromkeys(FILES, folder)
    found = make_plans(make_request({"suite": BOARD, "budget": "small", "data": data, **fields}), registry)
    return dict(zip(astrojepa_suites()[BOARD].data, found, strict=True))


def test_cells_of_the_board(registry, galaxies):
    """364 of them: the higher numbers of seeds are those of the question that the suite was made for."""
    plans = plans_of(registry, galaxies, seeds=20)
    without = [cell for plan in plans.values() for cell in plan.cells if cell.objective.name == "untrained"]

    assert {key: len(plan.cells) for key, plan in plans.items()} == {
        "gz2": 173, "synthetic": 123, "gz1": 34, "radio": 34,
    }  # fmt: skip
    assert sum(len(plan.cells) for plan in plans.values()) - len(without) == 312
    assert all(cell.skip is None for plan in plans.values() for cell in plan.cells)
    for key, most in {"gz2": 20, "synthetic": 10, "gz1": 3, "radio": 3}.items():
        seeds = Counter(
            (cell.objective.name, cell.masker.name, cell.encoder.name) for cell in plans[key].cells
        )
        places = PLACES if most > 3 else ("random", "brightness", "radial")
        many = {("lejepa", place, "vit-micro") for place in places} | {("untrained", "none", "vit-micro")}
        assert {entry for entry, count in seeds.items() if count == most} >= many
        rest = {count for entry, count in seeds.items() if entry not in many}
        assert rest == {1, 3}  # floors without weights, and everything else


def test_the_full_grid_is_the_whole_field_and_the_core_lies_in_it(registry, galaxies):
    """What needs no weights of others is on the board, each under the maskers that the suite names."""
    plans = plans_of(registry, galaxies, seeds=3, floors=False)
    entries = {key: {(c.objective.name, c.masker.name) for c in plan.cells} for key, plan in plans.items()}
    contestants = {*DRIVEN_BY_MASKS, *BLIND} - {"untrained"}

    assert {objective for objective, _ in entries["gz2"]} == contestants
    assert entries["gz2"] == entries["synthetic"]
    assert entries["gz1"] == entries["radio"] < entries["gz2"]
    assert (len(entries["gz2"]), len(entries["gz1"])) == (27, 9)


def test_no_seed_of_tuning_is_on_the_board(registry, galaxies):
    """Twenty of the board, ten of tuning, ten for experiments that are neither; three are 20 to 22."""
    suite = astrojepa_suites()[BOARD]
    used = {cell.seed for plan in plans_of(registry, galaxies, seeds=20).values() for cell in plan.cells}

    assert (suite.seeds, suite.tuning_seeds) == (tuple(range(20, 40)), tuple(range(10)))
    assert used == {*suite.seeds}
    few = {cell.seed for plan in plans_of(registry, galaxies, seeds=3).values() for cell in plan.cells}
    assert few == {20, 21, 22}
    with pytest.raises(ConfigError, match="seed was used for tuning"):
        plans_of(registry, galaxies, seeds=(0,))


def test_the_board_runs_what_needs_no_file_and_names_the_rest(registry):
    """Its simulated galaxies, which differ from those of the old board in their anomalies and populations."""
    (simulated,) = make_plans(make_request({"suite": BOARD, "floors": False, "seeds": 3}), registry)

    assert simulated.dataset.altered == {"population": "matched"}
    assert [note.split(" is skipped")[0] for note in simulated.notes] == [
        "Galaxy Zoo 2", "Galaxy Zoo 1", "FIRST radio galaxies",
    ]  # fmt: skip
    assert astrojepa_suites()[BOARD].margins == {"gz2": 0.02, "synthetic": 0.01, "gz1": 0.02, "radio": 0.02}


def test_fingerprint_is_that_of_the_simulated_galaxies(registry, galaxies):
    """It follows from the options and from what is drawn of them, so nothing has to be drawn."""
    data = astrojepa_suites()[BOARD].data["synthetic"]
    dataset = plans_of(registry, galaxies, seeds=3)["synthetic"].dataset.build()

    assert dataset.fingerprint(data.size_px) == data.fingerprint


@real
@pytest.mark.slow
@pytest.mark.parametrize("key", FILES)
def test_fingerprints_are_those_of_the_real_galaxies(registry, tmp_path, uncompared, key):
    """Read as the suite reads them; a reader that hands over anything else would end the board."""
    data = astrojepa_suites()[BOARD].data[key]
    table = plans_of(registry, SHARED, seeds=3)[key].dataset.build().load(data.size_px, tmp_path)

    assert table.fingerprint == data.fingerprint
    assert {*table.split} == {"train", "val", "test"} | ({"pool"} if "pool" in data.files else set())
    assert len(table.spec.bands) == (1 if key == "radio" else 3)
    if key == "gz1":
        assert table.spec.mirror_safe
        assert {*table.label[table.split != "train"]} == {0, 1, 2}


@real
def test_what_radio_galaxies_lose_at_64_px():
    """As the suite tells: no flux, but a twelfth of the square, and the parts of every seventh source."""
    with h5py.File(SHARED / "radio_first.h5") as file:
        before = file["images"][:400, ..., 0].astype(np.float32)
    after = np.rint(before.reshape(-1, 64, 2, 64, 2).mean((2, 4)))
    shown = after.repeat(2, 1).repeat(2, 2)
    parts = [[ndimage.label(each > each.max() / 10)[1] for each in images] for images in (before, after)]

    assert np.median(shown.sum((1, 2)) / before.sum((1, 2))) == pytest.approx(1, abs=0.002)
    lost = ((before - shown) ** 2).sum((1, 2)) / (before**2).sum((1, 2))
    assert np.median(lost) == pytest.approx(1 / 12, abs=0.01)
    assert np.mean(np.not_equal(*parts)) == pytest.approx(1 / 7, abs=0.03)


@real
def test_further_ellipticals_would_be_most_of_what_galaxy_zoo_1_pretrains_on():
    """Half of the labelled galaxies train, and the further ones are all of one class: they are no pool."""
    with h5py.File(SHARED / "galaxy_zoo1.h5") as file:
        label = file["superclass"][:]
    with zipfile.ZipFile(SHARED / "galaxy_zoo1_extra_ellipticals.zip") as archive:
        further = sum(name.endswith(".jpg") for name in archive.namelist())
    trained, smooth = (label < 255).sum() / 2 + (label == 255).sum(), (label == 0).sum() / 2

    assert "pool" not in astrojepa_suites()[BOARD].data["gz1"].files
    assert smooth / trained == pytest.approx(0.54, abs=0.03)
    assert (smooth + further) / (trained + further) == pytest.approx(3 / 4, abs=0.02)


def test_groups_for_old_records_are_those_that_classes_declare(registry):
    """What the rules of the old board know of records without a group is what their plugins say today."""
    offers = [*registry.offers("objective"), *registry.offers("encoder")]
    declared = {offer.name: offer.declares("group") for offer in offers if not offer.is_family}

    told = {name: group for name, group in declared.items() if group != "self-supervised"}
    rules = Path(__file__).parents[2] / "leaderboard" / "suite-0" / "suite.json"
    assert told == json.loads(rules.read_text())["groups"]


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
