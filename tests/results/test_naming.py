"""Names of entries: what sets them apart, no more than fits."""

from astrojepa_bench.results.naming import differing, short, titled


def test_three_options_are_shown_and_a_fourth_is_hinted_at():
    """Options stand in the order of their names; three are all told, of four the last is an ellipsis."""
    assert titled("x", {}) == "x"
    assert titled("x", {"c": 1, "a": True, "b": "ring"}) == "x(a=true, b=ring, c=1)"
    assert titled("x", {"c": 1, "a": True, "b": "ring", "d": 0.5}) == "x(a=true, b=ring, c=1, …)"


def test_options_differ_where_one_says_something_else():
    """An option that only one has differs, unless it says None; equal ones are not named, whatever their type."""
    facts = [{"same": [1, 2], "z": 1, "lacking": None}, {"same": (1, 2), "z": 2, "more": 3}]

    assert differing(facts) == ["more", "z"]
    assert differing(facts[:1]) == []


def test_long_values_are_cut_to_sixteen_signs():
    """Sixteen signs stay as they are; of seventeen, fifteen and an ellipsis."""
    assert short("a" * 16) == "a" * 16
    assert short("a" * 17) == "a" * 15 + "…"
    assert short([1, 2]) == "[1,2]"
