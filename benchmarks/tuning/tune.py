"""Tune recipes without test galaxies: train each trial of a list, score it on labelled train and val galaxies.

    python benchmarks/tuning/tune.py benchmarks/tuning/galaxy_zoo2.toml benchmarks/tuning/galaxy_zoo2.csv DATA [1/2]

DATA is the folder that holds the files of the galaxies; with `1/2` every second trial is run, for two processes
that share a table. A trial is an objective, a masker, an encoder and options; lists of maskers or of options stand
for a trial each; `before` holds options that a trial has where it does not name them. Its row joins the CSV when it
ends, and a trial whose row is there is not run again; `seen` is how many images every trial is shown. The test
split is never encoded. Two scores of the same frozen features, best tap each:

* `val`: logistic regression fitted on train, C by validation log-loss, as the evaluator `linear` chooses it;
* `cv`: five-fold cross-validation over train and val together, four times as many galaxies as val alone. An
  objective that learns from train labels has seen four fifths of these, so it is chosen by `val`.

`knn` is leave-one-out over train and val, k = 20 and T = .07 as the evaluator `knn` has them.
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch.nn import functional as F

from astrojepa_bench.evaluation.extract import encode_rows
from astrojepa_bench.evaluators.probes.logistic import fit_logistic
from astrojepa_bench.evaluators.probes.standardise import Standardisation
from astrojepa_bench.files import locked
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.assemble import assemble, load_galaxies
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.runs.train import train

C_GRID = (1e-3, 1e-2, 1e-1, 1.0)  # weaker penalties overfit two thousand galaxies and take most of the time
FOLDS, NEIGHBOURS, TEMPERATURE = 5, 20, 0.07
KEYS = ("objective", "masker", "encoder", "seed", "options", "seen")


def main(trials_file, table_file, folder, part="1/1"):
    """Run the trials that the table lacks, one after the other."""
    wanted = read_trials(trials_file, folder)
    done = {tuple(row[key] for key in KEYS) for row in read_rows(table_file)}
    registry, loaded = load_registry(), {}
    index, count = map(int, part.split("/"))
    for trial in wanted["trial"][index - 1 :: count]:
        key = key_of(trial, wanted["seen"])
        if tuple(key.values()) in done:
            continue
        plan = make_plan(request_of(wanted, trial), registry)
        plan = replace(plan, budget=replace(plan.budget, seen=wanted["seen"]))
        if not loaded:
            loaded["galaxies"] = galaxies_of(wanted, plan)
        row = {**key, **run_trial(plan, loaded["galaxies"])}
        append_row(table_file, row)
        print(json.dumps(row), flush=True)


def read_trials(trials_file, folder):
    """Read a list of trials: lists of maskers and of options spelt out, and files in their folder."""
    wanted = read_list(trials_file, folder)
    return {**wanted, "trial": [each for trial in wanted["trial"] for each in spelt_out(trial)]}


def read_list(listed, folder):
    """Read a list of trainings, the files of its galaxies in their folder."""
    wanted = tomllib.loads(Path(listed).read_text())
    files = wanted["dataset"]["options"]
    wanted["dataset"]["options"] = {name: str(Path(folder) / file) for name, file in files.items()}
    return wanted


def spelt_out(trial):
    """Make one trial of every option with every masker."""
    several = {"masker": trial.get("masker", "none"), "options": trial.get("options", {})}
    listed = {key: value if isinstance(value, list) else [value] for key, value in several.items()}
    for options, masker in itertools.product(listed["options"], listed["masker"]):
        yield {**trial, "masker": masker, "options": options}


def key_of(trial, seen):
    """Return what tells one trial from another, as the CSV holds it."""
    return {
        "objective": trial["objective"],
        "masker": trial["masker"],
        "encoder": trial.get("encoder", ""),
        "seed": str(trial.get("seed", 0)),
        "options": json.dumps(trial["options"], sort_keys=True),
        "seen": str(seen),
    }


def request_of(wanted, trial):
    """Ask for the one cell of a trial."""
    encoders = [trial["encoder"]] if "encoder" in trial else []
    options = {**trial.get("before", {}), **trial["options"]}
    return make_request(
        {
            "objectives": [trial["objective"]],
            "maskers": [trial["masker"]],
            "encoders": encoders,
            "seeds": [trial.get("seed", 0)],
            "dataset": wanted["dataset"]["name"],
            "budget": wanted.get("budget", "small"),
            "floors": False,
            "settings": {"dataset": wanted["dataset"]["options"], "objective": options},
        }
    )


def galaxies_of(wanted, plan):
    """Load the galaxies of a list of trials, on its device."""
    return load_galaxies(
        plan.dataset,
        plan.budget.size_px,
        make_request({"objectives": ["-"]}).cache,
        torch.device(wanted.get("device", "cpu")),
    )


def run_trial(plan, galaxies):
    """Train one cell and score it without test galaxies."""
    cell = plan.cells[0]
    trained = train(assemble(cell, galaxies), galaxies, plan.budget, cell.seed)
    curves = {"total": trained.training.loss_curve, **trained.training.term_curves}
    return {
        **scores(features_of(trained.objective.scored_encoder, galaxies), galaxies.table),
        "effective_rank": round(trained.health["effective_rank"], 2),
        "collapsed": trained.status == "collapsed",
        "seconds": round(trained.cost.train_seconds),
        "terms": json.dumps({name: round(curve[-1][1], 4) for name, curve in curves.items() if curve}),
    }


def features_of(encoder, galaxies):
    """Read every tap of the labelled train and val galaxies."""
    return encode_rows(encoder.eval(), galaxies.images, labelled(galaxies.table))


def labelled(table):
    """List the labelled galaxies that a recipe may be chosen on."""
    rows = table.rows("train", "val")
    return rows[table.label[rows] >= 0]


def scores(features, table):
    """Score every tap and keep the best of each kind."""
    rows = labelled(table)
    label, is_val = table.label[rows], table.split[rows] == "val"
    held = {tap: held_out(values, label, is_val) for tap, values in features.items()}
    crossed = {tap: cross_validated(values, label) for tap, values in features.items()}
    voted = {tap: leave_one_out(values, label) for tap, values in features.items()}
    tap = min(crossed, key=lambda name: crossed[name][0])
    val = min(held.values())
    return {
        "val_accuracy": round(val[1], 4),
        "val_log_loss": round(val[0], 4),
        "cv_accuracy": round(crossed[tap][1], 4),
        "cv_log_loss": round(crossed[tap][0], 4),
        "tap": tap,
        "knn": round(max(voted.values()), 4),
    }


def held_out(features, label, is_val):
    """Compute the log-loss and accuracy on val of the C with the least log-loss."""
    loss, right = fitted(features, label, ~is_val, is_val)
    best = loss.mean(axis=1).argmin()
    return float(loss[best].mean()), float(right[best].mean())


def cross_validated(features, label):
    """Compute the same over five folds, one C for all of them."""
    loss, right = np.zeros((len(C_GRID), len(label))), np.zeros((len(C_GRID), len(label)))
    for rest, fold in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(label, label):
        loss[:, fold], right[:, fold] = fitted(features, label, rest, fold)
    best = loss.mean(axis=1).argmin()
    return float(loss[best].mean()), float(right[best].mean())


def fitted(features, label, train, test):
    """Fit every C on some galaxies; return log-loss and correctness of each of the others."""
    scaling = Standardisation.fit(features[train])
    fits = fit_logistic(scaling(features[train]), torch.as_tensor(label[train]), C_GRID)
    logits, truth = fits.logits(scaling(features[test])), torch.as_tensor(label[test])
    loss = torch.stack([F.cross_entropy(fit, truth, reduction="none") for fit in logits])
    return loss.numpy(), (logits.argmax(dim=2) == truth).numpy()


def leave_one_out(features, label):
    """Compute the accuracy of the weighted vote of each galaxy's neighbours."""
    unit = F.normalize(features - features.mean(dim=0), dim=1)
    nearest, voter = (unit @ unit.T).fill_diagonal_(-2).topk(NEIGHBOURS, dim=1)
    weight = ((nearest - nearest[:, :1]) / TEMPERATURE).exp()
    votes = torch.zeros(len(unit), int(label.max()) + 1).scatter_add_(
        1, torch.as_tensor(label)[voter], weight
    )
    return float((votes.argmax(dim=1).numpy() == label).mean())


def read_rows(path):
    """Read the table; nothing where there is none."""
    if not Path(path).exists():
        return []
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def append_row(path, row):
    """Add one row, with a header to a new table."""
    with locked(Path(path)), Path(path).open("a", newline="") as file:
        new = not file.tell()
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main(*sys.argv[1:])
