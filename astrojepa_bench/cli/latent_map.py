"""`map`: latents laid out on a plane."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from astrojepa_bench.cli.run_target import add_run, looking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from astrojepa_bench.explore.map import LatentMap

SUMMARY = "Lay galaxies out on a plane by their latents, coloured by a column or tiled with their thumbnails."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `map`."""
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench map 3f9a2c --out map.png\n"
        "  astrojepa-bench map 3f9a2c --method pca --colour redshift --out map.pdf\n"
        "  astrojepa-bench map 3f9a2c --thumbnails --out map.png"
    )
    add_run(parser, "picture to write: .png, .pdf, .svg or .jpg")
    parser.add_argument("--method", default="tsne", metavar="NAME", help="tsne (default), umap or pca")
    look = parser.add_mutually_exclusive_group()
    look.add_argument(
        "--colour", metavar="COLUMN",
        help="class, redshift, knn_distance or any other column (default: the first of these that is known)",
    )  # fmt: skip
    look.add_argument("--thumbnails", action="store_true", help="tile the map with the galaxies themselves")


def execute(arguments: Namespace) -> int:
    """Write the picture and say where it is."""
    from astrojepa_bench.explore.figures import check_picture, write_figure
    from astrojepa_bench.explore.map import check_method, colour_column, make_map

    check_picture(arguments.out)
    check_method(arguments.method)
    with looking(arguments) as sample:
        if arguments.colour is not None:
            colour_column(sample, arguments.colour)  # a slip is told before a map is made
        latent_map = make_map(sample, arguments.method)
        write_figure(_figure(latent_map, arguments), arguments.out)
    facts = {"picture": str(arguments.out), "galaxies": len(latent_map.index), "method": latent_map.method}
    print(
        json.dumps(facts) if arguments.json else "{picture}: {galaxies:,} galaxies, {method}".format(**facts)
    )
    return 0


def _figure(latent_map: LatentMap, arguments: Namespace) -> Figure:
    from astrojepa_bench.explore.map_figures import map_figure, thumbnail_map_figure

    return (
        thumbnail_map_figure(latent_map) if arguments.thumbnails else map_figure(latent_map, arguments.colour)
    )
