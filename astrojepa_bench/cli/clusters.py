"""`clusters`: k-means clusters of latents, and what is in them."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace

from tabulate import tabulate

from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.clusters import (
    Clusters,
    class_counts,
    cluster_table,
    clusters_figure,
    counted_classes,
    find_clusters,
    title_of,
)
from astrojepa_bench.explore.figures import check_picture, write_figure


def execute(arguments: Namespace) -> int:
    """Write the picture and print what is in the clusters."""
    check_picture(arguments.picture)
    with looking(arguments) as sample:
        clusters = find_clusters(sample, arguments.clusters)
        write_figure(clusters_figure(clusters), arguments.picture)
    if arguments.json:
        print(json.dumps(_facts(clusters, str(arguments.picture))))
    else:
        frame = cluster_table(clusters)
        headers = list(map(str, frame.columns))
        print(tabulate(frame.to_numpy().tolist(), headers=headers, tablefmt="simple"))
        print(f"\n{arguments.picture}: {title_of(clusters)}")
    return 0


def _facts(clusters: Clusters, picture: str) -> dict[str, object]:
    counts = class_counts(clusters)
    rows = [
        {"cluster": number, "galaxies": sum(row), "counts": row} for number, row in enumerate(counts.tolist())
    ]
    agreement = None if clusters.purity is None else dataclasses.asdict(clusters.purity)
    classes = [*counted_classes(clusters.sample), "unlabelled"]
    return {"picture": picture, "classes": classes, "agreement": agreement, "clusters": rows}
