"""`show` explains a piece or prints a record."""

import json

import pytest

from astrojepa_bench.results.identity import digest, entry_digest
from astrojepa_bench.results.record import RecordedScore, RunRecord
from astrojepa_bench.results.store import Store


@pytest.fixture
def record():
    """Return a small record."""
    identity = {"names": {"objective": "pixels"}, "seed": 0}
    score = RecordedScore(
        evaluator="knn", metric="accuracy", value=0.5, higher_is_better=True, n=99, chance=0.1
    )
    return RunRecord(
        run_id=digest(identity),
        entry_id=entry_digest(identity),
        status="ok",
        objective="pixels",
        masker="none",
        encoder="flat",
        dataset="survey",
        seed=0,
        budget="smoke",
        identity=identity,
        options={"dataset": {"path": "galaxies.h5"}},
        health={"effective_rank": 31.4159},
        scores=[score],
    )


@pytest.fixture
def out(record, tmp_path):
    """Return an output folder with that record."""
    Store(tmp_path / "out").write(record)
    return tmp_path / "out"


def test_piece_is_explained_with_owner_and_options(command):
    """The whole docstring, who offers it, and the very words to set its options."""
    code, out, _ = command("show", "ring")

    assert code == 0
    assert out.startswith(
        "masker ring, offered by ringmasks (file ringmasks.py)\n\nHide a ring.\n\nEverything"
    )
    assert "--set masker.radius=8.0" in out
    assert "float: of the ring [pixel]." in out


def test_kind_may_stand_before_the_name(command):
    """`masker:ring` tells a masker from an objective of one name."""
    assert command("show", "masker:ring")[1] == command("show", "ring")[1]
    assert command("show", "encoder:ring")[0] == 2


def test_piece_as_json_adds_the_description(command):
    """Scripts get what `list --json` gives, and more."""
    [facts] = json.loads(command("show", "survey", "--json")[1])

    assert facts["distribution"] == "file ringmasks.py"
    assert facts["description"] == "Galaxies of a file."
    assert facts["options"][0]["required"]


def test_unknown_name_is_answered_with_the_nearest(command):
    """Neither a piece nor a run id."""
    code, _, err = command("show", "rnig")

    assert code == 2
    assert "did you mean 'ring'" in err


def test_record_is_found_by_the_first_letters_of_its_id(command, record, out):
    """Nobody types sixteen hex digits."""
    code, shown, _ = command("show", record.run_id[:6], "--out", out)

    assert code == 0
    assert shown.startswith(f"{record.run_id}  pixels + none + flat on survey\n  seed 0, budget smoke, ok\n")
    assert "path=galaxies.h5" in shown
    assert "effective_rank       31.42" in shown
    assert "0.5000 (n=99, chance 0.100, higher is better)" in shown


def test_record_file_as_json_is_the_file_itself(command, record, out):
    """What is printed is what was written, byte for byte."""
    path = Store(out).path(record)

    assert command("show", path, "--json")[1] == path.read_text()


def test_ambiguous_start_asks_for_more_letters(command, record, out):
    """Two runs that share their first letters are not guessed between."""
    Store(out).write(record.model_copy(update={"run_id": record.run_id[:4] + "f" * 12}))

    code, _, err = command("show", record.run_id[:4], "--out", out)

    assert code == 2
    assert "2 run ids start with" in err


def test_record_that_does_not_exist_is_a_clean_error(command, tmp_path):
    """A wrong path is the reader's slip."""
    code, _, err = command("show", tmp_path / "gone.json")

    assert code == 2
    assert "gone.json" in err
    assert "Traceback" not in err


def test_record_names_altered_options_and_few_galaxies(command, record, tmp_path):
    """What is unusual about a run stands in its first two lines."""
    unusual = {"altered": {"objective": {"teacher": "none"}}, "pretraining": 500}
    Store(tmp_path / "odd").write(record.model_copy(update=unusual))

    shown = command("show", record.run_id, "--out", tmp_path / "odd")[1].splitlines()

    assert shown[0] == f"{record.run_id}  pixels(teacher=none) + none + flat on survey"
    assert shown[1] == "  seed 0, budget smoke, 500 pretraining galaxies, ok"


PAGE = '''
"""Rings hide what is far from the centre.

    p = r / sum of r

Cost: none.
"""
from astrojepa_bench.plugin import Block, Suite, hookimpl

class Far:
    """Hide the far.

    Args:
        radius: of the ring [pixel].

    Source: nobody.
    """

    def __init__(self, grid, *, radius: float):
        """Keep nothing."""

@hookimpl
def astrojepa_maskers():
    return {"far": Far}

@hookimpl
def astrojepa_suites():
    options = {"masker": {"radius": 3}}
    return {"far": Suite(summary="How far?", blocks=[Block(objectives=["a"], maskers=["far"], options=options)])}
'''


@pytest.fixture
def page(ring, tmp_path):
    """Return the path of a plugin that opens with a page."""
    path = tmp_path / "pages.py"
    path.write_text(PAGE)
    return path


def test_piece_is_shown_with_the_page_of_its_module(command, page):
    """Formula and source as the author wrote them, and each option once, with type and meaning."""
    out = command("show", "masker:far", plugin=page)[1]

    assert "Rings hide what is far from the centre.\n\n    p = r / sum of r\n" in out
    assert "Source: nobody." in out
    assert "Args:" not in out
    assert out.endswith("options\n  --set masker.radius=<float>\n    float, required: of the ring [pixel].\n")


def test_suite_is_shown_with_its_entries_and_what_is_missing(command, page):
    """Before hours are spent, a reader sees what would run, with which options, and who is not there."""
    code, out, _ = command("show", "suite:far", plugin=page)

    assert code == 0
    assert "suite far, offered by pages (file pages.py)\n\nHow far?" in out
    assert "    a x far with masker.radius=3\n" in out
    assert "not installed\n    objective a\n" in out
    (facts,) = json.loads(command("show", "suite:far", "--json", plugin=page)[1])
    assert (facts["kind"], facts["not_installed"]) == ("suite", ["objective a"])


def test_a_name_shared_by_a_piece_and_a_suite_shows_both(command, page):
    """Neither is guessed to be the one that was meant."""
    out = command("show", "far", plugin=page)[1]

    assert "masker far, offered by" in out
    assert "suite far, offered by" in out


RINGS = '''
from astrojepa_bench.hookspecs import hookimpl

class Rings:
    """Any ring."""

    @classmethod
    def member(cls, name):
        return type("One", (cls,), {"__doc__": f"The ring {name}."})

@hookimpl
def astrojepa_maskers():
    return {"ring:<name>": Rings}
'''


def test_members_of_a_family_are_shown(command, tmp_path):
    """A piece that no list names has a page all the same, with or without its kind, and so has its family."""
    (tmp_path / "rings.py").write_text(RINGS)
    for subject, summary in (("ring:f.1", "The ring f.1."), ("masker:ring:f.1", "The ring f.1.")):
        code, out, _ = command("show", subject, plugin=tmp_path / "rings.py")
        assert code == 0
        assert out.startswith(f"masker ring:f.1, offered by rings (file rings.py)\n\n{summary}")
    assert "Any ring." in command("show", "ring:<name>", plugin=tmp_path / "rings.py")[1]
