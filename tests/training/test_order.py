"""Which galaxies each step sees, where the table is stored in blocks: every one a pass, well mixed, at any step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, hypergeom

from astrojepa_bench.streams import numpy_stream
from astrojepa_bench.training.order import WINDOW, DataOrder
from astrojepa_bench.training.together import rows_of, share_of_part


def order_of(rows, batch_size=7, seed=0, block=5, ahead=None):
    return DataOrder(np.arange(rows), batch_size, seed, block, ahead)


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 400),
    block=st.integers(1, 60),
    batch_size=st.integers(1, 50),
    seed=st.integers(0, 9),
    kept=st.floats(0.2, 1.0),
)
def test_every_pass_shows_every_row_once(count, block, batch_size, seed, kept):
    """Whatever the sizes, and where only some rows of each block are learnt from."""
    rows = np.flatnonzero(numpy_stream(seed, "kept").random(count) < kept)
    rows = rows if len(rows) else np.array([count - 1])
    batch_size = min(batch_size, len(rows))
    order = DataOrder(rows, batch_size, seed, block)
    seen = np.concatenate([order.at(step) for step in range(-(-3 * len(rows) // batch_size))])
    for number in range(3):
        assert np.array_equal(np.sort(seen[number * len(rows) : (number + 1) * len(rows)]), rows)


def test_a_step_is_the_same_whatever_came_before():
    """A run that was killed goes on as if it had not been, and steps may be asked for in any order."""
    straight = order_of(200)
    steps = [straight.at(step) for step in range(120)]
    for step in numpy_stream(0, "any order").permutation(120)[:40].tolist():
        assert np.array_equal(order_of(200).at(step), steps[step])
    backwards = order_of(200)
    assert all(np.array_equal(backwards.at(step), steps[step]) for step in reversed(range(120)))


def test_passes_and_seeds_take_other_orders():
    """Neither the blocks nor what is within them come in the order of another pass or another seed."""
    order = order_of(400, batch_size=400)
    passes = [order.at(0), order.at(1), order_of(400, batch_size=400, seed=1).at(0)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (passes[one] == passes[other]).mean() < 0.05


def test_a_window_is_read_at_a_time():
    """Rows come from `WINDOW` blocks until these are used up, so no more of the table is held."""
    block, rows = 10, 600
    seen = order_of(rows, batch_size=rows, block=block).at(0)
    for at in range(0, rows, WINDOW * block):
        part = seen[at : at + WINDOW * block]
        assert len(np.unique(part // block)) == len(part) // block


def test_what_comes_next_is_told_ahead():
    """Every window was announced before it began, across the end of a pass too."""
    told = []
    order = order_of(330, batch_size=10, block=10, ahead=lambda parts: told.append(list(parts)))
    for step in range(70):
        known = {row for parts in told for first, stop in parts for row in range(first, stop)}
        rows = order.at(step)
        assert step == 0 or set(rows.tolist()) <= known
    assert len(told) == 2 * -(-33 // WINDOW) + 1


def test_without_blocks_nothing_has_changed():
    """Ordinary tables keep the permutations under which all records were made."""
    rows = np.arange(3, 50)
    order = DataOrder(rows, 47, seed=5)
    for number in range(3):
        assert np.array_equal(order.at(number), numpy_stream(5, "order", number).permutation(rows))


@pytest.mark.parametrize("batch_size", [32, 128])
def test_batches_mix_as_random_ones_do(batch_size):
    """Of rows in random order, batches hold members of a class as often as the hypergeometric law says.

    The same test fails for rows that are sorted by class: the window alone cannot mix them.
    """
    count, members, block = 20_000, 3_000, 50

    def p_value(marked):
        order = order_of(count, batch_size, block=block)
        found = [int(marked[order.at(step)].sum()) for step in range(4 * count // batch_size)]
        law = hypergeom(count, members, batch_size)
        edges = np.unique([int(law.ppf(q)) for q in np.arange(0.1, 1.0, 0.1)])
        expected = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
        place = np.searchsorted(edges, found, side="left")
        return chisquare(np.bincount(place, minlength=len(expected)), expected * len(found)).pvalue

    shuffled = np.zeros(count, dtype=bool)
    shuffled[numpy_stream(1, "shuffled").permutation(count)[:members]] = True
    assert p_value(shuffled) > 1e-3
    assert p_value(np.arange(count) < members) < 1e-9


def test_neighbours_on_the_sky_share_batches_as_seldom_as_chance_has_it():
    """Pairs of one sky group meet in a batch as often as any two galaxies do, pass after pass."""
    count, batch_size, block = 6_000, 60, 20
    place = numpy_stream(2, "stored").permutation(count)  # as `data prepare` stores them
    group = np.empty(count, dtype=int)
    group[place] = np.arange(count) // 2
    order, met, passes = order_of(count, batch_size, block=block), 0, 12
    for step in range(passes * count // batch_size):
        _, together = np.unique(group[order.at(step)], return_counts=True)
        met += int((together == 2).sum())
    expected = passes * (count // 2) * (batch_size - 1) / (count - 1)
    # pairs that were stored in one block by chance meet more often; those of all other blocks more seldom
    assert abs(met - expected) < 5 * np.sqrt(expected * 4)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_share_the_batches_of_one_process(ranks):
    """The same galaxies in the same order, however many processes; also where the first steps were another's."""
    alone, later = order_of(300, batch_size=8), order_of(300, batch_size=8)
    for step in [*range(30), 90]:
        shares = [share_of_part(rank, ranks, 8, 1) for rank in range(ranks)]
        dealt = [rows_of(later.at(step), share) for share in shares]

        assert np.array_equal(np.concatenate(dealt), alone.at(step))
