"""The board of a suite: its own galaxies and seeds, each data set planned like a request of its own.

A suite that names data is run on them, unless the user names galaxies (`-d`, `--set dataset.…`). Then it is an
experiment: its first grid on those galaxies, with any seeds, counted from 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.registry import Registry
from astrojepa_bench.runs.plan import Plan, make_plan
from astrojepa_bench.runs.request import RunRequest
from astrojepa_bench.suites import Data, SuiteOffer


def board_suite(request: RunRequest, registry: Registry) -> SuiteOffer | None:
    """Return the suite whose board a request asks for; None for any other grid, or for an experiment.

    Raises:
        ConfigError: there is no such suite, or it is told where files lie that it does not name.
    """
    offer = None if request.suite is None else registry.suite(request.suite)
    if offer is None or not offer.suite.data or request.names_galaxies:
        if request.data:
            raise ConfigError(
                f"{request.suite}: the suite names no galaxies; give --dataset instead of --data"
            )
        return None
    takers = {key: data for key, data in offer.suite.data.items() if data.files}
    for key in request.data:
        if key in offer.suite.data and key not in takers:
            raise ConfigError(f"--data {key}: these galaxies of {offer.title} need no file; leave it out")
        if key not in takers:
            raise ConfigError(f"--data {key}: {offer.title} has no such galaxies; {nearest(key, takers)}")
    return offer


def make_plans(request: RunRequest, registry: Registry) -> tuple[Plan, ...]:
    """Plan a request: one plan, or for the board of a suite one for each data set that can be had.

    Raises:
        ConfigError: as `make_plan` says; a seed is none of the board's; or no galaxies can be had.
    """
    offer = board_suite(request, registry)
    if offer is None:
        return (make_plan(request, registry),)
    seeds, skipped, plans = board_seeds(request, offer), list[str](), list[Plan]()
    for key, data in offer.suite.data.items():
        if data.files and key not in request.data:
            files = " and ".join(data.files.values())
            skipped.append(f"{data.title} is skipped: give --data {key}=PATH, the folder that holds {files}")
            continue
        plan = _plan_on(key, data, request.model_copy(update={"seeds": seeds}), registry)
        if plan.cells:
            plans.append(plan)
        else:
            skipped.append(f"{data.title} is skipped: nothing runs there with the seeds asked for")
    if not plans:
        raise ConfigError(f"{offer.title}: {'; '.join(skipped)}")
    return (dataclasses.replace(plans[0], notes=(*plans[0].notes, *skipped)), *plans[1:])


def _plan_on(key: str, data: Data, request: RunRequest, registry: Registry) -> Plan:
    """Plan a suite on one of its data sets."""
    files = _files_of(key, data, request.data[key]) if data.files else {}
    asked: Mapping[str, object] = {
        "dataset": data.dataset,
        "settings": {**request.settings, "dataset": {**data.options, **files}},
        "grid": request.grid or data.grid,
        "data": {},
    }
    plan = make_plan(request.model_copy(update=asked), registry)
    if data.fingerprint and plan.budget.size_px != data.size_px:
        note = (
            f"{data.title}: a fingerprint is fixed for {data.size_px} px only; what is loaded is not checked"
        )
        return dataclasses.replace(plan, notes=(*plan.notes, note))
    return dataclasses.replace(plan, fingerprint=data.fingerprint)


def _files_of(key: str, data: Data, place: Path) -> dict[str, str]:
    """Find the files of a data set, in a folder or beside the first of them.

    Raises:
        ConfigError: one is not there.
    """
    place = place.expanduser()
    first = next(iter(data.files))
    inside = (place / data.files[first]).exists()
    folder = place if inside else place.parent
    found = {option: folder / name for option, name in data.files.items()}
    found = found if inside else {**found, first: place}
    for path in found.values():
        if not path.exists():
            raise ConfigError(
                f"--data {key}={place}: {path.name} is not there; give the folder that holds "
                f"{' and '.join(data.files.values())}"
            )
    return {option: str(path) for option, path in found.items()}


def board_seeds(request: RunRequest, offer: SuiteOffer) -> tuple[int, ...]:
    """Return the seeds of a suite's board that a request asks for: by number the first ones, or by name.

    Raises:
        ConfigError: more than the suite has, or a seed that is none of its board's.
    """
    own, tuning = offer.suite.seeds, offer.suite.tuning_seeds
    if isinstance(request.seeds, int):
        if request.seeds > len(own):
            raise ConfigError(f"--seeds {request.seeds}: {offer.title} has {len(own)} seeds; ask for fewer")
        return own[: request.seeds]
    for seed in request.seeds:
        if seed not in own:
            why = "was used for tuning" if seed in tuning else "is none of its board's"
            raise ConfigError(
                f"--seeds {seed}: that seed {why} in {offer.title}, whose board takes {own[0]} to {own[-1]}; "
                "for an experiment name the galaxies with --dataset"
            )
    return request.seeds
