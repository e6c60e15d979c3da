"""A file that processes share, and processes that are started and ended."""

import subprocess
import sys

import pytest

ELSEWHERE = "elsewhere-00000000-1-0-0123abcd"  # the signature of a process of another machine
PRELUDE = "import os, pathlib, sys, time\nfrom astrojepa_bench.files import locked, replacing\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shared.txt"


@pytest.fixture
def started():
    """Start Python processes, and end those that still run."""
    running = []

    def start(code, *arguments, **how):
        words = [sys.executable, "-c", PRELUDE + code, *map(str, arguments)]
        running.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **how))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()
