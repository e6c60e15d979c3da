"""Rules for every kind of component: built, documented, repeatable, without side effects."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import time
from pathlib import Path

import torch

from astrojepa_bench.declarations import fact_fault
from astrojepa_bench.loading import executed
from astrojepa_bench.options import jsonable, resolve
from astrojepa_bench.roles import ROLES
from astrojepa_bench.signatures import made_by
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.testing.checks import NotApplicable, RuleSet
from astrojepa_bench.testing.evaluator import unmet
from astrojepa_bench.testing.rehearsal import act_again, act_of, build, construct, equal_values
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.testing.watching import settings_kept
from astrojepa_bench.types import Progress
from astrojepa_bench.versions import chain_of

ACTED = 3  # times in a row
IMPORT_S = 2.0  # of processor time, beside libraries that are imported anyway
rules = RuleSet()
ACTS = ("acts",)


@rules(
    "builds",
    "It can be built with its defaults, and is of the role that its hook names.",
    "build it with only what the guide says its role is given; see the error",
)
def find_builds(piece: Subject) -> str | None:
    """Build it."""
    made, role = build(piece), ROLES[piece.offer.kind]
    return None if isinstance(made, role) else f"built a {type(made).__name__}, not a {role.__name__}"


@rules(
    "acts",
    "It does what its role is for, and returns what its role promises.",
    "see the error; the guide says what the role is given and returns",
)
def find_acts(piece: Subject) -> str | None:
    """Let it act once."""
    try:
        act_of(piece)
    except Exception:
        missing = unmet(build(piece)) if piece.offer.kind == "evaluator" else []
        if missing:
            raise NotApplicable(f"invented galaxies have no {', '.join(missing)}") from None
        raise
    return None


@rules(
    "documented",
    "It has a docstring, and its options have types and explanations.",
    "write a class docstring with an `Args:` entry for each keyword-only parameter, and annotate them",
)
def find_documented(piece: Subject) -> str | None:
    """Look for missing words and types."""
    faults = [] if piece.offer.summary else ["no docstring"]
    for option in piece.offer.options:
        if option.type in ("", "Any"):
            faults.append(f"option '{option.name}' has no type")
        if not option.doc:
            faults.append(f"option '{option.name}' has no explanation")
    return "; ".join(faults) or None


@rules(
    "options",
    "Its options survive being written to a record and read back.",
    "use plain types: numbers, strings, booleans, paths, tuples of these, None",
)
def find_options(piece: Subject) -> str | None:
    """Write the options as JSON and read them back."""
    plain = {name: value for name, value in piece.options.items() if not isinstance(value, Path)}
    back = json.loads(json.dumps(jsonable(plain), allow_nan=False))
    paths = {name: value for name, value in piece.options.items() if name not in plain}
    again = resolve(piece.offer, {**back, **paths})
    changed = [name for name, value in piece.options.items() if again[name] != value]
    return f"option '{changed[0]}' comes back as {again[changed[0]]!r}" if changed else None


@rules(
    "version",
    "Its version is a whole number, or its source can be read.",
    "declare `version = 1` on the class and raise it when its numbers change",
)
def find_version(piece: Subject) -> str | None:
    """Read its version, as a record does."""
    chain_of(piece.offer.factory)
    declared = getattr(piece.offer.cls, "version", None)  # as it stands there, sound or not
    if isinstance(declared, int | None) and not isinstance(declared, bool):
        return None
    return f"version is {declared!r}, not a whole number"


@rules(
    "declared",
    "What its class declares beside its options is among what its role knows.",
    "leave out what you do not need: every fact of a role has a default",
    ("version",),
)
def find_declared(piece: Subject) -> str | None:
    """Look at the attributes of what was built, as the bench does where a plugin is loaded."""
    return fact_fault(piece.offer.kind, build(piece))


@rules(
    "quick-import",
    f"Importing its module costs less than {IMPORT_S:g} s of processor time.",
    "move downloads, training and large tables from the module into the class or function",
)
def find_quick_import(piece: Subject) -> str | None:
    """Execute the module once more, under another name, and measure the processor's time."""
    source = piece.file
    if source is None:
        raise NotApplicable("its module has no file")
    if source.suffix != ".py":
        raise NotApplicable(f"{source.name} cannot be imported by itself")
    module = sys.modules[made_by(piece.offer.factory).__module__]
    began = time.process_time()
    try:
        executed(source, "astrojepa_import_check", module.__package__ or "")
        spent = time.process_time() - began
    finally:
        sys.modules.pop("astrojepa_import_check", None)
    return None if spent < IMPORT_S else f"importing {source.name} took {spent:.1f} s"


@rules(
    "picklable",
    "It can be pickled and copied, so that it can run in another process.",
    "keep no lambdas, generators, open files or local functions as attributes",
)
def find_picklable(piece: Subject) -> str | None:
    """Pickle it and copy it."""
    made = build(piece)
    pickle.loads(pickle.dumps(made))
    copy.deepcopy(made)
    return None


@rules(
    "global-random",
    "It draws nothing from global random generators and seeds none.",
    "draw from the generator or the streams that are passed in; for NumPy make numpy.random.default_rng(seed)",
    ACTS,
)
def find_global_random(piece: Subject) -> str | None:
    """Look at the global generators after it acted."""
    disturbed = act_of(piece).disturbed
    return f"the global generator of {', '.join(disturbed)} moved" if disturbed else None


@rules(
    "own-weights",
    "Equal seeds start from equal weights, and different seeds from different ones.",
    "leave the global generator of torch alone: a constructor never seeds it",
)
def find_own_weights(piece: Subject) -> str | None:
    """Build it from two seeds, one of them twice."""
    if piece.offer.kind not in ("encoder", "objective"):
        raise NotApplicable("it has no weights")
    first, same, other = (
        [value for value in construct(piece, seed).parameters() if value.requires_grad and value.ndim > 1]
        for seed in (0, 0, 1)
    )
    if not first:
        raise NotApplicable("it has no weights of its own")
    if not all(map(torch.equal, first, same)):
        return "two builds from one seed differ"
    return "two seeds start from the same weights" if all(map(torch.equal, first, other)) else None


@rules(
    "repeatable",
    "Equal inputs give equal outputs, to the last bit.",
    "draw every random number from the generator or streams passed in, and keep no state between calls",
    (*ACTS, "global-random"),
)
def find_repeatable(piece: Subject) -> str | None:
    """Act again, and with another instance, under another state of torch's generator."""
    first = act_of(piece)
    with scoped_global(1, "elsewhere"):
        another = act_again(piece, build(piece, anew=True))
    if not _equal(first.output, another):
        return "another instance gave something else"
    if piece.offer.kind in ("dataset", "objective"):
        return None  # it has loaded twice already; an objective may learn from each call
    return (
        None if _equal(first.output, act_again(piece, first.made)) else "the second call gave something else"
    )


def _equal(first: tuple[object, ...], second: tuple[object, ...]) -> bool:
    return len(first) == len(second) and all(map(equal_values, first, second))


@rules(
    "no-files",
    "It writes no files, except for a dataset in its cache folder.",
    "return results; datasets convert below `cache_dir`",
    ACTS,
)
def find_no_files(piece: Subject) -> str | None:
    """Look for files written while it was built and used."""
    written = act_of(piece).written
    return f"wrote {Path(written[0]).name}" if written else None


@rules(
    "quiet",
    "It prints nothing: stdout belongs to the command, which may print JSON.",
    "use the module `warnings` or `logging`, or return the words: notes of a card, warnings of an evaluation",
    ACTS,
)
def find_quiet(piece: Subject) -> str | None:
    """Read what it printed while it was built and used."""
    printed = act_of(piece).printed
    return f"printed {len(printed):,} characters: '{' '.join(printed.split())[:60]}'" if printed else None


@rules(
    "settings",
    "It leaves the settings of the process as they were: gradients, default types, threads, the working directory.",
    "use torch.no_grad() and the like as `with` blocks, and pass dtype and device to what is made",
    ACTS,
)
def find_settings(piece: Subject) -> str | None:
    """Let it act, and learn for a few steps."""
    moved: list[str] = []
    try:
        with settings_kept() as moved:
            made = build(piece)
            for step in range(ACTED):
                act_again(piece, made)
                if piece.offer.kind == "objective":
                    made.after_step(Progress(step + 1, ACTED))
    except Exception:  # it may well be the setting that spoils the second time
        if not moved:
            raise
    return f"it changed {', '.join(moved)}" if moved else None
