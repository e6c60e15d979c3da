"""The arguments of every command, one function a command; argparse and nothing else is imported.

What several commands take stands in `shared_arguments.py`, what the actions of `leaderboard` take in
`board_arguments.py`, what is asked of components and of the machine in `component_arguments.py`, and of single
galaxies in `query_arguments.py`.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from astrojepa_bench.cli.shared_arguments import PICTURE, RUNS, TABLE
from astrojepa_bench.cli.shared_arguments import bad_image as _bad_image
from astrojepa_bench.cli.shared_arguments import cache as _cache
from astrojepa_bench.cli.shared_arguments import device as _device
from astrojepa_bench.cli.shared_arguments import executor as _executor
from astrojepa_bench.cli.shared_arguments import isolation as _isolation
from astrojepa_bench.cli.shared_arguments import json_flag as _json
from astrojepa_bench.cli.shared_arguments import looking as _looking
from astrojepa_bench.cli.shared_arguments import one_run as _run
from astrojepa_bench.cli.shared_arguments import overlap as _overlap
from astrojepa_bench.cli.shared_arguments import runs_folder as _runs_folder
from astrojepa_bench.cli.shared_arguments import settings as _settings
from astrojepa_bench.cli.shared_arguments import target as _target
from astrojepa_bench.cli.shared_arguments import writing as _writing
from astrojepa_bench.explore.endings import ENDINGS, listed

# --- runs ------------------------------------------------------------------------------------------------


def run(parser: ArgumentParser) -> None:
    """Declare the arguments of `run`; what is not given comes from --config, then from the defaults."""
    parser.epilog = """examples:
  astrojepa-bench run --objective OBJECTIVE --masker MASKER
  astrojepa-bench run -o A,B -m random,MASKER -d hdf5 --set dataset.path=FILE.h5 --seeds 3 --out board
  astrojepa-bench run --suite galaxy-suite-1 --data gz2=FOLDER --budget small --seeds 20 --out board
  astrojepa-bench run --suite baseline --executor slurm --executor-option mem=16G --submit --out board

The same command again does only what is missing. `astrojepa-bench list` shows all names."""
    names = parser.add_argument_group("what competes (repeatable, or separated by commas)")
    names.add_argument("-o", "--objective", action="append", metavar="NAME", help="self-supervised objective")
    names.add_argument("-m", "--masker", action="append", metavar="NAME", help="masker (default: random)")
    names.add_argument(
        "-e", "--encoder", action="append", metavar="NAME", help="encoder (default: the budget's)"
    )
    names.add_argument("--suite", metavar="NAME", help="a named grid instead of -o and -m (list suites)")
    ruler = parser.add_argument_group("how it is measured")
    ruler.add_argument(
        "-d", "--dataset", metavar="DATA", help="galaxies, by name or path (default: synthetic)"
    )
    ruler.add_argument("--data", action="append", metavar="KEY=PATH", help="files of a suite's data set")
    ruler.add_argument("-E", "--evaluator", action="append", metavar="NAME", help="evaluator, core or full")
    ruler.add_argument("--budget", metavar="NAME", help="smoke, small (default), standard or long")
    ruler.add_argument("--seeds", metavar="N", help="how many seeds, or a list such as 0,4 (default: 1)")
    ruler.add_argument("--match", metavar="WHAT", help="equal for all: images seen (default), or flops spent")
    ruler.add_argument(
        "--precision", metavar="WHAT", help="of training: auto (default: bf16 on a GPU), float32 or bf16"
    )
    ruler.add_argument(
        "--pretraining",
        type=int,
        metavar="N",
        help="pretrain on at most N galaxies; images seen stay the same",
    )
    ruler.add_argument("--labels", metavar="N", help="tell who reads labels N of them, or a share: 10%%")
    ruler.add_argument("--no-floors", action="store_true", help="do not score the floors with the entries")
    ruler.add_argument(
        "--shard", metavar="I/N", help="only the I-th of N parts of the grid, for N machines (I from 1 to N)"
    )
    _overlap(ruler)
    _isolation(ruler)
    _executor(parser.add_argument_group("where it runs"))
    _settings(parser, "KIND")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file; flags override it")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"output folder (default: {RUNS})")
    _cache(parser)
    _bad_image(parser)
    _device(parser, default=None)
    _json(parser, "print only JSON: records, ids of the runs trained now, board")
    parser.add_argument(
        "--observer", action="append", metavar="NAME",
        help="let an observer of a plugin follow the trainings and write below --out, such as live curves",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done, as `plan` does")


def plan(parser: ArgumentParser) -> None:
    """Declare the arguments of `plan`: those of `run`, of which it is the rehearsal."""
    run(parser)
    parser.set_defaults(dry_run=True)
    parser.epilog = """examples:
  astrojepa-bench plan --suite baseline --budget small --seeds 3 --out board
  astrojepa-bench plan -o A -m random --shard 2/4 --json

Nothing is trained and nothing is written below --out. Minutes follow from runs that --out holds."""


def reproduce(parser: ArgumentParser) -> None:
    """Declare the arguments of `reproduce`."""
    parser.epilog = """examples:
  astrojepa-bench reproduce 3f9a2c
  astrojepa-bench reproduce 3f9a2c --out leaderboard --set dataset.path=FILE.h5 --record

Exit code 1: the run ended outside its prediction interval."""
    _run(parser)
    parser.add_argument(
        "-d", "--dataset", metavar="DATA", help="where the run's galaxies lie now, by name or path"
    )
    _settings(parser, "KIND")
    _runs_folder(parser)
    parser.add_argument(
        "--record", action="store_true", help="write the verdict into the record, and rebuild its board"
    )
    _cache(parser)
    _device(parser, default=None)
    _json(parser, "print only JSON: verdict and scores")


def score(parser: ArgumentParser) -> None:
    """Declare the arguments of `score`."""
    parser.epilog = """examples:
  astrojepa-bench score 3f9a2c -E redshift,factors
  astrojepa-bench score board/runs/…/3f9a….json -E full --set dataset.path=FILE.h5"""
    _run(parser)
    parser.add_argument(
        "-E", "--evaluator", action="append", required=True, metavar="NAME",
        help="evaluator, core or full (repeatable, or separated by commas)",
    )  # fmt: skip
    parser.add_argument(
        "-d", "--dataset", metavar="DATA", help="galaxies, by name or path (default: the run's)"
    )
    _settings(parser, "KIND")
    _runs_folder(parser)
    _cache(parser)
    _device(parser)
    _json(parser, "print only JSON: record and board")


def import_checkpoint(parser: ArgumentParser) -> None:
    """Declare the arguments of `import-checkpoint`."""
    parser.epilog = """examples:
  astrojepa-bench import-checkpoint 100jepa.pth --out zoo
  astrojepa-bench import-checkpoint 100jepa.pth --out zoo -d galaxy10 -E full

The file is read without running any code in it."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the checkpoint, in a format that a plugin reads"
    )
    parser.add_argument("--format", metavar="NAME", help="format of the file (default: the first that fits)")
    parser.add_argument(
        "--out", type=Path, default=RUNS, metavar="DIR", help="output folder (default: %(default)s)"
    )
    parser.add_argument(
        "-d",
        "--dataset",
        metavar="DATA",
        help="galaxies to score it on, by name or path (default: not scored)",
    )
    parser.add_argument(
        "-E", "--evaluator", action="append", metavar="NAME", help="evaluator, core (default) or full"
    )
    _settings(parser, "KIND")
    _bad_image(parser)
    _cache(parser)
    _device(parser)
    _json(parser, "print only JSON: records and board")


def export(parser: ArgumentParser) -> None:
    """Declare the arguments of `export`."""
    parser.epilog = "example:\n  astrojepa-bench export 3f9a2c --weights encoder.safetensors"
    _run(parser)
    _writing(parser, weights=f"file to write: {listed(ENDINGS['weights'])}")
    _json(parser)


# --- galaxies --------------------------------------------------------------------------------------------


def data_info(parser: ArgumentParser) -> None:
    """Declare the arguments of `data info`."""
    parser.epilog = """examples:
  astrojepa-bench data info galaxies.h5
  astrojepa-bench data info folder --set dataset.path=images --set dataset.label=class"""
    _target(parser)


def data_show(parser: ArgumentParser) -> None:
    """Declare the arguments of `data show`."""
    parser.epilog = """examples:
  astrojepa-bench data show synthetic --picture sheet.png
  astrojepa-bench data show galaxies.h5"""
    _target(parser)
    parser.add_argument(
        "--picture", "--out", type=Path, metavar="FILE", help="picture to write (default: TARGET.png)"
    )
    parser.add_argument("--per-class", type=int, default=6, metavar="N", help="galaxies of each class")


def data_verify(parser: ArgumentParser) -> None:
    """Declare the arguments of `data verify`."""
    parser.epilog = "example:\n  astrojepa-bench data verify Galaxy10_DECals.h5"
    parser.add_argument("file", type=Path, metavar="FILE", help="an HDF5 file, or a folder of `data prepare`")
    _json(parser)


def data_overlap(parser: ArgumentParser) -> None:
    """Declare the arguments of `data overlap`."""
    parser.epilog = """examples:
  astrojepa-bench data overlap galaxies.h5 their_images.zip
  astrojepa-bench data overlap galaxy10 pretrained_on.csv --radius 3 --certificate overlap.json

LIST is a table (CSV, Parquet, FITS) with a column id, or ra and dec, or all three; a text file with an id a line;
or images (HDF5, zip, folder). `run --overlap overlap.json` discloses what was found."""
    _target(parser)
    parser.add_argument("list", type=Path, metavar="LIST", help="galaxies that somebody pretrained on")
    parser.add_argument(
        "--radius",
        type=float,
        default=5.0,
        metavar="ARCSEC",
        help="positions as near as this are one galaxy's (default: 5)",
    )
    parser.add_argument(
        "--certificate", "--out", type=Path, metavar="FILE", help="certificate to write: .json"
    )


def data_prepare(parser: ArgumentParser) -> None:
    """Declare the arguments of `data prepare`."""
    parser.epilog = """examples:
  astrojepa-bench data prepare survey.h5 --out ./shuffled
  astrojepa-bench data prepare folder --set dataset.path=IMAGES --set dataset.pool=MORE --size 224 --out ./shuffled
  astrojepa-bench run -o A -m random -d ./shuffled

The same command again finds the folder as it is. `data verify ./shuffled` compares all checksums."""
    _target(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the order (default: 0)")


def data_fetch(parser: ArgumentParser) -> None:
    """Declare the arguments of `data fetch`."""
    parser.epilog = """examples:
  astrojepa-bench data fetch galaxy10
  astrojepa-bench data fetch galaxy10 --release sdss"""
    parser.add_argument("published", metavar="DATASET", choices=["galaxy10"], help="galaxy10")
    parser.add_argument(
        "--release",
        choices=["decals", "sdss"],
        default="decals",
        help="which release (default: decals, 2.5 GB)",
    )
    parser.add_argument(
        "--from", dest="mirror", metavar="URL", help="another server; the checksum is still verified"
    )
    parser.add_argument("--cache", type=Path, help="folder to keep it in (default: the user's cache)")
    _json(parser)


# --- looking at a run ------------------------------------------------------------------------------------


def embed(parser: ArgumentParser) -> None:
    """Declare the arguments of `embed`."""
    parser.epilog = """examples:
  astrojepa-bench embed 3f9a2c --latents latents.h5
  astrojepa-bench embed latest --out board -d my_images/ --latents latents.fits"""
    _looking(parser, latents=f"latents to write: {listed(ENDINGS['latents'])}")


def anomalies(parser: ArgumentParser) -> None:
    """Declare the arguments of `anomalies`."""
    parser.epilog = """examples:
  astrojepa-bench anomalies 3f9a2c --table odd.csv
  astrojepa-bench anomalies latest --out board -d my_images/ --by max_mse --table odd.fits"""
    _looking(
        parser,
        table=f"{TABLE}; the mosaic is written next to it as .png",
    )
    parser.add_argument(
        "--by",
        default="knn_distance",
        metavar="SCORE",
        help="anomaly score to rank by (default: %(default)s)",
    )
    parser.add_argument(
        "--draws", type=int, default=16, metavar="N",
        help="average prediction errors over N draws of masks (default: %(default)s); fewer take less time",
    )  # fmt: skip


def latent_map(parser: ArgumentParser) -> None:
    """Declare the arguments of `map`."""
    parser.epilog = """examples:
  astrojepa-bench map 3f9a2c --picture map.png
  astrojepa-bench map 3f9a2c --method pca --colour redshift --picture map.pdf
  astrojepa-bench map latest --out board --thumbnails --picture map.png"""
    _looking(parser, picture=PICTURE)
    parser.add_argument("--method", default="tsne", metavar="NAME", help="tsne (default), umap or pca")
    look = parser.add_mutually_exclusive_group()
    look.add_argument(
        "--colour", metavar="COLUMN",
        help="class, redshift, knn_distance or any other column (default: the first of these that is known)",
    )  # fmt: skip
    look.add_argument("--thumbnails", action="store_true", help="draw the galaxies themselves on the map")


def clusters(parser: ArgumentParser) -> None:
    """Declare the arguments of `clusters`."""
    parser.epilog = """examples:
  astrojepa-bench clusters 3f9a2c --picture clusters.png
  astrojepa-bench clusters latest --out board --table members.fits"""
    _looking(parser, picture=PICTURE, table=f"{TABLE}, a row a galaxy")
    parser.add_argument(
        "--clusters", type=int, metavar="K",
        help="number of clusters (default: one per class; without labels 10 or fewer)",
    )  # fmt: skip


def report(parser: ArgumentParser) -> None:
    """Declare the arguments of `report`."""
    parser.epilog = """examples:
  astrojepa-bench report 3f9a2c --page report.html
  astrojepa-bench report latest --out board -d my_images/ --page report.html"""
    _looking(parser, page=f"page to write: {listed(ENDINGS['page'])}")
