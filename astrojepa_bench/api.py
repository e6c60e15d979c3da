"""Training and scoring as Python calls: one run, or a grid of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from astrojepa_bench.board.compare import Compared, compare_by_name
from astrojepa_bench.board.render import read_board
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.runs.grid import GridResult, run_grid
from astrojepa_bench.runs.request import RunRequest, make_request

OUT = Path("astrojepa-runs")


def run(
    objective: str,
    masker: str = "random",
    *,
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
    **unknown: object,
) -> RunRecord:
    """Train and score one entry with one seed, as `astrojepa-bench run` does, and return its record.

    What the output folder holds already is not done again.

    Args:
        objective: name.
        masker: name.
        encoder: name; the budget's own if None.
        seed: pretraining seed.
        dataset: name.
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
        unknown: refused, with the nearest argument.

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
    request = make_request(
        {
            "objectives": [objective],
            "maskers": [masker],
            "encoders": [] if encoder is None else [encoder],
            "seeds": [seed],
            "dataset": dataset,
            "budget": budget,
            "evaluators": evaluators,
            "settings": _by_address(settings or {}),
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
    )
    if max(len(request.objectives), len(request.maskers), len(request.encoders)) > 1:
        raise ConfigError("run() trains one entry with one seed; use sweep(...) for several")
    return run_grid(request, load_registry(request.plugins), "astrojepa_bench.run(...)").records[0]


def sweep(request: RunRequest | None = None, **fields: Any) -> GridResult:
    """Do what is missing of a grid of runs, as `astrojepa-bench run` does.

    Args:
        request: what is asked for.
        fields: in place of a request, its fields: `objectives`, `maskers`, `seeds`, `suite`, `isolate`, …

    Raises:
        ConfigError: something is unknown or cannot be done.
        DataError: the dataset cannot be loaded.
    """
    if request is not None and fields:
        raise ConfigError(f"sweep() takes a request or fields of one, found both ({', '.join(fields)})")
    if request is None:
        settings = fields.get("settings")
        given = {"settings": _by_address(settings)} if isinstance(settings, Mapping) else {}
        request = make_request({**fields, **given})
    return run_grid(request, load_registry(request.plugins), "astrojepa_bench.sweep(...)")


def compare(a: str, b: str, *, out: Path | str = OUT) -> list[Compared]:
    """Compare two entries of an output folder, or two levels of a factor, as `leaderboard compare` does.

    Args:
        a: `objective+masker` (perhaps `+encoder`, each with options in brackets), the first letters of an entry's
            id, `objective:NAME` or `masker:NAME`.
        b: the same, of the other.
        out: the folder.

    Returns:
        Section by section, the headline metric first; each prints as its `sentence`.

    Raises:
        ConfigError: there are no records, or the two cannot be compared.
        DataError: a record file is corrupt.
    """
    return compare_by_name(read_board(Path(out)), a, b)


def _by_address(settings: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Sort options by the component that they are set on; `kind.option` becomes an entry of `kind`."""
    found: dict[str, dict[str, object]] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found.setdefault(key, {}).update(value)
        else:
            address, dot, option = key.rpartition(".")
            if not dot:
                raise ConfigError(f"settings: found '{key}'; expected 'kind.option', such as 'dataset.path'")
            found.setdefault(address, {})[option] = value
    return found
