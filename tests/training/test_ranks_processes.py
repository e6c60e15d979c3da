"""Several ranks compute what one process does: every objective, in real processes."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from astrojepa_lightly import SERVED

from astrojepa_bench.registry import load_registry

REGISTRY = load_registry()
TRAINED = [
    each.name for each in REGISTRY.offers("objective") if not each.is_family and each.declares("trains")
]


def task_of(name, **others):
    ignores = REGISTRY.get("objective", name).declares("masks") == "ignored"
    masker = "none" if ignores else "brightness"
    return {"objective": name, "masker": masker, "encoder": "vit-micro", **others}


TASKS = {
    **{name: task_of(name) for name in TRAINED},
    "vicreg in parts": task_of("vicreg", accumulation=2),
    "crops": task_of("ijepa", options={"crop": 0.3}),
    "a token": task_of("ijepa-sigreg", options={"tensor": "token"}),
    "crops of local views": {**task_of("lejepa"), "masker": "none"},
}
if importlib.util.find_spec("lightly") is not None:
    narrow = {"WMSELoss": {"embedding": 2, "w_size": 8}, "DirectCLRLoss": {"loss_dim": 8}}
    few = {"LeJEPALoss": {"sigreg_num_vectors": 32}, "VISRegLoss": {"num_slices": 32}}
    for loss in SERVED:
        options = {**narrow, **few}.get(loss, {})
        TASKS[f"lightly:{loss}"] = task_of(f"lightly:{loss}", options=options)


def run_ranks(tasks, folder, size):
    """Do tasks in as many real processes; return what each of them found."""
    (folder / "tasks.json").write_text(json.dumps(tasks))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    found = [folder / f"found.{rank}" for rank in range(size)]
    started = [
        subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("ranks_worker.py")),
                str(folder / "tasks.json"),
                str(path),
            ],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank, path in enumerate(found)
    ]
    assert [each.wait(560) for each in started] == [0] * size
    return [torch.load(path, weights_only=False) for path in found]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, kept):
    """Train everything in one process, and then on two ranks, whose processes start once."""
    stops = [{"stopped": task_of("byol", stop=str(kept / f"of {size}.pt"))} for size in (1, 2)]
    stops[1]["resumed"] = task_of("byol", resume=str(kept / "of 1.pt"))
    of = [tmp_path_factory.mktemp(f"of {size}") for size in (1, 2)]
    return [run_ranks({**TASKS, **stops[size - 1]}, of[size - 1], size) for size in (1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_two_ranks_compute_what_one_process_does(trained, name):
    """Loss, gradients and weights of every shipped objective, and all that a record says of the batch."""
    (alone,), ranks = trained
    # whitening divides by the spread of two dimensions over eight galaxies, and rounding by small ones with it
    check_equal(alone[name], [found[name] for found in ranks], most=1e-4 if "WMSE" in name else 1e-5)


@pytest.mark.slow
def test_four_ranks_compute_what_one_process_does(trained, tmp_path):
    """Two galaxies each."""
    ranks = run_ranks({"lejepa": TASKS["lejepa"]}, tmp_path, 4)
    check_equal(trained[0][0]["lejepa"], [found["lejepa"] for found in ranks])


@pytest.mark.slow
def test_a_run_is_resumed_by_another_number_of_ranks(trained, kept, tmp_path):
    """From one to two and back, teacher, moments and running statistics: as if nothing had happened."""
    (alone,), ranks = trained
    assert (alone["stopped"], ranks[0]["stopped"]) == ("Stopped: ",) * 2
    assert ranks[1]["stopped"] == "RanksPartedError: another rank left the training"
    check_equal(alone["byol"], [found["resumed"] for found in ranks], resumed=True)
    again = run_ranks({"resumed": task_of("byol", resume=str(kept / "of 2.pt"))}, tmp_path, 1)
    check_equal(alone["byol"], [again[0]["resumed"]], resumed=True)


def check_equal(alone, ranks, resumed=False, most=1e-5):
    first = ranks[0]
    assert not isinstance(first, str), first
    for (step, terms), (other_step, other) in zip(alone["curve"], first["curve"], strict=True):
        assert step == other_step
        assert other == pytest.approx(terms, rel=most, abs=most)
    for one, many in zip(alone["gradients"][resumed:], first["gradients"], strict=True):
        assert length(apart(one, many)) <= most * max(1.0, length(one))
    for name, moved in apart(alone["weights"], first["weights"]).items():
        size = max(1.0, *alone["weights"][name].abs().flatten().tolist())
        assert max(moved.abs().flatten().tolist(), default=0.0) <= most * size, name
    for other in ranks[1:]:
        assert length(apart(first["weights"], other["weights"])) == 0
    assert first["told"] == alone["told"]


def apart(one, many):
    assert one.keys() == many.keys()
    return {name: many[name].double() - value.double() for name, value in one.items()}


def length(tensors):
    return float(torch.cat([each.double().flatten() for each in tensors.values()]).norm())
