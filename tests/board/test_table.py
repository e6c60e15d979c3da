"""What is ranked on the board, and what must never be mixed, ranked or averaged."""

import math

import pytest
from scipy import stats

from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.statistics import wilson
from astrojepa_bench.board.table import build_board
from astrojepa_bench.board.text import headline_of, section_facts, section_title
from astrojepa_bench.metric import binomial_se
from tests.board.conftest import rows_of


def test_seeds_of_an_entry_become_one_row(six_entries):
    """Six entries with three seeds each are six rows with means over seeds."""
    rows = rows_of(six_entries)
    assert len(rows) == 6
    best = rows["alpha + brightness"]
    assert best.seeds == (0, 1, 2)
    assert best.cells["linear.accuracy"].mean == pytest.approx(0.74)
    assert best.cells["linear.accuracy"].sd == pytest.approx(0.01)
    assert not best.provisional


def test_seeds_that_are_all_right_are_not_certain(make_run):
    """No cell has an interval of width 0, and the note says what stands there."""
    runs = [make_run(seed=seed, linear=1.0) for seed in range(3)]
    runs = [
        run.model_copy(
            update={"scores": [s.model_copy(update={"item_se": binomial_se(1.0, s.n)}) for s in run.scores]}
        )
        for run in runs
    ]
    (section,) = build_board(runs).sections
    cell, column = section.rows[0].cells["linear.accuracy"], headline_of(section)

    assert (cell.low, cell.high) == pytest.approx(wilson(1.0, 608))
    assert column.text(cell) == "100.0 [99.4, 100.0]"
    assert any("all seeds of an entry agree" in note for note in section.notes)
    bare = build_board([make_run(seed=seed, linear=1.0) for seed in range(3)]).sections[0]
    assert column.text(bare.rows[0].cells["linear.accuracy"]) == "100.0"  # nothing tells how sure it is


def test_contestants_are_ordered_by_accuracy(make_run):
    """The rank follows plain accuracy, even where balanced accuracy says otherwise."""
    rows = rows_of(
        [
            make_run("alpha", linear=0.9, balanced=0.5),
            make_run("beta", linear=0.7, balanced=0.6),
        ]
    )
    assert [row.objective for row in rows.values()] == ["alpha", "beta"]
    assert [row.rank for row in rows.values()] == [1, 2]


def test_a_suite_may_name_another_headline(make_run):
    """Order, lifts and verdicts follow it."""
    runs = [
        make_run(name, "none", seed, linear + 0.01 * seed, balanced + 0.01 * seed, standing=standing)
        for seed in range(3)
        for name, linear, balanced, standing in (
            ("alpha", 0.9, 0.5, "contestant"),
            ("beta", 0.7, 0.6, "contestant"),
            ("untrained", 0.6, 0.3, "floor"),
        )
    ]
    (section,) = build_board(runs, Rules(headline="linear.balanced_accuracy")).sections

    assert [row.objective for row in section.rows] == ["beta", "alpha", "untrained"]
    assert section.rows[0].cells["lift.accuracy"].mean == pytest.approx(0.3)
    assert section.verdicts.metric == "linear.balanced_accuracy"


def test_groups_are_ranked_apart(make_run):
    """An objective that is told measurements takes no rank from one that is not."""
    runs = [
        make_run(name, seed=seed, linear=value + 0.01 * seed)
        for seed in range(3)
        for name, value in (("alpha", 0.6), ("beta", 0.8), ("told", 0.7))
    ]
    (section,) = build_board(runs, Rules(groups={"told": "told by measurements"})).sections

    found = [(row.objective, row.group, row.rank, row.ranks, row.letters) for row in section.rows]
    assert found == [
        ("beta", "self-supervised", 1, (1, 1), "a"),
        ("alpha", "self-supervised", 2, (2, 2), "b"),
        ("told", "told by measurements", 1, (1, 1), "a"),
    ]


def test_floors_and_ceilings_are_shown_but_not_ranked(six_entries):
    """A ceiling above everyone takes no rank, and floors stand last."""
    rows = list(rows_of(six_entries).values())
    assert [row.standing for row in rows[-3:]] == ["ceiling", "floor", "floor"]
    assert [row.rank for row in rows] == [1, 2, None, None, None, None]


def test_a_collapsed_seed_is_averaged_in(six_entries):
    """Dropping a collapsed seed would flatter an unstable method; it counts, and is shown."""
    row = rows_of(six_entries)["alpha + random"]
    assert row.status == "collapsed 1/3"
    assert row.cells["linear.accuracy"].n == 3
    assert row.rank == 2


@pytest.mark.parametrize("status", ["failed", "diverged", "timeout", "oom", "interrupted"])
def test_an_entry_that_lost_a_seed_is_not_ranked(make_run, lost_run, status):
    """The lost seed may have been the worst one; the row says what happened and keeps its mean."""
    runs = [
        make_run(seed=0),
        make_run(seed=1),
        lost_run(status, "it broke", seed=2),
        make_run("beta", linear=0.5),
    ]
    row = rows_of(runs)["alpha + random"]
    assert row.rank is None
    assert row.unranked == f"1 of 3 seeds {status}: it broke"
    assert row.cells["linear.accuracy"].n == 2
    assert rows_of(runs)["beta + random"].rank == 1


def test_an_entry_without_any_score_still_has_a_row(lost_run):
    """A contestant that failed at every seed is seen to have failed."""
    row = rows_of([lost_run("oom", seed=0), lost_run("oom", seed=1)])["alpha + random"]
    assert (row.rank, row.status, dict(row.cells)) == (None, "oom 2/2", {})


@pytest.mark.parametrize(
    ("facts", "provisional"),
    [
        ({"cost": {"parameters": 0, "train_seconds": 0.0}, "standing": "floor"}, False),
        ({"cost": {"parameters": 466_080, "train_seconds": 0.0}, "standing": "floor"}, True),
        ({"cost": {"parameters": 466_080, "train_seconds": 0.0}}, False),
        ({"cost": {"parameters": 466_080, "train_seconds": 9.0}}, True),
    ],
    ids=["pixels", "drawn weights", "weights from a file", "trained"],
)
def test_what_no_seed_enters_is_not_provisional(make_run, facts, provisional):
    """One run says all of an encoder without weights, or with given ones; drawn weights and training need more."""
    board = build_board([make_run(**facts)])
    assert board.sections[0].rows[0].provisional is provisional
    assert any("provisional" in note for note in board.sections[0].notes) is provisional


@pytest.mark.parametrize(("seeds", "provisional"), [(1, True), (2, True), (3, False)])
def test_fewer_than_three_seeds_are_provisional(make_run, seeds, provisional):
    """One seed has no spread and two hardly have one."""
    (row,) = rows_of([make_run(seed=seed) for seed in range(seeds)]).values()
    assert row.provisional is provisional


def test_the_lift_is_over_the_entrys_own_untrained_encoder(six_entries):
    """(.73, .74, .75) over (.625, .63, .635) is .11; its interval allows for other galaxies, by hand below."""
    lift = rows_of(six_entries)["alpha + brightness"].cells["lift.accuracy"]
    assert lift.n == 3
    assert lift.mean == pytest.approx(0.11)
    # two contestants tell a spread of .01, pooled over 4 degrees of freedom; one ceiling tells none
    own = (2 * 0.01**2 + 4 * 0.01**2) / 6
    floor = (2 * 0.005**2 + 4 * 0.01**2) / 6
    galaxies = 0.0727 / 608  # no seed can be quieter than its test galaxies
    seeds = (max(own, galaxies) + max(floor, galaxies)) / 3
    part = 0.02 / 608  # borrowed: the galaxies that prefer one of two objectives
    df = (seeds + part) ** 2 / (seeds**2 / 6 + part**2 / 607)
    half = stats.t.ppf(1 - 0.05 / 2 / 2, df) * math.sqrt(seeds + part)  # two lifts are judged together
    assert (lift.low, lift.high) == pytest.approx((0.11 - half, 0.11 + half))


def test_another_encoder_is_no_reference(make_run):
    """A floor with another encoder, or other options of it, gives no lift."""
    runs = [
        make_run("alpha", linear=0.7),
        make_run("untrained", encoder="pca", linear=0.6, standing="floor"),
        make_run("untrained", linear=0.5, standing="floor", options={"encoder": {"patch": 16}}),
    ]
    assert "lift.accuracy" not in rows_of(runs)["alpha + random"].cells


def test_a_lift_of_single_seeds_has_no_interval(make_run):
    """One seed tells the difference, and nothing of how far to trust it."""
    runs = [make_run("alpha", seed=0), make_run("untrained", seed=1, linear=0.5, standing="floor")]
    lift = rows_of(runs)["alpha + random"].cells["lift.accuracy"]
    assert (lift.mean, lift.low, lift.high) == (pytest.approx(0.2), None, None)


def test_of_two_floors_the_better_one_counts(make_run):
    """A weak floor beside the untrained encoder does not make a lift larger."""
    runs = [
        make_run("alpha", linear=0.7),
        make_run("untrained", linear=0.6, standing="floor"),
        make_run("majority", linear=0.4, standing="floor"),
    ]
    assert rows_of(runs)["alpha + random"].cells["lift.accuracy"].mean == pytest.approx(0.1)


@pytest.mark.parametrize(
    "other", [{"dataset": "hdf5"}, {"fingerprint": "other"}, {"splits": "other"}, {"budget": "smoke"}]
)
def test_what_cannot_be_compared_stands_in_another_section(make_run, other):
    """Other galaxies, splits or budgets answer another question."""
    board = build_board([make_run(linear=0.7), make_run(linear=0.5, seed=1, **other)])
    assert len(board.sections) == 2
    assert [len(section.rows[0].seeds) for section in board.sections] == [1, 1]


def test_another_protocol_stands_in_another_section(make_run):
    """A changed training or scoring loop starts a new table."""
    old = make_run()
    new = old.model_copy(update={"run_id": "other", "identity": {**old.identity, "protocol": 99}})
    assert [section.protocol for section in build_board([old, new]).sections] == ["2", "99"]


def test_sections_of_fewer_galaxies_come_in_the_order_of_their_number(make_run):
    """500 before 2,000, which text would put first; all galaxies before either."""
    full = make_run()
    some = [
        full.model_copy(update={"run_id": str(n), "identity": {**full.identity, "pretraining": n}})
        for n in (8000, 500, 2000)
    ]

    found = [section.budget for section in build_board([*some, full]).sections]

    assert [name.removeprefix("small, ").split()[0] for name in found] == ["small", "500", "2000", "8000"]


def test_fewer_pretraining_galaxies_stand_in_another_section(make_run):
    """A budget on 500 galaxies answers another question than the same budget on all."""
    full = make_run()
    few = full.model_copy(update={"run_id": "few", "identity": {**full.identity, "pretraining": 500}})
    assert [section.budget for section in build_board([full, few]).sections] == [
        "small",
        "small, 500 pretraining galaxies",
    ]


def test_two_versions_of_one_plugin_are_two_rows(make_run):
    """Runs of an edited plugin are not averaged with those of the old one."""
    rows = rows_of([make_run(chain={"objective": {"own": version}}) for version in ("v1", "v2")])
    assert list(rows) == [f"alpha + random + vit-micro (objective version=v{i})" for i in (1, 2)]


def test_scores_of_an_older_evaluator_are_not_mixed_in(make_run):
    """A new version of an evaluator measures something else; old numbers are left out and counted."""
    old, new = make_run(seed=0, linear=0.1), make_run(seed=1, linear=0.7)
    raised = [
        score.model_copy(update={"evaluator_version": "v2"}) if score.evaluator == "linear" else score
        for score in new.scores
    ]
    (section,) = build_board([old, new.model_copy(update={"scores": raised})]).sections
    assert section.rows[0].cells["linear.accuracy"].mean == pytest.approx(0.7)
    assert any("another version of linear" in note for note in section.notes)


def test_unlabelled_galaxies_rank_nobody(make_run):
    """Without a linear score there is no order, and the board says so."""
    knn_only = make_run().model_copy(update={"scores": make_run().scores[2:]})
    (row,) = rows_of([knn_only]).values()
    assert (row.rank, row.unranked) == (None, "no linear.accuracy was measured")


GPU = {"device_class": "cuda", "precision": "bf16"}


@pytest.mark.parametrize("other", [{"device_class": "cuda"}, {"precision": "bf16"}])
def test_runs_in_other_arithmetic_stand_in_another_section(make_run, other):
    """A mean over CPU and GPU runs is of nothing; their headings say which is which."""
    board = build_board([make_run(linear=0.7), make_run(linear=0.5, **other)])

    assert {(s.device_class, s.precision) for s in board.sections} == {
        ("cpu", "float32"),
        (other.get("device_class", "cpu"), other.get("precision", "float32")),
    }
    assert {section_title(s) for s in board.sections} == {
        f"synthetic, budget small, {s.device_class} {s.precision}" for s in board.sections
    }
    assert all(
        f"device {s.device_class}, precision {s.precision}" in section_facts(s) for s in board.sections
    )
    assert not any("mixes" in note for s in board.sections for note in s.notes)


def test_a_floor_lifts_entries_of_its_own_device_only(make_run):
    """An untrained encoder that was scored on a CPU is no reference of GPU runs."""
    runs = [
        make_run("untrained", linear=0.5, standing="floor"),
        make_run(linear=0.7),
        make_run(linear=0.8, **GPU),
    ]
    cpu, gpu = build_board(runs).sections

    assert [row.objective for row in cpu.rows] == ["alpha", "untrained"]
    assert cpu.rows[0].cells["lift.accuracy"].mean == pytest.approx(0.2)
    assert [dict(row.cells).get("lift.accuracy") for row in gpu.rows] == [None]


def knn(k):
    """Describe the nearest neighbours of a record."""
    return {"knn": {"version": "v1", "options": {"k": k}}, "linear": {"version": "v1", "options": {}}}


def test_scores_by_other_settings_are_in_no_mean(make_run):
    """One neighbour measures something else than twenty: the setting of most runs counts, the others are told."""
    runs = [
        make_run(seed=0, linear=0.7, evaluators=knn(20)),
        make_run(seed=1, linear=0.8, evaluators=knn(20)),
        make_run(seed=2, linear=0.9, evaluators=knn(1), correct={"knn.accuracy": "AA=="}),
    ]
    (section,) = build_board(runs).sections
    (row,) = section.rows

    assert (row.cells["knn.accuracy"].n, row.cells["linear.accuracy"].n) == (2, 3)
    assert row.cells["knn.accuracy"].mean == pytest.approx(0.67)
    assert [note for note in section.notes if "settings" in note] == [
        'Scores of knn by other settings than {"k":20} are not shown (1 run); they stand in board.csv.'
    ]


def test_settings_of_an_older_version_do_not_count(make_run):
    """What most runs were scored by is asked of the newest version alone."""
    old = [make_run(seed=s, evaluators=knn(1)) for s in range(3)]
    new = make_run(seed=3, linear=0.9, evaluators=knn(20))
    raised = [
        score.model_copy(update={"evaluator_version": "v2"}) if score.evaluator == "knn" else score
        for score in new.scores
    ]
    (section,) = build_board([*old, new.model_copy(update={"scores": raised})]).sections

    assert section.rows[0].cells["knn.accuracy"].n == 1
    assert section.rows[0].cells["knn.accuracy"].mean == pytest.approx(0.82)


def test_a_changed_budget_of_the_same_name_stands_apart(make_run):
    """What counts is how many images were seen, not what the budget was called."""
    changed = [make_run(budget="small 100 seen"), make_run(budget="small 200 seen")]
    named = [record.model_copy(update={"budget": "small"}) for record in changed]
    assert len(build_board(named).sections) == 2
