"""Effects of factors against ordinary least squares, and what makes a grid complete."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from astrojepa_bench.board.columns import newest_versions
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import gather
from astrojepa_bench.board.factors import AVERAGE, complete_grid, factor_effects
from astrojepa_bench.board.rules import Borrowed, Rules
from astrojepa_bench.board.table import build_board

NO_GALAXIES = Rules(borrowed={"linear": Borrowed(same=0, other=0, rest=0)})
OBJECTIVES, MASKERS = ("alpha", "beta", "gamma"), ("brightness", "radial", "random")


def drawn(make_run, seed=0, seeds=3, step=0.02, **changed):
    """Draw runs of a grid of nine entries, `seeds` each or as a function of objective and masker says.

    From masker to masker they rise by `step`.
    """
    rng = np.random.default_rng(seed)
    for objective in OBJECTIVES:
        for masker in MASKERS:
            mean = 0.6 + 0.05 * OBJECTIVES.index(objective) + step * MASKERS.index(masker)
            for number in range(seeds(objective, masker) if callable(seeds) else seeds):
                yield make_run(objective, masker, number, mean + rng.normal(0, 0.02), **changed)


def evidence_of(records, rules):
    records = list(records)
    return gather(by_entry(records), newest_versions(records), rules, rules.headline)


def frame(records):
    return pd.DataFrame(
        [(r.objective, r.masker, r.value("linear", "accuracy")) for r in records],
        columns=["objective", "masker", "accuracy"],
    )


def test_effects_equal_least_squares(make_run):
    """Difference, interval and interaction of a balanced grid are those of the saturated linear model."""
    records = list(drawn(make_run))
    found = factor_effects([("", evidence_of(records, NO_GALAXIES))], NO_GALAXIES)
    model = smf.ols("accuracy ~ C(objective, Sum) * C(masker, Treatment('random'))", frame(records)).fit()
    interval, at_once = model.conf_int(), model.conf_int(0.05 / 2)  # two maskers beside the reference

    maskers = {each.level: each for each in found if each.factor == "masker"}
    assert set(maskers) == {"brightness", "radial"}
    for level, effect in maskers.items():
        name = f"C(masker, Treatment('random'))[T.{level}]"
        assert effect.effect == pytest.approx(model.params[name])
        assert [effect.low, effect.high] == pytest.approx(list(interval.loc[name]))
        assert [effect.low_family, effect.high_family] == pytest.approx(list(at_once.loc[name]))
        assert effect.reference == "random"
    table = anova_lm(model, typ=2)
    interaction = table["PR(>F)"]["C(objective, Sum):C(masker, Treatment('random'))"]
    assert [effect.p_interaction for effect in found] == pytest.approx([interaction] * len(found))


def test_objectives_are_compared_with_their_average(make_run):
    """They have no reference unless the suite names one; deviations from the average add up to nothing."""
    records = list(drawn(make_run))
    evidence = evidence_of(records, NO_GALAXIES)
    found = [e for e in factor_effects([("", evidence)], NO_GALAXIES) if e.factor == "objective"]
    model = smf.ols("accuracy ~ C(objective, Sum) * C(masker, Sum)", frame(records)).fit()

    assert [each.reference for each in found] == [AVERAGE] * 3
    assert sum(each.effect for each in found) == pytest.approx(0)
    assert found[0].effect == pytest.approx(model.params["C(objective, Sum)[S.alpha]"])
    low, high = model.conf_int().loc["C(objective, Sum)[S.alpha]"]
    assert (found[0].low, found[0].high) == pytest.approx((low, high))
    rules = NO_GALAXIES.model_copy(update={"references": {"masker": "random", "objective": "beta"}})
    named = [e for e in factor_effects([("", evidence)], rules) if e.factor == "objective"]
    assert {(each.level, each.reference) for each in named} == {("alpha", "beta"), ("gamma", "beta")}


def test_what_cannot_be_told_apart_has_an_interval_that_holds_zero(make_run):
    """An interval of one effect alone misses zero where Holm's steps over all of a factor do not."""
    found = [
        effect
        for seed in range(20)
        for effect in factor_effects(
            [("", evidence_of(drawn(make_run, seed, step=0.01), NO_GALAXIES))], NO_GALAXIES
        )
    ]
    undecided = [each for each in found if each.p_holm >= NO_GALAXIES.alpha]

    assert all(each.low_family < each.low < each.high < each.high_family for each in found)
    assert all(each.low_family < 0 < each.high_family for each in undecided)
    assert any(each.low > 0 or each.high < 0 for each in undecided)


def test_unequal_seeds_are_weighed_in_the_interaction(make_run):
    """An unbalanced grid gives the interaction of the weighted linear model."""
    records = list(drawn(make_run, seeds=lambda o, m: 2 + (o == "beta") + 3 * (m == "radial")))
    found = factor_effects([("", evidence_of(records, NO_GALAXIES))], NO_GALAXIES)
    table = anova_lm(smf.ols("accuracy ~ objective * masker", frame(records)).fit(), typ=2)

    assert found[0].p_interaction == pytest.approx(table["PR(>F)"]["objective:masker"])


def test_the_galaxies_widen_the_interval(make_run):
    """Borrowed preferences of three independent objectives shrink to a third."""
    records = list(drawn(make_run))
    rules = Rules(borrowed={"linear": Borrowed(same=0.3, other=0.6, rest=0)})
    wide, narrow = (
        factor_effects([("", evidence_of(records, each))], each)[0] for each in (rules, NO_GALAXIES)
    )

    assert wide.is_borrowed
    assert wide.effect == narrow.effect
    assert wide.high - wide.low > narrow.high - narrow.low
    evidence = evidence_of(records, rules)
    weights = {
        evidence.entries[entry][0].entry_id: 1 / 3
        if evidence.entries[entry][0].masker == "radial"
        else -1 / 3
        for entry in evidence.ranked
        if evidence.entries[entry][0].masker != "brightness"
    }
    assert evidence.preferences.of(weights).var_gal == pytest.approx(0.3 / 3)


def test_gaps_are_left_out(make_run):
    """Only the largest grid without a gap is averaged; what stands beside it is not."""
    records = [r for r in drawn(make_run) if (r.objective, r.masker) != ("gamma", "radial")]
    records += [make_run("delta", "inverse", seed, 0.5 + 0.01 * seed) for seed in range(3)]
    grid = complete_grid([("", evidence_of(records, NO_GALAXIES))], "random")

    assert (grid.objectives, grid.maskers) in [
        (("alpha", "beta", "gamma"), ("brightness", "random")),
        (("alpha", "beta"), ("brightness", "radial", "random")),
    ]
    assert grid.objectives == ("alpha", "beta", "gamma")  # of equal ones that with more objectives
    lone = [r for r in drawn(make_run) if r.objective == "alpha"]
    assert complete_grid([("", evidence_of(lone, NO_GALAXIES))], "random") is None


def test_an_altered_option_is_no_level(make_run):
    """Only entries at their recipe are averaged."""
    options = {"objective": {"weight": 9}, "encoder": {"patch": 8}}
    odd = list(drawn(make_run, 1, options=options, altered={"objective": {"weight": 9}}))
    records = [*drawn(make_run), *odd]
    grid = complete_grid([("", evidence_of(records, NO_GALAXIES))], "random")

    assert not {record.entry_id for record in odd} & set(grid.layers[0].cells.values())
    assert len(grid.layers[0].cells) == 9


def test_data_sets_are_averaged_where_all_have_the_grid(make_run):
    """The effect is the mean of both, its variance a quarter of their sum; a third data set has no grid."""
    runs = {name: list(drawn(make_run, seed, fingerprint=name)) for seed, name in enumerate(("f00d", "beef"))}
    third = [make_run("alpha", seed=seed, linear=0.5 + 0.01 * seed, fingerprint="cafe") for seed in range(3)]
    board = build_board([*runs["f00d"], *runs["beef"], *third], NO_GALAXIES)
    single = [
        {e.level: e for e in section.verdicts.factors if e.factor == "masker"}
        for section in board.sections
        if section.verdicts.factors
    ]
    both = {each.level: each for each in board.factors if each.factor == "masker"}

    assert len(single) == 2
    assert len(both["radial"].blocks) == 6
    assert both["radial"].effect == pytest.approx(np.mean([each["radial"].effect for each in single]))
    widths = [each["radial"].high - each["radial"].low for each in single]
    assert both["radial"].high - both["radial"].low == pytest.approx(np.hypot(*widths) / 2, rel=0.05)


def test_an_effect_that_differs_between_data_sets_interacts(make_run):
    """What helps here and harms there must not be read from the average."""
    records = list(drawn(make_run, fingerprint="f00d"))
    for record in drawn(make_run, 1, fingerprint="beef"):
        shift = 0.1 if record.masker == "radial" else 0.0
        score = record.scores[0].model_copy(update={"value": record.scores[0].value + shift})
        records.append(record.model_copy(update={"scores": [score]}))
    board = build_board(records, NO_GALAXIES)

    assert all(each.p_interaction < 0.001 for each in board.factors if each.factor == "masker")
