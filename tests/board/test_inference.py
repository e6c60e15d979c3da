"""The board's statistics equal golden numbers of two independent implementations, and keep what they promise."""

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from astrojepa_bench.board.inference import (
    Prior,
    TestSet,
    compare_family,
    fieller,
    fit_prior,
    forecast,
    galaxies_needed,
    holm,
    moderated,
    rank_ranges,
    seeds_needed,
    tie_letters,
    trigamma_inverse,
    two_way,
)
from astrojepa_bench.board.statistics import wilson

CASES = json.loads((Path(__file__).parents[1] / "golden" / "statistics.json").read_text())["cases"]
BOARDS = [name for name, case in CASES.items() if isinstance(case, dict) and "values" in case["input"]]


def close(value):
    return pytest.approx(value, rel=1e-5, abs=1e-6)


def prior_of(given):
    if "prior" in given:
        return Prior(given["prior"]["d0"], given["prior"]["s0"])
    values = given["values"].values()
    return fit_prior([np.var(v, ddof=1) for v in values], [len(v) - 1 for v in values])


@pytest.mark.parametrize("name", BOARDS)
def test_boards_equal_the_golden_numbers(name):
    """Means, moderated spreads, every pair and every rank range."""
    given, wanted = CASES[name]["input"], CASES[name]["output"]
    prior = prior_of(given)
    entries = {e: moderated(v, prior, given.get("floor", 0.0)) for e, v in given["values"].items()}
    test_set = TestSet(given.get("G"), given.get("vgal", 0.0))
    pairs = list(combinations(entries, 2))
    found = compare_family(entries, pairs, margin=given["delta"], test_set=test_set)

    assert (prior.d0, prior.s0) == (close(wanted["d0"]), close(wanted["s0"]))
    for entry, summary in entries.items():
        assert summary.mean == close(wanted["mean"][entry])
        assert summary.sd == close(wanted["sd"][entry])
        assert math.sqrt(summary.var) == close(wanted["shrunk_sd"][entry])
        assert summary.df == close(wanted["df"][entry])
    for difference, golden in zip(found, wanted["pairs"], strict=True):
        for field, value in golden.items():
            is_text = isinstance(value, str)
            assert getattr(difference, field) == (value if is_text else close(value)), (difference, field)
    if "rank_ranges" in wanted:
        assert rank_ranges(list(entries), found) == {e: tuple(r) for e, r in wanted["rank_ranges"].items()}


@pytest.mark.parametrize(
    "name", [name for name in BOARDS if "output_without_floor_and_galaxies" in CASES[name]]
)
def test_boards_without_floor_and_galaxies_equal_the_golden_numbers(name):
    """The prior of these entries alone, and no part of the test set."""
    given, wanted = CASES[name]["input"], CASES[name]["output_without_floor_and_galaxies"]
    prior = prior_of({"values": given["values"]})
    entries = {e: moderated(v, prior) for e, v in given["values"].items()}
    found = compare_family(entries, list(combinations(entries, 2)), margin=given["delta"])

    assert (prior.d0, prior.s0) == (close(wanted["d0"]), close(wanted["s0"]))
    assert [each.p_holm for each in found] == close(wanted["p_holm"])
    assert [each.verdict for each in found] == wanted["verdicts"]
    assert rank_ranges(list(entries), found) == {e: tuple(r) for e, r in wanted["rank_ranges"].items()}


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("prior of")])
def test_prior_of_a_section_equals_the_golden_numbers(name):
    """35 entries of three seeds."""
    given, wanted = CASES[name]["input"], CASES[name]["output"]
    prior = fit_prior(given["variances"], [given["df"]] * len(given["variances"]))

    assert (prior.d0, prior.s0) == (close(wanted["d0"]), close(wanted["s0"]))


def test_functions_equal_the_golden_numbers():
    """Holm, the inverse trigamma, seeds and galaxies needed."""
    case = CASES["holm"]
    assert holm(case["input"]) == close(case["output"])
    assert holm([]) == []
    many = np.random.default_rng(0).beta(0.3, 3, 465).round(3).tolist()  # with ties
    assert holm(many) == close(list(multipletests(many, method="holm")[1]))
    case = CASES["trigamma inverse"]
    assert [trigamma_inverse(x) for x in case["input"]] == close(case["output"])
    for case in CASES["seeds needed"]:
        given = case["input"]
        found = seeds_needed(
            given["effect"], given["sd"], comparisons=given["comparisons"], galaxies_part=given["gal"]
        )
        assert found == case["output"], case
    for case in CASES["galaxies needed"]:
        given = case["input"]
        found = galaxies_needed(given["effect"], given["vgal"], comparisons=given["comparisons"])
        assert found == case["output"], case


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("two-way")])
def test_components_equal_the_golden_numbers(name):
    """Three seeds, eight galaxies; a negative component counts as none in the standard error."""
    found, wanted = two_way(np.array(CASES[name]["input"])), CASES[name]["output"]

    assert found.mean == close(wanted["mean"])
    assert found.var_seed == close(wanted["var_seed"])
    assert found.var_galaxy == close(wanted["var_galaxy"])
    assert found.var_rest == close(wanted["var_rest"])
    assert found.se == close(wanted["se_both"])


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("of the way")])
def test_ratios_equal_the_golden_numbers(name):
    """A denominator that cannot be told from zero gives a set that is not an interval."""
    given, wanted = CASES[name]["input"], CASES[name]["output"]
    found = fieller(given["numerator"], given["denominator"])

    assert found is not None
    assert found.value == close(wanted["ratio"])
    assert [found.low, found.high] == close(wanted["roots"])
    assert found.bounded is wanted["denominator_differs_from_zero"] is (wanted["set"] == "between")


def test_wilson_equals_statsmodels_and_never_has_no_width():
    """A share of 1 among 20 galaxies is not known exactly."""
    for right, n in ((0, 20), (20, 20), (7, 9), (900, 1054)):
        assert wilson(right / n, n) == close(proportion_confint(right, n, method="wilson"))


def test_two_entries_share_a_letter_exactly_where_neither_is_better():
    """On 50 random boards, whatever the pattern of verdicts."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = {f"e{i}": rng.normal(rng.integers(0, 5), 1, 5) for i in range(7)}
        prior = Prior(4.0, 1.0)
        entries = {name: moderated(list(v), prior) for name, v in values.items()}
        order = sorted(entries, key=lambda name: -entries[name].mean)
        found = compare_family(entries, list(combinations(order, 2)), margin=1.0)
        letters = tie_letters(order, found)
        for each in found:
            apart = not set(letters[each.a]) & set(letters[each.b])
            assert apart is (each.verdict in ("better", "worse"))


def test_planted_ties_and_wins_get_their_verdicts():
    """Equal means with many quiet seeds are equivalent; ten points apart are better and worse."""
    prior = Prior(10.0, 0.5)
    values = {"a": [70.0, 70.2] * 10, "b": [70.1, 70.0] * 10, "c": [60.0, 60.1] * 10}
    entries = {name: moderated(v, prior) for name, v in values.items()}
    found = compare_family(entries, [("a", "b"), ("a", "c"), ("c", "b")], margin=2.0)

    assert [each.verdict for each in found] == ["equivalent", "better", "worse"]


def boards(rng, count, entries, seeds, d0, shift=0.0):
    """Draw boards of entries with unequal spreads; the first entry lies `shift` above the others."""
    for _ in range(count):
        spreads = np.sqrt(d0 / rng.chisquare(d0, entries))
        values = rng.normal(0, spreads[:, None], (entries, seeds))
        values[0] += shift
        yield {f"e{i}": list(row) for i, row in enumerate(values)}


def verdicts(values):
    prior = prior_of({"values": values})
    entries = {name: moderated(v, prior) for name, v in values.items()}
    return compare_family(entries, list(combinations(entries, 2)), margin=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("d0", [1.5, 3.6, 10.0])
@pytest.mark.parametrize("seeds", [3, 10])
def test_null_boards_make_few_false_claims(d0, seeds):
    """Seven equal entries of unequal spread: a claim on at most 6 % of 2,000 boards."""
    rng = np.random.default_rng(int(10 * d0) + seeds)
    claims = [
        any(each.verdict in ("better", "worse") for each in verdicts(values))
        for values in boards(rng, 2000, 7, seeds, d0)
    ]

    assert np.mean(claims) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "power"), [(3, 0.27), (5, 0.65), (10, 0.95)])
def test_three_points_are_found_as_often_as_stated(seeds, power):
    """Of seven maskers one lies three points above, amid a section of 35 with the spreads of 26 November."""
    rng, hits = np.random.default_rng(seeds), []
    for values in boards(rng, 1500, 35, seeds, 10.43699, 3 / 1.168576):
        prior = prior_of({"values": values})
        entries = {name: moderated(values[name], prior) for name in list(values)[:7]}
        found = compare_family(entries, list(combinations(entries, 2)), margin=0.0)
        hits.append(np.mean([each.verdict == "better" for each in found if each.a == "e0"]))

    assert np.mean(hits) == pytest.approx(power, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 10])
def test_two_way_intervals_cover(seeds):
    """95 % intervals of a paired difference hold the truth in at least 93 % of 2,000 tables."""
    rng = np.random.default_rng(seeds)
    hits = []
    for _ in range(2000):
        table = (
            rng.normal(0, 0.15, (300,)) + rng.normal(0, 0.01, (seeds, 1)) + rng.normal(0, 0.4, (seeds, 300))
        )
        found = two_way(table)
        hits.append(abs(found.mean) <= 1.96 * found.se)

    assert np.mean(hits) >= 0.93


def test_the_forecast_is_wider_than_the_spread():
    """The next seed misses the mean by its own spread and by that of the mean."""
    entry = moderated([1.0, 2.0, 3.0], Prior(6.0, 1.0))
    low, high = forecast(entry, Prior(6.0, 1.0))

    assert (low + high) / 2 == pytest.approx(2.0)
    assert (high - low) / 2 == pytest.approx(2.306004 * math.sqrt(4 / 3), rel=1e-5)  # t(.975, 8), by table
