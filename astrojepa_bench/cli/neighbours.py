"""`neighbours`: similarity search."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.asked_files import asked_files
from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.query import PLACES, asked_for, check_query, facts_of, sample_among, told_of
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.figures import write_figure
from astrojepa_bench.explore.neighbours import find_neighbours, neighbours_figure
from astrojepa_bench.explore.table_formats import TableOrigin
from astrojepa_bench.explore.tables import write_table

SHOWN = ["rank", "index", "id", "class", "anomaly_type", "ra", "dec", "redshift", "similarity"]


def execute(arguments: Namespace) -> int:
    """Write the strip and the table, and print who is in them."""
    picture, table, written = arguments.picture, arguments.table, asked_files(arguments)
    check_query(arguments)
    with looking(arguments) as sample:
        asked, searched = asked_for(arguments, sample), sample_among(arguments, sample)
        query = None if asked.sample is searched else asked.sample
        frame = find_neighbours(searched, asked.index, query=query)
        if table is not None:
            write_table(frame, table, TableOrigin.of(searched, command_line()))
        if picture is not None:
            write_figure(neighbours_figure(searched, asked.index, query=query), picture)
    shown = frame[frame.columns.intersection(SHOWN)]
    if arguments.json:
        found = json.loads(shown.to_json(orient="records"))
        query_facts = facts_of(asked, frame.iloc[0])
        print(json.dumps({**written, "among": searched.title, "query": query_facts, "neighbours": found}))
        return 0
    print(shown.to_string(index=False, formatters=PLACES))
    print(f"\n{told_of(asked, frame.iloc[0])}, and the {len(frame) - 1} most similar of {searched.title}")
    if query is not None:
        print(f"index: of rank 0 among {query.title}, of the others among {searched.title}")
    for name, path in written.items():
        print(f"{path}: the {'strip' if name == 'picture' else 'table'}")
    return 0
