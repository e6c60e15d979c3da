"""The command line: one file a verb, all verbs in one table, and the only place that prints.

A command goes through three steps, each before anything heavier is imported:

1. `verbs.py` and `arguments.py` know every command and flag; `--help` ends here.
2. `names.py` checks the names and options that were typed against what the plugins offer.
3. The verb's own module is imported and does it.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from io import TextIOWrapper

from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.shared_arguments import common
from astrojepa_bench.cli.stdout import own_stdout
from astrojepa_bench.cli.verbs import DATA_ACTIONS, VERBS, Verb
from astrojepa_bench.errors import BenchError, ConfigError, PluginError, named, nearest, said_by
from astrojepa_bench.interrupts import interrupted, noting_interrupts
from astrojepa_bench.launched import launched

PROGRAM = "astrojepa-bench"
LIGHT = ("catalogue", "completion", "leaderboard", "new", "show")
"""How the modules of verbs begin that import nothing which takes seconds."""
LONGEST = 4_000  # characters of an error: a plugin may raise a megabyte of text


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 some cells failed (or a bug of ours), 2 the request or the data is wrong, 3 the leaderboard
        drifted, 130 interrupted, 141 the reader of our output went away.
    """
    if argv is not None:
        return _coded([*argv])
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may stand here
        import_module("astrojepa_bench.cli.completion").answer(build_parser())
    with own_stdout():  # in a process of its own
        code = _coded(sys.argv[1:], is_own_process=True)
    gc.freeze()  # or Python would look through all of torch for cycles, three times, before it ends
    return code


def _coded(words: list[str], is_own_process: bool = False) -> int:
    """Run one command, and turn what it raises into a line and a code."""
    if isinstance(sys.stdout, TextIOWrapper):  # a path may be no UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    debug = "--debug" in words
    try:
        return _follow(words) if launched().is_follower else _dispatch(words, is_own_process)
    except BenchError as error:
        return _report(f"error: {said_by(error)}", 2, debug)
    except KeyboardInterrupt:
        return _report("interrupted", 130, debug)
    except (
        BrokenPipeError
    ):  # end quietly, as a program killed by SIGPIPE would, with nothing to flush at exit
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # anything else that arrives here is our bug, and is reported as one
        if _is_starved(error):
            lack = "this needs more memory than the process may take; raise its limit, or give fewer galaxies"
            return _report(f"error: {lack}", 2, debug)
        hint = "" if debug else "; add --debug for the traceback"
        return _report(f"bug: {named(error)}; please report it{hint}", 1, debug)


def _is_starved(error: Exception) -> bool:
    """Whether the system had no memory, or no room for addresses, left; some parts say so only in words."""
    words = ("start new thread", "failed to map segment", "cannot allocate memory")
    told = isinstance(error, RuntimeError | ImportError) and any(each in str(error).lower() for each in words)
    return told or isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def _follow(words: list[str]) -> int:
    """Train what the first process of this launch trains; any other command is done by that one alone."""
    _, rest = parse_common(words)
    verb = next((word for word in rest if not word.startswith("-")), None)
    if verb != "run" or {"-h", "--help", "--dry-run"} & {*words}:
        return 0
    code: int = import_module("astrojepa_bench.runs.ranks.follower").follow()
    return code


def _dispatch(words: list[str], is_own_process: bool) -> int:
    given, rest = parse_common(words)
    verb = next((word for word in rest if not word.startswith("-")), None)
    if verb is not None and verb not in VERBS:
        raise ConfigError(f"unknown command '{verb}'; {nearest(verb, VERBS)}")
    parser = build_parser(VERBS if verb is None else [verb])
    rest = _with_target(rest) if verb == "data" else rest
    if not rest:
        parser.print_help(sys.stderr)
        return 2
    chosen = Namespace(**vars(parser.parse_args(rest)) | vars(given), is_own_process=is_own_process)
    with noting_interrupts():
        try:
            with _uncollected() if is_own_process else nullcontext():
                import_module("astrojepa_bench.cli.data_path").name_the_reader(chosen)
                names = import_module("astrojepa_bench.cli.names")
                names.check_names(chosen)
                if not chosen.does.startswith(LIGHT):
                    names.announce(chosen)
                module = import_module(f"astrojepa_bench.cli.{chosen.does}")
            code: int = module.execute(chosen)
            sys.stdout.flush()  # a reader that went away is noticed here and not at exit
            return code
        except BaseException as error:
            if interrupted():  # whatever became of it
                raise KeyboardInterrupt from error
            if isinstance(error, BenchError | BrokenPipeError):
                raise
            said = import_module("astrojepa_bench.cli.blame").plugin_at_fault(error, chosen)
            if said is None:
                raise
            raise PluginError(said) from error


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector while modules are imported: it would take a quarter of the time for nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def parse_common(words: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Read the flags that every command takes, wherever they stand, and return the other words."""
    parser = ArgumentParser(PROGRAM, add_help=False, allow_abbrev=False)
    common(parser)
    return parser.parse_known_args(words)


def _with_target(words: list[str]) -> list[str]:
    """Let `data ACTION -d DATA` mean `data ACTION DATA`: galaxies are named alike in every command."""
    parser = ArgumentParser(PROGRAM, add_help=False, allow_abbrev=False)
    parser.add_argument("-d", "--dataset")
    given, rest = parser.parse_known_args(words)
    place = next((number for number, word in enumerate(rest, start=1) if word in DATA_ACTIONS), None)
    if given.dataset is None or place is None:
        return words
    return [*rest[:place], given.dataset, *rest[place:]]


def build_parser(names: Iterable[str] = VERBS) -> ArgumentParser:
    """Build the parser of the named verbs; it leaves the module of the chosen one in `does`."""
    parser = ArgumentParser(
        PROGRAM,
        description="Which objective, with which masking, learns the best representation of galaxies?",
        allow_abbrev=False,
    )
    common(parser)
    _add_verbs(parser, "COMMAND", {name: VERBS[name] for name in names})
    return parser


def _add_verbs(parser: ArgumentParser, metavar: str, verbs: Mapping[str, Verb]) -> None:
    children = parser.add_subparsers(metavar=metavar, required=True)
    for name, verb in verbs.items():
        child = children.add_parser(
            name,
            help=verb.summary,
            description=verb.summary,
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.configure(child)
        if verb.actions:
            _add_verbs(child, "ACTION", verb.actions)
        else:
            common(child)
            child.set_defaults(does=verb.module)


def _report(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    line = " ".join(message.split())
    print(f"{PROGRAM}: {line[:LONGEST]}{' …' * (len(line) > LONGEST)}", file=sys.stderr)
    return code
