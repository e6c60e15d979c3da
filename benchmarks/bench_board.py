"""How long a board takes to build: today's records, and five thousand of them, without and with the index.

pytest benchmarks/bench_board.py -o addopts=--import-mode=importlib --benchmark-json=FILE

The five thousand are the committed records under other seeds and options. What is built is compared byte for byte.
One core; a minute or two.
"""

import json
import shutil
import time
from pathlib import Path

import pytest

from astrojepa_bench.board.render import read_board, write_board
from astrojepa_bench.results.identity import digest, entry_digest
from astrojepa_bench.results.index import FOLDER
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store

BOARD = Path(__file__).parents[1] / "leaderboard"
MANY = 5_000
SEEDS_OF_AN_ENTRY = 12
LIMITS_S = {"today": 3.0, "many": 20.0}


def copies(count):
    """Yield records like the committed ones: each entry again under other seeds, then under another option."""
    originals = Store(BOARD).records()
    for number in range(count):
        record, copy = originals[number % len(originals)], number // len(originals)
        option, shift = divmod(copy, SEEDS_OF_AN_ENTRY // 3)
        facts = record.facts()
        options = facts["identity"]["options"]
        marked = {**options, "objective": {**options.get("objective", {}), "copy": option}}
        seed = record.seed + 1000 * shift
        identity = {**facts["identity"], "seed": seed, "options": marked}
        ids = {"run_id": digest(identity), "entry_id": entry_digest(identity), "formerly": None}
        shown = {**facts["options"], "objective": {**facts["options"].get("objective", {}), "copy": option}}
        yield RunRecord.model_validate({**facts, **ids, "identity": identity, "seed": seed, "options": shown})


@pytest.fixture(scope="module", params=LIMITS_S)
def folder(request, tmp_path_factory):
    """Fill a folder with today's records, or with many."""
    out = tmp_path_factory.mktemp(request.param)
    for name in ("suite.json", "published.json", "claims.toml"):
        if (BOARD / name).is_file():
            shutil.copy(BOARD / name, out / name)
    for record in Store(BOARD).records() if request.param == "today" else copies(MANY):
        path = Store(out).path(record)  # written plainly: five thousand synchronised files take minutes
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(record.to_json())
    return request.param, out


def build(out):
    """Build as `leaderboard build` does, and return what was written."""
    write_board(out, read_board(out))
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()}


def test_build(benchmark, folder):
    """The same bytes in any order and with any index, within the time that a reader waits."""
    size, out = folder
    began = time.perf_counter()
    plain = build(out)
    without_s = time.perf_counter() - began
    indexed = benchmark.pedantic(build, args=(out,), rounds=2)
    assert indexed == plain
    shutil.rmtree(out / FOLDER)
    assert build(out) == plain
    with_s = benchmark.stats["min"]
    benchmark.extra_info.update(
        records=len(json.loads(plain["board.json"])["runs"]), without_s=without_s, ratio=without_s / with_s
    )
    assert with_s <= LIMITS_S[size]


def test_reading_is_faster_with_the_index(benchmark, folder):
    """Reading alone: what was checked once is not checked again."""
    _, out = folder
    Store(out).indexed()
    began = time.perf_counter()
    plain = [RunRecord.from_json(path.read_bytes(), path) for path in Store(out).paths()]
    hashes = {record.run_id: digest(record.facts()) for record in plain}
    without_s = time.perf_counter() - began
    records, found = benchmark.pedantic(lambda: Store(out).indexed(), rounds=2)
    assert found == hashes
    assert {record.run_id: record for record in records} == {record.run_id: record for record in plain}
    benchmark.extra_info.update(without_s=without_s, ratio=without_s / benchmark.stats["min"])
