"""What a user asks for: names, options, seeds, budget, places. Checked as soon as it is made."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.given import read_toml
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.evaluators.sets import CORE
from astrojepa_bench.options import KINDS
from astrojepa_bench.runs.executors.asked import EXECUTORS, read_ray, read_slurm
from astrojepa_bench.training.budgets import find_budget

EVALUATOR_SETS: Mapping[str, tuple[str, ...]] = {
    "core": CORE,
}


class RunRequest(BaseModel):
    """A grid of runs: every objective with every masker, encoder and seed, on one dataset; or a suite of them.

    Attributes:
        objectives, maskers: names; neither with a suite, which names its own.
        suite: name of a suite.
        encoders: names; with a suite, those of its blocks that name none; the budget's own encoder if empty.
        dataset: name.
        evaluators: names, or `core`, or `full` for all that are not costly; the suite's, or `core`, if empty.
        seeds: how many pretraining seeds, or which; those already done are not repeated.
        data: for the board of a suite, where its files lie, by key (`{"gz2": "folder"}`).
        grid: which grid of a suite; if empty, that of the data, or the first one.
        budget: name of a budget.
        match: what is equal for every entry: `images` seen, or `flops` spent in training.
        pretraining: most galaxies to pretrain on (the same for every seed), at the same number of images seen.
        labels: most labels of train that objectives which read any are told (the same for every seed), or which
            share of them: a number from 2 on, a share below 1, or a text such as "10%". None: all.
        settings: options as texts or values, under `kind` or `kind:name`.
        out: output folder.
        cache: folder for converted data.
        device: `cpu`, `cuda`, or `auto`.
        floors: whether floors are scored along with the entries.
        plugins: plugin files, or folders of them, to load in addition to what is installed.
        shard: `i/n`, the i-th of n parts of the grid, counted from 1; None: all of it.
        isolate: whether each cell runs in a process of its own.
        jobs: how many cells run at once, each in its process; torch's threads are divided among them.
        overlap: certificate of `data overlap`: which test galaxies weights from a file had seen, for the records of
            entries that start from such weights.
        timeout: how long a cell may take, in seconds or as `90s`, `15m` or `2h`; implies `isolate`. None: for ever.
        executor: where cells run: `local`, `slurm` (the command line writes a script for it) or `ray`.
        executor_options: what a task of Slurm takes (options of `sbatch`, as `mem=16G`), or a cell on Ray
            (`num_cpus`, `num_gpus`, `memory`).
        ray_address: of a cluster of Ray, as `HOST:PORT`, or `auto` for one that runs here; None: one of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    objectives: tuple[str, ...] = ()
    maskers: tuple[str, ...] = Field(default=("random",), min_length=1)
    suite: str | None = None
    encoders: tuple[str, ...] = ()
    dataset: str = "synthetic"
    evaluators: tuple[str, ...] = ()
    seeds: Annotated[int, Field(ge=1)] | Annotated[tuple[int, ...], Field(min_length=1)] = 1
    data: dict[str, Path] = {}
    grid: str = ""
    budget: str = "small"
    match: str = "images"
    pretraining: int | None = Field(default=None, ge=1)
    labels: int | float | None = None
    settings: dict[str, dict[str, Any]] = {}
    out: Path = Path("astrojepa-runs")
    cache: Path = Field(default_factory=default_cache)
    device: str = "auto"
    floors: bool = True
    plugins: tuple[Path, ...] = ()
    shard: tuple[int, int] | None = None
    isolate: bool = False
    jobs: int = 1
    overlap: Path | None = None
    timeout: float | None = None
    executor: str = "local"
    executor_options: tuple[str, ...] = ()
    ray_address: str | None = None

    @model_validator(mode="after")
    def _one_grid(self) -> Self:
        """Take names or a suite: an entry that a suite lacks is another question."""
        if self.suite is not None and {"objectives", "maskers"} & self.model_fields_set:
            raise ConfigError(
                f"suite '{self.suite}' names its own objectives and maskers; leave out --objective and --masker, "
                "or the suite"
            )
        if self.suite is None and not self.objectives:
            raise ConfigError(
                "no objective was given; name one with --objective, or a --suite (see astrojepa-bench list)"
            )
        if self.grid and self.suite is None:
            raise ConfigError(
                f"grid '{self.grid}' is of a suite and none was named; give its name with --suite"
            )
        if self.data and (self.suite is None or self.names_galaxies):
            raise ConfigError(
                "--data says where the files of a suite lie; give it with --suite, and without --dataset or "
                "--set dataset.…, which choose other galaxies"
            )
        return self

    @model_validator(mode="after")
    def _one_executor(self) -> Self:
        """Refuse what another executor takes, or none."""
        if self.executor not in EXECUTORS:
            raise ConfigError(
                f"--executor {self.executor}: there is none; {nearest(self.executor, EXECUTORS)}"
            )
        if self.jobs > 1 and self.executor == "ray":
            raise ConfigError(
                "--jobs is of one machine, and Ray runs as many cells as its nodes have room for; leave out --jobs"
            )
        if self.ray_address is not None and self.executor != "ray":
            raise ConfigError("--ray-address is of --executor ray; name both, or leave it out")
        if self.executor_options and self.executor == "local":
            raise ConfigError(
                "--executor-option is of --executor slurm or ray; name one of them, or leave it out"
            )
        if self.takes_gpu and self.device == "cpu":
            raise ConfigError(
                "--executor-option asks for a GPU and --device cpu for none; leave one of them out"
            )
        return self

    @property
    def takes_gpu(self) -> bool:
        """Whether a GPU is among what is taken of a node."""
        if self.executor == "slurm":
            return read_slurm(self.executor_options).has_gpu
        return self.executor == "ray" and read_ray(self.executor_options).has_gpu

    @property
    def names_galaxies(self) -> bool:
        """Whether the user chose the galaxies: a dataset, or an option of one."""
        return "dataset" in self.model_fields_set or any(
            address.partition(":")[0] == "dataset" for address in self.settings
        )

    @property
    def isolates(self) -> bool:
        """Whether each cell runs in its own process: who is asked to, may be out of time, or runs elsewhere."""
        return self.isolate or self.timeout is not None or self.executor != "local"

    @property
    def has_workers(self) -> bool:
        """Whether cells run in other processes than the one that was asked."""
        return self.isolates or self.jobs > 1

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds, counted from 0 where only their number was given."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @field_validator("budget")
    @classmethod
    def _known_budget(cls, name: str) -> str:
        return find_budget(name).name

    @field_validator("match")
    @classmethod
    def _known_match(cls, match: str) -> str:
        if match not in ("images", "flops"):
            raise ConfigError(
                f"unknown match '{match}'; use images (seen, the default) or flops (spent in training)"
            )
        return match

    @field_validator("device")
    @classmethod
    def _known_device(cls, name: str) -> str:
        if name not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"unknown device '{name}'; use auto, cpu or cuda")
        return name

    @field_validator("seeds", mode="before")
    @classmethod
    def _seed_list(cls, seeds: object) -> object:
        return parse_seeds(seeds) if isinstance(seeds, str | int) else seeds

    @field_validator("shard", mode="before")
    @classmethod
    def _one_part(cls, shard: object) -> object:
        text = "/".join(map(str, shard)) if isinstance(shard, list | tuple) else shard
        return parse_shard(text) if isinstance(text, str) else text

    @field_validator("labels", mode="before")
    @classmethod
    def _some_labels(cls, labels: object) -> object:
        return parse_labels(labels) if isinstance(labels, str | int | float) else labels

    @field_validator("jobs", mode="before")
    @classmethod
    def _some_jobs(cls, jobs: object) -> object:
        text = str(jobs).strip()
        if isinstance(jobs, bool) or not text.isdecimal() or int(text) < 1:
            raise ConfigError(f"--jobs {jobs}: expected how many cells run at once, from 1 on")
        return int(text)

    @field_validator("timeout", mode="before")
    @classmethod
    def _seconds(cls, timeout: object) -> object:
        return parse_duration(timeout) if isinstance(timeout, str | int | float) else timeout

    @field_validator("objectives", "maskers", "encoders", "evaluators", mode="before")
    @classmethod
    def _name_list(cls, names: object) -> object:
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, list | tuple):
            return names
        split = [part.strip() for name in listed for part in str(name).split(",") if part.strip()]
        return tuple(dict.fromkeys(split))


def make_request(fields: Mapping[str, Any]) -> RunRequest:
    """Check a request.

    Raises:
        ConfigError: the first thing that is wrong with it, in one line.
    """
    unknown = sorted(set(fields) - set(RunRequest.model_fields))
    if unknown:
        raise ConfigError(f"unknown key '{unknown[0]}'; {nearest(unknown[0], RunRequest.model_fields)}")
    try:
        return RunRequest(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "missing" else f", found {first['input']!r:.60}"
        raise ConfigError(f"{where}: {first['msg']}{found}") from None


def parse_seeds(text: str | int) -> int | tuple[int, ...]:
    """Read `3` as three seeds and `0,4,7` as themselves.

    Raises:
        ConfigError: neither form, or a negative seed.

    Example:
        >>> parse_seeds("3"), parse_seeds("0,4")
        (3, (0, 4))
    """
    parts = [part.strip() for part in str(text).split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(
            f"--seeds {text}: expected a number of seeds (3 gives 0, 1, 2, or a suite's first three), or a list "
            "such as 0,4,7, none negative"
        )
    numbers = tuple(dict.fromkeys(int(part) for part in parts))
    if len(parts) > 1:
        return numbers
    if numbers[0] < 1:
        raise ConfigError("--seeds 0 asks for no run; ask for at least one seed")
    return numbers[0]


def parse_shard(text: str) -> tuple[int, int]:
    """Read `2/5` as the second of five parts.

    Raises:
        ConfigError: no such part.

    Example:
        >>> parse_shard("2/5")
        (2, 5)
    """
    first, slash, last = (part.strip() for part in text.partition("/"))
    numbers = [int(part) for part in (first, last) if part.isdecimal()]
    if not slash or len(numbers) < 2 or not 1 <= numbers[0] <= numbers[1]:
        raise ConfigError(
            f"--shard {text}: expected I/N with I from 1 to N, such as 2/5 for the second of five"
        )
    return numbers[0], numbers[1]


def parse_labels(given: str | float) -> int | float | None:
    """Read how many labels are told, or which share of them; None where that is all.

    Raises:
        ConfigError: neither, or too few to tell two classes apart.

    Example:
        >>> parse_labels("100"), parse_labels("10%"), parse_labels(0.1), parse_labels("100 %")
        (100, 0.1, 0.1, None)
    """
    found = re.fullmatch(r"([0-9]*\.?[0-9]+) *(%?)", str(given).strip())
    number = float(found[1]) / (100 if found[2] else 1) if found and not isinstance(given, bool) else 0.0
    is_share = found is not None and (bool(found[2]) or number < 1 or isinstance(given, float))
    if is_share and 0 < number <= 1:
        return None if number == 1 else number
    if is_share or number < 2 or number != int(number):
        raise ConfigError(
            f"--labels {given}: expected a number of labels from 2 on, or a share such as 0.1 or 10%; leave it out "
            "for all"
        )
    return int(number)


def parse_duration(given: str | float) -> float:
    """Read a time limit, in seconds unless it names its unit [s].

    Raises:
        ConfigError: no time, or none at all.

    Example:
        >>> parse_duration("90s"), parse_duration("15m"), parse_duration("1.5h"), parse_duration(60)
        (90.0, 900.0, 5400.0, 60.0)
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([smhd]?)", str(given).strip())
    seconds = float(found[1]) * {"m": 60, "h": 3600, "d": 86400}.get(found[2], 1) if found else 0.0
    if not 0 < seconds < math.inf:
        raise ConfigError(
            f"--timeout {given}: expected a time such as 90s, 15m or 2h; leave it out for no limit"
        )
    return seconds


def read_config(path: Path) -> dict[str, Any]:
    """Read a TOML file with the keys of a request; tables named after a kind hold options.

    ```toml
    objectives = ["untrained"]
    seeds = 3
    [masker]                 # or [settings.masker], as `RunRequest` has it
    temperature = 0.5
    ["masker:random"]    # for one of several
    temperature = 0.7
    [data]                   # with a suite: where its files lie
    gz2 = "folder"
    ```

    Raises:
        ConfigError: the file is missing or not TOML, or has a table that is no kind, or sets something twice.
    """
    fields = read_toml(path, f"--config {path}")
    tables = {key: fields.pop(key) for key in list(fields) if isinstance(fields[key], dict)}
    fields |= {"data": tables.pop("data")} if "data" in tables else {}
    nested = tables.pop("settings", {})
    settings: dict[str, dict[str, Any]] = {}
    for address, options in [*tables.items(), *nested.items()]:
        if address.partition(":")[0] not in KINDS or not isinstance(options, dict):
            raise ConfigError(
                f"--config {path}: unknown table [{address}]; {nearest(address, [*KINDS, 'settings', 'data'])}"
            )
        for name, value in options.items():
            if name in settings.setdefault(address, {}):
                raise ConfigError(f"--config {path} sets {address}.{name} twice; leave one of them out")
            settings[address][name] = value
    return {**fields, "settings": settings} if settings else fields
