"""One worker process: reads from stdin what to draw, draws it block by block, and ends with its parent."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from astrojepa_bench.data.synthetic.drawing import DrawingTask, save_block
from astrojepa_bench.data.synthetic.scene import Survey


def main() -> None:
    """Draw the blocks that stdin asks for."""
    parent = os.getppid()
    request = json.load(sys.stdin)
    survey, folder = Survey(**request["survey"]), Path(request["folder"])
    for facts in request["blocks"]:
        if os.getppid() != parent:
            return  # the parent was killed: nothing waits for the rest
        save_block(survey, DrawingTask(**facts), folder)


if __name__ == "__main__":
    main()
