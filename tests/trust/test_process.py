"""Whatever a cell moves in the process, the next one finds as it was; and a reader learns who moved what."""

import builtins
import importlib.util
import json
import logging
import os
import random
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from astrojepa_bench import sweep
from astrojepa_bench.events import listening
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.executors.namespaces import Namespaces
from astrojepa_bench.runs.executors.restoring import restored
from astrojepa_bench.runs.executors.settings import SETTINGS, is_same, read_settings
from astrojepa_bench.runs.failures import classify
from astrojepa_bench.training.checkpoint import Checkpointer

MOVERS = Path(__file__).with_name("movers.py")


@pytest.fixture(scope="module")
def cell():
    """A component of a plugin, and one of the bench."""
    registry = load_registry([MOVERS])
    offers = [registry.get("objective", "chdir"), registry.get("evaluator", "knn")]
    return [Component.of(offer, {}) for offer in offers]


@pytest.fixture(scope="module")
def movers():
    """The functions that reach beyond a cell."""
    spec = importlib.util.spec_from_file_location("movers", MOVERS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def notes_of(cell, misdeed):
    """Do something in a block that is put right; return the notes."""
    heard = []
    with listening(heard.append), restored(cell):
        misdeed()
    return [event.fields["text"] for event in heard]


def told():
    """Read the settings, but for random states, which the checks of annotations in these tests move."""
    return {each: value for each, value in read_settings(SETTINGS).items() if each.worth_telling}


def limits():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if soft else min(1, hard), hard))


MORE = {
    "anomaly": (lambda: torch.autograd.set_detect_anomaly(True), "anomaly"),
    "products": (lambda: torch.set_float32_matmul_precision("medium"), "precision of matrix products"),
    "denormals": (lambda: torch.set_flush_denormal(True), "denormal"),
    "autocast": (lambda: torch.set_autocast_enabled("cpu", True), "autocast on cpu"),
    "cudnn": (lambda: setattr(torch.backends.cudnn, "benchmark", True), "cudnn.benchmark"),
    "optimiser hook": (
        lambda: register_optimizer_step_post_hook(lambda *_: None),
        "global hooks",
    ),
    "umask": (lambda: os.umask(0o123), "umask"),
    "argv": (lambda: sys.argv.append("--json"), "sys.argv"),
    "new argv": (lambda: setattr(sys, "argv", ["x"]), "sys.argv"),
    "stdout": (lambda: setattr(sys, "stdout", None), "sys.stdout"),
    "excepthook": (lambda: setattr(sys, "excepthook", print), "sys.excepthook"),
    "recursion": (lambda: sys.setrecursionlimit(5000), "recursion limit"),
    "alarm": (lambda: signal.setitimer(signal.ITIMER_REAL, 1000), "alarm"),
    "logging": (lambda: logging.root.setLevel(7), "logging level"),
    "import hook": (lambda: sys.meta_path.append(object()), "sys.meta_path"),
    "limits": (limits, "RLIMIT_CORE"),
    "method": (lambda: setattr(torch.nn.Linear, "forward", lambda self, x: x), "torch.nn.Linear.forward"),
    "function": (lambda: delattr(np, "sum"), "numpy.sum"),
    "builtin": (lambda: setattr(builtins, "divmod", max), "builtins.divmod"),
    "the bench": (lambda: setattr(Namespaces, "put_back", lambda _: []), "Namespaces.put_back"),
}
MOVED = {
    "gradients": "gradients",
    "default-dtype": "default dtype",
    "default-device": "default device",
    "threads": "threads",
    "deterministic": "deterministic",
    "hook": "global hooks",
    "patch-mean": "torch.Tensor.mean",
    "patch-json": "json.dumps",
    "chdir": "working directory",
    "environment": "environment variables",
    "numpy": "NumPy's error handling",
    "deaf": "signal handlers",
}


@pytest.mark.parametrize("name", [*MOVED, *MORE])
def test_what_a_cell_moves_is_put_back_and_named(cell, movers, name):
    """One note: what was moved, and by the code of which plugins."""
    misdeed, named = MORE[name] if name in MORE else (movers.MISDEEDS[name], MOVED[name])
    before = told()
    mean, dumps = torch.Tensor.mean, json.dumps
    notes = notes_of(cell, misdeed)
    after = told()

    assert [setting.name for setting in before if not is_same(before[setting], after[setting])] == []
    assert torch.Tensor.mean is mean
    assert json.dumps is dumps
    assert len(notes) == 1
    assert named in notes[0]
    assert "objective 'chdir' (plugin movers)" in notes[0]
    assert "knn" not in notes[0]  # the bench itself moves nothing


def test_random_numbers_that_were_drawn_are_drawn_again_in_silence(cell, movers):
    """A cell starts where the one before it did; that a library draws is nothing to talk about."""
    numpy, generator = np.random.get_state, torch.get_rng_state
    before = numpy()[1].tolist(), generator()
    notes = notes_of(cell, movers.MISDEEDS["random"])

    assert notes == []
    assert before[0] == numpy()[1].tolist()
    assert torch.equal(before[1], generator())


def test_an_error_passes_through_and_still_everything_is_put_back(cell):
    """Most cells that move something fail for it."""

    def fail():
        torch.set_grad_enabled(False)
        raise ValueError("no gradient")

    with pytest.raises(ValueError, match="no gradient"):
        notes_of(cell, fail)
    assert torch.is_grad_enabled()


def test_a_cell_that_moves_nothing_is_not_talked_about(cell):
    """Nor what libraries do when they are imported late, nor numbers drawn from named streams."""

    def sound():
        from astrojepa_bench.streams import scoped_global

        with scoped_global(0, "layers"), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.nn.Linear(3, 3)(torch.rand(2, 3))
        torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
        np.random.default_rng(0).normal()
        random.Random(0).random()

    assert notes_of(cell, sound) == []


def test_records_name_no_folder_of_the_machine(cell):
    """Files are opened by their full paths, since a plugin may change the current folder."""
    missing = Path.cwd() / "board" / "weights" / "a.safetensors"
    failure = classify(
        FileNotFoundError(2, "No such file", str(missing)), "training", [each.offer for each in cell]
    )

    assert "'board/weights/a.safetensors'" in failure.failure.message


def test_a_setting_that_does_not_go_back_is_admitted(cell, monkeypatch):
    """The way out is a process of its own."""
    monkeypatch.setattr(os, "chdir", os.chdir)
    stubborn = [each for each in SETTINGS if each.name == "working directory"]
    here = os.getcwd()
    monkeypatch.setattr("astrojepa_bench.runs.executors.restoring.SETTINGS", tuple(stubborn))
    object.__setattr__(stubborn[0], "put", lambda _: None)
    try:
        notes = notes_of(cell, lambda: os.chdir("/"))
    finally:
        object.__setattr__(stubborn[0], "put", os.chdir)
        os.chdir(here)

    assert "could not be put back: run with --isolate" in notes[0]


@pytest.mark.slow
def test_a_disk_that_fills_during_a_checkpoint_costs_nothing_but_time(tmp_path, monkeypatch):
    """The run says so or goes on; the checkpoint before is whole, and the run ends as one that met no full disk."""
    monkeypatch.setattr(Checkpointer, "due", lambda self: True)

    def attempt(folder):
        return sweep(
            objectives="full-disk", maskers="none", encoders="tiny", evaluators="knn", floors=False,
            settings={"dataset.galaxies": 60}, budget="smoke", plugins=[MOVERS],
            out=tmp_path / folder, cache=tmp_path / "cache", device="cpu",
        ).records[0]  # fmt: skip

    monkeypatch.setenv("DISK", "full")
    first = attempt("out")
    monkeypatch.delenv("DISK")
    if first.status == "failed":
        assert first.failure.origin == "infrastructure"
        (checkpoint,) = (tmp_path / "out" / "checkpoints").glob("*")
        assert Checkpointer(checkpoint).read(torch.device("cpu"))["step"] == 2
    last, undisturbed = attempt("out"), attempt("elsewhere")

    assert last.status == undisturbed.status
    assert last.scores == undisturbed.scores
    assert last.training.loss_curve == undisturbed.training.loss_curve
    assert [path for path in tmp_path.rglob("*.partial")] == []


@pytest.mark.slow
def test_what_libraries_of_encoders_set_is_not_blamed_on_a_cell():
    """They are imported when the first cell needs them, and set a variable, a filter and a name of torch then."""
    code = """
from astrojepa_bench.encoders import timm_library
from astrojepa_bench.events import listening
from astrojepa_bench.runs.executors.restoring import restored
with listening(lambda event: event.name == "note" and print(event.fields)), restored([]):
    timm_library.create_model
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
