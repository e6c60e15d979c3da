"""Whom an entry is ranked with follows from what it is told, and moves no id."""

import pytest

from astrojepa_bench.errors import PluginError
from astrojepa_bench.groups import GROUPS
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.training.budgets import find_budget

PLUGIN = '''
from astrojepa_bench.plugin import Objective, hookimpl


class Plain(Objective):
    """Is told nothing."""

    masks = "ignored"
    version = 1

    def loss(self, batch, draw, streams):
        """Never asked."""


class Told(Plain):
    """Is told something."""

    {fact}


@hookimpl
def astrojepa_objectives():
    """Offer it."""
    return {{"told": Told}}
'''


@pytest.fixture
def registry_with(tmp_path):
    """Load a plugin whose objective declares a fact."""

    def load(fact, name="groups_for_tests"):
        path = tmp_path / f"{name}.py"
        path.write_text(PLUGIN.format(fact=fact))
        return load_registry([path])

    return load


def cell_of(registry, objective="told", **fields):
    request = make_request({"objectives": objective, "floors": False, "budget": "smoke", **fields})
    return make_plan(request, registry).cells[0]


@pytest.mark.parametrize(
    ("fact", "group"),
    [
        ("trains = True", "self-supervised"),
        ('group = "told by measurements"', "told by measurements"),
        ('labels = "all"', "uses labels"),
        ('labels = "some"', "uses labels"),
        ('labels, group = "all", "self-supervised"', "uses labels"),
        ('columns = ("redshift",)', "told by measurements"),
        ('columns, group = {"spectrum": 64}, "self-supervised"', "told by measurements"),
        ('columns, labels = ("redshift",), "some"', "uses labels"),
    ],
)
def test_group_follows_from_what_an_objective_is_told(registry_with, fact, group):
    """Whoever is given labels uses them, whatever it says of itself."""
    assert cell_of(registry_with(fact)).group == group


@pytest.mark.parametrize(
    ("fact", "standing"),
    [
        ('labels = "some"', "ceiling"),
        ('group = "uses labels"', "ceiling"),
        ('labels, standing = "all", "floor"', "floor"),
        ('group = "told by measurements"', "contestant"),
    ],
)
def test_whoever_is_given_labels_is_no_contestant(registry_with, fact, standing):
    """It frames the board as `supervised` does, whatever it declares or forgets to declare."""
    assert cell_of(registry_with(fact)).standing == standing


@pytest.mark.parametrize(
    "taken",
    [
        "from astrojepa_bench.plugin import Profile",
        "from astrojepa_bench.encoders import morphology as shapes",
        "from astrojepa_bench.encoders.morphology import growth_curve",
    ],
)
def test_whoever_takes_the_rulers_measurements_is_told_by_them(tmp_path, taken):
    """Galaxies measured by hand are told beyond the images; what its module imports by name shows it."""
    path = tmp_path / "takes_measurements.py"
    path.write_text(taken + PLUGIN.format(fact="trains = True"))
    whole = tmp_path / "takes_the_door.py"
    whole.write_text("import astrojepa_bench.plugin as bench" + PLUGIN.format(fact="trains = True"))

    assert cell_of(load_registry([path])).group == "told by measurements"
    assert cell_of(load_registry([whole])).group == "self-supervised"


def test_a_floor_stands_beside_the_group_of_its_encoder():
    """Measurements stand beside whoever is told them; pixels beside everybody else."""
    registry = load_registry()

    assert cell_of(registry, "untrained", encoders="profile").group == "told by measurements"
    assert cell_of(registry, "untrained", encoders="pca").group == "self-supervised"
    assert cell_of(registry, "lejepa-morphology").group == "told by measurements"
    assert cell_of(registry, "supervised").group == "uses labels"
    assert {offer.declares("group") for offer in registry.offers("objective")} == {*GROUPS}


def test_a_group_that_is_none_is_refused_with_its_owner(registry_with):
    """A plugin that makes a group of its own would be first in it."""
    with pytest.raises(
        PluginError, match="objective 'told' declares the group 'best'; use one of self-"
    ) as caught:
        registry_with('group = "best"')
    assert "groups_for_tests" in str(caught.value)


def test_a_group_moves_no_id(registry_with):
    """It says who is compared with whom, and changes no number of a run."""
    budget = find_budget("smoke")
    ids = {
        RunIdentity.of(cell_of(registry_with(fact, "same")), None, budget).run_id
        for fact in ("version = 1", 'version, group = 1, "told by measurements"')
    }
    assert len(ids) == 1
