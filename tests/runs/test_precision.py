"""`--precision`: part of what a run is, kept by whatever does the run again, and close to float32."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import assemble, load_galaxies
from astrojepa_bench.runs.grid import plan_grid, run_grid
from astrojepa_bench.runs.open_run import open_run
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.reproduce import rerun
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.runs.rescore import rescore
from astrojepa_bench.training.budgets import BUDGETS, Budget
from astrojepa_bench.training.loop import Trainer

CPU = torch.device("cpu")
ASKED = {"objectives": "ijepa", "maskers": "random", "floors": False, "device": "cpu", "budget": "tiny"}
SETTINGS = {"dataset": {"galaxies": 128}, "objective": {"batch_size": 16}}


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 32, 4, 128, "vit-micro", "tests"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def request_of(tmp_path, cache):
    """Ask for one run in some precision."""
    places = {"out": tmp_path / "out", "cache": cache}
    return lambda **more: make_request({**ASKED, **places, "settings": SETTINGS, **more})


def test_an_unknown_precision_is_refused_in_one_line():
    """Before anything is loaded."""
    with pytest.raises(ConfigError, match="unknown precision 'half'; use auto, float32 or bf16"):
        make_request({"objectives": "ijepa", "precision": "half"})


@pytest.mark.slow
def test_the_flag_is_the_field_of_a_request(capsys):
    """Of `plan` as of `run`."""
    assert main(["plan", "-o", "ijepa", "--precision", "half"]) == 2
    assert "unknown precision 'half'" in capsys.readouterr().err


def test_it_is_part_of_what_a_run_is(registry, request_of):
    """`auto` is what it was, under the same id; another precision is another run and another entry."""
    ids, spec = np.array(["a", "b"]), SimpleNamespace(mirror_safe=False)
    table = SimpleNamespace(ids=ids, split=ids, fingerprint="f00d", spec=spec, columns={})
    plans = {asked: make_plan(request_of(precision=asked), registry) for asked in ("auto", "float32", "bf16")}
    for device, usual, other in (("cpu", "float32", "bf16"), ("cuda", "bf16", "float32")):
        galaxies = SimpleNamespace(name="here", chain={}, table=table, device=SimpleNamespace(type=device))
        found = {each: RunIdentity.of(plan.cells[0], galaxies, plan.budget) for each, plan in plans.items()}
        assert found["auto"] == found[usual]
        assert found[other].facts() == {**found[usual].facts(), "precision": other}
        assert found[other].run_id != found[usual].run_id
        assert found[other].entry_id != found[usual].entry_id


@pytest.mark.slow
def test_half_as_many_digits_tell_almost_the_same(registry, request_of):
    """Losses of eight steps in bf16 are within a hundredth of float32's and not equal; weights stay float32."""
    curves = {}
    for precision in ("float32", "bf16"):
        plan = make_plan(request_of(precision=precision), registry)
        galaxies = load_galaxies(plan.dataset, 32, request_of().cache, CPU)
        made = assemble(plan.cells[0], galaxies, None)
        trainer = Trainer(made.objective, made.masker, galaxies.table, galaxies.images, plan.budget, 0)
        dtypes = set()
        made.objective.encoder.blocks[0].mlp.fc1.register_forward_hook(
            lambda _module, _given, answer, seen=dtypes: seen.add(answer.dtype)
        )
        curves[precision] = [terms["total"] for _, terms in trainer.run().state.curve]
        assert dtypes == {torch.float32 if precision == "float32" else torch.bfloat16}
        assert {each.dtype for each in made.objective.parameters()} == {torch.float32}
    assert len(curves["bf16"]) == 8
    assert curves["bf16"] == pytest.approx(curves["float32"], rel=1e-2)
    assert curves["bf16"] != pytest.approx(curves["float32"], rel=1e-5)
    assert curves["bf16"][-1] < curves["bf16"][0]


@pytest.mark.slow
def test_a_run_is_rerun_and_rescored_in_its_own_precision(registry, request_of):
    """The same scores to the last bit; features are float32 whatever it was trained in."""
    request = request_of(precision="bf16", evaluators="knn")
    [record] = run_grid(request, registry, "tests").records
    assert (record.status, record.identity["precision"]) == ("ok", "bf16")

    again = rerun(record, registry, {}, request.cache, CPU, "tests")
    assert again.again.run_id == record.run_id
    assert [s.value for s in again.again.scores] == [s.value for s in record.scores]
    assert again.notes == ()

    places = {"out": request.out, "cache": request.cache, "device": CPU, "settings": {}}
    later = rescore(record.run_id, ["linear"], registry, **places).record
    assert later.identity == record.identity
    assert {s.evaluator for s in later.scores} == {"knn", "linear"}
    run = open_run(record.run_id, out=request.out, registry=registry)
    assert {each.dtype for each in run.objective.parameters()} == {torch.float32}


@pytest.mark.slow
def test_minutes_of_one_precision_tell_nothing_of_the_other(registry, request_of):
    """On many machines bf16 takes half or twice as long; and a run of one is not taken for one of the other."""
    run_grid(request_of(evaluators="knn"), registry, "tests")
    assert [r.identity["precision"] for r in Store(request_of().out).records()] == ["float32"]
    [known] = plan_grid(request_of(evaluators="knn", seeds=(1,)), registry)
    [other] = plan_grid(request_of(evaluators="knn", precision="bf16"), registry)
    assert (other.state, other.minutes) == ("missing", None)
    assert (known.state, known.minutes is None) == ("missing", False)
