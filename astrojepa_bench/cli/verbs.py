"""Every command in one table: what it is called, what it does, which arguments it takes, which module does it.

`--help` and all checks of spelling read this table and `arguments.py`, so they import neither a verb's module
nor anything heavy. The dispatcher imports the module of the one command that was asked for.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import NamedTuple

from astrojepa_bench.cli import arguments, board_arguments, component_arguments, query_arguments


class Verb(NamedTuple):
    """One command.

    Attributes:
        module: the module of this package whose `execute` does it; empty for a command that only has actions.
        summary: one line for `--help`.
        configure: declares its arguments on a parser.
        actions: what follows the verb, as in `data info`.
    """

    module: str
    summary: str
    configure: Callable[[ArgumentParser], None] = lambda _: None
    actions: Mapping[str, Verb] = {}


DATA_ACTIONS: Mapping[str, Verb] = {
    "info": Verb(
        "data_info",
        "Print the card of a dataset: counts per class and split, redshifts, defects, licence, citation.",
        arguments.data_info,
    ),
    "show": Verb(
        "data_show",
        "Draw a contact sheet: some galaxies of every class side by side.",
        arguments.data_show,
    ),
    "verify": Verb(
        "data_verify",
        "Read all of an HDF5 file or prepared folder: is it whole, is it published, what is wrong with it.",
        arguments.data_verify,
    ),
    "overlap": Verb(
        "data_overlap",
        "Find which galaxies of a dataset somebody pretrained on: by id, by sky and by pixels.",
        arguments.data_overlap,
    ),
    "prepare": Verb(
        "data_prepare",
        "Write a dataset once in random order, to train on more galaxies than memory holds.",
        arguments.data_prepare,
    ),
    "fetch": Verb(
        "data_fetch",
        "Download a published set; an interrupted download resumes where it stopped.",
        arguments.data_fetch,
    ),
}
BOARD_ACTIONS: Mapping[str, Verb] = {
    "build": Verb(
        "leaderboard",
        "Render the leaderboard of an output folder from its records.",
        board_arguments.build,
    ),
    "check": Verb(
        "leaderboard",
        "Compare a rendered leaderboard with its records; exit 3 if they disagree.",
        board_arguments.check,
    ),
    "compare": Verb(
        "leaderboard_compare",
        "Compare two entries, maskers or objectives in words: effect, interval, verdict, cost, what would decide.",
        board_arguments.compare,
    ),
    "merge": Verb(
        "leaderboard_merge",
        "Join the output folders of several machines, and build their leaderboard.",
        board_arguments.merge,
    ),
    "migrate": Verb(
        "leaderboard",
        "Give records of edition 1 their new ids.",
        board_arguments.migrate,
    ),
}
VERBS: Mapping[str, Verb] = {
    "run": Verb(
        "run",
        "Train and score objectives with maskers, and write the leaderboard.",
        arguments.run,
    ),
    "plan": Verb(  # `run`, rehearsed
        "run",
        "Show what `run` would do: what is there, what is missing, what is skipped and why, and how long it takes.",
        arguments.plan,
    ),
    "score": Verb(
        "score",
        "Add evaluators to a finished run without training; its record is rewritten.",
        arguments.score,
    ),
    "list": Verb(  # a module called list would hide the builtin here
        "catalogue",
        "List datasets, encoders, maskers, objectives, evaluators and suites, with options; or runs (list runs).",
        component_arguments.catalogue,
    ),
    "show": Verb(
        "show",
        "Explain one component or suite (linear, masker:random), or print one run (file, run id or latest).",
        component_arguments.show,
    ),
    "export": Verb(
        "export",
        "Write a run's scored encoder as a safetensors file that three lines of timm load.",
        arguments.export,
    ),
    "reproduce": Verb(
        "reproduce",
        "Run a record again: bit-equal, inside its prediction interval, or outside (exit 1).",
        arguments.reproduce,
    ),
    "leaderboard": Verb(
        "",
        "Build the leaderboard of an output folder, check it, join several folders, or migrate old records.",
        actions=BOARD_ACTIONS,
    ),
    "import-checkpoint": Verb(
        "import_checkpoint",
        "Turn a model trained elsewhere into a run, and score it if a dataset is given.",
        arguments.import_checkpoint,
    ),
    "data": Verb(
        "",
        "Look at galaxies: a card, a contact sheet, a check of a file; or prepare or fetch a set.",
        actions=DATA_ACTIONS,
    ),
    "embed": Verb(
        "embed",
        "Encode galaxies with a finished run, and write the latents with ids, labels and positions.",
        arguments.embed,
    ),
    "anomalies": Verb(
        "anomalies",
        "Rank galaxies by anomaly score: a table of scores, and a mosaic of the first 25.",
        arguments.anomalies,
    ),
    "latents": Verb(
        "latents",
        "Draw one galaxy: itself, context, targets, and how well each patch is predicted (or views compared).",
        query_arguments.latents,
    ),
    "map": Verb(  # nor may one be called map
        "latent_map",
        "Lay galaxies out on a plane by their latents, coloured by a column or drawn as thumbnails.",
        arguments.latent_map,
    ),
    "clusters": Verb(
        "clusters",
        "Cluster galaxies by k-means: classes in each cluster, typical members, purity against chance.",
        arguments.clusters,
    ),
    "neighbours": Verb(
        "neighbours",
        "Find the galaxies whose latents are most like those of a given one, and draw them as a strip.",
        query_arguments.neighbours,
    ),
    "predict": Verb(
        "predict",
        "Predict class and redshift of new galaxies by the probes of a finished run, each with its uncertainty.",
        query_arguments.predict,
    ),
    "report": Verb(
        "report",
        "Write everything about a run into one HTML page that needs no network.",
        arguments.report,
    ),
    "new": Verb(
        "new",
        "Write a working plugin to start from: masker, objective, encoder, evaluator or dataset.",
        component_arguments.new,
    ),
    "check": Verb(
        "check",
        "Check a component against the rules of its role; exit 1 if it breaks one.",
        component_arguments.check,
    ),
    "completion": Verb(
        "completion",
        "Print what makes a shell complete commands, names and options: bash, zsh or fish.",
        component_arguments.completion,
    ),
    "doctor": Verb(
        "doctor",
        "Check this machine: Python, packages, devices, cache and plugins.",
        component_arguments.doctor,
    ),
}
