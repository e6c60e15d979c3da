"""Comparing by name: a planted win is better, a planted tie is not, and the sentence says what the numbers say."""

import pytest

from astrojepa_bench.board.compare import compare_by_name
from astrojepa_bench.board.named import PartName, find_entries, read_name
from astrojepa_bench.board.table import build_board
from astrojepa_bench.errors import ConfigError


@pytest.fixture(scope="module")
def runs(make_run):
    """Let alpha win by ten points, beta and gamma tie; each under two maskers, beside a floor of their encoder."""
    means = {"alpha": 0.80, "beta": 0.70, "gamma": 0.701}
    jitter = (-0.008, 0.0, 0.008)
    found = [
        make_run(objective, masker, seed, mean + jitter[(seed + shift) % 3] + 0.01 * (masker == "brightness"))
        for shift, (objective, mean) in enumerate(means.items())
        for masker in ("random", "brightness")
        for seed in range(3)
    ]
    floors = [
        make_run("untrained", "none", seed, 0.6 + jitter[seed], standing="floor", cost={"flops": 0.0})
        for seed in range(3)
    ]
    return [*found, *floors]


@pytest.fixture(scope="module")
def board(runs):
    return build_board(runs)


def headline(board, a, b):
    return compare_by_name(board, a, b)[0]


def test_planted_win_is_better(board):
    """Ten points against a spread of less than one."""
    found = headline(board, "alpha+random", "beta+random")

    assert (found.verdict, found.metric) == ("better", "linear.accuracy")
    assert found.effect == pytest.approx(10)
    assert 0 < found.low < 10 < found.high
    assert " is better than " in found.sentence
    assert (
        f"{found.effect:+.1f} points, 95 % interval [{found.low:+.1f}, {found.high:+.1f}]" in found.sentence
    )


def test_planted_tie_is_told_apart_by_nobody(board):
    """A tenth of a point: undecided or equivalent, with what would decide."""
    found = headline(board, "beta+random", "gamma+random")

    assert found.verdict in ("undecided", "equivalent")
    assert found.low < 0 < found.high
    assert "cannot be told from" in found.sentence
    assert found.seeds_needed is not None or found.galaxies_needed is not None


def test_turned_round_the_comparison_is_the_same(board):
    """Worse instead of better, and all signs turned."""
    one, other = (
        headline(board, "alpha+random", "beta+random"),
        headline(board, "beta+random", "alpha+random"),
    )

    assert (one.verdict, other.verdict) == ("better", "worse")
    assert (one.effect, one.low, one.high) == pytest.approx((-other.effect, -other.high, -other.low))


def test_an_untrained_row_is_that_of_the_entrys_own_encoder(runs, make_run):
    """Though another encoder stands untrained in the same section."""
    other = [
        make_run("untrained", "none", seed, 0.9, standing="floor", encoder="vit-other") for seed in range(3)
    ]
    found = headline(build_board([*runs, *other]), "alpha+random", "untrained+none")

    assert (found.family, found.verdict) == ("lift", "better")
    assert found.effect == pytest.approx(20)
    assert "vit-micro" in found.b


def test_an_option_names_the_other_row(runs, make_run):
    """Among rows of one name the one at its recipe is meant; another is named by its options."""
    altered = [
        make_run(
            "alpha", "random", seed, 0.5 + 0.001 * seed,
            options={"objective": {"weight": 0.5}, "encoder": {"patch": 8}}, altered={"objective": {"weight": 0.5}},
        )
        for seed in range(3)
    ]  # fmt: skip
    board = build_board([*runs, *altered])
    found = headline(board, "alpha+random", "alpha(weight=0.5)+random")

    assert found.effect == pytest.approx(29.9)
    assert "They differ in objective.weight (0.05, 0.5)." in found.sentence


def test_of_many_options_six_are_told(runs, make_run):
    """Eight options that only one row has: six by name, the rest as a number; those alike are not told."""
    more = {f"o{index}": index for index in range(8)}
    altered = [
        make_run(
            "alpha", "random", seed, 0.5 + 0.001 * seed,
            options={"objective": {"weight": 0.05, **more}, "encoder": {"patch": 8}},
            altered={"objective": {"o": 1}},
        )
        for seed in range(3)
    ]  # fmt: skip
    found = headline(build_board([*runs, *altered]), "alpha+random", "alpha(o=1)+random")
    told = ", ".join(f"objective.o{index} (null, {index})" for index in range(6))

    assert f"They differ in {told} and 2 more." in found.sentence


def test_levels_of_a_factor_are_compared_over_a_complete_grid(board):
    """The planted point of brightness, averaged over three objectives."""
    found = headline(board, "masker:brightness", "masker:random")

    assert (found.family, found.a, found.b) == ("factor", "brightness", "random")
    assert found.effect == pytest.approx(1.0)
    assert "averaged over alpha, beta, gamma" in found.sentence


def test_facts_are_those_that_scripts_rely_on(board):
    """The machine-readable contract."""
    facts = headline(board, "alpha+random", "beta+random").facts()

    assert {
        "section", "family", "metric", "effect", "interval", "verdict", "seeds_needed", "galaxies_needed",
        "cost_ratio", "sentence",
    } <= facts.keys()  # fmt: skip
    assert len(facts["interval"]) == 2


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("alpha", "beta+random", "expected objective\\+masker"),
        ("alpha+random", "bta+random", "no entry is called 'bta\\+random'; did you mean 'beta\\+random'"),
        ("masker:random", "objective:alpha", "expected two of one kind"),
        ("masker:random", "masker:other", "no section holds a complete grid"),
        ("alpha+random", "alpha+random", "never stand in one section"),
    ],
)
def test_what_cannot_be_compared_is_refused(board, a, b, message):
    """In one line that says what to give instead."""
    with pytest.raises(ConfigError, match=message) as caught:
        compare_by_name(board, a, b)
    assert "\n" not in str(caught.value)


def test_one_seed_each_is_said_to_judge_nothing(make_run):
    """They stand in one section with one encoder: what lacks is a second seed."""
    board = build_board([
        make_run("alpha", "random", 0, 0.7), make_run("untrained", "none", 0, 0.6, standing="floor"),
    ])  # fmt: skip
    with pytest.raises(
        ConfigError, match="have one seed each: nothing can be judged; run both with --seeds 3"
    ):
        compare_by_name(board, "alpha+random", "untrained+none")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("alpha+random", {"objective": PartName("alpha"), "masker": PartName("random")}),
        (
            "alpha(weight=0.5, span=[0.1,0.2])+random + vit",
            {
                "objective": PartName("alpha", frozenset({"weight=0.5", "span=[0.1,0.2]"})),
                "masker": PartName("random"),
                "encoder": PartName("vit"),
            },
        ),
        ("alpha(a=1,b=2)+none", {
            "objective": PartName("alpha", frozenset({"a=1", "b=2"})), "masker": PartName("none"),
        }),
    ],
)  # fmt: skip
def test_names_are_read_as_the_board_writes_them(text, parts):
    """With spaces or without, values that hold commas included."""
    assert read_name(text).parts == parts


def test_letters_of_an_id_name_an_entry(board, runs):
    """Six of them do."""
    entry = runs[0].entry_id
    assert find_entries({entry: [runs[0]]}, read_name(entry[:6])) == [entry]


def test_scores_by_another_setting_of_an_evaluator_are_not_compared(runs):
    """As on the board: a run that was scored with another k has measured something else."""
    usual, other = ({"knn": {"version": {"own": "v1"}, "options": {"k": k}}} for k in (20, 1))
    marked = [
        run.model_copy(update={"evaluators": other if run.objective == "beta" and run.seed == 0 else usual})
        for run in runs
    ]
    whole, left_out = (
        [
            each
            for each in compare_by_name(build_board(found), "alpha+random", "beta+random")
            if "knn" in each.metric
        ]
        for found in (runs, marked)
    )

    assert "3 and 3 seeds" in whole[0].sentence
    assert "3 and 2 seeds" in left_out[0].sentence
