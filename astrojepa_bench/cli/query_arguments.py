"""The arguments of commands that ask about single galaxies: how one is named, and what is told of it."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from astrojepa_bench.cli.shared_arguments import PICTURE, TABLE, looking

RADIUS = 5.0  # arcsec


def latents(parser: ArgumentParser) -> None:
    """Declare the arguments of `latents`."""
    parser.epilog = """examples:
  astrojepa-bench latents 3f9a2c --index 3 --picture latents.png
  astrojepa-bench latents latest --out board --image my_galaxy.jpg --picture latents.png --table patches.csv"""
    looking(parser, picture=PICTURE, table=f"{TABLE}, a row a patch")
    _galaxy(parser, "galaxy")


def neighbours(parser: ArgumentParser) -> None:
    """Declare the arguments of `neighbours`."""
    parser.epilog = """examples:
  astrojepa-bench neighbours 3f9a2c --index 3 --picture neighbours.png
  astrojepa-bench neighbours 3f9a2c --ra 184.23 --dec -1.5 --table like_it.fits
  astrojepa-bench neighbours latest --out board --image my_galaxy.jpg --among train --picture like_mine.png"""
    looking(parser, picture=PICTURE, table=TABLE)
    parser.set_defaults(needs_product=False)
    _galaxy(parser, "query")
    _among(parser)


def predict(parser: ArgumentParser) -> None:
    """Declare the arguments of `predict`."""
    parser.epilog = """examples:
  astrojepa-bench predict 3f9a2c -d new_images/ --table predicted.csv
  astrojepa-bench predict latest --out board -d new.h5 --latents --table predicted.fits

Classes are those of the galaxies that the run was scored on. Nothing is fitted to the new ones."""
    looking(parser, table=TABLE)
    parser.set_defaults(needs_product=False)
    parser.add_argument("--latents", action="store_true", help="add the features of each galaxy to the table")


def _galaxy(parser: ArgumentParser, what: str) -> None:
    """Declare the ways to name one galaxy; `what` it is to the command."""
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("--index", type=int, metavar="N", help=f"index of the {what}, counted from 0")
    one.add_argument("--id", metavar="ID", help=f"id of the {what}")
    one.add_argument("--ra", type=float, metavar="DEG", help=f"place of the {what} on the sky, with --dec")
    one.add_argument("--image", type=Path, metavar="FILE", help=f"picture of your own as the {what}")
    parser.add_argument("--dec", type=float, metavar="DEG", help="the other half of --ra")
    parser.add_argument(
        "--radius", type=float, default=RADIUS, metavar="ARCSEC",
        help="how far from --ra, --dec the galaxy may be (default: %(default)s)",
    )  # fmt: skip


def _among(parser: ArgumentParser) -> None:
    """Declare where neighbours are looked for, if not where the query is."""
    parser.add_argument(
        "--among", metavar="DATA",
        help="search these: train, val or test of the run's own galaxies, or a dataset by name or path (default: "
        "the galaxies of the query; of a picture, those of -d)",
    )  # fmt: skip
