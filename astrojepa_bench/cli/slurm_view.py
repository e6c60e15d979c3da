"""What was written for Slurm: a few lines for people, one object for programs."""

from __future__ import annotations

import json
import shlex

from astrojepa_bench.runs.executors.slurm_script import SlurmArray


def array_json(array: SlurmArray, job: str | None) -> str:
    """Write an array for programs; `job` is its number, where it was submitted."""
    facts = {"script": str(array.script), "job": job, "tasks": len(array.tasks), "cells": array.missing}
    return json.dumps(facts)


def array_text(array: SlurmArray, job: str | None) -> str:
    """Tell people what was written, and what comes next."""
    count = len(array.tasks)
    tasks = f"{count} task{'s' * (count > 1)} for {array.missing} missing cell{'s' * (array.missing > 1)}"
    script = shlex.quote(str(array.script))
    next_step = (
        f"Submit it: sbatch {script}"
        if job is None
        else f"Submitted as job {job}; look at it with squeue --job {job}, end it with scancel {job}"
    )
    return f"Slurm script: {array.script}\n{tasks}; {array.length}\n{next_step}"
