"""What a process of its own is told of a cell that it is to run: plain data, on its standard input.

Errands come one at a time, each behind its length in bytes; one of no length says that there are no more. The
process answers on its standard output, in JSON, one message a line:

```
{"event": NAME, "fields": {…}}              something to show, as in this process
{"ready": true}                             everything is loaded; from here on it may wait for another command
{"record": {…}, "is_trained": true}         how the cell ended; the record is written
{"locked": TEXT}                            another command works on it
{"raised": TEXT}                            the output folder cannot be written, or the like
{"refused": TEXT}                           it is not the cell that was meant, or cannot be set up
```
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.runs.request import RunRequest

NO_MORE = b""
LENGTH = 8  # bytes of the number before an errand


@dataclass(frozen=True)
class Errand:
    """One cell of a request, for another process.

    Attributes:
        request: the whole of it; its plans are laid out again there, which takes no time.
        command: the command line or call that asked for it.
        plan: which of its plans, from 0.
        index, total: which cell of the plan, from 1, of how many.
        run_id: of the cell; there it must be the same.
        wait: whether to wait for another command that works on it.
        settings: what torch computes with here, by name of the setting.
        argv: the words of this process's command line.
        trace: a file for the stack, should the process die or be asked where it is.
    """

    request: RunRequest
    command: str
    plan: int
    index: int
    total: int
    run_id: str
    wait: bool
    settings: Mapping[str, object]
    argv: tuple[str, ...]
    trace: Path


def packed(errand: Errand) -> bytes:
    """Write an errand as another process reads it.

    Raises:
        ConfigError: its request holds what no other process can be given.
    """
    try:
        return pickle.dumps(errand)
    except Exception as error:
        raise ConfigError(
            f"the request cannot be handed to another process ({type(error).__name__}: {error}); give its options "
            "as texts and numbers, or leave out --jobs, --isolate and --timeout"
        ) from None


def sent(stream: IO[bytes] | None, errand: bytes) -> None:
    """Send an errand to the process that reads a stream.

    Raises:
        OSError: nobody reads it any more.
    """
    assert stream is not None
    stream.write(len(errand).to_bytes(LENGTH) + errand)
    stream.flush()
