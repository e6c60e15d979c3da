"""Completion in a shell: commands, flags, names of components, their options, and ids of runs.

`completion SHELL` prints the lines that a shell reads at its start; from then on the shell asks the program itself
at each press of the key (`argcomplete`), and the program answers from the catalogue that the last command kept.
"""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from argcomplete import autocomplete
from argcomplete.completers import FilesCompleter
from argcomplete.shell_integration import shellcode

from astrojepa_bench.cli.listed import ListedComponent
from astrojepa_bench.cli.names import EVALUATOR_SETS, catalogue_of, split_names
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.shared_arguments import RUNS
from astrojepa_bench.errors import BenchError
from astrojepa_bench.options import FAMILY, KINDS

PROGRAM = "astrojepa-bench"
Completer: TypeAlias = Callable[..., list[str]]


def execute(arguments: Namespace) -> int:
    """Print the lines that make a shell ask this program."""
    print(shellcode([PROGRAM], shell=arguments.shell))
    return 0


def answer(parser: ArgumentParser) -> None:
    """Tell the shell what can stand where it asks, and end the process; a shell asks through the environment."""
    for action in _actions_of(parser):
        completer = _COMPLETERS.get(action.dest)
        if completer is not None and not action.choices:
            action.completer = completer  # type: ignore[attr-defined]
    autocomplete(parser, always_complete_options="long")


def _actions_of(parser: ArgumentParser) -> Iterator[Action]:
    """Find all arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, _SubParsersAction):
            for name, child in action.choices.items():
                if name != "new":  # its name must be one that nobody has
                    yield from _actions_of(child)


def _components(parsed: Namespace) -> tuple[ListedComponent, ...]:
    """Return everything on offer but the families; nothing where a plugin that was given cannot be read."""
    try:
        found = catalogue_of(_lone(parsed)).components
    except BenchError:
        return ()
    return tuple(each for each in found if not each.name.endswith(FAMILY))


def _lone(parsed: Namespace) -> Namespace:
    return Namespace(plugin=parsed.plugin or [], strict_plugins=False, is_own_process=True)


def _names(prefix: str, action: Action, parsed_args: Namespace, **_: object) -> list[str]:
    """Complete a name, or the last of several that stand between commas."""
    before = prefix[: prefix.rfind(",") + 1]
    sets = EVALUATOR_SETS if action.dest == "evaluator" else ()
    names = [each.name for each in _components(parsed_args) if each.kind == action.dest]
    return [before + name for name in (*names, *sets) if name not in split_names(before)]


def _subjects(parsed_args: Namespace, **_: object) -> list[str]:
    found = _components(parsed_args)
    return [*(each.name for each in found), *(f"{each.kind}:{each.name}" for each in found)]


def _shown(parsed_args: Namespace, **given: object) -> list[str]:
    return [*_subjects(parsed_args, **given), *_suites(parsed_args), *_runs(parsed_args)]


def _suites(parsed_args: Namespace, **_: object) -> list[str]:
    return [suite.name for suite in catalogue_of(_lone(parsed_args)).suites]


def _settings(parsed_args: Namespace, **_: object) -> list[str]:
    """Complete an option of what was chosen so far; where nothing was, of every component of its kind."""
    found = _components(parsed_args)
    chosen = {kind: split_names(getattr(parsed_args, kind, None)) for kind in KINDS}
    meant = [each for each in found if not chosen[each.kind] or each.name in chosen[each.kind]]
    return sorted({f"{each.kind}.{option}=" for each in meant for option in each.option_names})


def _targets(prefix: str, parsed_args: Namespace, **_: object) -> list[str]:
    names = [each.name for each in _components(parsed_args) if each.kind == "dataset"]
    return [*names, *FilesCompleter()(prefix)]


def _kinds(**_: object) -> list[str]:
    return [f"{kind}s" for kind in (*KINDS, "suite", "run")]


def _runs(parsed_args: Namespace, **_: object) -> list[str]:
    """List the ids of the runs below the folder in which they are looked up."""
    out = getattr(parsed_args, "out", None) or RUNS
    return sorted(path.stem for path in Path(out).glob("runs/**/*.json"))


_COMPLETERS: dict[str, Completer] = {
    **dict.fromkeys(KINDS, _names),
    "among": lambda **given: ["train", "val", "test", *_targets(**given)],
    "dataset": _targets,
    "kind": _kinds,
    "name": _subjects,
    "run": lambda **given: [*_runs(**given), "latest"],
    "set": _settings,
    "subject": _shown,
    "suite": _suites,
    "target": _targets,
}
