"""The errors of the bench.

`ConfigError`: a request cannot be met (unknown name, impossible size). `StorageError`: a file cannot be written.
`DataError`: a file does not hold what it should. `PluginError`: a plugin cannot be loaded or collides with another.
`ContractError`: a plugin broke the contract of its role. `DivergedError`: the loss or a gradient became non-finite.
`Unsuitable` is none: a combination that has no meaning, and why.

Every message states what was found, what was expected and what to do, in one line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

LONGEST = 2_000  # characters of a message that others wrote; some write a megabyte
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")  # all of C0 and C1 but white space


class BenchError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(BenchError):
    """The request names something that does not exist or cannot be done."""


class StorageError(ConfigError, OSError):
    """A file cannot be written: its disk is full, or its folder is not for us to write.

    It is an `OSError` too, so that whoever sorts errors takes it for one of the machine.

    Attributes:
        reason: why, with the space that was wanted and is free, without advice.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason

    @classmethod
    def of(cls, path: object, reason: str) -> StorageError:
        """Return the error of a file or folder that cannot be written."""
        return cls(
            f"{path} cannot be written ({reason}); choose a writable --out folder with space left", reason
        )


class DataError(BenchError):
    """A file does not hold what it should."""


class PluginError(BenchError):
    """A plugin failed to load, is misspelt, or offers a name that is taken."""


class ContractError(BenchError):
    """A plugin returned something that its role forbids."""


class Unsuitable(BenchError):  # noqa: N818 not an error: a combination that has no meaning
    """A combination cannot mean anything; carries the reason, as a person is to read it.

    Raised while a component is built or fitted, and by a loss before anything is learnt, it skips the cell. An
    evaluator that raises it has no score, and a dataset refuses the request.
    """

    def __str__(self) -> str:
        return super().__str__().strip() or "it calls itself unsuitable and gives no reason"


class DivergedError(BenchError):
    """The loss or a gradient became non-finite.

    Attributes:
        step: optimiser step at which it happened, counted from 0.
        term: name of the offending loss term.
    """

    def __init__(self, step: int, term: str) -> None:
        super().__init__(f"loss term '{term}' was not finite at step {step}; lower the learning rate")
        self.step = step
        self.term = term


def said_by(error: BaseException) -> str:
    """Return what an exception says, in one line that any file, terminal and reader takes.

    Control characters and lone surrogates are left out, and so is what follows the first 2,000 characters. An
    exception is somebody else's code: where its own `str` raises, that is said.
    """
    try:
        text = str(error)[: 10 * LONGEST]
    except BaseException as other:
        return f"(its message cannot be had: it raised {type(other).__name__})"
    return " ".join(_CONTROL.sub("", text.encode("utf-8", "replace").decode()).split())[:LONGEST]


def named(error: BaseException) -> str:
    """Return the kind of an exception and what it says, as `said_by` does.

    Example:
        >>> named(ValueError("no weight")), named(KeyboardInterrupt())
        ('ValueError: no weight', 'KeyboardInterrupt')
    """
    return f"{type(error).__name__}: {said_by(error)}".removesuffix(": ")[:LONGEST]


def reason_of(error: BaseException) -> str:
    """Return what an exception says; one that the bench did not foresee is called by its kind, too.

    Example:
        >>> reason_of(DataError("no galaxy")), reason_of(IndexError("out of bounds"))
        ('no galaxy', 'IndexError: out of bounds')
    """
    return said_by(error) if isinstance(error, BenchError) else named(error)


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known names in a question, and list all known ones.

    Example:
        >>> nearest("brightnes", ["random", "brightness"])
        "did you mean 'brightness'? Known: brightness, random"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=2)
    question = f"did you mean {' or '.join(repr(match) for match in close)}? " if close else ""
    return f"{question}Known: {', '.join(names) or 'none'}"
