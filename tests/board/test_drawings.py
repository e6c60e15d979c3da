"""Drawings: where values land, against arithmetic and brute force."""

import itertools
import math
import random

import numpy as np
import pytest

from astrojepa_bench.board.charts import (
    STRONGEST,
    CostPoint,
    agreement,
    cost_plot,
    forest,
    heat_map,
    pareto_front,
)
from astrojepa_bench.board.drawings import Axis, axis_over, curves, path_of, strip
from astrojepa_bench.board.statistics import LEAST_SHARED, rank_correlation


def test_axis_is_linear_and_clamps():
    """Ends at ends, the middle in the middle, and nothing beyond."""
    axis = Axis(10.0, 20.0, 100.0, 0.0)

    assert [axis.at(v) for v in (10, 15, 20, 5, 99)] == [100.0, 50.0, 0.0, 100.0, 0.0]


def test_axis_of_ratios():
    """Equal ratios are equal distances."""
    axis = Axis(1.0, 1000.0, 0.0, 300.0, log=True)

    assert [axis.at(10.0**k) for k in range(4)] == [0.0, 100.0, 200.0, 300.0]


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        (0.612, 0.853, False),
        (-3.1, 4.2, False),
        (0, 8000, False),
        (0.09, 310.0, True),
        (1e-4, 2e5, True),
        (3.0, 4.0, True),
    ],
)
def test_ticks_are_round_and_inside(low, high, log):
    """A handful of them, each 1, 2 or 5 times a power of ten, or as far apart where they are no decade."""
    values = [float(text) for _, text in Axis(low, high, 0.0, 100.0, log=log).ticks]
    steps = values if high >= 10 * low > 0 and log else np.diff(values)

    assert 3 <= len(values) <= 12
    assert all(low <= value <= high for value in values)
    assert values == sorted(values)
    assert {float(f"{step:.3e}".split("e")[0]) for step in steps} <= {1.0, 2.0, 5.0}


def test_axis_of_one_value_is_an_axis():
    """Equal values do not divide by zero, zero included."""
    for value in (0.0, 0.7, -3.0):
        axis = axis_over([value, value], 0.0, 10.0)
        assert axis.at(value) == 5.0
        assert axis.ticks
    assert axis_over([4.0], 0.0, 10.0, log=True).at(4.0) == 5.0


def test_path_keeps_both_ends():
    """However many points are left out."""
    axis = Axis(0.0, 100.0, 0.0, 100.0)
    for count, most in itertools.product((2, 3, 17, 200), (2, 12, 60)):
        points = [(100 * i / (count - 1), 50.0) for i in range(count)]
        steps = path_of(points, axis, axis, most)[1:].split("L")
        assert steps[0] == "0,50"
        assert steps[-1] == "100,50"
        assert len(steps) <= most + 1


def test_curves_need_two_points():
    """A training without a recorded curve has no drawing."""
    assert curves("loss", [[], [(1, 2.0)]], (300, 120), 60) is None
    assert len(curves("loss", [[(1, 2.0), (2, 1.0)], []], (300, 120), 60).paths) == 1


def test_strip_covers_its_ranks():
    """Ranks 2 to 3 of four are the second and third quarter."""
    assert (strip((2, 3), 4, 40.0).start, strip((2, 3), 4, 40.0).width) == (10.0, 20.0)
    assert strip((1, 4), 4, 40.0).width == 40.0


def point(name, cost, score, kind="contestant"):
    return CostPoint(name, cost, score, None, None, "", kind)


def test_front_is_what_none_dominates():
    """Against every pair, on random entries with ties."""
    draw = random.Random(3)
    for _ in range(200):
        points = [point(str(i), draw.randint(1, 6), draw.randint(1, 6)) for i in range(draw.randint(1, 9))]
        front = pareto_front(points)
        places = {(p.cost, p.score) for p in points}
        beaten = {
            here for here in places for there in places
            if there[0] <= here[0] and there[1] >= here[1] and there != here
        }  # fmt: skip
        assert {(p.cost, p.score) for p in front} == places - beaten


def test_front_is_of_contestants_alone():
    """A ceiling above them takes nothing from the front."""
    points = [point("a", 1, 50), point("b", 2, 60), point("c", 3, 55), point("top", 1, 90, "ceiling")]
    kinds = {
        dot.title.split(":")[0]: dot.kind for dot in cost_plot(points, (40.0, "untrained"), ("x", "y")).dots
    }

    assert kinds == {"a": "front", "b": "front", "c": "contestant", "top": "ceiling"}
    assert cost_plot(points[:2], None, ("x", "y")) is None


def test_equal_costs_are_not_drawn():
    """Budgets matched by arithmetic differ by less than a step: there is no front among them."""
    points = [point("a", 4.834, 50), point("b", 4.838, 60), point("c", 4.842, 55)]

    assert cost_plot(points, None, ("x", "y")) is None
    assert cost_plot([point("a", 4.4, 50), *points[1:]], None, ("x", "y")) is not None


def test_heat_map_shades_by_value_and_leaves_gaps():
    """The best pair is darkest, and still readable; what was not run has no tile."""
    values = {("a", "m"): (0.9, "90", ""), ("a", "n"): (0.5, "50", ""), ("b", "m"): (0.7, "70", "")}
    found = heat_map(values)
    strength = {tile.text: tile.strength for tile in found.tiles}

    assert len(found.tiles) == 3
    assert strength["90"] == STRONGEST > strength["70"] > strength["50"] > 0
    assert [name for _, name in found.rows] == ["a", "b"]
    assert heat_map({("a", "m"): (0.9, "90", "")}) is None


def test_names_of_a_heat_map_stand_at_the_middle_of_their_tiles():
    """Rows and columns that hold more pairs come first; tiles neither overlap nor leave the drawing."""
    values = {(row, column): (0.5, f"{row}{column}", "") for row in "abc" for column in "mn"}
    del values["c", "n"]
    found = heat_map(values)
    tiles, (wide, high) = {tile.text: tile for tile in found.tiles}, found.tile

    assert [(tiles[f"{name}m"].y + high / 2, name) for name in "abc"] == list(found.rows)
    assert [(tiles[f"a{name}"].x + wide / 2, name) for name in "mn"] == list(found.columns)
    assert (tiles["bm"].y, tiles["an"].x) == (tiles["am"].y + high, tiles["am"].x + wide)
    assert found.left == tiles["am"].x < tiles["an"].x + wide < found.width
    assert 0 < tiles["am"].y < tiles["cm"].y + high < found.height


def test_forest_holds_zero_and_all_intervals():
    """Zero is on the axis even where every effect lies on one side."""
    found = forest([("a − b", 3.0, 2.0, 4.0, "+3", True), ("c − b", 2.0, 1.0, 9.0, "+2", False)])

    assert found.left <= found.zero < min(line.low for line in found.lines)
    assert max(line.high for line in found.lines) <= found.x.end
    assert forest([]) is None


def points_of(ranks):
    return {(str(i), ""): (float(i), float(rank)) for i, rank in enumerate(ranks)}


def drawn(points):
    return agreement(points, ("x", "y"), {entry: entry[0] for entry in points})


def test_agreement_is_spearmans():
    """Against 1 - 6 sum d^2 / (n (n^2 - 1)), and its interval against Bonett & Wright's formula by hand."""
    ranks = [1, 0, 2, 4, 3, 5, 7, 6]
    found = rank_correlation(range(8), ranks)
    rho = 1 - 6 * sum((i - rank) ** 2 for i, rank in enumerate(ranks)) / (8 * 63)
    half = 1.959963985 * math.sqrt((1 + rho**2 / 2) / 5)

    assert found.rho == pytest.approx(rho, abs=1e-12)
    assert found.low == pytest.approx(math.tanh(math.atanh(rho) - half), abs=1e-8)
    assert found.high == pytest.approx(math.tanh(math.atanh(rho) + half), abs=1e-8)
    assert found.n == 8


def test_a_perfect_order_of_few_is_not_certain():
    """Five entries in the same order leave much open, five hundred little."""
    few, many = (rank_correlation(range(n), range(n)) for n in (5, 500))

    assert (few.rho, many.rho) == pytest.approx((1.0, 1.0))
    assert few.low < 0.5
    assert 0.99 < many.low < 1
    assert drawn(points_of(range(LEAST_SHARED - 1))) is None
    assert drawn({(str(i), ""): (1.0, float(i)) for i in range(9)}) is None
    assert drawn(points_of(range(9))).entries == 9


@pytest.mark.slow
def test_intervals_of_agreement_cover_the_truth():
    """About 95 % of samples of a bivariate normal with a known rank correlation."""
    draw, inside, rounds = np.random.default_rng(5), 0, 1000
    r = 0.7
    truth = 6 / math.pi * math.asin(r / 2)
    for _ in range(rounds):
        a = draw.normal(size=20)
        b = r * a + math.sqrt(1 - r**2) * draw.normal(size=20)
        found = rank_correlation(a.tolist(), b.tolist())
        inside += found.low <= truth <= found.high

    assert 0.93 <= inside / rounds <= 0.98


@pytest.mark.slow
def test_maskers_of_one_objective_are_no_samples_of_their_own():
    """Of twelve objectives with four maskers: intervals that let objectives come and go hold the truth."""
    draw, names, r = np.random.default_rng(6), [str(i // 4) for i in range(48)], 0.7
    truth, alone, inside, rounds = 6 / math.pi * math.asin(r / 2), 0, 0, 500
    for _ in range(rounds):
        shared, own = draw.normal(size=(2, 12)).repeat(4, axis=1), 0.5 * draw.normal(size=(2, 48))
        a, noise = shared + own
        b = r * a + math.sqrt(1 - r**2) * noise
        few, many = (rank_correlation(a.tolist(), b.tolist(), groups) for groups in (names, None))
        inside, alone = inside + (few.low <= truth <= few.high), alone + (many.low <= truth <= many.high)

    assert 0.92 <= inside / rounds <= 0.99
    assert alone / rounds < 0.85


@pytest.mark.parametrize("groups", [["a"] * 6, [*"aaaaab"]])
def test_where_one_group_is_all_there_is_nothing_is_known_of_others(groups):
    """Without it nothing is left to correlate."""
    found = rank_correlation(range(6), range(6), groups)
    assert (found.low, found.high) == (-1.0, 1.0)
