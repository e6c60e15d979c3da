"""`leaderboard compare`: two entries, or two levels of a factor, in one paragraph for each section and metric."""

from __future__ import annotations

import json
import textwrap
from argparse import Namespace

from astrojepa_bench.board.compare import compare_by_name
from astrojepa_bench.board.render import read_board
from astrojepa_bench.cli.printing import print

WIDTH = 100


def execute(arguments: Namespace) -> int:
    """Compare, and print what was found."""
    found = compare_by_name(read_board(arguments.out), arguments.a, arguments.b)
    if arguments.json:
        print(json.dumps({"comparisons": [each.facts() for each in found]}))
    else:
        print("\n\n".join(textwrap.fill(each.sentence, WIDTH) for each in found))
    return 0
