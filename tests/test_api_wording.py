"""Errors speak Python in Python: every message of the package can be said as its words are typed there."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import astrojepa_bench as ab
from astrojepa_bench.api.wording import FLAGS, VERBS, in_python, speaking_python
from astrojepa_bench.data.folder import Folder
from astrojepa_bench.errors import ConfigError, DivergedError, StorageError
from astrojepa_bench.runs.request import RunRequest

RULER = Path(ab.__file__).parent
SHELL = re.compile(r"(?<![\w-])(--?[a-z]|-d [A-Z])")
FLAGGED = re.compile(r"--[a-z]|-d [A-Z]")
COMMAND = re.compile(r"astrojepa-bench [a-z].*? in a terminal|pip install -e \.")
# What these write is read by a shell or by git, or stands in the error of a command that Python has no call for.
FOR_SHELLS = {
    "board/page_details.py", "board/published.py", "board/render.py", "data/prepare.py",
    "data/published/download.py", "data/published/galaxy10.py", "results/environment.py",
    "runs/executors/slurm_script.py", "runs/ranks/leader.py",
}  # fmt: skip


def texts(path):
    """List the texts of a module, with X for what is filled in; docstrings, which nobody raises, left out."""
    tree = ast.parse(path.read_text())
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in [each for each in ast.walk(tree) if isinstance(each, documented) and ast.get_docstring(each)]:
        node.body.pop(0)
    inner = {
        id(part) for each in ast.walk(tree) if isinstance(each, ast.JoinedStr) for part in ast.walk(each)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(each.value if isinstance(each, ast.Constant) else "X" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


def test_every_message_can_be_said_in_python():
    """A flag that the face does not know is found here, whoever writes it."""
    wrong = []
    for path in sorted(RULER.rglob("*.py")):
        name = path.relative_to(RULER).as_posix()
        if name in FOR_SHELLS or name.startswith(("cli/", "api/")) or not FLAGGED.search(path.read_text()):
            continue
        written = [text for text in texts(path) if SHELL.search(text) and not text.startswith("--config")]
        said = [COMMAND.sub("", in_python(text)) for text in written]
        wrong += [f"{name}: {text}" for text in said if SHELL.search(text)]

    assert wrong == []


def test_every_flag_is_an_argument():
    """Of `run`, of `sweep`, or of a function that looks; or an option of a folder of images."""
    taken = {*RunRequest.model_fields}
    taken |= {name for each in ab.__all__ for name in inspect.signature(getattr(ab, each)).parameters}
    options = {f"dataset.{name}" for name in inspect.signature(Folder).parameters}

    assert {name.partition("=")[0] for name in FLAGS.values()} - taken - options == set()
    assert {*VERBS.values()} - {*ab.__all__, "predict"} == set()


@pytest.mark.parametrize(
    ("shell", "python"),
    [
        ("give its path with --set dataset.path=FILE", 'give its path with settings={"dataset.path": "FILE"}'),
        ("name other galaxies with -d DATASET", "name other galaxies with dataset=DATASET"),
        ("--jobs 0: expected how many", "jobs=0: expected how many"),
        ("--jobs is of one machine; leave out --jobs", "jobs= is of one machine; leave out jobs="),
        ("with --on-bad-image skip", 'with settings={"dataset.on_bad_image": "skip"}'),
        ("--shard 2/5 is empty", 'shard="2/5" is empty'),
        ("choose a writable --out folder", "choose a writable out= folder"),
        ("run with --isolate", "run with isolate=True"),
        ("add --plugin plugins/a.py", 'add plugins=["plugins/a.py"]'),
        ("--data gz2=a: no such file", 'data={"gz2": "a"}: no such file'),
        ("add --set dataset.label= (empty)", 'add settings={"dataset.label": ""} (empty)'),
        ("`astrojepa-bench list --json`; or", "`astrojepa-bench list --json` in a terminal; or"),
        ("look without: `anomalies` or `map`", "look without: `compute_jepa_anomaly_scores` or `draw_map`"),
        ("write --jobs-like words and m31--m32", "write --jobs-like words and m31--m32"),
    ],
)  # fmt: skip
def test_messages_in_the_words_of_python(shell, python):
    """What is no flag stays as it is."""
    assert in_python(shell) == python


def test_an_error_keeps_its_kind_and_facts():
    """Who catches a full disk by its kind, or reads the step of a divergence, still can."""
    with pytest.raises(StorageError, match="choose a writable out= folder") as full, speaking_python():
        raise StorageError.of("/data", "no space left")
    with pytest.raises(DivergedError, match="not finite at step 7") as diverged, speaking_python():
        raise DivergedError(7, "total")

    assert (full.value.reason, diverged.value.step) == ("no space left", 7)


REQUESTS = [
    (lambda here: ab.run("untrained", timeout="soon"), 'timeout="soon": expected a time'),
    (lambda here: ab.run("untrained", labels="5%%"), "labels=.*: expected a number of labels"),
    (lambda here: ab.run("untrained", settings={"path": 1}, out=here), "expected 'kind.option'"),
    (lambda here: ab.run("untrained", data=here, dataset="hdf5"), "expected one of them: leave out dataset="),
    (lambda here: ab.sweep(out=here), r"name one with objectives=, or a suite="),
    (lambda here: ab.sweep(objectives="untrained", jobs=0), "jobs=0: expected how many cells"),
    (lambda here: ab.sweep(objectives="untrained", seeds=0), "seeds=0 asks for no run"),
    (lambda here: ab.sweep(objectives="untrained", shard="9/2"), 'shard="9/2": expected I/N'),
    (lambda here: ab.sweep(suite="baseline", objectives="untrained"), "leave out objectives= and maskers="),
    (lambda here: ab.sweep(objectives="untrained", ray_address="auto"), 'ray_address= is of executor="ray"'),
    (lambda here: ab.sweep(objectives="untrained", sed=1), "unknown key 'sed'"),
    (lambda here: ab.compare("a+b", "c+d", out=here), r"holds no records .*; run something with out="),
    (lambda here: ab.draw_map("latest", method="tsnee"), "did you mean 'tsne'"),
    (lambda here: ab.compute_jepa_anomaly_scores("latest", by="knn"), "unknown anomaly score"),
]
WITH_PLUGINS = [  # which take a tenth of a second to load, each time
    (lambda here: ab.run("untrained", dataset="folder", out=here), r'settings=\{"dataset.path": '),
    (lambda here: ab.run("untrained", data=here / "no", out=here), "neither a data set nor a file"),
    (lambda here: ab.run("untraned", settings={"dataset.galaxies": 60}, out=here), "mean 'untrained'"),
    (lambda here: ab.run("untrained", settings={"masker:foo.x": 1}, out=here), "no selected masker"),
    (lambda here: ab.sweep(objectives="untrained", executor="slurm"), 'executor="slurm" writes a script'),
    (lambda here: ab.sweep(suite="galaxy-suite-1", data={"gz3": "x"}, out=here), r'data="gz3"|data=\{"gz3"'),
    (lambda here: ab.open_run("latest", out=here), "name the output folder with out="),
    (lambda here: ab.open_run("3f9a2c", out=here), "name the output folder with out="),
    (lambda here: ab.load("sinthetic"), "did you mean 'synthetic'"),
    (lambda here: ab.load(here, bands="grz"), "only with images as an array"),
    (lambda here: ab.load("hdf5"), r'settings=\{"dataset.path": '),
    (lambda here: ab.load("synthetic", settings={"dataset.pth": "x"}), "has no option 'pth'"),
]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [*REQUESTS, *(pytest.param(*each, marks=pytest.mark.slow) for each in WITH_PLUGINS)],
    ids=[complaint for _, complaint in (*REQUESTS, *WITH_PLUGINS)],
)
def test_errors_of_the_face_name_arguments_and_no_flags(call, complaint, tmp_path, monkeypatch):
    """Whatever a caller gets wrong, what to type instead is Python."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=complaint) as raised:
        call(tmp_path)

    assert SHELL.search(COMMAND.sub("", str(raised.value))) is None
    assert "\n" not in str(raised.value)
