"""`clusters`: k-means clusters of latents, and what is in them."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace

from tabulate import tabulate

from astrojepa_bench.cli.asked_files import asked_files
from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.clusters import (
    Clusters,
    class_counts,
    cluster_members,
    cluster_table,
    clusters_figure,
    counted_classes,
    find_clusters,
    title_of,
)
from astrojepa_bench.explore.figures import write_figure
from astrojepa_bench.explore.table_formats import TableOrigin
from astrojepa_bench.explore.tables import write_table


def execute(arguments: Namespace) -> int:
    """Write picture and table, and print what is in the clusters."""
    picture, table, named = arguments.picture, arguments.table, asked_files(arguments)
    with looking(arguments) as sample:
        clusters = find_clusters(sample, arguments.clusters)
        if table is not None:
            write_table(cluster_members(clusters), table, TableOrigin.of(sample, command_line()))
        if picture is not None:
            write_figure(clusters_figure(clusters), picture)
    if arguments.json:
        print(json.dumps({**named, **_facts(clusters)}))
    else:
        frame = cluster_table(clusters)
        headers = list(map(str, frame.columns))
        print(tabulate(frame.to_numpy().tolist(), headers=headers, tablefmt="simple"))
        print(f"\n{' and '.join(named.values())}: {title_of(clusters)}")
    return 0


def _facts(clusters: Clusters) -> dict[str, object]:
    counts = class_counts(clusters)
    rows = [
        {"cluster": number, "galaxies": sum(row), "counts": row} for number, row in enumerate(counts.tolist())
    ]
    agreement = None if clusters.purity is None else dataclasses.asdict(clusters.purity)
    classes = [*counted_classes(clusters.sample), "unlabelled"]
    return {"classes": classes, "agreement": agreement, "clusters": rows}
