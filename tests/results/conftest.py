"""Records to write, read and spoil."""

import pytest

from astrojepa_bench.results.identity import digest, entry_digest
from astrojepa_bench.results.record import RunRecord


def make_record(seed=0, **changed):
    identity = {"seed": seed, "protocol": 1, "names": {"objective": changed.get("objective", "obj")}}
    facts = dict(
        run_id=digest(identity),
        entry_id=entry_digest(identity),
        status="ok",
        objective="obj",
        masker="random",
        encoder="vit-micro",
        dataset="synthetic",
        seed=seed,
        budget="smoke",
        options={"objective": {"betas": (0.9, 0.95)}},
        identity=identity,
        scores=[
            dict(evaluator="linear", metric="accuracy", value=0.7, higher_is_better=True, n=608, chance=0.4)
        ],
        health={"effective_rank": 10.5, "context_patches": 12},
        training={"steps": 2, "loss_curve": [(0, 2.0), (1, 1.5)]},
    )
    return RunRecord(**{**facts, **changed})


@pytest.fixture(name="make_record", scope="session")
def _make_record():
    return make_record
