"""The contributors' guide is true: its examples run, its signatures are those of the code, its commands work."""

import inspect
import re
import shlex
from pathlib import Path

import pytest

from astrojepa_bench import hookspecs, plugin
from astrojepa_bench.cli import VERBS, main
from astrojepa_bench.registry import load_registry
from astrojepa_bench.testing import conform, subject_of

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "plugins" / "README.md").read_text()
HOOKS = [name for name in vars(hookspecs) if name.startswith("astrojepa_")]


def blocks(language, text=GUIDE):
    """List the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands(text=GUIDE):
    """List the commands of a text, with continued lines joined and comments left out."""
    lines = "\n".join(blocks("bash", text)).replace("\\\n", " ").splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.startswith("astrojepa-bench")]


def section(title):
    """Give one section of the guide, without those below it of the same rank."""
    [found] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE, re.M | re.S)
    return found


def example_of(hook):
    """Give the example that stands under the heading of a hook."""
    [found] = re.findall(rf"^### `{hook}\([^\n]*\n.*?^```python\n(.*?)^```$", GUIDE, re.M | re.S)
    return found


def signature_of(name, made):
    """Spell a call: names and defaults, which is what an author types."""
    parameters = inspect.signature(made).parameters.values()
    asked = [each for each in parameters if each.name != "self" and not each.name.startswith("_")]
    spelt = str(inspect.Signature([each.replace(annotation=inspect.Parameter.empty) for each in asked]))
    return name + spelt.replace("<factory>", "...")


def entry_of(name):
    """Give the words under which the guide has to list a public name."""
    made = getattr(plugin, name)
    if name in ROLES:
        return f"`{name}`: `{signature_of(ROLES[name], getattr(made, ROLES[name]))}`"
    if callable(made) and name not in {"Draw", "hookimpl"} and not is_error(made):
        return f"`{signature_of(name, made)}`"
    return f"`{name}`"


def is_error(made):
    """Tell exceptions, which have no signature of their own."""
    return inspect.isclass(made) and issubclass(made, Exception)


ROLES = {
    "Dataset": "load",
    "Encoder": "forward",
    "Masker": "draw",
    "Objective": "loss",
    "Evaluator": "evaluate",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder that holds the plugin of the tutorial."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "astrojepa_ring.py").write_text(blocks("python", section(TUTORIAL))[0])
    return tmp_path


TUTORIAL = "From an empty file to a row on the board"


@pytest.mark.parametrize("name", plugin.__all__)
def test_public_name_stands_in_the_guide_as_it_is_called(name):
    """A signature that changed, or a name that is new, is changed in the guide too."""
    assert entry_of(name) in section("What you can import")


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_has_its_signature_and_an_example_that_loads(hook, tmp_path):
    """Each example is a whole plugin: copied into a file, it offers what its heading says."""
    spec = getattr(hookspecs, hook)
    heading = f"### `{hook}{inspect.signature(spec)}`".replace("'", "")  # annotations are strings there
    assert heading in GUIDE
    path = tmp_path / f"example_{hook}.py"
    path.write_text(example_of(hook))
    registry = load_registry([path])

    assert list(registry.failures) == []
    assert f"def {hook}(" in example_of(hook)


@pytest.mark.parametrize("kind", ["dataset", "encoder", "masker", "objective", "evaluator"])
def test_example_keeps_the_rules_of_its_role(kind, tmp_path):
    """What is shown to be copied is in order."""
    path = tmp_path / f"example_rules_{kind}.py"
    path.write_text(example_of(f"astrojepa_{kind}s"))
    registry = load_registry([path])
    [offer] = [each for each in registry.offers(kind) if each.distribution == f"file {path.name}"]

    assert [str(fault) for fault in conform(subject_of(offer)).faults] == []


def test_tutorials_masker_takes_forty_lines_at_most(here):
    """The target that the guide claims."""
    assert len((here / "astrojepa_ring.py").read_text().splitlines()) <= 40


def test_tutorials_quick_commands_work_in_their_order(here, capsys):
    """Everything but training: what is written is checked, shown and listed."""
    for command in commands(section(TUTORIAL)):
        words = shlex.split(command)[1:]
        if words[0] != "run":
            assert main(words) == 0, command
    assert "ring" in capsys.readouterr().out


def test_output_of_check_stands_in_the_guide(here, capsys):
    """A reader compares line by line."""
    main(["check", "--module", "astrojepa_ring.py"])

    assert capsys.readouterr().out.strip() in section(TUTORIAL)


def test_mistake_of_the_tutorial_is_found_in_those_words(here, capsys):
    """The guide shows what a failed check looks like; it is a real one."""
    text = (here / "astrojepa_ring.py").read_text()
    (here / "astrojepa_ring.py").write_text(
        text.replace("scatter(1, context, -torch.inf)", "scatter(1, context, 0.0)")
    )

    assert main(["check", "--module", "astrojepa_ring.py"]) == 1
    assert capsys.readouterr().out.strip() in section(TUTORIAL)


@pytest.mark.slow
def test_tutorial_ends_with_a_row_on_the_board(here, capsys):
    """Its commands, all of them, in their order."""
    for command in commands(section(TUTORIAL)):
        assert main(shlex.split(command)[1:]) == 0, command

    assert "ring" in (here / "astrojepa-runs" / "README.md").read_text()


@pytest.mark.parametrize("path", ["plugins/README.md", "CONTRIBUTING.md"])
def test_command_of_the_guides_is_one_of_ours_with_options_that_exist(path):
    """A renamed verb or option is renamed where it is explained."""
    from astrojepa_bench.cli import build_parser

    for command in commands((ROOT / path).read_text()):
        words = shlex.split(command)[1:]
        assert words[0] in VERBS, command
        build_parser([words[0]]).parse_args(words)


@pytest.mark.parametrize("path", ["plugins/README.md", "CONTRIBUTING.md"])
def test_links_of_the_guides_lead_somewhere(path):
    """A link into the repository names a file that is there."""
    source = ROOT / path
    links = re.findall(r"\]\(([^)#:]+)\)", source.read_text())

    assert [link for link in links if not (source.parent / link).exists()] == []
