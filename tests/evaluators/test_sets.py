"""What the board knows of evaluators by name follows from the evaluators."""

import re

import pytest

from astrojepa_bench.board.metrics import DETAILS, ORDER, SHARED
from astrojepa_bench.cli import main
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.request import EVALUATOR_SETS


@pytest.fixture(scope="module")
def offers():
    """Evaluators on offer, by name."""
    return {offer.name: offer for offer in load_registry().offers("evaluator")}


def test_every_evaluator_of_the_ruler_has_its_place_in_the_table(offers):
    """Only what plugins bring is sorted by name."""
    own = {name for name, offer in offers.items() if offer.factory.__module__.startswith("astrojepa_bench.")}

    assert set(ORDER) == own
    assert set(DETAILS) <= own


def test_core_evaluators_request_what_is_counted_as_theirs(offers):
    """An evaluator of the core that asks for more makes the core dearer, and its seconds must be counted."""
    asked = {request for name in EVALUATOR_SETS["core"] for request in offers[name].factory().requests}

    assert set(SHARED) == {"features", *asked}


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
    assert not [metric for metric in shown if re.fullmatch(DETAILS[evaluator], metric)]
    assert all(re.fullmatch(DETAILS[evaluator], metric) for metric in hidden)


NAMES = (
    "linear", "few-shot", "knn", "kmeans", "anomaly", "anomaly-scorers", "redshift", "factors", "robustness",
    "collapse",
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
