"""Which trial of each objective became its recipe: the table of a list of trials and of what came of them.

    cd benchmarks/tuning && python recipes.py galaxy_suite_1.toml galaxy_suite_1.csv [FILE]

Prints Markdown, or writes it to FILE. The rule, which was written before the first trial ran:

* a trial is an objective with its options, under every masker that the list names for it; its number is the
  log-loss on validation (column `val_log_loss`), averaged over those maskers;
* a trial of which any run is flagged as collapsed is left out, whatever its log-loss;
* of the rest the one with the least number is the recipe; of equal ones the first in the list.

An objective with a trial still to come has no recipe yet. One with a single trial is no contestant, and is shown as
it is.
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tabulate import tabulate
from tune import key_of, read_rows, spelt_out

DIGITS = 4  # of the log-losses in the CSV
COLLAPSED = "True"
ABOUT = (
    "Each trial was one training a masker, of one seed, so that small differences may be chance. The rule:"
)


@dataclass(frozen=True)
class Trial:
    """One choice of options for an objective.

    Attributes:
        objective: its name.
        options: what it was tried with.
        losses: log-loss on validation by masker; None where it has not run yet.
        collapsed: maskers under which it collapsed.
    """

    objective: str
    options: dict[str, object]
    losses: dict[str, float | None]
    collapsed: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many of its runs are still to come."""
        return sum(loss is None for loss in self.losses.values())

    @property
    def mean(self) -> float | None:
        """Average its log-loss over maskers; None where a run is missing."""
        known = [loss for loss in self.losses.values() if loss is not None]
        return round(fmean(known), DIGITS + 1) if known and not self.missing else None


def read_trials(list_file: Path, table_file: Path) -> list[Trial]:
    """Read the trials of a list, in its order, with what the table holds of them.

    Raises:
        SystemExit: the table holds one trial twice.
    """
    wanted = tomllib.loads(list_file.read_text())
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    names = tuple(key_of({"objective": "", "masker": "", "options": {}}, 0))
    for row in read_rows(table_file):
        key = tuple(row[name] for name in names)
        if key in rows:
            raise SystemExit(f"{table_file} holds a trial twice: {', '.join(key)}; remove one")
        rows[key] = row
    trials = list[Trial]()
    for asked in wanted["trial"]:
        found: dict[str, dict[str, dict[str, str] | None]] = {}
        for each in spelt_out(asked):
            key = tuple(key_of(each, wanted["seen"]).values())
            options = json.dumps(each["options"], sort_keys=True)
            found.setdefault(options, {})[each["masker"]] = rows.get(key)
        trials += [
            Trial(
                asked["objective"], json.loads(options),
                {masker: None if row is None else float(row["val_log_loss"]) for masker, row in runs.items()},
                tuple(masker for masker, row in runs.items() if row and row["collapsed"] == COLLAPSED),
            )
            for options, runs in found.items()
        ]  # fmt: skip
    return trials


def recipe(trials: list[Trial]) -> Trial | None:
    """Choose among the trials of one objective by the rule.

    Returns:
        The recipe; None while any trial is missing, where all collapsed, and where there is one alone.
    """
    if len(trials) == 1 or any(trial.missing for trial in trials):
        return None
    standing = [trial for trial in trials if not trial.collapsed and trial.mean is not None]
    return min(standing, key=lambda trial: trial.mean or 0.0, default=None)  # of equal ones the first


def by_objective(trials: list[Trial]) -> dict[str, list[Trial]]:
    """Gather trials by objective, in their order."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.objective, []).append(trial)
    return found


def table(trials: list[Trial]) -> str:
    """Write one table an objective in Markdown, its recipe marked."""
    blocks = ["# Which trial became the recipe", ABOUT, _rule()]
    for objective, own in by_objective(trials).items():
        chosen = recipe(own)
        maskers = list(own[0].losses)
        lines = [
            [
                number, _told(trial), *(_loss(trial.losses[masker]) for masker in maskers),
                *([_loss(trial.mean)] if len(maskers) > 1 else []), _said(trial, chosen),
            ]
            for number, trial in enumerate(own, start=1)
        ]  # fmt: skip
        means = ["mean"] if len(maskers) > 1 else []
        heads = ["", "options", *(f"`{masker}`" for masker in maskers), *means, ""]
        blocks += [f"## `{objective}`", tabulate(lines, heads, tablefmt="pipe", disable_numparse=True)]
    return "\n\n".join(blocks) + "\n"


def _rule() -> str:
    """Return the rule, as the head of this file has it."""
    return (__doc__ or "").partition("ran:\n\n")[2].strip()


def _told(trial: Trial) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in trial.options.items()) or "as it is"


def _loss(loss: float | None) -> str:
    return "to come" if loss is None else f"{loss:.{DIGITS}f}"


def _said(trial: Trial, chosen: Trial | None) -> str:
    if trial.collapsed:
        return f"left out: collapsed under {', '.join(trial.collapsed)}"
    return "**the recipe**" if trial is chosen else ""


def main(list_file: str, table_file: str, out: str = "") -> None:
    """Print the table of a list of trials, or write it."""
    text = table(read_trials(Path(list_file), Path(table_file)))
    if out:
        Path(out).write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
