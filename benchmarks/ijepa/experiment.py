"""Does I-JEPA learn on galaxies? Do one arm of `experiment.toml`, or score B's test galaxies, once.

    python benchmarks/ijepa/experiment.py A|B|C|D|score DATA OUT [--list TOML] [--tables FOLDER]

DATA is the folder that holds the files of the galaxies. Each training is a row of `trials.csv`; those of B are kept
in OUT as runs of the harness, and leave points of their way in `curves.csv`. What is there is not done again, and
what another process works on is left to it: start the same command twice to use two cores. C and D need A's winner.
`score` wants all of B to be trained, and is the only one that encodes a test galaxy. `verdict.py` reads the answer.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tuning"))

import tune

from astrojepa_bench.board.render import write_board
from astrojepa_bench.cli.console import progress
from astrojepa_bench.errors import BenchError, ConfigError, DivergedError
from astrojepa_bench.evaluation.score import Scored
from astrojepa_bench.events import emit, listening
from astrojepa_bench.files import LockedError, locked
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.galaxy_places import GalaxyPlaces
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import assemble
from astrojepa_bench.runs.cell import record_of, run_cell, write_record
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.plan import Plan, make_plan
from astrojepa_bench.runs.train import kept, train
from astrojepa_bench.runs.weights import DataFacts, write_weights
from astrojepa_bench.streams import python_and_numpy_kept
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.loop import MONITOR_POINTS, Trainer

HERE = Path(__file__).parent
ARMS = ("A", "B", "C", "D")
TRIALS, CURVES = "trials.csv", "curves.csv"
SCORES = ("cv_log_loss", "cv_accuracy", "val_log_loss", "val_accuracy", "knn", "tap")


def main(arguments=None):
    """Do an arm, or score."""
    asked = read_arguments(arguments)
    try:
        with progress():
            experiment = Experiment(asked.list, asked.data, asked.out, asked.tables)
            if asked.arm == "score":
                experiment.score()
            else:
                experiment.do(asked.arm)
    except BenchError as error:
        sys.exit(f"error: {error}")


def read_arguments(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arm", choices=[*ARMS, "score"])
    parser.add_argument("data", type=Path, help="folder of the galaxies' files")
    parser.add_argument("out", type=Path, help="folder of B's runs")
    parser.add_argument("--list", type=Path, default=HERE / "experiment.toml")
    parser.add_argument("--tables", type=Path, default=HERE, help=f"folder of {TRIALS} and {CURVES}")
    return parser.parse_args(arguments)


@dataclass(frozen=True)
class Job:
    """One training of an arm, and the run that it would be; `given` are its objective's options in the list."""

    arm: str
    cell: Cell
    context: RunContext
    given: dict

    @property
    def run_id(self):
        """Return the id of the run."""
        return RunIdentity.of(self.cell, self.context.galaxies, self.context.budget).run_id

    @property
    def facts(self):
        """Return what tells it from others, as the tables hold it."""
        cell = self.cell
        options = {kind: part.altered for kind, part in cell.components.items() if part.altered}
        parts = {"objective": cell.objective.name, "masker": cell.masker.name, "encoder": cell.encoder.name}
        return {
            "arm": self.arm, **parts, "options": json.dumps(options, sort_keys=True), "seed": cell.seed,
            "run_id": self.run_id,
        }  # fmt: skip


class Experiment:
    """All arms on one set of galaxies.

    Args:
        listed: the list of trainings.
        data: folder of the galaxies' files.
        out: folder of the runs that are kept, and of what says who works on what.
        tables: folder of the tables.
    """

    def __init__(self, listed, data, out, tables):
        self.wanted = tune.read_list(listed, data)
        self.store, self.tables = Store(Path(out)), Path(tables)
        self.registry, self._galaxies = load_registry(), None
        self.store.prepare()
        self.tables.mkdir(parents=True, exist_ok=True)

    def do(self, arm):
        """Do the trainings of an arm that the table lacks and nobody else works on."""
        jobs = [*self.jobs(arm)]
        for index, job in enumerate(jobs, 1):
            try:
                with locked(self.store.lease_path(f"{arm}-{job.run_id}"), wait=False):
                    self._do(job, index, len(jobs))
            except LockedError:
                emit("note", text=f"[{index}/{len(jobs)}] {job.cell.label}: another process works on it")

    def _do(self, job, index, total):
        label = job.cell.label
        if (job.arm, job.run_id) in {
            (row["arm"], row["run_id"]) for row in tune.read_rows(self.tables / TRIALS)
        }:
            emit("note", text=f"[{index}/{total}] {label}: already done")
            return
        began = time.perf_counter()
        emit("cell_started", index=index, total=total, label=f"{job.arm}: {label}", run_id=job.run_id)
        row = self.row_of(job)
        tune.append_row(self.tables / TRIALS, row)
        summary = f"log-loss {row['cv_log_loss']}, rank {row['effective_rank']}"
        ended = {"status": row["status"], "summary": summary, "seconds": time.perf_counter() - began}
        emit("cell_ended", label=f"{job.arm}: {label}", **ended)

    def score(self):
        """Score the test galaxies of B by the harness's evaluators, and write the board of its folder.

        Raises:
            ConfigError: not all of B is trained.
        """
        jobs = [*self.jobs("B")]
        missing = [job.cell.label for job in jobs if self.store.recall(job.run_id) is None]
        if missing:
            raise ConfigError(
                f"{len(missing)} of {len(jobs)} trainings of B are missing ({missing[0]}, …); test galaxies are "
                "scored once, after all of them: do arm B first"
            )
        for index, job in enumerate(jobs, 1):
            run_cell(job.cell, job.context, index=index, total=len(jobs))
        write_board(self.store.out)

    # --- what an arm is made of -------------------------------------------------------------------------------

    def jobs(self, arm) -> Iterator[Job]:
        """List the trainings of an arm, each run once.

        Raises:
            ConfigError: it rests on a winner, and A is not done.
        """
        seen = set()
        for trial in self.wanted[arm]["trial"]:
            for each in tune.spelt_out(trial):
                for seed in self.wanted[arm]["seeds"]:
                    job = self.job(arm, each, seed)
                    if job.run_id not in seen:  # the winner may be the default
                        seen.add(job.run_id)
                        yield job

    def job(self, arm, trial, seed):
        """Plan one training of an arm, with the galaxies, the evaluators and the budget of its run."""
        own = self.winner if trial.get("winner") else {}
        trial = {**trial, "seed": seed, "options": {**own, **trial["options"]}}
        plan = self.plan(trial, self.wanted[self.wanted[arm].get("match", arm)]["seen"])
        if "match" in self.wanted[arm]:
            budget = replace(plan.budget, flops=self.flops_of(self.wanted[arm]["match"]))
            plan = replace(plan, budget=budget)
        command = shlex.join(["python", f"benchmarks/ijepa/{Path(__file__).name}", arm])
        context = RunContext(self.galaxies(plan), plan.budget, plan.evaluators, self.store, command)
        return Job(arm, plan.cells[0], context, trial["options"])

    def plan(self, trial, seen) -> Plan:
        """Plan the one cell of a trial."""
        asked = tune.request_of(self.wanted, trial)
        settings = {**asked.settings, "masker": trial.get("masker_options", {})}
        asked = asked.model_copy(
            update={"settings": settings, "evaluators": tuple(self.wanted["evaluators"])}
        )
        plan = make_plan(asked, self.registry)
        return replace(plan, budget=replace(plan.budget, seen=seen))

    def galaxies(self, plan):
        """Load the galaxies, once; the folder of the runs remembers where they lie."""
        if self._galaxies is None:
            self._galaxies = tune.galaxies_of(self.wanted, plan)
            fingerprint = self._galaxies.table.fingerprint
            GalaxyPlaces(self.store.out).keep(fingerprint, plan.dataset.name, plan.dataset.options)
        return self._galaxies

    @cached_property
    def winner(self):
        """Return the options of A's winner: the least cross-validated log-loss.

        Raises:
            ConfigError: not all of A is done.
        """
        rows = {row["run_id"]: row for row in tune.read_rows(self.tables / TRIALS) if row["arm"] == "A"}
        jobs = [job for job in self.jobs("A") if job.cell.objective.offer.declares("trains")]
        done = [job for job in jobs if job.run_id in rows]
        if len(done) < len(jobs):
            raise ConfigError(
                f"{self.tables / TRIALS} has {len(done)} of the {len(jobs)} trainings of A; do arm A first"
            )
        return min(done, key=lambda job: float(rows[job.run_id]["cv_log_loss"])).given

    def flops_of(self, arm):
        """Count the floating-point operations of one training of the first trial of an arm."""
        first = next(self.jobs(arm))
        galaxies = first.context.galaxies
        made = assemble(first.cell, galaxies)
        trainer = Trainer(
            made.objective,
            made.masker,
            galaxies.table,
            galaxies.images,
            first.context.budget,
            first.cell.seed,
        )
        with python_and_numpy_kept():
            cost = trainer.count()
        return cost.flops * trainer.steps

    # --- one training -----------------------------------------------------------------------------------------

    def row_of(self, job):
        """Train, and measure on labelled train and val galaxies; no test galaxy is encoded."""
        table = job.context.galaxies.table
        try:
            trained = self.trained(job)
        except DivergedError as error:
            emit("note", text=f"{job.cell.label}: {error}")
            nothing = dict.fromkeys((*SCORES, "effective_rank", "collapsed", "seconds", "flops", "seen"), "")
            return laid_out({**nothing, **job.facts, "status": "diverged", "cv_log_loss": "inf"})
        found = tune.scores(tune.features_of(trained.objective.scored_encoder, job.context.galaxies), table)
        return laid_out(
            {
                **job.facts,
                "seen": trained.training.images_seen or 0,
                **{name: found[name] for name in SCORES},
                "effective_rank": round(trained.health["effective_rank"], 2),
                "status": trained.status,
                "collapsed": trained.status == "collapsed",
                "seconds": round(trained.cost.train_seconds),
                "flops": trained.cost.flops,
            }
        )

    def trained(self, job):
        """Train; what belongs to B is kept, without scores yet."""
        cell, context, store = job.cell, job.context, self.store
        galaxies, budget = context.galaxies, context.budget
        if job.arm != "B":
            return train(assemble(cell, galaxies), galaxies, budget, cell.seed)
        known = kept(store.recall(job.run_id), cell, context)
        if known is not None:
            return known
        made, checkpoint = assemble(cell, galaxies), Checkpointer(store.checkpoint_path(job.run_id))
        points = self.wanted["B"]["seen"] // self.wanted["B"]["every"]
        with listening(Curve(job, made.objective, self.tables / CURVES, points)):
            trained = train(
                made, galaxies, budget, cell.seed,
                checkpoint=checkpoint, command=context.command, offers=context.offers_of(cell),
            )  # fmt: skip
        write_weights(store.weights_path(job.run_id), trained.objective, DataFacts.of(galaxies.table))
        identity = RunIdentity.of(cell, galaxies, budget)
        write_record(
            record_of(cell, replace(context, evaluators=()), identity, trained, Scored()),
            store,
            galaxies.table,
        )
        checkpoint.remove()
        return trained


@dataclass
class Curve:
    """Measures an encoder while it trains, where its effective rank is measured anyway.

    Attributes:
        job: what is trained.
        objective: whose encoder is measured.
        path: of the table; points that it holds, of a training that was interrupted, are not measured again.
        points: how many, the last one at the end.
    """

    job: Job
    objective: object
    path: Path
    points: int

    def __call__(self, event):
        """Hear that a step was done; what the step left is what is measured, on the spot."""
        if event.name != "step" or event.fields["step"] not in self.steps(event.fields["steps"]):
            return
        step, job = event.fields["step"], self.job
        if (job.run_id, str(step)) in {(row["run_id"], row["step"]) for row in tune.read_rows(self.path)}:
            return
        galaxies = job.context.galaxies
        found = tune.scores(tune.features_of(self.objective.scored_encoder, galaxies), galaxies.table)
        self.objective.train()
        batch = min(self.objective.recipe().batch_size, len(galaxies.table.pretraining_rows))
        row = {**job.facts, "step": step, "seen": step * batch, **{name: found[name] for name in SCORES}}
        tune.append_row(self.path, {**row, "effective_rank": round(event.fields["effective_rank"], 2)})

    def steps(self, total):
        """Return the steps to measure at: of those at which the trainer measures the rank, the nearest ones."""
        stride = max(1, total // MONITOR_POINTS)
        near = (stride * round(part * total / self.points / stride) for part in range(1, self.points))
        return {*near, total}


def laid_out(row):
    """Return a row with its columns in their order."""
    order = (
        "arm", "objective", "masker", "encoder", "options", "seed", "seen", *SCORES, "effective_rank", "status",
        "collapsed", "seconds", "flops", "run_id",
    )  # fmt: skip
    return {name: row[name] for name in order}


if __name__ == "__main__":
    main()
