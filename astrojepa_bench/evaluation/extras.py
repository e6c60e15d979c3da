"""What evaluators request beyond features: each computed once a run, kept beside the features, given to all."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench import events
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import BenchError, DataError
from astrojepa_bench.evaluation.extract import BATCH, encode_rows, same_galaxies, split_features
from astrojepa_bench.evaluation.prediction_errors import prediction_errors
from astrojepa_bench.evaluation.store import Arrays, keep_arrays, read_arrays
from astrojepa_bench.features import Features, Request, SplitFeatures
from astrojepa_bench.geometry.views import augment
from astrojepa_bench.roles import Evaluator, Masker, Objective
from astrojepa_bench.streams import numpy_stream, stream_seed
from astrojepa_bench.types import GalaxyTable, Split

VERSION = 2  # raise it whenever something below starts to give other arrays: kept ones are then made anew
VIEWED = 512
VIEWS = 4


@dataclass(frozen=True)
class ExtrasContext:
    """What requests are put to.

    Attributes:
        objective: trained, in evaluation mode.
        masker: the run's; None for an encoder without patches.
        galaxies: the dataset.
    """

    objective: Objective
    masker: Masker | None
    galaxies: Galaxies

    @property
    def table(self) -> GalaxyTable:
        """All galaxies."""
        return self.galaxies.table

    @property
    def test(self) -> Int[np.ndarray, " row"]:
        """Rows of the test galaxies."""
        return self.table.rows("test")


def requested(evaluators: Iterable[Evaluator]) -> tuple[Request, ...]:
    """Collect what some evaluators want, each once."""
    return tuple(dict.fromkeys(request for evaluator in evaluators for request in evaluator.requests))


@dataclass(frozen=True)
class Met:
    """Features with what could be had of what was requested.

    Attributes:
        answers: features and facts, with more in them.
        unmet: why other requests have no answer.
        seconds: how long each took [s].
    """

    answers: Features
    unmet: Mapping[Request, str]
    seconds: Mapping[str, float]


def with_requests(answers: Features, requests: Iterable[Request], subject: ExtrasContext, path: Path) -> Met:
    """Add what is requested, read from the file of the run's answers or else computed and kept there."""
    unmet: dict[Request, str] = {}
    seconds: dict[str, float] = {}
    for request in requests:
        began = time.perf_counter()
        try:
            arrays = _kept(path, request, subject) or _computed(path, request, subject)
        except BenchError as error:
            unmet[request] = str(error)
        else:
            answers = _PARTS[request].put(answers, arrays, subject)
        seconds[request] = time.perf_counter() - began
    return Met(answers, unmet, seconds)


def _kept(path: Path, request: Request, subject: ExtrasContext) -> Arrays | None:
    found = read_arrays(path, f"requests/{request}")
    if found is None or found.get("version") != VERSION:
        return None
    return found if same_galaxies(found, subject.table.ids[_PARTS[request].rows(subject)]) else None


def _computed(path: Path, request: Request, subject: ExtrasContext) -> Arrays:
    part = _PARTS[request]
    arrays = part.compute(subject)
    ids = subject.table.ids[part.rows(subject)]
    keep_arrays(path, {f"requests/{request}": {**arrays, "ids": ids, "version": np.array(VERSION)}})
    return arrays


# --- views: the same galaxy turned, mirrored, moved, nearer, noisier ----------------------------------------


def viewed_rows(table: GalaxyTable) -> Int[np.ndarray, " row"]:
    """Choose a fixed sample of ordinary test galaxies, the same for every run."""
    rows = table.rows("test")
    ordinary = rows[table.anomaly[rows] == 0]
    return np.sort(numpy_stream(0, "viewed").permutation(ordinary)[:VIEWED])


def _views(subject: ExtrasContext) -> Arrays:
    rows = viewed_rows(subject.table)
    if not len(rows):
        raise DataError("test has no ordinary galaxy to view")
    watched = events.track(range(VIEWS), task="encoding views", total=VIEWS, unit="views")
    return {"last": torch.stack([_view(subject, rows, view) for view in watched], dim=1).numpy()}


@torch.no_grad()
def _view(subject: ExtrasContext, rows: Int[np.ndarray, " row"], view: int) -> Float[Tensor, "galaxy dim"]:
    images, mirror = subject.galaxies.images, subject.table.spec.mirror_safe
    generator = torch.Generator(images.device).manual_seed(stream_seed(0, "view", view))
    parts = []
    for start in range(0, len(rows), BATCH):
        seen = augment(images.batch(rows[start : start + BATCH]), generator, mirror=mirror)
        parts.append(subject.objective.scored_encoder.taps(seen)["last"].float().cpu())
    return torch.cat(parts)


def _put_views(answers: Features, arrays: Arrays, subject: ExtrasContext) -> Features:
    return dataclasses.replace(answers, views=torch.from_numpy(arrays["last"]))


# --- twin: the same galaxies seen by another instrument -----------------------------------------------------


def _twin(subject: ExtrasContext) -> Arrays:
    twin = subject.galaxies.shifted
    if twin is None:
        raise DataError("the dataset has no shift twin: nobody saw its galaxies with another instrument")
    if not np.array_equal(twin.table.ids, subject.table.ids):
        raise DataError(
            "the shift twin holds other galaxies, or in another order; mend the dataset's shifted()"
        )
    features = encode_rows(subject.objective.scored_encoder, twin.images, subject.test)
    return {tap: values.numpy() for tap, values in features.items()}


def _put_twin(answers: Features, arrays: Arrays, subject: ExtrasContext) -> Features:
    features = {tap: torch.from_numpy(arrays[tap]) for tap in answers.taps}
    return dataclasses.replace(answers, twin=split_features(subject.table, subject.test, features))


# --- errors: how badly the objective predicts each test galaxy ----------------------------------------------


def _errors(subject: ExtrasContext) -> Arrays:
    found = prediction_errors(subject.objective, subject.masker, subject.galaxies.images, subject.test)
    if found is None:
        raise DataError("the objective predicts nothing")
    return found


def _put_errors(answers: Features, arrays: Arrays, subject: ExtrasContext) -> Features:
    errors = {name: values for name, values in arrays.items() if name not in ("ids", "version")}
    return dataclasses.replace(answers, test=dataclasses.replace(answers.test, errors=errors))


# --- fluxes: the mean of each band, which a colour-only control reads ---------------------------------------


def _fluxes(subject: ExtrasContext) -> Arrays:
    rows = np.arange(len(subject.table))
    parts = [
        subject.galaxies.images.batch(rows[start : start + BATCH]).mean(dim=(2, 3)).cpu()
        for start in range(0, len(rows), BATCH)
    ]
    return {"fluxes": torch.cat(parts).numpy()}


def _put_fluxes(answers: Features, arrays: Arrays, subject: ExtrasContext) -> Features:
    def put(split: Split) -> SplitFeatures:
        fluxes = arrays["fluxes"][subject.table.rows(split)]
        return dataclasses.replace(answers.split(split), fluxes=fluxes)

    return dataclasses.replace(answers, train=put("train"), val=put("val"), test=put("test"))


@dataclass(frozen=True)
class _Part:
    """One thing that can be requested: of which rows, how it is computed, and where it goes."""

    rows: Callable[[ExtrasContext], Int[np.ndarray, " row"]]
    compute: Callable[[ExtrasContext], Arrays]
    put: Callable[[Features, Arrays, ExtrasContext], Features]


_PARTS: Mapping[Request, _Part] = {
    "views": _Part(lambda subject: viewed_rows(subject.table), _views, _put_views),
    "twin": _Part(lambda subject: subject.test, _twin, _put_twin),
    "errors": _Part(lambda subject: subject.test, _errors, _put_errors),
    "fluxes": _Part(lambda subject: np.arange(len(subject.table)), _fluxes, _put_fluxes),
}
