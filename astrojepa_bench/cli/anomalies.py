"""`anomalies`: the oddest galaxies, as a table and as a mosaic."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from astrojepa_bench.cli.run_target import add_run, looking

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "Rank galaxies by how odd they are: a table of scores, and a mosaic of the 25 oddest beside it."
SHOWN = 10


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `anomalies`."""
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench anomalies 3f9a2c --out odd.csv\n"
        "  astrojepa-bench anomalies RECORD.json -d hdf5 --set dataset.path=X.h5 --by max_mse --out odd.fits"
    )
    add_run(parser, "table to write: .csv, .parquet, .fits or .vot; the mosaic lies beside it as .png")
    parser.add_argument(
        "--by", default="knn_distance", metavar="SCORE", help="score that ranks (default: knn_distance)"
    )


def execute(arguments: Namespace) -> int:
    """Write table and mosaic, and show the first of them."""
    from astrojepa_bench.explore.anomalies import anomaly_table, check_score
    from astrojepa_bench.explore.figures import write_figure
    from astrojepa_bench.explore.mosaic import oddest_figure
    from astrojepa_bench.explore.tables import TABLE_FORMATS, check_format, write_table

    check_format(arguments.out, TABLE_FORMATS)
    check_score(arguments.by)
    mosaic: Path = arguments.out.with_suffix(".png")
    with looking(arguments) as sample:
        frame = anomaly_table(sample, arguments.by)
        write_table(frame, arguments.out)
        write_figure(oddest_figure(sample, frame, arguments.by), mosaic)
    _show(frame, arguments, mosaic)
    return 0


def _show(frame: pd.DataFrame, arguments: Namespace, mosaic: Path) -> None:
    columns = ["rank", "index", "id", "class", *frame.columns.intersection(["anomaly_type", "redshift"])]
    first = frame[[*columns, arguments.by]].head(SHOWN)
    if arguments.json:
        top = json.loads(first.to_json(orient="records"))
        print(
            json.dumps(
                {"table": str(arguments.out), "mosaic": str(mosaic), "galaxies": len(frame), "top": top}
            )
        )
        return
    print(first.to_string(index=False))
    print(f"\n{arguments.out}: {len(frame):,} galaxies, oddest first; {mosaic}: the first of them")
