"""What the workflows run, run here; and the workflows themselves: pinned, of least permissions, without secrets."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SMALL = ["-o", "lejepa,untrained", "-m", "random", "-d", "synthetic", "--set", "dataset.galaxies=240"]
SMALL += ["--budget", "smoke", "--seeds", "2", "--no-floors", "--device", "cpu"]


def board(*words, root=ROOT, cwd=None, **environment):
    """Run a job."""
    command = [sys.executable, str(root / ".ci" / "board"), *map(str, words)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd or root, env={**clean, **environment}, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def checkout(tmp_path):
    """Make a repository of its own: the script, two plugins of which one uses the other, and a small board."""
    root = tmp_path / "checkout"
    (root / "plugins").mkdir(parents=True)
    shutil.copytree(ROOT / ".ci", root / ".ci")
    shutil.copytree(ROOT / "docs", root / "docs")
    for name in ("astrojepa_sigreg", "astrojepa_lejepa", "astrojepa_mae"):
        shutil.copy(ROOT / "plugins" / f"{name}.py", root / "plugins")
    (root / "leaderboard").mkdir()
    write_board_json(root, ranks=[1, 3], verdict="undecided")
    for words in (["init", "-qb", "main"], ["add", "-A"], ["commit", "-qm", "before"]):
        git(root, *words)
    return root


def git(root, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)


def write_board_json(root, ranks, verdict, more=()):
    """Write what the diff reads of a board."""
    cell = {"linear.accuracy": {"mean": 0.74, "n": 3}}
    rows = [
        {"entry_id": name, "label": f"{name} + random", "ranks": ranks, "letters": "ab", "cells": cell}
        for name in ("alpha", "beta", *more)
    ]
    pair = {"a": "alpha", "b": "beta", "family": "objective", "verdict": verdict}
    section = {"dataset": "synthetic", "budget": "small", "rows": rows, "verdicts": {"comparisons": [pair]}}
    (root / "leaderboard" / "board.json").write_text(json.dumps({"sections": [section]}))


# --- what a branch changes ------------------------------------------------------------------------------------


def touch(root, name):
    """Change a plugin in a commit."""
    path = root / "plugins" / name
    path.write_text(path.read_text() + "\n# changed\n")
    git(root, "commit", "-qam", "after")


@pytest.mark.slow
def test_only_touched_plugins_are_checked(checkout):
    """A change of nothing checks nothing; a base that is missing is an error, not a pass."""
    code, said, _ = board("conformance", "--base", "main", root=checkout)
    assert (code, said) == (0, "0 plugins offer 0 components, 0 of which break a rule\n")
    assert board("conformance", "--base", "nowhere", root=checkout)[0] != 0


@pytest.mark.slow
def test_a_plugin_that_nobody_offers_is_refused(checkout):
    """Forgotten in pyproject.toml, it would pass unseen."""
    path = checkout / "plugins" / "astrojepa_forgotten.py"
    path.write_text(
        "from astrojepa_bench.plugin import hookimpl\n\n\n@hookimpl\ndef astrojepa_maskers():\n    return {}\n"
    )
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "after")
    code, said, _ = board("conformance", "--base", "HEAD~1", root=checkout)
    assert code == 1
    assert "astrojepa_forgotten: no entry point in pyproject.toml" in said


@pytest.mark.slow
def test_what_a_plugin_imports_counts(checkout):
    """A changed helper has those checked that use it, and nothing else."""
    touch(checkout, "astrojepa_sigreg.py")
    code, said, errors = board("conformance", "--base", "HEAD~1", root=checkout)
    assert code == 0, errors
    assert "check objective:lejepa\n" in said
    assert "objective:mae" not in said
    assert ", 0 of which break a rule" in said


@pytest.mark.slow
def test_touched_plugins_are_trained(checkout, tmp_path):
    """A minute on simulated galaxies, and the table of it on the page of the workflow."""
    touch(checkout, "astrojepa_mae.py")
    page = tmp_path / "summary.md"
    code, said, errors = board(
        "smoke", "--base", "HEAD~1", "--out", tmp_path / "smoke", root=checkout, GITHUB_STEP_SUMMARY=str(page)
    )
    assert code == 0, errors
    assert "1 smoke runs, 0 of them failed" in said
    assert [record.objective for record in Store(tmp_path / "smoke").records()] == ["mae"]
    assert "mae + random" in page.read_text()


def test_the_diff_names_what_changes(checkout, tmp_path):
    """Ranks, verdicts and rows, in the report, on the page and on stdout."""
    write_board_json(checkout, ranks=[1, 2], verdict="better", more=["gamma"])
    page, report = tmp_path / "summary.md", tmp_path / "diff.md"
    code, said, _ = board(
        "diff", "--base", "main", "--out", report, root=checkout, GITHUB_STEP_SUMMARY=str(page)
    )
    assert code == 0
    assert "- new row: gamma + random, rank 1-2 ab, linear accuracy 0.7400 of 3 seeds" in said
    assert "- alpha + random: rank 1-2 ab, linear accuracy 0.7400 of 3 seeds, was rank 1-3 ab" in said
    assert "- alpha + random against beta + random (objective): better, was undecided" in said
    assert report.read_text() == page.read_text().removesuffix("\n") == said.removesuffix("\n")


def test_an_unchanged_board_says_so(checkout):
    """No line is no news, and is said."""
    assert "Nothing changes." in board("diff", "--base", "main", root=checkout)[1]


def test_the_diff_reads_the_board_of_this_repository():
    """The keys that it looks for are those that the board has."""
    written = json.loads((ROOT / "leaderboard" / "board.json").read_text())
    section = written["sections"][0]
    row, pair = section["rows"][0], section["verdicts"]["comparisons"][0]
    assert {"entry_id", "label", "ranks", "letters", "cells"} <= set(row)
    assert "linear.accuracy" in row["cells"]
    assert {"a", "b", "family", "verdict"} <= set(pair)
    assert "lifts" in section["verdicts"]
    assert section["heading"]


# --- the suite, on several machines ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Run the small request without interruption."""
    out = tmp_path_factory.mktemp("whole") / "out"
    words = [sys.executable, "-m", "astrojepa_bench", "run", *SMALL, "--out", str(out)]
    subprocess.run(words, check=True, capture_output=True)
    return out


def numbers(out):
    """Read every number that is judged, by run."""
    return {
        record.run_id: (record.training, [score.model_dump() for score in record.scores])
        for record in Store(out).records()
    }


@pytest.mark.slow
def test_regenerating_in_parts_gives_every_score_of_one_run(whole, tmp_path):
    """Three machines and one: the same runs, curves and scores, and a board that follows from them."""
    code, _, errors = board("regenerate", "--shards", 3, "--into", tmp_path / "out", "--", *SMALL)
    assert code == 0, errors
    assert numbers(tmp_path / "out") == numbers(whole)
    assert len(numbers(whole)) == 4
    check = [sys.executable, "-m", "astrojepa_bench", "leaderboard", "check", str(tmp_path / "out")]
    assert subprocess.run(check, check=False).returncode == 0


@pytest.mark.slow
def test_only_what_is_missing_is_run(whole, tmp_path):
    """Known records are taken over as they are; parts with nothing missing are not handed out."""
    known, output = tmp_path / "known", tmp_path / "output"
    shutil.copytree(whole / "runs", known / "runs")
    gone = Store(known).paths()[0]
    gone.unlink()
    code, said, errors = board(
        "shards", "--count", 4, "--known", known, "--", *SMALL, GITHUB_OUTPUT=str(output)
    )
    assert code == 0, errors
    told = json.loads(said)
    assert (told["cached"], told["missing"], len(told["shards"])) == (3, 1, 1)
    assert output.read_text() == f"shards={json.dumps(told['shards'])}\n"
    part = told["shards"][0]
    code, said, errors = board("shard", part, "--known", known, "--out", tmp_path / "shard", "--", *SMALL)
    assert code == 0, errors
    assert [path.name for path in Store(tmp_path / "shard").paths()] == [gone.name]
    code, said, _ = board("join", tmp_path / "shard", "--into", known)
    assert code == 0
    assert numbers(known) == numbers(whole)
    assert "takes the place" not in said


@pytest.mark.slow
def test_new_numbers_take_the_place_of_old_ones_and_are_named(whole, tmp_path):
    """Another machine may find others; the board shows those of the machines that were asked."""
    old = tmp_path / "old"
    shutil.copytree(whole / "runs", old / "runs")
    path = next(p for p in Store(old).paths() if '"objective": "lejepa"' in p.read_text())
    facts = json.loads(path.read_text())
    facts["scores"][0]["value"] = 0.123
    path.write_text(json.dumps(facts))
    code, said, _ = board("join", whole, "--into", old)
    assert code == 0
    assert f"run {path.stem} has other scores than before" in said
    assert said.count("takes the place") == 1
    assert numbers(old) == numbers(whole)


# --- galaxies -------------------------------------------------------------------------------------------------


def test_files_of_a_mirror_are_verified(checkout, tmp_path):
    """By the checksums of docs/data.md; what differs is refused and not kept."""
    mirror, data = tmp_path / "mirror", tmp_path / "data"
    mirror.mkdir()
    (mirror / "a.h5").write_bytes(b"galaxies")
    page = checkout / "docs" / "data.md"
    page.write_text(f"```\n{'0' * 64}  a.h5\n```\n")
    code, said, _ = board("fetch", "--mirror", mirror.as_uri(), "--to", data, root=checkout)
    assert code == 2
    found = re.search(r"SHA-256 ([0-9a-f]{64})", said)[1]
    assert not (data / "a.h5").exists()
    page.write_text(f"```\n{found}  a.h5\n```\n")
    assert board("fetch", "--mirror", mirror.as_uri(), "--to", data, root=checkout)[0] == 0
    assert (data / "a.h5").read_bytes() == b"galaxies"


def test_files_of_the_board_are_listed_with_checksums():
    """Those that the suite of the board reads."""
    listed = re.findall(r"^[0-9a-f]{64}  (\S+)$", (ROOT / "docs" / "data.md").read_text(), re.M)
    data = load_registry().suite("galaxy-suite-1").suite.data.values()
    assert listed == [name for each in data for name in each.files.values()]


def test_galaxies_beside_a_checkout_are_asked_for_by_the_keys_of_the_suite():
    """Each data set of files, or its section would stay as it was and nobody would know."""
    data = load_registry().suite("galaxy-suite-1").suite.data
    firsts = {key: next(iter(each.files.values())) for key, each in data.items() if each.files}
    assert runpy.run_path(str(ROOT / ".ci" / "board"))["FILES"] == firsts


# --- the workflows --------------------------------------------------------------------------------------------


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    """Read a workflow; YAML takes the key `on` for true."""
    return yaml.safe_load(request.param.read_text())


def steps(workflow):
    """List every step of a workflow."""
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_three_workflows():
    """A wrong path would make every rule below hold of nothing."""
    assert [path.stem for path in WORKFLOWS] == ["board", "pull-request", "release"]


def test_actions_are_pinned_by_hash(workflow):
    """A tag can be moved; and the comment beside it tells people which one it was."""
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", each)] == []
    for path in WORKFLOWS:
        lines = [line for line in path.read_text().splitlines() if "uses:" in line]
        assert [line for line in lines if not re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


def test_permissions_are_least(workflow):
    """Nothing by default; each job has what it needs, and keeps no credentials in the checkout."""
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"]) <= {"contents", "pull-requests", "id-token"}
        assert job["timeout-minutes"] <= 350
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_strangers_get_nothing():
    """A pull request runs code of strangers: without secrets, and able to read only."""
    path = ROOT / ".github" / "workflows" / "pull-request.yml"
    stranger = yaml.safe_load(path.read_text())
    assert stranger[True] == {"pull_request": None}
    assert [job["permissions"] for job in stranger["jobs"].values()] == [{"contents": "read"}]
    for each in WORKFLOWS:
        assert "secrets." not in each.read_text()
        assert "pull_request_target" not in each.read_text()


def test_nothing_is_pushed_to_main():
    """The board is offered as a pull request, from a branch of its own."""
    pushes = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "git push" in line]
    assert [line.strip() for line in pushes] == ['git push origin "$BRANCH"']


def test_no_expression_reaches_a_shell(workflow):
    """What a user types comes in through the environment, where it is no code."""
    assert [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")] == []


def test_jobs_run_what_is_tested_here(workflow):
    """Every job of the script that a workflow calls exists."""
    known = set(re.findall(r"^    \.ci/board (\w+)", (ROOT / ".ci" / "board").read_text(), re.M))
    called = {
        name for step in steps(workflow) for name in re.findall(r"\.ci/board (\w+)", step.get("run", ""))
    }
    assert called <= known


def test_linter_finds_nothing():
    """Zizmor knows the ways in which workflows are attacked."""
    linter = shutil.which("zizmor", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linter is None:
        pytest.skip("needs zizmor, of the extra dev")
    done = subprocess.run(
        [linter, "--offline", "--no-progress", *map(str, WORKFLOWS)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
