"""The contributors' guide is true: its examples run, its signatures are those of the code, its commands work."""

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import astrojepa_bench
from astrojepa_bench import hookspecs, plugin, roles, testing
from astrojepa_bench.cli import VERBS, main
from astrojepa_bench.registry import load_registry
from astrojepa_bench.testing import conform, subject_of
from astrojepa_bench.testing.conformance import Conformance

ROOT = Path(__file__).parents[1]
RULER = ROOT / "astrojepa_bench"
GUIDE = (ROOT / "plugins" / "README.md").read_text()
PAGES = ("architecture", "commands", "frozen", "looking", "own-galaxies", "python", "recipes")
GUIDES = ["README.md", "CONTRIBUTING.md", "plugins/README.md", *(f"docs/{page}.md" for page in PAGES)]
HOOKS = [name for name in vars(hookspecs) if name.startswith("astrojepa_")]


def blocks(language, text=GUIDE):
    """List the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands(text=GUIDE):
    """List the commands of a text that are to be copied, with continued lines joined and comments left out."""
    lines = "\n".join(blocks("bash", text)).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in line.partition("  #")[0].split("&&")]
    return [part for part in parts if part.startswith("astrojepa-bench")]


def quoted(text):
    """List the commands that a text shows otherwise: before their output, or within a sentence."""
    shown = re.findall(r"^\$ (astrojepa-bench .*)$", text.replace("\\\n", " "), re.M)
    return [*shown, *re.findall(r"`(astrojepa-bench [a-z][^`|]* [^`|]*)`", text)]


def section(title):
    """Return one section of the guide, without those below it of the same rank."""
    [found] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE, re.M | re.S)
    return found


def under_hook(hook):
    """Return what stands under the heading of a hook."""
    [found] = re.findall(rf"^### `{hook}\([^\n]*\n(.*?)(?=^##|\Z)", GUIDE, re.M | re.S)
    return found


def example_of(hook):
    """Return the example that stands under the heading of a hook."""
    [found] = blocks("python", under_hook(hook))
    return found


def signature_of(name, made):
    """Spell a call: names and defaults, which is what an author types."""
    parameters = inspect.signature(made).parameters.values()
    asked = [each for each in parameters if each.name != "self" and not each.name.startswith("_")]
    spelt = str(inspect.Signature([as_typed(each) for each in asked]))
    return name + spelt.replace("<factory>", "...")


def as_typed(parameter):
    """Leave types out, and spell a path as the text that may be given for it."""
    default = str(parameter.default) if isinstance(parameter.default, Path) else parameter.default
    return parameter.replace(annotation=inspect.Parameter.empty, default=default)


def entry_of(name, made):
    """Return the words under which the guide has to list a public name."""
    if name in ROLES:
        return f"`{name}`: `{signature_of(ROLES[name], getattr(made, ROLES[name]))}`"
    if callable(made) and name not in {"Draw", "Importer", "hookimpl"} and not has_no_signature(made):
        return f"`{signature_of(name, made)}`"
    return f"`{name}`"


def has_no_signature(made):
    """Tell classes that are not called: exceptions, and those that pytest makes."""
    return inspect.isclass(made) and issubclass(made, Exception | Conformance)


def facts_of(role):
    """List what a subclass may declare or override, as the guide has to spell it."""
    declared = {*inspect.get_annotations(role), *vars(role)} - {ROLES[role.__name__]}
    return [fact_of(name, vars(role).get(name)) for name in sorted(declared) if not name.startswith("_")]


def fact_of(name, made):
    """Spell a method as it is called, anything else by its name."""
    return f"`{signature_of(name, made)}`" if inspect.isfunction(made) else f"`{name}"


ROLES = {
    "Dataset": "load",
    "Encoder": "forward",
    "Masker": "draw",
    "Objective": "loss",
    "Evaluator": "evaluate",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder that holds the plugin of the tutorial, in a terminal as wide as the guide's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "astrojepa_ring.py").write_text(blocks("python", section(TUTORIAL))[0])
    return tmp_path


TUTORIAL = "From an empty file to a row on the board"


PUBLIC = [
    ("What you can import", plugin),
    ("The rules, as Python: `astrojepa_bench.testing`", testing),
    ("A run, as Python: `astrojepa_bench`", astrojepa_bench),
]


@pytest.mark.parametrize(
    ("title", "module", "name"),
    [(title, module, name) for title, module in PUBLIC for name in module.__all__],
)
def test_public_name_stands_in_the_guide_as_it_is_called(title, module, name):
    """A signature that changed, or a name that is new, is changed in the guide too."""
    assert entry_of(name, getattr(module, name)) in section(title)


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_declare_stands_under_its_hook(role):
    """Facts and optional verbs, with their arguments."""
    general, *_ = section("The hooks").partition("###")
    found = general + under_hook(f"astrojepa_{role.lower()}s")

    assert [fact for fact in facts_of(getattr(roles, role)) if fact not in found] == []


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


@pytest.mark.parametrize("verb", ["check", "show"])
def test_output_stands_in_the_guide(here, capsys, verb):
    """A reader compares line by line."""
    [command] = [each for each in commands(section(TUTORIAL)) if shlex.split(each)[1] == verb]
    main(shlex.split(command)[1:])

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
def test_tutorials_test_passes_as_it_says(here):
    """Run as its reader runs it, in a process of its own."""
    _, test, *_ = blocks("python", section(TUTORIAL))
    (here / "test_ring.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_ring.py"], capture_output=True, text=True, check=False
    )

    [said] = re.findall(r"^\d+ passed.* in ", section(TUTORIAL), re.M)
    assert said in done.stdout


@pytest.mark.slow
def test_tutorial_ends_with_a_row_on_the_board(here, capsys):
    """Its commands, all of them, in their order."""
    for command in commands(section(TUTORIAL)):
        assert main(shlex.split(command)[1:]) == 0, command

    printed = capsys.readouterr().out
    assert "ring" in (here / "astrojepa-runs" / "README.md").read_text()
    assert words_of(blocks("text", section(TUTORIAL))[-1]) <= words_of(printed)


def words_of(board):
    """List the words of a board: its numbers differ from machine to machine."""
    return set(re.findall(r"[^\W\d]{2,}", board))


@pytest.mark.slow
def test_run_as_python_gives_what_the_guide_says(here):
    """The example, line by line; and what each line is said to give."""
    names = {}
    [example] = blocks("python", section("A run, as Python: `astrojepa_bench`"))
    exec(example, names)

    assert names["record"].status == "ok"
    assert len(names["latents"]) == len(names["labels"]) == len(names["scores"]) == len(names["clusters"])
    assert names["centres"].shape == (10, names["latents"].shape[1])
    assert names["figure"].axes


@pytest.mark.parametrize("path", GUIDES)
def test_command_of_the_guides_is_one_of_ours_with_options_that_exist(path):
    """A renamed verb or option is renamed where it is explained."""
    from astrojepa_bench.cli import build_parser

    text = (ROOT / path).read_text()
    for command in [*commands(text), *quoted(text)]:
        words = shlex.split(command)[1:]
        assert words[0] in VERBS, command
        build_parser([words[0]]).parse_args(words)


@pytest.mark.parametrize("path", GUIDES)
def test_links_of_the_guides_lead_somewhere(path):
    """A link into the repository names a file that is there."""
    source = ROOT / path
    links = re.findall(r"\]\(([^)#:]+)\)", source.read_text())

    assert [link for link in links if not (source.parent / link).exists()] == []


def test_files_that_the_page_on_architecture_names_are_there():
    """A file that moved is moved on the page too; the way to the record opens twelve files at most."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py)`", page))
    walk = re.findall(r"^\d+\. `([\w/]+\.py)`", page, re.M)

    assert [name for name in sorted(named) if not ((RULER / name).exists() or (ROOT / name).exists())] == []
    assert 8 <= len(walk) == len(set(walk)) <= 12


def test_rooms_stand_on_the_page_on_architecture():
    """Every module and folder at the top of the ruler has its place in the table."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    tops = {path.stem for path in RULER.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert [
        name for name in sorted(tops - {"__init__", "__main__"}) if not re.search(rf"`{name}/?`", page)
    ] == []


def test_comparison_in_the_readme_is_what_the_board_says(capsys):
    """The first paragraph of the terminal session, word for word."""
    readme = (ROOT / "README.md").read_text()
    [session] = re.findall(r"\$ astrojepa-bench (leaderboard compare [^\n]*)\n(.*?)\n\n…", readme, re.DOTALL)
    assert main([*session[0].replace("--out leaderboard", f"--out {ROOT / 'leaderboard'}").split()]) == 0
    assert capsys.readouterr().out.startswith(session[1] + "\n\n")
