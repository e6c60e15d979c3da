"""Training and scoring as Python calls: one run, or a grid of them; what lies in an output folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from astrojepa_bench.api.compared import ComparedEntries
from astrojepa_bench.api.galaxies import Given, LoadedGalaxies, named
from astrojepa_bench.api.progress import showing
from astrojepa_bench.api.results import Results, RunResult, runs_table
from astrojepa_bench.api.settings import by_address
from astrojepa_bench.api.wording import speaking_python
from astrojepa_bench.board.compare import compare_by_name
from astrojepa_bench.board.render import read_board
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import GridResult, run_grid
from astrojepa_bench.runs.request import RunRequest, make_request
from astrojepa_bench.types import GalaxyTable

OUT = Path("astrojepa-runs")


@speaking_python()
def run(
    objective: str,
    masker: str = "random",
    *,
    data: Given | None = None,
    encoder: str | None = None,
    seed: int = 0,
    dataset: str = "synthetic",
    budget: str = "small",
    evaluators: str | Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    out: Path | str = OUT,
    cache: Path | str | None = None,
    device: str = "auto",
    precision: str = "auto",
    match: str = "images",
    pretraining: int | None = None,
    labels: int | float | str | None = None,
    plugins: Sequence[Path | str] = (),
    isolate: bool = False,
    timeout: str | float | None = None,
    progress: bool | None = None,
    **unknown: object,
) -> RunResult:
    """Train and score one entry with one seed, as `astrojepa-bench run` does.

    What the output folder holds already is not done again.

    Args:
        objective: name.
        masker: name.
        data: in place of `dataset`: a file or folder, what `load` returned, or images as an array.
        encoder: name; the budget's own if None.
        seed: pretraining seed.
        dataset: name, or a file or folder.
        budget: name.
        evaluators: names, or `core` (also if empty), or `full`.
        settings: options: `{"dataset.path": "images.h5"}`, or by kind `{"dataset": {"path": "images.h5"}}`.
        out: output folder.
        cache: folder of converted galaxies; the user's if None.
        device: `cpu`, `cuda` or `auto`.
        precision: of the arithmetic in training: `float32`, `bf16`, or `auto` (bf16 on a GPU, else float32).
        match: what every entry is given: `images` seen, or `flops` spent in training.
        pretraining: most galaxies to pretrain on; None: all.
        labels: most labels that an objective which reads any is told, or which share (0.1, `10%`); None: all.
        plugins: plugin files, or folders of them, to load in addition to what is installed.
        isolate: whether it runs in a process of its own, which cannot end this one.
        timeout: how long it may take, in seconds or as `90s`, `15m` or `2h`; implies `isolate`.
        progress: whether progress is shown; None: in a notebook and on a terminal.
        unknown: refused, with the nearest argument.

    Returns:
        the run, with `record`, and `scores`, `runs` and `board` as tables.

    Raises:
        ConfigError: something is unknown or cannot be done.
        DataError: the dataset cannot be loaded.
    """
    for name in unknown:
        if name in RunRequest.model_fields:
            singular = name.removesuffix("s")
            instead = f"give {singular}=… or " if singular in signature(run).parameters else ""
            raise ConfigError(
                f"run() takes no '{name}': it trains one entry with one seed; {instead}use sweep(...)"
            )
        raise ConfigError(f"run() takes no '{name}'; {nearest(name, signature(run).parameters)}")
    if data is not None and dataset != "synthetic":
        raise ConfigError(f"found data= and dataset='{dataset}'; expected one of them: leave out dataset=")
    fields: dict[str, Any] = {
        "objectives": [objective],
        "maskers": [masker],
        "encoders": [] if encoder is None else [encoder],
        "seeds": [seed],
        "dataset": dataset,
        "budget": budget,
        "evaluators": evaluators,
        "settings": settings or {},
        "out": out,
        "device": device,
        "precision": precision,
        "match": match,
        "pretraining": pretraining,
        "labels": labels,
        "plugins": list(plugins),
        "isolate": isolate,
        "timeout": timeout,
        "floors": False,
        **({} if cache is None else {"cache": cache}),
    }
    request = _request({**fields, "data": data} if data is not None else fields)
    if max(len(request.objectives), len(request.maskers), len(request.encoders)) > 1:
        raise ConfigError("run() trains one entry with one seed; use sweep(...) for several")
    told = data.notes if isinstance(data, LoadedGalaxies) else ()
    done = _done(request, "astrojepa_bench.run(...)", progress, told)
    return RunResult(done.records[:1], request.out, done.paths[:1], done.trained)


@speaking_python()
def sweep(request: RunRequest | None = None, *, progress: bool | None = None, **fields: Any) -> Results:
    """Do what is missing of a grid of runs, as `astrojepa-bench run` does.

    Args:
        request: what is asked for.
        progress: whether progress is shown; None: in a notebook and on a terminal.
        fields: in place of a request, its fields: `objectives`, `maskers`, `seeds`, `suite`, `isolate`, …; `data`
            or `dataset` may be whatever `run` takes.

    Returns:
        the runs, with `records`, and `scores`, `runs` and `board` as tables.

    Raises:
        ConfigError: something is unknown or cannot be done.
        DataError: the dataset cannot be loaded.
    """
    if request is not None and fields:
        raise ConfigError(f"sweep() takes a request or fields of one, found both ({', '.join(fields)})")
    asked = _request(fields) if request is None else request
    return Results.of(_done(asked, "astrojepa_bench.sweep(...)", progress), asked.out)


@speaking_python()
def list_runs(out: Path | str = OUT) -> pd.DataFrame:
    """List the runs of an output folder, the newest first, as `list runs` does.

    Args:
        out: the folder.

    Returns:
        one row a run: id, entry, galaxies, budget, seed, status, when, headline score; `open_run(run_id)` opens
        one. Empty where there is none.
    """
    return runs_table(Store(Path(out)).survey().records)


@speaking_python()
def compare(a: str | RunResult, b: str | RunResult, *, out: Path | str = OUT) -> ComparedEntries:
    """Compare two entries of an output folder, or two levels of a factor, as `leaderboard compare` does.

    Args:
        a: `objective+masker` (perhaps `+encoder`, each with options in brackets), the first letters of an entry's
            id, `objective:NAME` or `masker:NAME`; or what `run` returned.
        b: the same, of the other.
        out: the folder.

    Returns:
        `effect`, `interval` and `verdict` of the headline metric, `text` and `table` of all; section by section,
        the headline metric first.

    Raises:
        ConfigError: there are no records, or the two cannot be compared.
        DataError: a record file is corrupt.
    """
    names = [each.record.entry_id if isinstance(each, RunResult) else each for each in (a, b)]
    return ComparedEntries(tuple(compare_by_name(read_board(Path(out)), *names)))


def _done(request: RunRequest, command: str, progress: bool | None, told: tuple[str, ...] = ()) -> GridResult:
    registry = load_registry(request.plugins)
    with showing(progress, told):
        return run_grid(request, registry, command)


def _request(fields: Mapping[str, Any]) -> RunRequest:
    """Make a request of what a caller gave: galaxies of any kind, options by address.

    Raises:
        ConfigError: something is unknown or cannot be done.
        DataError: nothing reads the galaxies.
    """
    asked = dict(fields)
    if isinstance(asked.get("settings"), Mapping):
        asked["settings"] = by_address(asked["settings"])
    galaxies = asked.get("dataset")
    if isinstance(
        asked.get("data"), str | Path | np.ndarray | GalaxyTable
    ):  # of a suite it says where files lie
        galaxies = asked.pop("data")
    elif not isinstance(galaxies, str | Path) or not Path(galaxies).expanduser().exists():
        return make_request(asked)
    plain = make_request({**asked, "dataset": "synthetic"})  # what is wrong elsewhere is told first
    name, known = named(partial(load_registry, plain.plugins), galaxies, plain.cache)
    settings = {**plain.settings, "dataset": {**known, **plain.settings.get("dataset", {})}}
    return make_request({**asked, "dataset": name, "settings": settings if known else plain.settings})
