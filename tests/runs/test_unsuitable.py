"""`Unsuitable`: whoever says that a combination cannot mean anything ends it with the reason, not as a failure."""

import json

import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.errors import Unsuitable, said_by
from astrojepa_bench.registry import load_registry
from astrojepa_bench.testing import conform, subject_of

PLUGIN = '''
import torch
from torch import nn

from astrojepa_bench.plugin import *


class Small(Encoder):
    """A linear map of the mean of each patch."""

    version = 1
    where = ""

    def __init__(self, spec):
        super().__init__(spec)
        self.grid, self.dim = PatchGrid.tiling(spec.size_px, 16), 16
        self.map = nn.Linear(len(spec.bands), self.dim)
        self.say("built")

    def say(self, place):
        if place == self.where:
            raise Unsuitable("three bands are one too many")

    def forward(self, images, keep=None):
        values = self.map(self.grid.patch_means(images).transpose(1, 2) - 0.5)
        return Tokens(values, torch.arange(values.shape[1]).expand(len(images), -1))

    def fit_inputs(self, images):
        self.say("fit_inputs")

    def fit_readout(self, images):
        self.say("fit_readout")


class Learns(Objective):
    """Learns a little."""

    masks = "ignored"
    version = 1
    where = ""

    def __init__(self, *given):
        super().__init__(*given)
        self.steps = 0
        if self.where == "constructor":
            raise Unsuitable("it wants more classes")

    @classmethod
    def skip(cls, encoder, masker):
        if cls.where == "skip":
            raise Unsuitable("it wants another masker")

    def recipe(self):
        return Recipe(learning_rate=1e-3, batch_size=64)

    def loss(self, batch, draw, streams):
        if self.where == "first loss" or (self.where == "second loss" and streams.step == 1):
            raise Unsuitable("it wants a redshift")
        return Loss(self.encoder(batch.images).values.square().mean(), {})


class Measures(Evaluator):
    """Measures nothing."""

    where = ""

    def __init__(self):
        if self.where == "constructor":
            raise Unsuitable("it wants a GPU")

    def evaluate(self, features):
        if self.where == "evaluate":
            raise Unsuitable("it wants forty classes")
        return Evaluation((Score("measures", "one", 1.0, True, 1),))


class Sky(Dataset):
    """Galaxies that are not for everybody."""

    def __init__(self, *, early: bool = False):
        if early:
            raise Unsuitable("it wants a token")

    def load(self, size_px, cache_dir):
        raise Unsuitable(f"{size_px} px are fewer than its pixels can bear")


def called(base, *places):
    return {
        f"{base.__name__}-{place}".lower().replace(" ", "-"): type(
            f"{base.__name__}{number}", (base,), {"where": place, "__doc__": base.__doc__, "__module__": __name__}
        )
        for number, place in enumerate(places)
    }


@hookimpl
def astrojepa_encoders():
    return called(Small, "", "built", "fit_inputs", "fit_readout")


@hookimpl
def astrojepa_objectives():
    return called(Learns, "", "constructor", "skip", "first loss", "second loss")


@hookimpl
def astrojepa_evaluators():
    return called(Measures, "", "constructor", "evaluate")


@hookimpl
def astrojepa_datasets():
    return {"sky": Sky}
'''


@pytest.fixture(scope="module")
def run(galaxies_of_module, tiny_of_module, tmp_path_factory):
    """Return a function that runs a command with the plugin, on tiny galaxies."""
    folder = tmp_path_factory.mktemp("unsuitable")
    (folder / "says.py").write_text(PLUGIN)

    def _run(*words, dataset=("-d", "hdf5", "--set", f"dataset.path={galaxies_of_module}")):
        places = ["--out", str(folder / "out"), "--cache", str(folder / "cache"), "--device", "cpu"]
        grid = ["--plugin", str(folder / "says.py"), "--budget", "tiny", "--no-floors", "-m", "none"]
        return main(["run", *grid, *dataset, *places, *words])

    return _run


def record_of(capsys):
    """Read the one record that a command told of."""
    [path] = json.loads(capsys.readouterr().out)["records"]
    with open(path) as file:
        return json.load(file)


CASES = {
    ("learns-first-loss", "small-"): "objective 'learns-first-loss': it wants a redshift",
    ("learns-constructor", "small-"): "objective 'learns-constructor': it wants more classes",
    ("learns-skip", "small-"): "with encoder 'small-' and masker 'none': it wants another masker",
    ("learns-", "small-built"): "three bands are one too many",
    ("learns-", "small-fit_inputs"): "encoder 'small-fit_inputs': three bands are one too many",
    ("learns-", "small-fit_readout"): "encoder 'small-fit_readout': three bands are one too many",
}
FIRST, *_ = CASES


@pytest.mark.slow
@pytest.mark.parametrize("entry", CASES)
def test_a_cell_that_calls_itself_unsuitable_is_skipped(run, capsys, entry):
    """Whoever says it and wherever."""
    objective, encoder = entry
    assert run("-o", objective, "-e", encoder, "-E", "knn", "--json") == 0
    record = record_of(capsys)

    assert (record["status"], record["failure"]) == ("skipped", None)
    assert CASES[entry] in record["skip_reason"]


@pytest.mark.slow
def test_what_called_itself_unsuitable_is_a_skip_like_any_other(run, capsys):
    """The plan knows it from then on, nothing is tried again, and the board gives the reason."""
    asked = ("-o", FIRST[0], "-e", FIRST[1], "-E", "knn")
    run(*asked)
    capsys.readouterr()
    assert run(*asked, "--dry-run", "--json") == 0
    [cell] = json.loads(capsys.readouterr().out)["cells"]
    assert (cell["state"], cell["reason"]) == ("skipped", CASES[FIRST])
    assert run(*asked) == 0
    said = capsys.readouterr()
    assert f"Skipped: learns-first-loss + none + small-: {CASES[FIRST]}" in " ".join(said.out.split())
    assert "already done (skipped)" in said.err


@pytest.mark.slow
def test_who_has_learnt_something_cannot_call_it_unsuitable(run, capsys):
    """What was learnt would be lost without a trace: that is a failure, and its plugin's."""
    assert run("-o", "learns-second-loss", "-e", "small-", "-E", "knn", "--json") == 1
    record = record_of(capsys)

    assert record["status"] == "failed"
    assert record["failure"]["plugin"] == "says"
    assert "unsuitable after 1 steps (it wants a redshift)" in record["failure"]["message"]


@pytest.mark.slow
def test_an_evaluator_that_calls_itself_unsuitable_has_no_score(run, capsys):
    """It is asked when it is built or when it measures; the others score."""
    names = "measures-,measures-constructor,measures-evaluate"
    assert run("-o", "learns-", "-e", "small-", "-E", names, "--json") == 0
    record = record_of(capsys)

    assert record["status"] in ("ok", "collapsed")
    assert record["not_scored"] == {
        "measures-constructor": "it wants a GPU",
        "measures-evaluate": "it wants forty classes",
    }
    assert [score["evaluator"] for score in record["scores"]] == ["measures-"]


@pytest.mark.parametrize(
    ("early", "told"),
    [
        ("false", "64 px are fewer than its pixels can bear"),
        pytest.param("true", "it wants a token", marks=pytest.mark.slow),
    ],
)
def test_a_dataset_that_calls_itself_unsuitable_refuses_the_request(run, capsys, early, told):
    """No cell could be anything else; one line says why, and whose word it is."""
    code = run("-o", "learns-", "-e", "small-", dataset=("-d", "sky", "--set", f"dataset.early={early}"))

    assert code == 2
    assert (
        capsys.readouterr()
        .err.strip()
        .splitlines()[-1]
        .endswith(f"dataset 'sky' (plugin says): {told}; choose other galaxies")
    )


@pytest.mark.slow
def test_the_rules_do_not_apply_to_what_is_unsuitable_here(tmp_path):
    """`check` skips them with the reason: its galaxies are not the plugin's."""
    (tmp_path / "says.py").write_text(PLUGIN)
    offer = load_registry([tmp_path / "says.py"]).get("objective", "learns-constructor")
    report = conform(subject_of(offer))

    assert not report.faults
    assert "it wants more classes" in [each.found for each in report.outcomes]


def test_a_reason_that_is_none_is_said():
    """A reader sees a sentence, and not the end of one."""
    assert (
        said_by(Unsuitable("")) == said_by(Unsuitable()) == "it calls itself unsuitable and gives no reason"
    )
