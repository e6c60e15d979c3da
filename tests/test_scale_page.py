"""`docs/scale.md` is what the committed records say, and its commands are ones that the program knows."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from astrojepa_bench.cli import build_parser
from astrojepa_bench.registry import load_registry

DOCS = Path(__file__).parents[1] / "docs"
SPEC = importlib.util.spec_from_file_location("write_scale", DOCS / "write_scale.py")
writer = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writer)
PAGE = (DOCS / "scale.md").read_text()
SHELL = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")
COMMANDS = re.findall(r"(?:^|-m )(?:astrojepa-bench|astrojepa_bench) ([^#\n]+)", SHELL, re.MULTILINE)


def test_the_page_is_what_its_script_writes():
    """Whoever adds runs of a GPU or changes a method runs `python docs/write_scale.py`."""
    assert writer.page(load_registry()) == PAGE
    assert "{{" not in PAGE


def test_times_follow_from_rates():
    """Ten passes over all galaxies at the median rate of one GPU, shared by all."""
    for rate in writer.rates():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{rate.objective}` |"))
        minutes = 10 * 8.5e6 / rate.usual / 64 / 60
        assert f"| {minutes:.1f} min |" in row


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_understood(command):
    """As argparse reads it; a flag that was renamed would end here."""
    build_parser().parse_args(shlex.split(command))


def test_folders_are_not_taken_for_data_sets():
    """A folder that is called like a data set is that data set, and would lack its options."""
    needy = {
        offer.name
        for offer in load_registry().offers("dataset")
        if any(each.required for each in offer.options)
    }
    for command in COMMANDS:
        given = build_parser().parse_args(shlex.split(command))
        assert getattr(given, "dataset", None) not in needy, command
        assert str(getattr(given, "out", "")) not in needy, command


def test_there_are_commands():
    """For each of the ways that the page tells."""
    assert len(COMMANDS) >= 8
