"""What a process of its own is told of the cell that it is to run: plain data, on its standard input.

It answers on its standard output, in JSON, one message a line:

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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from astrojepa_bench.runs.request import RunRequest


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
