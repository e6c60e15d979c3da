"""`clusters`: k-means clusters of latents, and what is in them."""

from __future__ import annotations

import dataclasses
import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from astrojepa_bench.cli.run_target import add_run, looking

if TYPE_CHECKING:
    from astrojepa_bench.explore.clusters import Clusters

SUMMARY = (
    "Cluster galaxies by k-means: share of each class in each cluster, typical members, purity with chance."
)


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `clusters`."""
    parser.epilog = "example:\n  astrojepa-bench clusters 3f9a2c --out clusters.png"
    add_run(parser, "picture to write: .png, .pdf, .svg or .jpg")
    parser.add_argument(
        "--clusters",
        type=int,
        metavar="K",
        help="how many (default: as many as classes; without labels 10 or fewer)",
    )


def execute(arguments: Namespace) -> int:
    """Write the picture and print what is in the clusters."""
    from astrojepa_bench.explore.clusters import clusters_figure, find_clusters
    from astrojepa_bench.explore.figures import check_picture, write_figure

    check_picture(arguments.out)
    with looking(arguments) as sample:
        clusters = find_clusters(sample, arguments.clusters)
        write_figure(clusters_figure(clusters), arguments.out)
    if arguments.json:
        print(json.dumps(_facts(clusters, str(arguments.out))))
    else:
        _print(clusters, str(arguments.out))
    return 0


def _facts(clusters: Clusters, picture: str) -> dict[str, object]:
    from astrojepa_bench.explore.clusters import class_counts

    counts = class_counts(clusters)
    rows = [
        {"cluster": number, "galaxies": sum(row), "counts": row} for number, row in enumerate(counts.tolist())
    ]
    agreement = None if clusters.purity is None else dataclasses.asdict(clusters.purity)
    classes = [*clusters.sample.classes, "unlabelled"]
    return {"picture": picture, "classes": classes, "agreement": agreement, "clusters": rows}


def _print(clusters: Clusters, picture: str) -> None:
    from tabulate import tabulate

    from astrojepa_bench.explore.clusters import cluster_table, title_of

    frame = cluster_table(clusters)
    print(tabulate(frame.to_numpy().tolist(), headers=list(map(str, frame.columns)), tablefmt="simple"))
    print(f"\n{picture}: {title_of(clusters)}")
