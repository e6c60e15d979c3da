"""Records of imagined runs, for boards, and the rows that a board makes of them."""

import pytest

from astrojepa_bench.board.table import build_board
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import RunRecord


def make_run(objective="alpha", masker="random", seed=0, linear=0.7, balanced=None, **changed):
    """Make the record of one run; every score follows from `linear` unless it is given."""
    names = {"objective": objective, "masker": masker, "encoder": "vit-micro", "dataset": "synthetic"}
    names = {kind: changed.pop(kind, name) for kind, name in names.items()}
    options = changed.pop("options", {"objective": {"weight": 0.05}, "encoder": {"patch": 8}})
    chosen = {
        key: changed.pop(key, default)
        for key, default in {
            "fingerprint": "f00d",
            "splits": "5eed",
            "precision": "float32",
            "device_class": "cpu",
        }.items()
    }
    budget = changed.pop("budget", "small")
    chain = changed.pop("chain", {"objective": {"own": "v1"}})
    identity = RunIdentity(names=names, options=options, chain=chain, seed=seed, budget=budget, **chosen)
    facts = dict(
        run_id=identity.run_id,
        entry_id=identity.entry_id,
        status="ok",
        **names,
        seed=seed,
        budget=budget,
        options=options,
        identity=identity.facts(),
        scores=scores(linear, linear - 0.02 if balanced is None else balanced),
        health={"effective_rank": 10.0},
        cost={"train_seconds": 143.2, "images_per_second": 150.0},
        environment={"torch": "2.8.0"},
    )
    return RunRecord(**{**facts, **changed})


def scores(linear, balanced, n=608):
    """Return the scores of one run."""
    values = {
        ("linear", "accuracy"): (linear, 0.4),
        ("linear", "balanced_accuracy"): (balanced, 0.2),
        ("knn", "accuracy"): (linear - 0.08, 0.4),
        ("kmeans", "purity"): (0.55, 0.43),
        ("kmeans", "ami"): (0.21, 0.0),
        ("anomaly", "auroc_physical"): (0.83, 0.5),
        ("anomaly", "average_precision_physical"): (0.31, 0.05),
    }
    return [
        dict(evaluator=e, metric=m, value=v, chance=c, higher_is_better=True, n=n)
        for (e, m), (v, c) in values.items()
    ]


def lost_run(status, message="", **changed):
    """Make the record of a run without scores."""
    failure = dict(origin="plugin", phase="training", message=message) if message else None
    return make_run(status=status, scores=[], failure=failure, **changed)


def rows_of(records):
    (section,) = build_board(records).sections
    return {row.label.removesuffix(" + vit-micro"): row for row in section.rows}


@pytest.fixture(name="make_run", scope="session")
def _make_run():
    return make_run


@pytest.fixture(name="lost_run", scope="session")
def _lost_run():
    return lost_run


@pytest.fixture(scope="session")
def six_entries():
    """Three contestants, two floors and a ceiling, three seeds each; one contestant lost a seed."""
    runs = []
    for seed in range(3):
        jitter = 0.01 * (seed - 1)
        runs += [
            make_run("alpha", "brightness", seed, 0.74 + jitter),
            make_run("alpha", "random", seed, 0.70 - jitter, status="collapsed" if seed == 1 else "ok"),
            make_run("beta", "multiblock", seed, 0.64)
            if seed
            else lost_run("diverged", "loss term 'x' was not finite", objective="beta", masker="multiblock"),
            make_run("untrained", "none", seed, 0.63 + jitter / 2, standing="floor"),
            make_run("untrained", "none", seed, 0.59, standing="floor", encoder="pca"),
            make_run("supervised", "none", seed, 0.79, standing="ceiling"),
        ]
    return runs
