"""`new`: writes a plugin that works as it is, with its test; or a project of its own around it."""

from __future__ import annotations

import keyword
import re
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from astrojepa_bench.errors import ConfigError

if TYPE_CHECKING:
    from astrojepa_bench.registry import Registry

SUMMARY = "Write a plugin that works as it is: masker, objective, encoder, evaluator or dataset."
EXAMPLES = """examples:
  astrojepa-bench new masker ringlike
  astrojepa-bench new objective contrast --standalone

Writes astrojepa_ringlike.py and test_ringlike.py into the current folder; --standalone makes the folder
astrojepa-contrast/, a project that can be installed. Nothing is ever overwritten."""
KINDS = ("masker", "objective", "encoder", "evaluator", "dataset")
# How to try a piece; {rival} is somebody to run with that is installed here.
TRIALS = {
    "masker": "-o {rival} -m {name}",
    "objective": "-o {name} -m random",
    "encoder": "-o {rival} -e {name}",
    "evaluator": "-o {rival} -E {name}",
    "dataset": "-o {rival} -d {name}",
}


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `new`."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("kind", choices=KINDS, help="what it is to be")
    parser.add_argument("name", metavar="NAME", help="what it is asked for by, such as ring or ring-like")
    parser.add_argument("--standalone", action="store_true", help="make a project that can be installed")


def execute(arguments: Namespace) -> int:
    """Write the files, and say what to do next."""
    from astrojepa_bench.registry import load_registry

    registry = load_registry(arguments.plugin, arguments.strict_plugins)
    piece = NewPiece(arguments.kind, arguments.name)
    piece.check(registry)
    folder = Path(f"astrojepa-{piece.slug}") if arguments.standalone else Path()
    files = project(piece, registry) if arguments.standalone else alone(piece)
    write_all({folder / path: text for path, text in files.items()})
    for path in files:
        print(f"wrote {folder / path}")
    print("\nNext:")
    for line in next_steps(piece, registry, folder, arguments.standalone):
        print(f"  {line}")
    return 0


@dataclass(frozen=True)
class NewPiece:
    """What is to be written.

    Attributes:
        kind: of piece.
        name: how it will be asked for.
    """

    kind: str
    name: str

    @property
    def slug(self) -> str:
        """Its name, as packages are called."""
        return self.name.replace("_", "-")

    @property
    def module(self) -> str:
        """Name of its module."""
        return f"astrojepa_{self.name.replace('-', '_')}"

    @property
    def class_name(self) -> str:
        """Name of its class: `RingLike` for `ring-like`."""
        return "".join(word.capitalize() for word in re.split("[-_]", self.name))

    def check(self, registry: Registry) -> None:
        """Refuse a name that would not work.

        Raises:
            ConfigError: it is no name, is taken, or hides something that the plugin needs.
        """
        from astrojepa_bench import plugin

        if not re.fullmatch("[a-z][a-z0-9]*([-_][a-z0-9]+)*", self.name):
            raise ConfigError(f"'{self.name}' is no name; use small letters, digits and -, such as ring-like")
        taken = [offer.owner for offer in registry.offers(self.kind) if offer.name == self.name]
        if taken:
            raise ConfigError(f"{self.kind} '{self.name}' is offered by {taken[0]}; choose another name")
        if hasattr(plugin, self.class_name) or keyword.iskeyword(self.class_name):
            raise ConfigError(
                f"'{self.name}' would make a class {self.class_name}, a name in use; choose another"
            )

    def text(self) -> str:
        """Give the plugin: the template of its kind under its name."""
        return self.renamed(
            resources.files("astrojepa_bench.testing.templates").joinpath(f"{self.kind}.py").read_text()
        )

    def test(self) -> str:
        """Give its test."""
        return self.renamed(
            TEST.format(kind=self.kind, checks=f"{self.kind.capitalize()}Checks", module=self.module)
        )

    def renamed(self, text: str) -> str:
        """Put its name where a template says `template`."""
        return text.replace("Template", self.class_name).replace("template", self.name)


def alone(piece: NewPiece) -> dict[Path, str]:
    """Give the files of a plugin that is loaded by path."""
    stem = piece.module.removeprefix("astrojepa_")
    return {Path(f"{piece.module}.py"): piece.text(), Path(f"test_{stem}.py"): piece.test()}


def project(piece: NewPiece, registry: Registry) -> dict[Path, str]:
    """Give the files of a plugin that is installed as a package of its own."""
    plugin, test = alone(piece).items()
    names = {"kind": piece.kind, "name": piece.name, "slug": piece.slug, "module": piece.module}
    return {
        plugin[0]: plugin[1],
        Path("tests") / test[0]: test[1],
        Path("pyproject.toml"): PYPROJECT.format(**names),
        Path("README.md"): README.format(**names, trial=trial(piece, registry)),
    }


def write_all(files: Mapping[Path, str]) -> None:
    """Write files, none of which may exist.

    Raises:
        ConfigError: one does, or the folder cannot be written.
    """
    there = [path for path in files if path.exists()]
    if there:
        raise ConfigError(f"{there[0]} exists and is never overwritten; choose another name or folder")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(
            f"cannot write {error.filename} ({error.strerror}); choose another folder"
        ) from None


def next_steps(piece: NewPiece, registry: Registry, folder: Path, standalone: bool) -> list[str]:
    """Spell the commands that check it, test it and put it on a board."""
    if standalone:
        first = [f"pip install -e {folder}", f"astrojepa-bench check {piece.kind}:{piece.name}"]
        return [*first, f"pytest {folder}", trial(piece, registry)]
    file = f"{piece.module}.py"
    tests = f"pytest test_{piece.module.removeprefix('astrojepa_')}.py"
    return [f"astrojepa-bench check --module {file}", tests, trial(piece, registry, f" --plugin {file}")]


def trial(piece: NewPiece, registry: Registry, plugin: str = "") -> str:
    """Spell the command that runs it at the smallest budget."""
    words = TRIALS[piece.kind].format(name=piece.name, rival=rival(registry))
    return f"astrojepa-bench run{plugin} {words} --budget smoke"


def rival(registry: Registry) -> str:
    """Name an installed objective to run with: one that can use any masker and any encoder, if there is one."""
    ranked = [
        offer
        for offer in registry.offers("objective")
        if offer.declares("standing") == "contestant" and not any(o.required for o in offer.options)
    ]
    ranked.sort(key=lambda offer: ("optional", "required", "ignored").index(offer.declares("masks")))
    return ranked[0].name if ranked else "OBJECTIVE"


TEST = '''"""The rules that every {kind} keeps to, and what `template` claims beside them."""

from {module} import Template

from astrojepa_bench.testing import {checks}


class TestTemplate({checks}):
    """Each rule is a test: `pytest -v` names them."""

    factory = Template
'''

PYPROJECT = """[build-system]
requires = ["hatchling>=1.25"]
build-backend = "hatchling.build"

[project]
name = "astrojepa-{slug}"
version = "0.1.0"
description = "The {kind} {name} for astrojepa-bench"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["astrojepa-bench>=0.1"]

[project.optional-dependencies]
test = ["pytest>=8.2"]

[project.entry-points.astrojepa_bench]
{slug} = "{module}"

[tool.hatch.build]
include = ["/{module}.py"]
dev-mode-dirs = ["."]

[tool.hatch.build.targets.sdist]
include = ["/{module}.py", "/tests", "/README.md"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
"""

README = """# astrojepa-{slug}

The {kind} `{name}` for astrojepa-bench.

```bash
pip install -e ".[test]"
astrojepa-bench check {kind}:{name}
pytest
{trial}
```
"""
