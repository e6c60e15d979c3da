"""What the board knows of evaluators by name follows from the evaluators."""

import re

import pytest

from astrojepa_bench.board.metrics import DETAILS, ORDER, SHARED
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
