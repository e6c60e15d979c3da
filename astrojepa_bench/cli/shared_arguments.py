"""Arguments that several commands take, declared once; no library but argparse is imported."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _ArgumentGroup
from collections.abc import Sequence
from pathlib import Path

from astrojepa_bench.explore.endings import ENDINGS, listed

RUNS = Path("astrojepa-runs")
PICTURE = f"picture to write: {listed(ENDINGS['picture'])}"
TABLE = f"table to write: {listed(ENDINGS['table'])}"


def common(parser: ArgumentParser) -> None:
    """Declare the arguments that every command takes, before or after its name."""
    group = parser.add_argument_group("on every command")
    group.add_argument("--debug", action="store_true", help="show tracebacks")
    group.add_argument(
        "--plugin", action="append", type=Path, default=[], metavar="PATH",
        help="load a plugin file, or a folder of them (repeatable)",
    )  # fmt: skip
    group.add_argument("--strict-plugins", action="store_true", help="stop at the first plugin that fails")


def looking(parser: ArgumentParser, **products: str) -> None:
    """Declare the arguments of commands that look at a run.

    Args:
        parser: of the command.
        products: what the command can write, by the words of `ENDINGS`, each with its help; the first is what an
            unknown ending is taken for.
    """
    one_run(parser)
    writing(parser, **products)
    parser.add_argument(
        "-d", "--dataset", metavar="DATA", help="galaxies, by name or path (default: the run's test galaxies)"
    )
    settings(parser, "dataset")
    cache(parser)
    device(parser)
    json_flag(parser)


def writing(parser: ArgumentParser, **products: str) -> None:
    """Declare what a command that opens a run writes, and with `--out` the folder that the run lies in.

    `--out FILE` may stand for the flag of a product: a name with an ending, where no folder lies, is a file.
    """
    for word, what in products.items():
        parser.add_argument(f"--{word}", type=Path, metavar="FILE", help=what)
    parser.add_argument(
        "--out", "--runs", type=Path, default=RUNS, metavar="DIR", action=_FolderOrProduct,
        help="output folder that the run lies in (default: %(default)s)",
    )  # fmt: skip
    parser.set_defaults(products=tuple(products), needs_product=True)


class _FolderOrProduct(Action):
    """Keep a folder of runs as `out`, and a file under the word of what it is."""

    def __call__(
        self, parser: ArgumentParser, given: Namespace, values: object, option_string: str | None = None
    ) -> None:
        """Tell a folder from a file by what lies there and by the ending of its name."""
        path = Path(str(values))
        products: Sequence[str] = parser.get_default("products")
        if option_string == "--runs" or not path.suffix or path.is_dir():
            word = "out"
        else:  # an ending that none has is the first one's: its check names the right ones
            word = next((each for each in products if path.suffix.lower() in ENDINGS[each]), products[0])
        setattr(given, word, path)


def target(parser: ArgumentParser) -> None:
    """Declare the galaxies that an action of `data` looks at."""
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="a dataset (see `list datasets`), an HDF5 or Parquet file, a folder or a zip; or -d TARGET",
    )
    parser.add_argument("--size", type=int, default=64, metavar="PX", help="image size (default: 64)")
    settings(parser, "dataset")
    bad_image(parser)
    cache(parser)
    json_flag(parser)


def one_run(parser: ArgumentParser) -> None:
    """Declare the run that a command opens."""
    parser.add_argument(
        "run", metavar="RUN", help="a record's .json, the first letters of a run id, or latest"
    )


def runs_folder(parser: ArgumentParser) -> None:
    """Declare the folder in which run ids are looked up."""
    parser.add_argument(
        "--out",
        type=Path,
        default=RUNS,
        metavar="DIR",
        help="output folder, with records below runs/ (default: %(default)s)",
    )


def settings(parser: ArgumentParser, kind: str) -> None:
    """Declare `--set`, for options of components."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar=f"{kind}.OPTION=VALUE",
        help="set an option (repeatable)",
    )


def bad_image(parser: ArgumentParser) -> None:
    """Declare what happens to images that cannot be read."""
    parser.add_argument(
        "--on-bad-image", choices=("fail", "skip"), help="unreadable images: stop (default), or leave out"
    )


def cache(parser: ArgumentParser) -> None:
    """Declare where converted galaxies are kept."""
    parser.add_argument("--cache", type=Path, metavar="DIR", help="cache folder for converted galaxies")


def device(parser: ArgumentParser, default: str | None = "auto") -> None:
    """Declare where to compute."""
    parser.add_argument("--device", default=default, metavar="NAME", help="auto (default), cpu or cuda")


def isolation(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Declare how many cells run at once, and how far they are kept apart."""
    parser.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        help="run N cells at once, each in its process, with torch's threads divided by N (default: 1)",
    )
    parser.add_argument(
        "--isolate",
        action="store_true",
        help="run each cell in a process of its own; a crash there ends no other (a few seconds more a cell)",
    )
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        help="end a cell that takes longer, such as 90s, 15m or 2h; implies --isolate (default: no limit)",
    )


def executor(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Declare where cells run."""
    parser.add_argument(
        "--executor", metavar="NAME",
        help="local (default); slurm: write an array script below --out, --submit it or do so by hand; or ray",
    )  # fmt: skip
    parser.add_argument(
        "--executor-option", action="append", metavar="NAME=VALUE",
        help="what a task takes (repeatable): options of sbatch, such as time=2:00:00, mem=16G, partition=main, "
        "gres=gpu:1, cpus-per-task=8; or num_cpus, num_gpus, memory of a cell on Ray",
    )  # fmt: skip
    parser.add_argument("--submit", action="store_true", help="with slurm: hand the script to sbatch")
    parser.add_argument(
        "--ray-address", metavar="HOST:PORT",
        help="cluster of Ray, or auto for one that runs here (default: RAY_ADDRESS, else one for this command)",
    )  # fmt: skip


def overlap(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Declare what is known of the galaxies that weights from a file have seen."""
    parser.add_argument(
        "--overlap", type=Path, metavar="FILE", help="certificate of `data overlap`, for weights from a file"
    )


def json_flag(parser: ArgumentParser, what: str = "print JSON") -> None:
    """Declare `--json`; `what` describes what is printed."""
    parser.add_argument("--json", action="store_true", help=what)
