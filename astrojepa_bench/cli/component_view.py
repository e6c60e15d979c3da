"""Components and suites, explained: what they are, the page of their module, and how to set their options."""

from __future__ import annotations

import shutil
import textwrap

from astrojepa_bench.cli.listed import ListedComponent, ListedSuite
from astrojepa_bench.cli.pages import prose_of
from astrojepa_bench.cli.printing import print


def component_facts(component: ListedComponent) -> dict[str, object]:
    """Return what `list --json` prints of a component."""
    facts = component.model_dump(exclude={"distribution", "version", "description", "page", "module"})
    facts["options"] = [option.model_dump(exclude={"text"}) for option in component.options]
    return facts


def full_component_facts(component: ListedComponent) -> dict[str, object]:
    """Return what `show --json` prints of a component."""
    more = component.model_dump(include={"distribution", "version", "description", "page"})
    return {**component_facts(component), **more}


def print_component(component: ListedComponent) -> None:
    """Print what a component is, the page of its module, and its options."""
    print(f"{component.kind} {component.name}, offered by {component.owner}\n")
    print(prose_of(component.description) or "(no docstring)")
    if component.page:
        print(f"\n--- {component.module} ---\n\n{component.page}")
    print("\noptions" if component.options else "\nno options")
    for option in component.options:
        print(f"  --set {component.kind}.{option.text}")
        required = ", required" if option.required else ""
        print(_indented(f"{option.type}{required}{': ' if option.doc else ''}{option.doc}"))


def print_suite(suite: ListedSuite) -> None:
    """Print the entries of a suite, and which of its names no installed plugin offers."""
    print(f"suite {suite.name}, offered by {suite.owner}\n\n{suite.summary}\n\nentries")
    for line in suite.entries:
        print(_indented(line))
    print(f"evaluators\n{_indented(', '.join(suite.facts['evaluators']))}")
    if suite.not_installed:
        print(f"not installed\n{_indented(', '.join(suite.not_installed))}")
    if suite.facts["published"]:
        print("published by others")
    for figure in suite.facts["published"]:
        print(_indented(f"{figure['figure']}  {figure['model']} ({figure['source']})"))
    print(f"\nrun it: astrojepa-bench run --suite {suite.name}")
    if suite.page:
        print(f"\n--- {suite.plugin} ---\n\n{suite.page}")


def full_suite_facts(suite: ListedSuite) -> dict[str, object]:
    """Return what `show --json` prints of a suite."""
    return {**suite.facts, "not_installed": [*suite.not_installed]}


def _indented(text: str) -> str:
    width = min(shutil.get_terminal_size((110, 24)).columns, 110)
    return textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
