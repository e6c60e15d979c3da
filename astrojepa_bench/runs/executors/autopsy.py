"""How a cell is recorded whose process died or was out of time: what ended it, doing what, and whose code ran."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from astrojepa_bench.options import Offer
from astrojepa_bench.results.record import Failure, Origin, Status
from astrojepa_bench.runs.failures import Ending, Phase

_FRAME = re.compile(r'File "(.+)", line (\d+) in (.+)')
_PLACES: dict[str, Phase] = {"training": "training", "evaluation": "scoring"}
"""Rooms of the bench whose code on the stack tells what a cell is at."""


@dataclass(frozen=True)
class Death:
    """How a process ended that did not say how its cell ended.

    Attributes:
        code: its exit code; negative: the signal that ended it.
        phase: what it was doing, as far as its events tell.
        stack: what it could still write of where it was, innermost call first.
        limit_s: its time limit, if that is why it was ended [s].
        said: why it refused, if it did.
    """

    code: int
    phase: str
    stack: str = ""
    limit_s: float | None = None
    said: str = ""


def ending_of(death: Death, offers: Sequence[Offer]) -> Ending:
    """Find out what a death means for the board.

    Args:
        death: how the process ended.
        offers: the components of the cell, its objective first.
    """
    frames = list(_frames(death.stack))
    found = _innermost(frames, offers)
    phase = _phase(frames, death.phase)
    # Without a trace the objective is the one whose code ran for nearly all of the time.
    owner, where = found or (offers[0] if phase == "training" else None, "")
    if death.said:
        return _ending("failed", "infrastructure", "building", death.said, None)
    if death.limit_s is not None:
        text = (
            f"out of time: the limit is {duration(death.limit_s)} a cell, and it was still {phase}{where}; give it "
            "more with --timeout (it goes on from its last checkpoint), or a smaller --budget"
        )
        return _ending("timeout", "plugin" if found else "infrastructure", phase, text, owner)
    if death.code in (130, -signal.SIGINT):
        return _ending("interrupted", "infrastructure", phase, "its process was interrupted", None)
    if death.code >= 0:
        text = (
            f"its process ended with exit status {death.code} while {phase}{where}, without a record; "
            "code of a cell must not end the process: raise an exception instead"
        )
        return _ending("failed", "plugin", phase, text, owner)
    text = f"its process was ended by signal {-death.code}{_name(-death.code)} while {phase}{where}"
    if -death.code == getattr(signal, "SIGKILL", 9):
        text += ", as the system does when memory runs out; lower objective.batch_size, or run it again"
        return _ending("failed", "infrastructure", phase, text, owner)
    return _ending("failed", "plugin", phase, f"{text}; compiled code crashed", owner)


def _ending(status: Status, origin: Origin, phase: Phase, text: str, owner: Offer | None) -> Ending:
    plugin = None if owner is None else owner.plugin
    return Ending(status, Failure(origin=origin, phase=phase, message=text[:2000], plugin=plugin))


def _name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""


def duration(seconds: float) -> str:
    """Write a time limit as it is given.

    Example:
        >>> duration(7200), duration(5400), duration(90), duration(0.5)
        ('2h', '90m', '90s', '0.5s')
    """
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds % length == 0 and seconds / length != 1:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def _frames(stack: str) -> Iterator[tuple[str, int, str]]:
    """Yield file, line and function of the thread that runs the cell, innermost call first."""
    threads = [part for part in re.split(r"\n(?=(?:Current thread|Thread) )", stack) if "child.py" in part]
    for file, line, function in _FRAME.findall(threads[-1] if threads else ""):
        yield file, int(line), function


def _phase(frames: Sequence[tuple[str, int, str]], heard: str) -> Phase:
    """Tell what a cell was at: from the outermost room of the bench on its stack, or else from what was heard."""
    for file, _, _ in reversed(frames):
        path = Path(file)
        room = path.parent.name if path.parent.parent.name == "astrojepa_bench" else ""
        if room in _PLACES:
            return _PLACES[room]
    return next((phase for phase in get_args(Phase) if phase == heard), "training")


def _innermost(frames: Sequence[tuple[str, int, str]], offers: Sequence[Offer]) -> tuple[Offer, str] | None:
    """Find the component whose file is innermost on the stack, and where it was."""
    files = {_file(offer): offer for offer in reversed(offers) if not offer.is_shipped}
    for file, line, function in frames:
        if file in files:
            return files[file], f", in {function} of {Path(file).name}, line {line}"
    return None


def _file(offer: Offer) -> str:
    module = sys.modules.get(getattr(offer.cls or offer.factory, "__module__", ""))
    return str(getattr(module, "__file__", ""))
