"""`map`: latents laid out on a plane."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.run_target import looking
from astrojepa_bench.explore.figures import check_picture, write_figure
from astrojepa_bench.explore.map import check_method, colour_column, make_map
from astrojepa_bench.explore.map_figures import map_figure, thumbnail_map_figure


def execute(arguments: Namespace) -> int:
    """Write the picture and print where it is."""
    check_picture(arguments.picture)
    check_method(arguments.method)
    with looking(arguments) as sample:
        if arguments.colour is not None:
            colour_column(sample, arguments.colour)  # a wrong column is refused before a map is made
        latent_map = make_map(sample, arguments.method)
        if arguments.thumbnails:
            figure = thumbnail_map_figure(latent_map)
        else:
            figure = map_figure(latent_map, arguments.colour)
        write_figure(figure, arguments.picture)
    facts = {
        "picture": str(arguments.picture),
        "galaxies": len(latent_map.index),
        "method": latent_map.method,
    }
    print(
        json.dumps(facts) if arguments.json else "{picture}: {galaxies:,} galaxies, {method}".format(**facts)
    )
    return 0
