"""`new` writes a plugin that works as it is, with its test, or a project around it."""

import subprocess
import sys
import tomllib

import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.cli.component_arguments import COMPONENT_KINDS as KINDS


@pytest.fixture
def new(tmp_path, monkeypatch, capsys):
    """Run `new` in an empty folder; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        return main(["new", *words]), *capsys.readouterr()

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_written_plugin_passes_every_check(new, tmp_path, kind, capsys):
    """It is a place to start from: nothing has to be mended first."""
    code, out, _ = new(kind, "ring-like")

    assert code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["astrojepa_ring_like.py", "test_ring_like.py"]
    assert "astrojepa-bench check --module astrojepa_ring_like.py" in out
    assert main(["check", "--module", "astrojepa_ring_like.py"]) == 0
    assert f"{kind} ring-like" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["masker", "objective"])
def test_masker_and_objective_take_forty_lines_at_most(new, tmp_path, kind):
    """The target: a contestant is one short file and one entry-point line."""
    new(kind, "short")

    assert len((tmp_path / "astrojepa_short.py").read_text().splitlines()) <= 40


def test_nothing_of_the_template_is_left(new, tmp_path):
    """Class, option names and documentation carry the new name."""
    new("evaluator", "ring-like")
    text = (tmp_path / "astrojepa_ring_like.py").read_text()

    assert "class RingLike(Evaluator)" in text
    assert "template" not in text.lower()


def test_nothing_is_overwritten(new, tmp_path):
    """Not even where only the test is there already; and nothing is half written."""
    (tmp_path / "test_ringlike.py").write_text("mine")
    code, _, err = new("masker", "ringlike")

    assert code == 2
    assert "test_ringlike.py exists and is never overwritten" in err
    assert [path.name for path in tmp_path.iterdir()] == ["test_ringlike.py"]
    assert (tmp_path / "test_ringlike.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Ring", "'Ring' is not a valid name"),
        ("../ring", "is not a valid name"),
        ("random", "is offered by astrojepa_random"),
        ("masker", "a name in use"),
    ],
)
def test_name_that_would_not_work_is_refused(new, tmp_path, name, complaint):
    """One line, before anything is written."""
    code, _, err = new("masker", name)

    assert code == 2
    assert complaint in err
    assert list(tmp_path.iterdir()) == []


def test_standalone_project_names_its_module_as_entry_point(new, tmp_path):
    """Installing it is what makes the bench know it."""
    new("masker", "ring-like", "--standalone")
    project = tmp_path / "astrojepa-ring-like"
    facts = tomllib.loads((project / "pyproject.toml").read_text())

    assert facts["project"]["entry-points"]["astrojepa_bench"] == {"ring-like": "astrojepa_ring_like"}
    assert {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()} == {
        "README.md", "astrojepa_ring_like.py", "pyproject.toml", "tests/test_ring_like.py",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_written_tests_pass_in_the_standalone_project(new, tmp_path, kind):
    """Run as a contributor runs them, in a process that knows nothing of ours."""
    new(kind, "ring-like", "--standalone")
    project = tmp_path / "astrojepa-ring-like"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=project, check=False
    )

    assert done.returncode == 0
