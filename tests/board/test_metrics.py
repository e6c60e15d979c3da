"""Every metric of every evaluator in one table: nothing lost, chance beside it, what it cost below."""

import pytest

from astrojepa_bench.board.metrics import metric_groups, scoring_cost
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli.metrics_view import metrics_text

EVALUATORS = ["linear", "kmeans", "redshift", "collapse", "starlight"]


def score(evaluator, metric, value, chance=None, better=True, **more):
    """Return one recorded score."""
    facts = {"evaluator": evaluator, "metric": metric, "value": value, "chance": chance}
    return {**facts, "higher_is_better": better, "n": 2000, **more}


def full(make_run, objective="alpha", masker="random", seed=0, shift=0.0, **changed):
    """Make a run that every kind of evaluator scored."""
    scores = [
        score("linear", "accuracy", 0.6 + shift, 0.3),
        score("linear", "balanced_accuracy", 0.7 + shift, 0.1),
        score("linear", "recall_0", 0.9),
        score("kmeans", "purity", 0.4, 0.12 + shift),
        score("collapse", "effective_rank", 26.04),
        score("redshift", "sigma_nmad", 0.021 + shift, 0.0346, better=False),
        score("starlight", "r2", 0.5, 0.0),  # a plugin's
    ]
    return make_run(objective, masker, seed, **{"scores": scores, **changed})


def line_of(text, metric):
    """Find the only line of a metric, taken apart."""
    (found,) = [line.split() for line in text.splitlines() if line.split()[:1] == [metric]]
    return found


def test_every_evaluator_stands_in_one_table_with_its_chance(make_run):
    """Direction, chance and value in one line; evaluators that the board does not know come too."""
    runs = [full(make_run), full(make_run, "untrained", "none", shift=-0.2, standing="floor")]
    text = metrics_text(build_board(runs), 100)

    assert line_of(text, "balanced_accuracy") == ["balanced_accuracy", "↑", "0.100", "0.700", "0.500"]
    assert line_of(text, "sigma_nmad") == ["sigma_nmad", "↓", "0.035", "0.021", "-0.179"]
    assert line_of(text, "effective_rank") == ["effective_rank", "↑", "26.0", "26.0"]
    assert line_of(text, "r2") == ["r2", "↑", "0.000", "0.500", "0.500"]
    assert line_of(text, "rank") == ["rank", "1", "floor"]
    assert [line for line in text.splitlines() if line in EVALUATORS] == EVALUATORS


def test_a_null_that_depends_on_the_features_is_a_range(make_run):
    """Permuted clusters of a collapsed encoder are purer than those of a round cloud."""
    runs = [full(make_run), full(make_run, "beta", shift=0.3)]

    assert line_of(metrics_text(build_board(runs), 100), "purity")[2] == "0.120–0.420"


def test_what_was_left_out_is_told(make_run):
    """Recall per class stands in the long table alone, and a reader learns where."""
    text = metrics_text(build_board([full(make_run)]), 100)

    assert "recall_0" not in text
    assert "More metrics stand in board.csv and in the records: linear 1." in text


def test_reasons_of_evaluators_that_scored_nothing_stand_below(make_run):
    """Real galaxies lack a column: the reader sees which, and that it was asked for."""
    reason = "the galaxies carry no column 'redshift' (numeric columns: none)"
    text = metrics_text(build_board([full(make_run, not_scored={"redshift": reason})]), 200)

    assert f": redshift not scored: {reason}" in text


def test_spreads_over_seeds_stand_where_they_fit(make_run):
    """Three seeds show how far a value can be trusted."""
    runs = [full(make_run, seed=seed, shift=0.01 * seed) for seed in range(3)]

    assert "0.710 ± 0.010" in metrics_text(build_board(runs), 100)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("count", [1, 2, 6, 14])
def test_no_line_is_wider_than_the_terminal_and_no_entry_is_lost(make_run, count, width):
    """Names give way to letters, spreads to means, and one table to several."""
    runs = [
        full(make_run, f"objective{entry}", "brightness", seed, 0.001 * entry)
        for entry in range(count)
        for seed in range(2)
    ]
    text = metrics_text(build_board(runs), width)

    assert max(map(len, text.splitlines())) <= width
    assert sum(text.count(f"0.{700 + entry}") for entry in range(count)) >= count
    words = text.replace("\n", " ").split()
    assert all(f"objective{entry}" in words for entry in range(count))


def test_six_entries_stand_side_by_side_in_a_hundred_columns(make_run):
    """One table: six values in one line."""
    runs = [full(make_run, f"objective{entry}", "multiblock", shift=0.001 * entry) for entry in range(6)]

    assert len(line_of(metrics_text(build_board(runs), 100), "balanced_accuracy")) == 3 + 6


def test_odd_statuses_take_no_room_from_values(make_run):
    """Collapsed seeds are averaged in, marked, and told below the table."""
    runs = [full(make_run, f"objective{entry}", seed=seed, status="collapsed" if seed else "ok")
            for entry in range(6) for seed in range(3)]  # fmt: skip
    text = metrics_text(build_board(runs), 100)

    assert line_of(text, "status") == ["status", *"††††††"]
    assert "· † objective3 + random: collapsed 2/3" in text
    assert len(line_of(text, "balanced_accuracy")) == 3 + 6


def test_long_names_fold_and_stay_whole(make_run):
    """A plugin's metric may be called anything."""
    name = "a_metric_with_a_name_that_nobody_can_remember"
    text = metrics_text(build_board([full(make_run, scores=[score("linear", name, 0.25)])]), 80)

    head, tail = (
        next(i for i, line in enumerate(text.splitlines()) if part in line) for part in (name[:28], name[28:])
    )
    assert tail == head + 1
    assert "0.250" in text.splitlines()[head]


def test_scores_of_an_older_evaluator_do_not_mix_with_those_of_the_newest(make_run):
    """Another version is another measurement."""
    old = full(make_run, scores=[score("linear", "accuracy", 0.9, evaluator_version="v1")])
    new = full(make_run, "beta", scores=[score("linear", "accuracy", 0.6, evaluator_version="v2")])

    assert line_of(metrics_text(build_board([old, new]), 100), "accuracy")[-2:] in (
        ["–", "0.600"],
        ["0.600", "–"],
    )


def test_a_run_that_failed_has_no_values(lost_run, make_run):
    """Its column stands, and the reason below."""
    lost = lost_run("diverged", "loss was not finite", objective="beta")
    text = metrics_text(build_board([full(make_run), lost]), 100)

    assert line_of(text, "balanced_accuracy")[-1] == "–"
    assert "loss was not finite" in text


def test_groups_keep_the_order_of_the_ruler(make_run):
    """Classes first, geometry last, then what plugins brought."""
    board = build_board([full(make_run)])

    assert [group.evaluator for group in metric_groups(board, board.sections[0])] == EVALUATORS


# --- what scoring costs ---------------------------------------------------------------------------------


def costing(make_run, evaluation, train_seconds, **changed):
    """Make a run with known seconds."""
    return full(make_run, cost={"train_seconds": train_seconds, "evaluation": evaluation}, **changed)


def test_core_and_full_are_shares_of_training(make_run):
    """Core: its evaluators and what they read, 30 of 200 s; the rest is full."""
    parts = {"features": 10.0, "views": 5.0, "linear": 15.0, "errors": 70.0, "twin": 0.001}
    (line,) = scoring_cost([costing(make_run, parts, 200.0)])

    assert line.startswith("Scoring a run: core 30 s (15 % of training), full 100 s (50 % of training).")
    assert line.endswith("prediction_errors 70.0, linear 15.0, features 10.0, augmented_views 5.0.")


def test_floors_do_not_water_the_share_down(make_run):
    """Untrained encoders cost nothing to train; the share is of runs that were trained."""
    floor = costing(make_run, {"linear": 90.0}, None, objective="untrained", standing="floor")
    (line,) = scoring_cost([costing(make_run, {"linear": 20.0}, 100.0), floor])

    assert line.startswith("Scoring a run: core 20 s (20 % of training). ")


def test_floors_alone_have_seconds_and_no_share(make_run):
    """Nothing to be a share of."""
    (line,) = scoring_cost([costing(make_run, {"linear": 2.5}, None, standing="floor")])

    assert line.startswith("Scoring a run: core 2.5 s. ")
