"""What the board knows of evaluators follows from the evaluators; and each says what a reader must know of it."""

import re

import pytest

from astrojepa_bench.board.columns import ACCURACY
from astrojepa_bench.board.metrics import SHARED
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.builtin import astrojepa_evaluators
from astrojepa_bench.cli import main
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.plan import evaluators_named
from astrojepa_bench.runs.request import EVALUATOR_SETS


@pytest.fixture(scope="module")
def offers():
    """Evaluators on offer, by name."""
    return {offer.name: offer for offer in load_registry().offers("evaluator")}


def test_evaluators_of_the_ruler_stand_in_their_own_order(offers):
    """The board takes them and their order from where they are offered, and names none itself."""
    own = {name for name, offer in offers.items() if offer.factory.__module__.startswith("astrojepa_bench.")}

    assert set(SHOWN) == own
    assert tuple(SHOWN) == tuple(astrojepa_evaluators()) == NAMES
    assert all(cls.metrics is SHOWN[name] for name, cls in astrojepa_evaluators().items())


def test_board_orders_and_lifts_by_one_metric():
    """Two of them would make the order a matter of chance; the rules of a board name the same one."""
    roles = [metric.role for metrics in SHOWN.values() for metric in metrics if metric.role]

    assert roles == ["ranks"]
    assert ACCURACY.key == Rules().headline == "linear.accuracy"


def test_core_evaluators_request_what_is_counted_as_theirs(offers):
    """An evaluator of the core that asks for more makes the core dearer, and its seconds must be counted."""
    asked = {request for name in EVALUATOR_SETS["core"] for request in offers[name].factory().requests}

    assert set(SHARED) == {"features", *asked}


def test_costly_evaluators_run_where_their_name_is_asked_for_alone():
    """`full` would take as long as all trainings together."""
    registry = load_registry()
    full = [offer.name for offer in evaluators_named(("full",), registry)]

    assert "finetune" not in full
    assert {"layers", "attentive", "nuisance", "transfer"} <= set(full)
    assert [offer.name for offer in evaluators_named(("full", "finetune"), registry)] == [*full, "finetune"]


@pytest.mark.parametrize(
    ("evaluator", "shown", "hidden"),
    [
        ("linear", ["accuracy", "balanced_accuracy", "nll"], ["recall_0", "recall_12"]),
        ("few-shot", ["balanced_accuracy_10"], ["balanced_accuracy_10_spread", "accuracy_10"]),
        ("anomaly", ["auroc_physical", "recall_at_k_held_out"], ["auroc", "precision_at_50_physical"]),
        ("anomaly-scorers", ["error_max_auroc_artefact"], ["colour_auroc", "forest_recall_at_k_physical"]),
        ("redshift", ["r2", "class_only_r2", "class_only_sigma_nmad"], ["knn_r2", "class_only_outliers_05"]),
    ],
)
def test_headline_metrics_are_shown(evaluator, shown, hidden):
    """Patterns that swallow a headline number would hide it from every reader of the table."""
    metrics = SHOWN[evaluator]

    def level(name):
        return next((metric.level for metric in metrics if metric.describes(name)), "usual")

    assert not [name for name in shown if level(name) == "detail"]
    assert all(level(name) == "detail" for name in hidden)


NAMES = (
    "linear", "mlp", "few-shot", "layers", "attentive", "finetune", "knn", "kmeans", "anomaly", "anomaly-scorers",
    "redshift", "factors", "nuisance", "transfer", "robustness", "collapse",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("said", ["Measures", "Chance", "[Gg]olden number", "Do not", "Source:"])
def test_each_evaluator_says_what_it_measures_and_when_not_to_trust_it(offers, name, said):
    """What a reader of a score must know, where `show` finds it."""
    assert re.search(said, " ".join(offers[name].factory.__doc__.split())), f"{name} does not say '{said}'"


@pytest.mark.parametrize("name", NAMES)
def test_show_prints_what_chance_is_and_when_not_to_trust_it(name, capsys):
    """On the command line, as in the docstring."""
    assert main(["show", f"evaluator:{name}"]) == 0
    shown = capsys.readouterr().out

    assert all(word in shown.lower() for word in ("measures", "chance", "golden", "do not"))


def test_list_gives_each_evaluator_a_sentence(offers):
    """The first line of a docstring, whole."""
    for offer in offers.values():
        assert offer.summary.endswith("."), offer.name
        assert len(offer.summary) > 40, offer.name
