"""`leaderboard merge`: join what several machines ran, and build the board of all of it."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.board.render import read_board, write_board
from astrojepa_bench.cli.printing import print
from astrojepa_bench.results.merge import merge


def execute(arguments: Namespace) -> int:
    """Merge, and write the board."""
    out = arguments.out
    written = merge(arguments.folders, out)
    board = read_board(out)
    page = write_board(out, board)
    if arguments.json:
        print(json.dumps({"merged": [record.run_id for record in written], "board": str(page)}))
    else:
        print(
            f"{len(arguments.folders)} folders: {len(written)} of {len(board.records)} records added or completed"
        )
        print(f"board: {page}")
    return 0
