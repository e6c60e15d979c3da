"""What the board says of the records of 26 November 2026, and of planted ties and wins.

The frozen records were made by `tests/golden/freeze_board.py`. Their section of Galaxy Zoo 2 mixed rows of CPU and
GPU, which no board does today; it is put together by hand here, because the expected numbers are of it.
"""

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from astrojepa_bench.board.columns import newest_versions
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import gather
from astrojepa_bench.board.factors import factor_effects
from astrojepa_bench.board.judge import compare_entries, judge
from astrojepa_bench.board.rules import Borrowed, Rules
from astrojepa_bench.errors import BenchError
from astrojepa_bench.results.correct import encode_bits
from astrojepa_bench.results.record import RunRecord

FROZEN = Path(__file__).parents[1] / "golden" / "board_2026_11_26.json.gz"
RULES = Rules()
LIFTED = {  # every lift that holds after Holm over all 31
    "lejepa + radial", "lejepa + brightness", "lejepa + multiblock", "lejepa + random", "lejepa + inverse",
    "lejepa + brightness-seed", "lejepa + none",
    "lejepa(batch_size=32, lam=0.2, learning_rate=0.001) + brightness",
    "lejepa-morphology + brightness", "lejepa-morphology + brightness + vit-micro-rings",
    "vicreg + none", "mae + random", "mae + multiblock",
    "mae(batch_size=64, learning_rate=0.001) + random",
}  # fmt: skip


@pytest.fixture(scope="module")
def november():
    """The runs of each entry of the mixed section of Galaxy Zoo 2, by id."""
    facts = json.loads(gzip.decompress(FROZEN.read_bytes()))
    return by_entry(RunRecord(**each) for each in facts if each["dataset"] == "hdf5")


@pytest.fixture(scope="module")
def versions(november):
    """The newest version of each evaluator."""
    return newest_versions([run for runs in november.values() for run in runs])


@pytest.fixture(scope="module")
def judged(november, versions):
    """All that the board says of that section."""
    return judge(november, versions, RULES)


@pytest.fixture(scope="module")
def titles(november):
    """Entry ids by name, without the usual encoder."""
    return {
        (runs[0].title.removesuffix(" + vit-micro"), runs[0].identity["device_class"]): entry
        for entry, runs in november.items()
    }


def test_lifts_of_november(judged, november):
    """LeJEPA's eight, both of lejepa-morphology, vicreg and mae hold; every other lift is undecided."""
    ranked = {
        november[entry][0].title.removesuffix(" + vit-micro"): judged.lifts[entry] for entry in judged.ranks
    }

    assert len(judged.ranks) == len(ranked) == 31
    assert {title for title, lift in ranked.items() if lift.verdict == "better"} == LIFTED
    assert {lift.verdict for title, lift in ranked.items() if title not in LIFTED} == {"undecided"}
    plain = ranked["lejepa-morphology + brightness"].difference
    shown = [round(100 * value, 1) for value in (plain.difference, plain.low_family, plain.high_family)]
    assert shown == [13.5, 9.7, 17.3]
    rings = ranked["lejepa-morphology + brightness + vit-micro-rings"].difference
    assert round(100 * rings.difference, 1) == 3.5
    assert round(rings.p_holm, 3) == 0.044


def test_rank_ranges_of_november(judged, titles):
    """Holm over all 465 pairs of the 31 contestants."""
    assert next(iter(judged.ranks.values())) == (1, 5)
    assert judged.ranks[titles["lejepa + brightness", "cuda"]] == (6, 22)
    assert judged.ranks[titles["ijepa + multiblock", "cuda"]] == (14, 31)


def test_letters_of_november_say_what_the_pairs_say(judged, november, versions):
    """Two entries share a letter exactly where the family of all pairs tells neither better."""
    evidence = gather(november, versions, RULES, RULES.headline)
    (every,) = [found for family, found in evidence.judged if family.name == "all"]

    assert len(every) == 465
    for each in every:
        apart = not set(judged.letters[each.a]) & set(judged.letters[each.b])
        assert apart is (each.verdict in ("better", "worse"))


def test_every_pair_takes_the_verdict_of_the_narrowest_family(judged, november):
    """31 lifts; 21 pairs of LeJEPA's maskers and 3 of each other objective; no pair twice."""
    assert len({frozenset((each.a, each.b)) for each in judged.comparisons}) == len(judged.comparisons) == 496
    counts = Counter(each.family for each in judged.comparisons)
    assert counts["lift"] == 31
    assert counts["masker"] == 21 + 4 * 3
    for each in judged.comparisons:
        a, b = november[each.a][0], november[each.b][0]
        if each.family == "masker":
            same = [(run.objective, run.encoder, run.options["objective"]) for run in (a, b)]
            assert same[0] == same[1]
            assert a.masker != b.masker
            assert a.masker != "random"  # the reference stands last
        if each.family == "objective":
            assert a.encoder == b.encoder
            assert not {**a.altered, **b.altered}
            assert len({a.objective, b.objective}) == 2


def test_prior_of_november(november, versions):
    """Fitted on 35 contestants and ceilings, floors left out."""
    evidence = gather(november, versions, RULES, RULES.headline)

    assert (evidence.prior.d0, 100 * evidence.prior.s0) == pytest.approx((10.43699, 1.168576), rel=1e-5)
    assert evidence.preferences.floor(evidence.ranked[0]) == pytest.approx(0.69e-4, rel=1e-3)
    assert evidence.preferences.galaxies == 1054


def test_factor_table_of_november(judged):
    """Masker minus random over five objectives: multiblock +0.2 ± 0.9, brightness -0.4 ± 0.9."""
    effects = {each.level: each for each in judged.factors if each.factor == "masker"}
    numbers = {level: (100 * each.effect, 50 * (each.high - each.low)) for level, each in effects.items()}
    shown = {level: (round(effect, 1), round(half, 1)) for level, (effect, half) in numbers.items()}

    assert shown == {"multiblock": (0.2, 0.9), "brightness": (-0.4, 0.9)}
    assert effects["multiblock"].blocks == ("ijepa", "ijepa-sigreg", "lejepa", "mae", "masked-lejepa")
    assert {each.reference for each in effects.values()} == {"random"}
    assert effects["multiblock"].p_interaction > 0.5


def test_interaction_of_november(november, versions):
    """Among neighbours the masker does not do the same in every objective: p = .007."""
    evidence = gather(november, versions, RULES, "knn.accuracy")
    maskers = [each for each in factor_effects([("", evidence)], RULES) if each.factor == "masker"]

    assert [round(each.p_interaction, 3) for each in maskers] == [0.007, 0.007]


def test_borrowed_parts_are_said(judged):
    """No record of November holds which galaxies were right."""
    assert all(each.is_borrowed for each in judged.comparisons)
    assert any("borrowed" in note and "43 of 43" in note for note in judged.notes)


def test_two_floors_get_no_verdict(november, versions, titles):
    """A pair in no family is exploratory, and has an interval all the same."""
    pair = titles["untrained + none", "cuda"], titles["untrained + none + pca", "cuda"]
    found = compare_entries(november, versions, RULES, *pair)

    assert (found.family, found.verdict) == ("exploratory", "exploratory")
    assert found.difference.low == found.difference.low_family < found.difference.difference


def test_a_comparison_turns_with_its_entries(november, versions, titles):
    """Better than is worse than, seen from the other side."""
    pair = titles["lejepa + random", "cuda"], titles["untrained + none", "cuda"]
    ours, theirs = (compare_entries(november, versions, RULES, *each) for each in (pair, pair[::-1]))

    assert (ours.family, ours.verdict, theirs.verdict) == ("lift", "better", "worse")
    assert (ours.difference.low_family, ours.difference.high_family) == (
        -theirs.difference.high_family, -theirs.difference.low_family,
    )  # fmt: skip
    knn = compare_entries(november, versions, RULES, *pair, metric="knn.accuracy")
    assert (knn.family, knn.metric, round(100 * knn.difference.difference, 1)) == (
        "lift",
        "knn.accuracy",
        4.5,
    )


def test_what_was_not_measured_cannot_be_compared(november, versions, titles):
    """The message names the entry and the metric."""
    pair = titles["lejepa + random", "cuda"], titles["untrained + none", "cuda"]
    with pytest.raises(BenchError, match=r"redshift\.r2"):
        compare_entries(november, versions, RULES, *pair, metric="redshift.r2")
    with pytest.raises(BenchError, match="nobody has no score"):
        compare_entries(november, versions, RULES, pair[0], "nobody")


# --- planted ties and wins ----------------------------------------------------------------------------------


def planted(make_run, shares, seeds, galaxies=2000, spread=0.0):
    """Make runs whose bits have these shares of right galaxies, the same galaxies being hard for everyone."""
    rng = np.random.default_rng(1)
    hardness = rng.random(galaxies)
    for (objective, masker, standing), share in shares.items():
        own = np.clip(hardness + rng.normal(0, 0.02, galaxies), 0, 1)
        for seed in range(seeds):
            right = own + rng.normal(0, 0.02, galaxies) < share + spread * rng.normal()
            linear = float(right.mean())
            score = dict(
                evaluator="linear", metric="accuracy", value=linear, higher_is_better=True, n=galaxies
            )
            yield make_run(
                objective, masker, seed, scores=[score], standing=standing,
                correct={"linear.accuracy": encode_bits(right)},
            )  # fmt: skip


def verdict_of(records, first, second, rules=RULES):
    records = list(records)
    ids = {(record.objective, record.masker): record.entry_id for record in records}
    return compare_entries(by_entry(records), newest_versions(records), rules, ids[first], ids[second])


SHARES = {
    ("alpha", "random", "contestant"): 0.7,
    ("alpha", "twin", "contestant"): 0.7,
    ("alpha", "better", "contestant"): 0.75,
    ("untrained", "none", "floor"): 0.6,
}


def test_a_planted_tie_is_equivalent_and_a_planted_win_is_better(make_run):
    """Ten seeds of entries that share their hard galaxies tell two points."""
    records = list(planted(make_run, SHARES, 10))
    tie = verdict_of(records, ("alpha", "twin"), ("alpha", "random"))
    win = verdict_of(records, ("alpha", "better"), ("alpha", "random"))
    lift = verdict_of(records, ("alpha", "random"), ("untrained", "none"))

    assert (tie.family, tie.verdict, tie.is_borrowed) == ("masker", "equivalent", False)
    assert (win.family, win.verdict) == ("masker", "better")
    assert (lift.family, lift.verdict) == ("lift", "better")
    assert tie.seeds_needed is None


def test_an_undecided_pair_says_what_would_decide(make_run):
    """Loud seeds call for more of them; a small test set for more galaxies."""
    loud = verdict_of(planted(make_run, SHARES, 3, spread=0.03), ("alpha", "twin"), ("alpha", "random"))
    rules = Rules(borrowed={"linear": Borrowed(same=0.2, other=0.2)})
    bare = [run.model_copy(update={"correct": {}}) for run in planted(make_run, SHARES, 3)]
    small = verdict_of(bare, ("alpha", "twin"), ("alpha", "random"), rules)

    assert (loud.verdict, small.verdict) == ("undecided", "undecided")
    assert loud.seeds_needed > 3
    assert loud.galaxies_needed is None
    assert small.seeds_needed is None
    assert small.galaxies_needed > 2000


def test_a_margin_out_of_reach_is_said(make_run):
    """Where the test set is too small to call anything equal, the board says so once."""
    rules = Rules(borrowed={"linear": Borrowed(same=0.4, other=0.4)})
    bare = [run.model_copy(update={"correct": {}}) for run in planted(make_run, SHARES, 3, spread=0.01)]
    notes = judge(by_entry(bare), newest_versions(bare), rules).notes

    assert any(
        "No number of seeds makes most pairs equivalent here: 2000 test galaxies" in note for note in notes
    )


def test_a_metric_that_is_better_lower_turns_the_verdict(make_run):
    """The entry with the smaller error is the better one, and stands first."""
    errors = {"alpha": 0.10, "beta": 0.50}
    records = [
        make_run(name, seed=seed, scores=[dict(
            evaluator="redshift", metric="sigma", value=value + 0.01 * seed, higher_is_better=False, n=500
        )])
        for name, value in errors.items()
        for seed in range(3)
    ]  # fmt: skip
    rules = Rules(headline="redshift.sigma")
    found = verdict_of(records, ("alpha", "random"), ("beta", "random"), rules)
    verdicts = judge(by_entry(records), newest_versions(records), rules)

    assert found.verdict == "better"
    assert found.difference.difference < 0
    assert list(verdicts.ranks) == [records[0].entry_id, records[3].entry_id]
    assert not found.covers_galaxies  # neither bits nor constants


def test_single_seeds_are_not_judged(make_run):
    """Without a spread nothing tells a difference from chance; the board says so."""
    records = [make_run("alpha", linear=0.9), make_run("beta", linear=0.5)]
    verdicts = judge(by_entry(records), newest_versions(records), RULES)

    assert (verdicts.comparisons, verdicts.ranks) == ((), {})
    assert any("two seeds that differ" in note for note in verdicts.notes)
    with pytest.raises(BenchError, match="run more seeds"):
        verdict_of(records, ("alpha", "random"), ("beta", "random"))


def test_an_unknown_family_is_refused(make_run):
    """A suite with a misspelt family would be judged by fewer of them, in silence."""
    records = [make_run(seed=seed, linear=0.7 + 0.01 * seed) for seed in range(3)]
    with pytest.raises(BenchError, match="family 'maskers'; there are lift, masker, objective, all"):
        judge(by_entry(records), newest_versions(records), Rules(families=("maskers",)))


def test_an_objective_is_never_compared_by_its_best_masker(make_run):
    """It stands with the reference masker; with its only one; or not at all."""
    means = {
        ("alpha", "random"): 0.6, ("alpha", "radial"): 0.9, ("beta", "random"): 0.7, ("gamma", "radial"): 0.65,
        ("delta", "radial"): 0.8, ("delta", "inverse"): 0.5,
    }  # fmt: skip
    records = [make_run(*key, seed, mean + 0.01 * seed) for key, mean in means.items() for seed in range(3)]
    names = {record.entry_id: (record.objective, record.masker) for record in records}
    verdicts = judge(by_entry(records), newest_versions(records), RULES)
    pairs = {(names[c.a], names[c.b]) for c in verdicts.comparisons if c.family == "objective"}

    chosen = ("beta", "random"), ("gamma", "radial"), ("alpha", "random")  # best first
    assert pairs == {(chosen[0], chosen[1]), (chosen[0], chosen[2]), (chosen[1], chosen[2])}
