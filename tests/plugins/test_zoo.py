"""The zoo's five models, as near as what is published allows."""

import pytest
from astrojepa_zoo import MODELS, astrojepa_suites

from astrojepa_bench.board.published import is_entry
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.types import ImageSpec

ZOO = astrojepa_suites()["astrojepa-zoo"]


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def cells_of(registry, budget):
    return make_plan(
        make_request({"suite": "astrojepa-zoo", "budget": budget, "floors": False}), registry
    ).cells


@pytest.mark.parametrize("budget", ["smoke", "standard", "long"])
def test_five_models_are_planned_at_any_budget(registry, budget):
    """Every option is one that the pieces have, and no two models are one run."""
    cells = cells_of(registry, budget)

    assert [cell.objective.name for cell in cells] == ["ijepa", "ijepa", *["ijepa-sigreg"] * 3]
    assert {cell.masker.name for cell in cells} == {"brightness-seed"}
    assert all(cell.skip is None for cell in cells)
    assert len({cell.label for cell in cells}) > 1


def test_published_sizes_and_weights_are_asked_for(registry):
    """λ, width, depth and learning rates of the zoo's table, SIGReg on the pooled tokens and without N."""
    cells = cells_of(registry, "standard")
    lams = [cell.objective.options.get("lam") for cell in cells]
    sizes = [(cell.encoder.options["width"], cell.encoder.options["depth"]) for cell in cells]

    assert lams == [None, None, 0.6, 0.6, 0.01]
    assert sizes == [(192, 6)] * 3 + [(384, 8)] * 2
    for cell in cells[2:]:
        options = cell.objective.options
        assert (options["tensor"], options["scale_by_n"], options["teacher"]) == ("pooled", False, "ema")
        assert (options["slices"], options["knots"], options["reach"]) == (256, 17, 5.0)


def test_teacher_remembers_as_long_as_published(registry):
    """Momentum .996 at 100 epochs of 17,736 galaxies in batches of 256, within what rounding the share leaves."""
    from astrojepa_bench.types import Progress

    cell = cells_of(registry, "standard")[0]
    with scoped_global(0, "tests"):
        spec = ImageSpec(("z", "r", "g"), 224, (0.5,) * 3, (0.3,) * 3)
        encoder = cell.encoder.build(spec)
        method = cell.objective.build(encoder, encoder.grid, 10)
    steps = -(-100 * 17_736 // 256)

    assert method.momentum(Progress(1, steps)) == pytest.approx(0.996, abs=0.0006)
    assert (method.sizes.targets, method.sizes.target, method.sizes.context) == (4, 9, 53)


def test_published_figures_are_the_printed_ones():
    """30, 40, 52, 59.1 and 57.1 % for the zoo; 76 to 78 % for LeJEPA with ConvNets; each says what differs."""
    figures = [float(figure.figure) for figure in ZOO.published[:8]]

    assert figures == [30, 40, 52, 59.1, 57.1, 75.95, 76.52, 78.17]
    assert all("approximate" in figure.differs for figure in ZOO.published[:5])
    assert [figure.entry for figure in ZOO.published[:5]] == list(MODELS)


def test_every_figure_says_who_split_and_read_it_how():
    """A number without these is a rumour; and no two rows quote one thing."""
    for figure in ZOO.published:
        assert all((figure.split, figure.head, figure.ran_by, figure.differs, figure.source)), figure.model
    assert len({figure.model for figure in ZOO.published}) == len(ZOO.published) == 26


def test_each_figure_finds_its_own_model_and_no_other(registry):
    """A run of model 4 must not stand beside the figure of model 5."""
    for number, cell in enumerate(cells_of(registry, "small")):
        pieces = {"objective": cell.objective, "masker": cell.masker, "encoder": cell.encoder}
        record = RunRecord(
            run_id="0", entry_id="0", status="ok", dataset="galaxy10", seed=0, budget="small", identity={},
            **{kind: piece.name for kind, piece in pieces.items()},
            options={kind: piece.recorded() for kind, piece in pieces.items()},
        )  # fmt: skip
        assert [is_entry(record, model) for model in MODELS] == [i == number for i in range(5)]
