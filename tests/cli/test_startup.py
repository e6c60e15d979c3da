"""What is on offer, and what is not, is answered before torch is imported; and as it would be answered with it."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = {"torch", "timm", "torchvision", "sklearn", "pandas", "scipy", "astrojepa_bench.builtin"}
CHILD = """
import functools, io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from astrojepa_bench import cli

answers, recalls = sys.stdout, sys.argv[1] == "recall"
if not recalls:
    from astrojepa_bench.cli import names
    registry = functools.cache(names.load_registry)
    names.load_registry = lambda *_: registry()
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = cli._coded(words, is_own_process=recalls)
        except SystemExit as left:
            code = left.code
    print(json.dumps([code, out.getvalue(), err.getvalue(), [name for name in sys.modules if "." not in name
          or name.startswith("astrojepa_bench.")]]), file=answers)
"""
SLIPS = [
    ["lsit"],
    ["list", "maskrs"],
    ["run", "--objectiv", "lejepa"],
    ["run", "-o", "lejap"],
    ["run", "-o", "lejepa", "-m", "rndom"],
    ["run", "-o", "lejepa", "-e", "timm:resnet18", "--set", "objective.lmbda=1"],
    ["run", "-o", "lejepa", "--set", "objective.lmbda=1"],
    ["run", "-o", "lejepa,dino", "--set", "objective.lmbda=1"],
    ["run", "-o", "lejepa", "--set", "dataset.galaxis=9"],
    ["run", "-o", "lejepa", "--set", "masker:rndom.tau=1"],
    ["run", "--suite", "baselin"],
    ["plan", "-o", "lejepa", "-d", "synthetik"],
    ["score", "3f9a", "-E", "core,knnn"],
    ["score", "3f9a", "-E", "knn"],
    ["latents", "3f9a", "--index", "3", "--out", "x.png"],
    ["embed", "3f9a", "--out", "x.h5", "-d", "synthetik"],
    ["reproduce", "3f9a"],
    ["data", "info", "synthetik"],
    ["show", "lejap"],
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a folder of caches that these tests share, so that few of their processes read the plugins."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def answers(cache, tmp_path):
    """Run commands in one new process; gives code, stdout, stderr and what was imported of each."""
    surroundings = {**os.environ, "XDG_CACHE_HOME": str(cache), "COLUMNS": "100"}

    def run(commands, way="recall"):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, way],
            input=json.dumps(commands),
            capture_output=True,
            text=True,
            check=True,
            env=surroundings,
            cwd=tmp_path,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.mark.slow
def test_what_was_kept_is_printed_to_the_letter_and_nothing_heavy_imported(answers):
    """`list`, `show` of everything, and every slip: by the catalogue as by the plugins, byte for byte."""
    _, (_, listed, *_) = answers([["list"], ["list", "--json"]])
    names = [f"{each['kind']}:{each['name']}" for each in json.loads(listed)]
    commands = [["list"], ["list", "--json"], ["list", "objectives"], ["list", "suites"]]
    commands += [["show", name, *flags] for name in names for flags in ([], ["--json"])]
    commands += SLIPS

    quick = answers(commands)
    thorough = answers(commands, "read the plugins")

    assert len(names) > 60
    for words, (*told, imported), (*expected, _) in zip(commands, quick, thorough, strict=True):
        assert told == expected, words
        assert not HEAVY & {*imported}, words
    assert [code for code, *_ in quick[-len(SLIPS) :]] == [2] * len(SLIPS)
    assert "torch" in thorough[0][-1]


@pytest.mark.slow
def test_an_edited_plugin_is_seen_at_once(answers, tmp_path):
    """From a file that is edited and shown again and again, as its author does."""
    path = tmp_path / "ringed.py"
    for summary, is_new in (("Hide a ring.", True), ("Hide a ring.", False), ("Hide a rung.", True)):
        if is_new:
            path.write_text(
                "from astrojepa_bench.plugin import hookimpl\n"
                f"class Ring:\n    '''{summary}'''\n    def __init__(self, grid): ...\n"
                "@hookimpl\ndef astrojepa_maskers():\n    return {'ring': Ring}\n"
            )
            os.utime(path, (1e9, 1e9))  # by a tool that keeps times
        [[code, out, _, imported]] = answers([["show", "masker:ring", "--plugin", str(path)]])
        assert (code, summary in out, "torch" in imported) == (0, True, is_new)


ASKED = {
    "astrojepa-bench li": ["list "],
    "astrojepa-bench run --obj": ["--objective "],
    "astrojepa-bench run -o lejepa,i": ["lejepa,ijepa", "lejepa,ijepa-sigreg"],
    "astrojepa-bench run -m bright": ["brightness", "brightness-seed"],
    "astrojepa-bench run -d synth": ["synthetic "],
    "astrojepa-bench run -e vit-micro-": ["vit-micro-rings "],
    "astrojepa-bench run -E kn": ["knn "],
    "astrojepa-bench run -o lejepa --set objective.la": ["objective.lam="],
    "astrojepa-bench list eval": ["evaluators "],
    "astrojepa-bench data info hd": ["hdf5 "],
    "astrojepa-bench run --suite base": ["baseline "],
}


@pytest.mark.slow
def test_a_shell_is_told_what_can_stand_there(answers, cache, tmp_path):
    """By its own protocol, as argcomplete's lines for bash speak it, from the catalogue."""
    answers([["list"]])
    for line, expected in ASKED.items():
        told = tmp_path / "told"
        asking = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_SHELL": "bash",
            "_ARGCOMPLETE_IFS": "\n",
            "COMP_LINE": line,
        }
        asking |= {"COMP_POINT": str(len(line)), "_ARGCOMPLETE_STDOUT_FILENAME": str(told)}
        asking |= {"_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'><=;|&(:"}
        subprocess.run(
            [sys.executable, "-c", CHILD.partition("answers")[0] + "cli.main()"],  # whose path is theirs
            env={**os.environ, **asking, "XDG_CACHE_HOME": str(cache)},
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert told.read_text().split("\n") == expected, line


def test_each_shell_gets_its_lines(command):
    """Three shells, and no other."""
    for shell in ("bash", "zsh", "fish"):
        assert "astrojepa-bench" in command("completion", shell)[1]
