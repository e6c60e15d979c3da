"""Runs as Python calls: one entry and seed, or a grid."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import astrojepa_bench
from astrojepa_bench import open_run, run, sweep
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.training.budgets import BUDGETS, Budget

ROOT = Path(__file__).parents[1]
SKY = {"dataset.galaxies": 60}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Name a budget of 64 small images, and where things go."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 32, 8, 64, "vit-micro", "tests"))
    return {"out": tmp_path / "out", "cache": tmp_path / "cache", "device": "cpu", "budget": "tiny"}


def test_a_run_gives_the_record_of_its_one_cell(places):
    """Options come as `kind.option` or by kind; what is there is found again."""
    record = run("untrained", evaluators=("knn",), settings=SKY, seed=3, **places)
    again = run("untrained", evaluators=("knn",), settings={"dataset": {"galaxies": 60}}, seed=3, **places)

    assert (record.status, record.seed, record.objective) == ("ok", 3, "untrained")
    assert record.options["dataset"]["galaxies"] == 60
    assert again == record


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"seeds": [0, 1]}, r"takes no 'seeds': .* give seed=… or use sweep"),
        ({"suite": "baseline"}, r"takes no 'suite': .* use sweep"),
        ({"sed": 1}, "takes no 'sed'; did you mean 'seed'"),
        ({"masker": "random,brightness"}, "one entry"),
        ({"settings": {"path": "x"}}, r"expected 'kind\.option'"),
    ],
)
def test_what_is_not_one_run_is_refused(wrong, complaint):
    """Of two seeds asked for, one record would come back and the other be lost."""
    with pytest.raises(ConfigError, match=complaint):
        run("untrained", **wrong)


@pytest.mark.slow
def test_a_sweep_gives_every_record(places):
    """By fields, or by a request."""
    fields = {
        "objectives": "untrained",
        "evaluators": "knn",
        "floors": False,
        "seeds": [0, 1],
        "settings": SKY,
    }
    result = sweep(**fields, **places)
    again = sweep(make_request({**fields, **places, "settings": {"dataset": {"galaxies": 60}}}))

    assert [record.seed for record in result.records] == [0, 1]
    assert again.records == result.records
    with pytest.raises(ConfigError, match="a request or fields"):
        sweep(make_request({"objectives": "untrained"}), seeds=[0])


def test_names_of_the_public_face_are_there():
    """Each is imported when it is used, typed throughout, and the only ones that completion offers."""
    made = {name: getattr(astrojepa_bench, name) for name in astrojepa_bench.__all__}
    signatures = {name: inspect.signature(each) for name, each in made.items()}
    untyped = [
        f"{name}({parameter})"
        for name, signature in signatures.items()
        for parameter, each in [*signature.parameters.items(), ("return", signature)]
        if (each.return_annotation if parameter == "return" else each.annotation) is inspect.Signature.empty
    ]

    assert all(map(callable, made.values()))
    assert dir(astrojepa_bench) == sorted([*made, "__version__"])
    assert untyped == []
    assert (Path(astrojepa_bench.__file__).parent / "py.typed").is_file()


@pytest.mark.slow
def test_what_a_run_left_is_shown_in_short_and_as_tables(places):
    """Of arrays in memory; a notebook shows a card and no dump of the record."""
    pixels = np.random.default_rng(0).integers(0, 90, (60, 32, 32, 3), dtype=np.uint8)
    pixels[::2, 10:22, 10:22] += 100
    galaxies = astrojepa_bench.load(pixels, labels=["disc", "ball"] * 30, cache=places["cache"])
    found = run("untrained", data=galaxies, evaluators="knn", **places)
    listed = astrojepa_bench.list_runs(places["out"])

    assert found.scores.loc[found.scores["metric"] == "accuracy", "value"].item() == found.value(
        "knn", "accuracy"
    )
    assert {"entry", "seed", "evaluator", "metric", "value", "chance", "n"} <= {*found.scores}
    assert found.board["entry"].tolist() == [found.record.title]
    assert listed["run_id"].tolist() == [found.run_id] == found.runs["run_id"].tolist()
    assert str(listed["created"].dtype).startswith("datetime64")
    assert f"k-NN % {100 * found.value('knn', 'accuracy'):.1f}" in repr(found)
    assert len(repr(found)) < 200
    assert 200 < len(found._repr_html_()) < 4_000
    assert open_run(found).record == found.record


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_lines_of_the_pages_run(page, tmp_path, monkeypatch):
    """As they stand, on a folder of pictures; only the budget is a small one here."""
    [example] = re.findall(
        r"```python\n(import astrojepa_bench as ab\n.*?)```", (ROOT / page).read_text(), re.S
    )
    pictures = np.random.default_rng(0).integers(0, 90, (60, 32, 32, 3), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        (tmp_path / "my_images" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        picture[10:22, 10:22] += 100 * (number % 2)
        Image.fromarray(picture).save(tmp_path / "my_images" / "ab"[number % 2] / f"{number}.png")
    monkeypatch.setitem(BUDGETS, "small", Budget("small", 32, 8, 64, "vit-micro", "tests"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example, names)

    assert len(names["latents"]) == len(names["labels"]) == len(names["galaxies"]) == 60
    assert names["found"].status in ("ok", "collapsed")
