"""The test galaxies' part of errors, against the two-way components that define it, and by simulation."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from astrojepa_bench.board.columns import newest_versions
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import gather, scored
from astrojepa_bench.board.inference import two_way
from astrojepa_bench.board.preferences import preferences
from astrojepa_bench.board.rules import Borrowed, Rules
from astrojepa_bench.results.correct import encode_bits

HEADLINE = "linear.accuracy"
CONSTANTS = Borrowed(same=0.01, other=0.02, rest=0.07)


def run_of(make_run, objective, seed, right, masker="random", standing="contestant", with_bits=True):
    """Make a run of which these galaxies were right."""
    score = dict(
        evaluator="linear", metric="accuracy", value=float(right.mean()), higher_is_better=True, n=len(right)
    )
    correct = {HEADLINE: encode_bits(right)} if with_bits else {}
    return make_run(objective, masker, seed, scores=[score], standing=standing, correct=correct)


def told(records):
    """Gather the scored runs of some records by entry."""
    versions = newest_versions(records)
    return {entry: scored(runs, versions, HEADLINE) for entry, runs in by_entry(records).items()}


@pytest.fixture
def tables():
    """Which of 60 galaxies were right, three seeds of two entries that prefer different ones."""
    rng = np.random.default_rng(0)
    often = rng.random((2, 1, 60))
    return rng.random((2, 3, 60)) < often


def test_preferences_equal_the_component_of_all_pairings(make_run, tables):
    """No seed of one entry belongs to a seed of the other: the mean over all ways to pair them counts."""
    a, b = tables
    records = [run_of(make_run, name, s, t[s]) for name, t in (("alpha", a), ("beta", b)) for s in range(3)]
    found = preferences(told(records), HEADLINE, CONSTANTS)
    pairings = [two_way(a.astype(float) - b[list(order)]).var_galaxy for order in permutations(range(3))]
    pair = {records[0].entry_id: 1.0, records[3].entry_id: -1.0}

    assert found.of(pair).var_gal == pytest.approx(np.mean(pairings))
    assert found.of(pair).galaxies == 60
    assert found.between(*pair).var_gal == pytest.approx(found.of(pair).var_gal)
    assert not found.is_borrowed(pair)
    assert found.floor(records[0].entry_id) == pytest.approx(two_way(a).var_rest / 60)


def test_what_bits_do_not_tell_is_borrowed(make_run, tables):
    """Two entries of one objective share more than two of different ones; a blank record says so."""
    records = [
        run_of(make_run, objective, seed, tables[0][seed], masker, with_bits=objective != "alpha")
        for objective, masker in (("alpha", "random"), ("alpha", "radial"), ("beta", "random"))
        for seed in range(3)
    ]
    a, twin, b = (records[place].entry_id for place in (0, 3, 6))
    found = preferences(told(records), HEADLINE, CONSTANTS)

    assert found.of({a: 1, twin: -1}).var_gal == pytest.approx(0.01)
    assert found.of({a: 1, b: -1}).var_gal == pytest.approx(0.02)
    assert found.of({a: 0.5, twin: 0.5, b: -1}).var_gal == pytest.approx(0.5 * 0.005 + 0.005 + 0.005 + 0.005)
    assert (found.is_borrowed([a, b]), found.is_borrowed([b])) == (True, False)
    assert found.floor(a) == pytest.approx(0.07 / 60)


def test_a_borrowed_floor_is_no_more_than_chance_allows(make_run):
    """At 99 % right no galaxy changes sides as often as the constant says."""
    right = np.arange(200) >= 2
    records = [run_of(make_run, "alpha", seed, right, with_bits=False) for seed in range(2)]
    found = preferences(told(records), HEADLINE, CONSTANTS)

    assert found.floor(records[0].entry_id) == pytest.approx(0.99 * 0.01 / 200)


def test_an_entrys_own_part_is_that_of_its_galaxies(make_run, tables):
    """The two-way component of its own table; without bits as much as galaxies can differ at that share."""
    records = [run_of(make_run, "alpha", seed, tables[0][seed]) for seed in range(3)]
    records += [run_of(make_run, "beta", seed, tables[1][seed], with_bits=False) for seed in range(3)]
    known, blank = records[0].entry_id, records[3].entry_id
    found = preferences(told(records), HEADLINE, CONSTANTS)

    assert found.own(known, 0.5).var_gal == pytest.approx(two_way(tables[0]).var_galaxy)
    assert found.own(blank, 0.7).var_gal == pytest.approx(0.21)
    assert found.own(known, 0.5).galaxies == 60


def test_a_single_seed_borrows_the_noise_of_the_others(make_run, tables):
    """It has bits, so its preferences are its own; only how noisy they are comes from its neighbours."""
    records = [run_of(make_run, "alpha", seed, tables[0][seed]) for seed in range(3)]
    records.append(run_of(make_run, "beta", 0, tables[1][0]))
    found = preferences(told(records), HEADLINE, CONSTANTS)
    rest = two_way(tables[0]).var_rest
    gap = tables[0].mean(axis=0) - tables[1][0]

    pair = {records[0].entry_id: 1, records[3].entry_id: -1}
    assert found.of(pair).var_gal == pytest.approx(gap.var(ddof=1) - rest / 3 - rest)


def test_balanced_accuracy_rests_on_fewer_galaxies(make_run):
    """Its error is that of a plain share of 100 galaxies, so it counts as one of 100."""
    score = dict(
        evaluator="linear", metric="balanced_accuracy", value=0.8, higher_is_better=True, n=1000, item_se=0.04
    )
    records = [make_run("alpha", seed=seed, scores=[score]) for seed in range(2)]
    versions = newest_versions(records)
    runs = {e: scored(r, versions, "linear.balanced_accuracy") for e, r in by_entry(records).items()}

    assert preferences(runs, "linear.balanced_accuracy", CONSTANTS).galaxies == 100


# --- simulated: what the intervals promise ------------------------------------------------------------------


def simulate(rng, seeds, galaxies=400, prefer=0.8, spread=0.05):
    """Draw which galaxies were right for two entries that are equal over all galaxies; a probit model."""
    hard = rng.normal(0, 1.5, galaxies) - 0.6
    own = rng.normal(0, prefer, (2, 1, galaxies))
    noise = rng.normal(0, 1, (2, seeds, galaxies)) + rng.normal(0, spread, (2, seeds, 1))
    return hard + own + noise < 0


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 10])
def test_intervals_hold_for_other_galaxies(make_run, seeds):
    """95 % intervals hold the truth in 93 % or more of 1,000 test sets; those from seeds alone do not."""
    rng, inside, alone, means_held = np.random.default_rng(seeds), [], [], []
    true = stats.norm.cdf(0.6 / np.sqrt(1.5**2 + 0.8**2 + 1 + 0.05**2))  # over all galaxies of the model
    usual = [make_run(name, seed=seed) for name in ("alpha", "beta") for seed in range(seeds)]
    ids = usual[0].entry_id, usual[-1].entry_id
    for _ in range(1000):
        tables = simulate(rng, seeds)
        flat = tables.reshape(2 * seeds, -1)
        score = usual[0].scores[0]
        records = [
            run.model_copy(update={
                "scores": [score.model_copy(update={"value": float(right.mean()), "n": len(right)})],
                "correct": {HEADLINE: encode_bits(right)},
            })
            for run, right in zip(usual, flat, strict=True)
        ]  # fmt: skip
        evidence = gather(by_entry(records), {"linear": score.evaluator_version}, Rules(), HEADLINE)
        found = evidence.compare(*ids).difference
        inside.append(found.low <= 0 <= found.high)
        low, high = evidence.interval(ids[0])
        means_held.append(low <= true <= high)
        means = tables.mean(axis=2)
        half = stats.t.ppf(0.975, 2 * seeds - 2) * np.sqrt(means.var(axis=1, ddof=1).sum() / seeds)
        alone.append(abs(means[0].mean() - means[1].mean()) <= half)

    assert np.mean(inside) >= 0.93
    assert 0.93 <= np.mean(means_held) <= 0.98
    if seeds == 10:
        assert np.mean(alone) < 0.93
