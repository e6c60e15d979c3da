"""`check` says which rule a piece breaks, what was found and how to mend it."""

import json

import pytest

from astrojepa_bench.cli import main

PLUGIN = '''
"""Two maskers."""

from astrojepa_bench.plugin import Masks, hookimpl
from astrojepa_bench.testing.templates.masker import TemplateMasker

class Lossy(TemplateMasker):
    """Loses a patch.

    Args:
        lost: how many patches are missing from the context.
    """

    def __init__(self, grid, *, lost: int = 1):
        super().__init__(grid)
        self.lost = lost

    def draw(self, images, sizes, generator):
        masks = super().draw(images, sizes, generator)
        return Masks(masks.context[:, self.lost:], masks.targets)

class Centre(TemplateMasker):
    """Keeps every patch."""

@hookimpl
def astrojepa_maskers():
    return {"lossy": Lossy, "centre": Centre}
'''


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Run `check` beside that plugin; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lossy_masks.py").write_text(PLUGIN)

    def run(*words):
        return main(["check", *words]), *capsys.readouterr()

    return run


def test_broken_piece_is_told_what_is_wrong_and_how_to_mend_it(check):
    """Id and claim, what was found, and the fix, on three lines; the exit code is that of failed cells."""
    code, out, _ = check("lossy", "--plugin", "lossy_masks.py")
    lines = [line.strip() for line in out.splitlines()]
    at = next(row for row, line in enumerate(lines) if line.startswith("failed   masker-sizes:"))

    assert code == 1
    assert "exactly the sizes asked for" in lines[at]
    assert lines[at + 1].startswith("found: shapes ((125,")
    assert lines[at + 2].startswith("fix: return Masks(context")


def test_piece_that_raises_is_told_on_which_line_of_its_file(check, tmp_path):
    """A report has no traceback; the line of the plugin is what its author needs of one."""
    broken = PLUGIN.replace("masks.context[:", "masks.contexts[:")
    line = broken[: broken.index("contexts")].count("\n") + 1
    (tmp_path / "raising_masks.py").write_text(broken.replace('"lossy"', '"raising"'))
    code, out, _ = check("raising", "--plugin", "raising_masks.py")

    assert code == 1
    assert (
        f"found: raised AttributeError: 'Masks' object has no attribute 'contexts' (raising_masks.py, line {line})"
        in out
    )


def test_module_is_checked_whole(check):
    """Every piece of the file has its report; one that fails makes the command fail."""
    code, out, _ = check("--module", "lossy_masks.py")

    assert code == 1
    assert "masker lossy (lossy_masks)" in out
    assert "masker centre (lossy_masks): 24 passed, 0 failed, 2 skipped" in out


def test_option_may_mend_a_piece(check):
    """What is checked is the piece as it would be run."""
    assert check("lossy", "--plugin", "lossy_masks.py", "--set", "masker.lost=0")[0] == 0


def test_json_holds_every_check(check):
    """Scripts read verdicts, not prose."""
    code, out, _ = check("--module", "lossy_masks.py", "--json")
    lossy, centre = sorted(json.loads(out), key=lambda report: report["passed"])

    assert code == 1
    assert (lossy["name"], lossy["passed"], centre["passed"]) == ("lossy", False, True)
    assert {each["verdict"] for each in centre["checks"]} == {"passed", "skipped"}
    assert set(lossy["checks"][0]) == {"id", "verdict", "claim", "found", "fix"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["lossi", "--plugin", "lossy_masks.py"], "no component is called 'lossi'; did you mean 'lossy'?"),
        (["--module", "missing.py"], "missing.py"),
        (["hdf5"], "needs the option 'path'"),
        (["random", "--set", "masker.lost=1"], "lost"),
    ],
)
def test_request_that_cannot_be_met_is_refused_in_one_line(check, words, complaint):
    """Exit code 2, and what to do."""
    code, out, err = check(*words)

    assert (code, out) == (2, "")
    assert complaint in err
    assert len(err.splitlines()) == 1


def test_file_without_pieces_is_named(check, tmp_path):
    """A forgotten hook is the commonest mistake."""
    (tmp_path / "empty.py").write_text('"""No hook."""\n')
    code, _, err = check("--module", "empty.py")

    assert code == 2
    assert "no function is decorated with @hookimpl" in err
