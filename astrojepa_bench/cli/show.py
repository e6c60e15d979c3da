"""`show`: explain one component or suite, or print one run record."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from importlib import import_module

from astrojepa_bench.cli.component_view import (
    full_component_facts,
    full_suite_facts,
    print_component,
    print_suite,
)
from astrojepa_bench.cli.listed import ListedComponent, ListedSuite
from astrojepa_bench.cli.names import catalogue_of, registry_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.options import KINDS


def execute(arguments: Namespace) -> int:
    """Print the record that the subject names, or else the components and suites of that name."""
    subject = arguments.subject
    if subject.endswith(".json") or re.fullmatch("[0-9a-f]+|latest", subject):
        records = import_module("astrojepa_bench.cli.record_view")  # components are shown without it
        if records.print_found(subject, arguments.out, arguments.json, curves=arguments.curves):
            return 0
    components, suites = _named(arguments)
    if arguments.json:
        facts = [*map(full_component_facts, components), *map(full_suite_facts, suites)]
        print(json.dumps(facts, indent=2))
        return 0
    for component in components:
        print_component(component)
    for suite in suites:
        print_suite(suite)
    return 0


def _named(arguments: Namespace) -> tuple[list[ListedComponent], list[ListedSuite]]:
    catalogue, subject = catalogue_of(arguments), arguments.subject
    kind, _, name = subject.partition(":")
    called = {each.name for each in catalogue.components} | {each.name for each in catalogue.suites}
    kind, wanted = ("", subject) if subject in called else (kind, name)
    found = [each for each in catalogue.components if each.name == wanted and each.kind.startswith(kind)]
    if not found:  # a member of a family, with or without its kind: timm:resnet18, encoder:timm:resnet18
        asked = [(each, subject.removeprefix(f"{each}:")) for each in KINDS]
        members = [registry_of(arguments).member(*each) for each in asked if catalogue.may_be_member(*each)]
        found = [ListedComponent.of(member) for member in members if member is not None]
    suites = [suite for suite in catalogue.suites if suite.name == wanted and "suite".startswith(kind)]
    if not found and not suites:
        failed = "; ".join(f"failed to load: {failure}" for failure in catalogue.failures)
        raise ConfigError(
            f"'{subject}' is neither a component, a suite nor a run id below {arguments.out.name}; "
            f"{nearest(subject, called)}" + (f" ({failed})" if failed else "")
        )
    return found, suites
