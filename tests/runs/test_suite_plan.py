"""From a suite to cells, and what is merged where maskers cannot matter."""

import pytest

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request

PLUGIN = '''
from astrojepa_bench.plugin import Block, Encoder, Masker, Objective, Suite, hookimpl


class Driven(Objective):
    """Needs masks."""

    def __init__(self, encoder, grid, classes, *, rate: float = 1.0, depth: int = 2):
        """Keep nothing."""

    def loss(self, batch, draw, streams):
        """Never asked."""


class Free(Driven):
    """Can do without masks."""

    masks = "optional"


class Blind(Driven):
    """Pays masks no attention."""

    masks = "ignored"


class Flat(Encoder):
    """Has no patches."""

    grid = None

    def forward(self, images, keep=None):
        """Never asked."""


def block(*objectives, **more):
    """Meet two maskers."""
    return Block(objectives=objectives, maskers=("random", "multiblock"), **more)


@hookimpl
def astrojepa_objectives():
    """Offer them."""
    return {"driven": Driven, "free": Free, "blind": Blind}


@hookimpl
def astrojepa_encoders():
    """Offer it."""
    return {"flat": Flat}


@hookimpl
def astrojepa_suites():
    """Offer good and bad ones."""
    fast = {"objective": {"rate": 9.0}}
    return {
        "field": Suite(summary="All.", blocks=[block("driven", "free"), block("blind")], evaluators=["knn"]),
        "rates": Suite(summary="Rates.", blocks=[block("driven"), block("driven", options=fast)]),
        "twice": Suite(summary="Twice.", blocks=[block("driven"), block("driven", "free")]),
        "fixed": Suite(summary="Fixed.", blocks=[block("driven", encoders=["vit-tiny"])]),
        "mixed": Suite(summary="Mixed.", blocks=[block("driven", encoders=["vit-tiny"]), block("free")]),
        "absent": Suite(summary="Absent.", blocks=[block("drivn")]),
        "unjudged": Suite(summary="Unjudged.", blocks=[block("driven")], evaluators=["kn"]),
        "misset": Suite(summary="Misset.", blocks=[block("driven", options={"objective": {"rte": 1}})]),
        "misvalued": Suite(summary="Bad.", blocks=[block("driven", options={"objective": {"depth": "x"}})]),
    }
'''


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "suites_for_tests.py"
    path.write_text(PLUGIN)
    return load_registry([path])


def plan(registry, **fields):
    return make_plan(make_request({"budget": "smoke", "floors": False, **fields}), registry)


def named(cells):
    return [(cell.objective.name, cell.masker.name, cell.encoder.name) for cell in cells]


def both(objective, encoder="vit-micro"):
    return [(objective, masker, encoder) for masker in ("random", "multiblock")]


def test_a_suite_runs_whole_and_what_ignores_masks_runs_once(registry):
    """Two driven objectives meet two maskers each, the blind one none; the suite's evaluators judge."""
    found = plan(registry, suite="field", seeds="2")

    assert named(found.cells[::2]) == [*both("driven"), *both("free"), ("blind", "none", "vit-micro")]
    assert [cell.seed for cell in found.cells] == [0, 1] * 5
    assert [piece.name for piece in found.evaluators] == ["knn"]


def test_evaluators_of_the_request_win_over_those_of_the_suite(registry):
    """The suite says who judges unless the user does."""
    found = plan(registry, suite="field", evaluators="linear,collapse")

    assert [piece.name for piece in found.evaluators] == ["linear", "collapse"]
    assert [piece.name for piece in plan(registry, suite="rates").evaluators][:2] == ["linear", "knn"]


def test_blocks_of_one_objective_with_other_options_are_other_entries(registry):
    """Both rates run under each masker, and their names tell them apart."""
    cells = plan(registry, suite="rates").cells

    assert [cell.objective.options["rate"] for cell in cells] == [1.0, 1.0, 9.0, 9.0]
    assert cells[2].label == "driven(rate=9.0) + random + vit-micro, seed 0"
    assert cells[0].label == "driven + random + vit-micro, seed 0"
    assert [cell.altered for cell in cells[1:3]] == [{}, {"objective": {"rate": 9.0}}]


def test_an_entry_of_two_blocks_runs_once(registry):
    """Blocks overlap freely; nothing is trained twice."""
    assert named(plan(registry, suite="twice").cells) == [*both("driven"), *both("free")]


def test_floors_stand_beside_a_suite(registry):
    """Every encoder that a suite trains is also scored untrained."""
    cells = plan(registry, suite="mixed", floors=True).cells
    floors = {cell.encoder.name for cell in cells if cell.objective.name == "untrained"}

    assert {"vit-tiny", "vit-micro", "pca"} <= floors


def test_an_encoder_goes_to_blocks_that_name_none(registry):
    """A block's own encoder is part of its question; an encoder that reaches no block is refused."""
    assert named(plan(registry, suite="mixed", encoders="vit-small").cells) == [
        *both("driven", "vit-tiny"),
        *both("free", "vit-small"),
    ]
    with pytest.raises(ConfigError, match="suite 'fixed' names its own encoders; leave out --encoder"):
        plan(registry, suite="fixed", encoders="vit-small")


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        ("absent", "unknown objective 'drivn'; did you mean 'driven'"),
        ("unjudged", "unknown evaluator 'kn'"),
        ("misset", "has no option 'rte'; did you mean 'rate'"),
    ],
)
def test_a_suite_that_names_what_is_not_there_is_blamed_for_it(registry, suite, said):
    """The user typed none of these names: the message gives the suite and its plugin first."""
    with pytest.raises(ConfigError) as caught:
        plan(registry, suite=suite)

    assert str(caught.value).startswith(f"suite '{suite}' (plugin suites_for_tests): ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_value_in_a_suite_names_the_option(registry):
    """Values of a block are checked like those of the command line."""
    with pytest.raises(ConfigError, match="option 'depth' is 'x', expected int"):
        plan(registry, suite="misvalued")


def test_settings_reach_the_pieces_of_a_suite(registry):
    """`--set` holds for every block that leaves the option open."""
    cells = plan(registry, suite="rates", settings={"objective": {"depth": "5"}}).cells

    assert {cell.objective.options["depth"] for cell in cells} == {5}


def test_a_setting_against_the_suites_own_is_refused(registry):
    """Silently, either the user's word or the suite's question would be lost."""
    for address in ("objective", "objective:driven"):
        with pytest.raises(ConfigError, match=r"the suite itself sets objective.rate=9.0 on 'driven'"):
            plan(registry, suite="rates", settings={address: {"rate": "2"}})


def test_without_patches_each_objective_runs_once(registry):
    """Six equal runs under six maskers would fake six entries; the plan says that it merged them."""
    found = plan(registry, objectives="driven,free,blind", maskers="random,multiblock", encoders="flat")

    assert named(found.cells) == [(name, "none", "flat") for name in ("driven", "free", "blind")]
    assert [bool(cell.skip) for cell in found.cells] == [True, False, False]
    assert found.cells[0].skip == (
        "objective 'driven' with encoder 'flat' and masker 'none': the objective needs patches to mask and the "
        "encoder has none"
    )
    assert found.notes == (
        "encoder 'flat' has no patches to mask: each objective runs once with it, without masks",
    )


def test_nothing_is_said_where_nothing_was_merged(registry):
    """A note without a reason would train readers to skip notes."""
    assert plan(registry, objectives="free", maskers="none", encoders="flat").notes == ()
    assert plan(registry, objectives="free", maskers="random").notes == ()


def test_a_budgets_own_patch_is_no_altered_option(registry):
    """What everybody gets names nobody; what one entry sets names it."""
    (cell,) = plan(registry, objectives="free", budget="standard", encoders="vit-micro").cells
    assert cell.encoder.options["patch"] == 16
    assert cell.altered == {}
    (cell,) = plan(registry, objectives="free", settings={"encoder": {"patch": "16"}}).cells
    assert cell.altered == {"encoder": {"patch": 16}}


def test_setting_the_default_alters_nothing(registry):
    """However an entry was asked for, it has one name."""
    (cell,) = plan(registry, objectives="free", settings={"objective": {"rate": "1"}}).cells
    assert cell.altered == {}
