"""`new`: write a working plugin with its test, or a project of its own around it."""

from __future__ import annotations

import keyword
import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from astrojepa_bench import plugin
from astrojepa_bench.cli.names import registry_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import Registry

# How to try a component; {rival} is an installed objective to run it with.
TRIALS = {
    "masker": "-o {rival} -m {name}",
    "objective": "-o {name} -m random",
    "encoder": "-o {rival} -e {name}",
    "evaluator": "-o {rival} -E {name}",
    "dataset": "-o {rival} -d {name}",
}


def execute(arguments: Namespace) -> int:
    """Write the files, and print what to do next."""
    registry = registry_of(arguments)
    component = NewComponent(arguments.kind, arguments.name)
    component.check(registry)
    folder = Path(f"astrojepa-{component.slug}") if arguments.standalone else Path()
    files = project(component, registry) if arguments.standalone else alone(component)
    write_all({folder / path: text for path, text in files.items()})
    for path in files:
        print(f"wrote {folder / path}")
    print("\nNext:")
    for line in next_steps(component, registry, folder, arguments.standalone):
        print(f"  {line}")
    return 0


@dataclass(frozen=True)
class NewComponent:
    """A component to be written.

    Attributes:
        kind: of component.
        name: under which it will be offered.
    """

    kind: str
    name: str

    @property
    def slug(self) -> str:
        """The name in the form of a package name."""
        return self.name.replace("_", "-")

    @property
    def module(self) -> str:
        """The name of its module."""
        return f"astrojepa_{self.name.replace('-', '_')}"

    @property
    def class_name(self) -> str:
        """The name of its class: `RingLike` for `ring-like`."""
        return "".join(word.capitalize() for word in re.split("[-_]", self.name))

    def check(self, registry: Registry) -> None:
        """Refuse a name that would not work.

        Raises:
            ConfigError: it is malformed, taken, or hides a name that the plugin needs.
        """
        if not re.fullmatch("[a-z][a-z0-9]*([-_][a-z0-9]+)*", self.name):
            raise ConfigError(
                f"'{self.name}' is not a valid name; use lower-case letters, digits and -, such as ring-like"
            )
        taken = [offer.owner for offer in registry.offers(self.kind) if offer.name == self.name]
        if taken:
            raise ConfigError(f"{self.kind} '{self.name}' is offered by {taken[0]}; choose another name")
        if hasattr(plugin, self.class_name) or keyword.iskeyword(self.class_name):
            raise ConfigError(
                f"'{self.name}' would make a class {self.class_name}, a name in use; choose another"
            )

    def text(self) -> str:
        """Return the plugin: the template of its kind under its name."""
        return self.renamed(
            resources.files("astrojepa_bench.testing.templates").joinpath(f"{self.kind}.py").read_text()
        )

    def test(self) -> str:
        """Return its test."""
        return self.renamed(TEST.format(kind=self.kind, role=self.kind.capitalize(), module=self.module))

    def renamed(self, text: str) -> str:
        """Put its names in place of those of the template."""
        known = f"Template{self.kind.capitalize()}"
        return text.replace(known, self.class_name).replace("template", self.name)


def alone(component: NewComponent) -> dict[Path, str]:
    """Return the files of a plugin that is loaded by path."""
    stem = component.module.removeprefix("astrojepa_")
    return {Path(f"{component.module}.py"): component.text(), Path(f"test_{stem}.py"): component.test()}


def project(component: NewComponent, registry: Registry) -> dict[Path, str]:
    """Return the files of a plugin that is installed as a package of its own."""
    plugin, test = alone(component).items()
    names = {
        "kind": component.kind,
        "name": component.name,
        "slug": component.slug,
        "module": component.module,
    }
    return {
        plugin[0]: plugin[1],
        Path("tests") / test[0]: test[1],
        Path("pyproject.toml"): PYPROJECT.format(**names),
        Path("README.md"): README.format(**names, trial=trial(component, registry)),
    }


def write_all(files: Mapping[Path, str]) -> None:
    """Write new files; none of them may exist.

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


def next_steps(component: NewComponent, registry: Registry, folder: Path, standalone: bool) -> list[str]:
    """Return the commands that check it, test it and put it on a board."""
    if standalone:
        first = [f"pip install -e {folder}", f"astrojepa-bench check {component.kind}:{component.name}"]
        return [*first, f"pytest {folder}", trial(component, registry)]
    file = f"{component.module}.py"
    tests = f"pytest test_{component.module.removeprefix('astrojepa_')}.py"
    return [f"astrojepa-bench check --module {file}", tests, trial(component, registry, f" --plugin {file}")]


def trial(component: NewComponent, registry: Registry, plugin: str = "") -> str:
    """Return the command that runs it at the smallest budget."""
    words = TRIALS[component.kind].format(name=component.name, rival=rival(registry))
    return f"astrojepa-bench run{plugin} {words} --budget smoke"


def rival(registry: Registry) -> str:
    """Choose an installed objective to run with: one that can use any masker and any encoder, if there is one."""
    ranked = [
        offer
        for offer in registry.offers("objective")
        if offer.declares("standing") == "contestant" and not any(o.required for o in offer.options)
    ]
    ranked.sort(key=lambda offer: ("optional", "required", "ignored").index(offer.declares("masks")))
    return ranked[0].name if ranked else "OBJECTIVE"


TEST = '''"""The rules that every {kind} keeps to, and what else `template` claims."""

from {module} import Template{role}

from astrojepa_bench.testing import {role}Checks


class TestTemplate{role}({role}Checks):
    """Each rule is a test: `pytest -v` names them."""

    factory = Template{role}
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
