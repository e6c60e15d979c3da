"""`anomalies`: the galaxies of greatest anomaly score, as a table and as a mosaic."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.anomalies import anomaly_table, check_draws, check_score
from astrojepa_bench.explore.endings import TABLE_FORMATS
from astrojepa_bench.explore.figures import write_figure
from astrojepa_bench.explore.mosaic import anomalies_figure
from astrojepa_bench.explore.table_formats import TableOrigin
from astrojepa_bench.explore.tables import check_format, write_table

SHOWN = 10


def execute(arguments: Namespace) -> int:
    """Write table and mosaic, and print the first rows."""
    check_format(arguments.table, TABLE_FORMATS)
    check_score(arguments.by)
    check_draws(arguments.draws)
    mosaic: Path = arguments.table.with_suffix(".png")
    with looking(arguments) as sample:
        frame = anomaly_table(sample, arguments.by, arguments.draws)
        write_table(frame, arguments.table, TableOrigin.of(sample, command_line()))
        write_figure(anomalies_figure(sample, frame, arguments.by), mosaic)
    columns = ["rank", "index", "id", "class", *frame.columns.intersection(["anomaly_type", "redshift"])]
    first = frame[[*columns, arguments.by]].head(SHOWN)
    if arguments.json:
        top = json.loads(first.to_json(orient="records"))
        made = {"table": str(arguments.table), "mosaic": str(mosaic)}
        print(json.dumps({**made, "galaxies": len(frame), "draws": arguments.draws, "top": top}))
    else:
        print(first.to_string(index=False))
        print(
            f"\n{arguments.table}: {len(frame):,} galaxies, the most anomalous first; {mosaic}: the first of them"
        )
    return 0
