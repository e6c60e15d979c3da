"""A finished run, opened again: its record, its objective with the trained weights, its masker, its galaxies.

The run itself needs the record and the weights, and nothing of the galaxies; they are loaded where something is
to be computed of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import get_args

import torch

from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.device import RESIDENT_BYTES
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.data.sources.flux import Stretch
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.events import emit
from astrojepa_bench.options import Kind, Settings, settings_for
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.results.galaxy_places import GalaxyPlaces, Places
from astrojepa_bench.results.identity import split_hash
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store, find_run
from astrojepa_bench.roles import Encoder, Masker, Objective
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.weights import DataFacts, read_facts, read_weights
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.types import ImageSpec
from astrojepa_bench.versions import version_text

OUT = Path("astrojepa-runs")


@dataclass(frozen=True, repr=False)
class OpenRun:
    """A finished run, ready to encode, mask and predict, on the CPU and in evaluation mode.

    Attributes:
        record: what was run and how it scored.
        store: the output folder it lies in.
        objective: with its trained weights.
        masker: the run's masker; None for an encoder without patches.
        facts: what its images looked like and which classes they had.
    """

    record: RunRecord
    store: Store
    objective: Objective
    masker: Masker | None
    facts: DataFacts

    def __repr__(self) -> str:
        return f"<open {repr(self.record)[1:-1]}, {self.spec.size_px} px, bands {', '.join(self.spec.bands)}>"

    @property
    def encoder(self) -> Encoder:
        """The encoder whose features were scored."""
        return self.objective.scored_encoder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        held = next(chain(self.objective.parameters(), self.objective.buffers()), None)
        return torch.device("cpu") if held is None else held.device

    @property
    def spec(self) -> ImageSpec:
        """What the images of the run looked like."""
        return self.facts.spec

    @property
    def stretch(self) -> Stretch:
        """How flux of its galaxies was shown, as their data set was told."""
        learnt = self.record.options.get("dataset", {}).get("stretch")
        return next((each for each in get_args(Stretch) if each == learnt), "auto")

    @property
    def given_bands(self) -> tuple[str, ...]:
        """What the user called the bands of its galaxies, or which of them were to be shown; empty if nothing."""
        return tuple(map(str, self.record.options.get("dataset", {}).get("bands") or ()))

    @property
    def classes(self) -> int:
        """How many classes its galaxies have."""
        return self.facts.classes

    @property
    def has_galaxies(self) -> bool:
        """Whether it was trained or scored on galaxies; not so a model from elsewhere that was only imported."""
        return bool(self.record.identity.get("fingerprint"))


def open_run(where: str | Path, *, out: Path | str = OUT, registry: Registry | None = None) -> OpenRun:
    """Open a finished run; its galaxies need not be at hand.

    Args:
        where: a record's file, or the first letters of its id.
        out: output folder in which ids are looked up.
        registry: offers the components that it is built from; all that are installed if None.

    Raises:
        ConfigError: no run, or more than one, has that id; a component of it is not installed.
        DataError: the run has no scores, or its weights are missing, damaged or of another version.

    Example:
        >>> run = open_run("3f9a2c")  # doctest: +SKIP
        >>> run.encoder.taps(images)["last"]  # doctest: +SKIP
    """
    store, record = find_run(where, Path(out))
    facts = read_facts(store.weights_path(record.run_id))
    registry = registry or load_registry()
    kinds: tuple[Kind, ...] = ("encoder", "objective", "masker")
    parts = {kind: _recorded_component(record, kind, registry) for kind in kinds}
    with scoped_global(record.seed, "opened"):  # initial weights are drawn and then overwritten
        encoder: Encoder = parts["encoder"].build(facts.spec)
        objective: Objective = parts["objective"].build(encoder, encoder.grid, facts.classes)
    masker: Masker | None = None if encoder.grid is None else parts["masker"].build(encoder.grid)
    with blamed_on(objective):
        read_weights(store.weights_path(record.run_id), objective)
    return OpenRun(record, store, objective, masker, facts)


def _recorded_component(record: RunRecord, kind: Kind, registry: Registry) -> Component:
    """Resolve again what a record names, with the options that it had; emit a note where its version is another.

    Files that weights once came from are left out where they need not be given: the run has its own weights now.

    Raises:
        ConfigError: it is not installed, or has lost an option since.
    """
    try:
        offer = registry.get(kind, getattr(record, kind))
    except ConfigError as error:  # a record names no plugin, but the command that made it does
        made = record.provenance.command
        raise ConfigError(f"{error}; the run was made by `{made}`" if made else str(error)) from None
    spare = {option.name for option in offer.options if "Path" in option.type and option.default is None}
    options = {name: value for name, value in record.options.get(kind, {}).items() if name not in spare}
    component = Component.of(offer, {kind: options})
    if record.is_edition_1:
        now, was = component.chain["own"], record.identity.get("versions", {}).get(kind)
    else:
        now, was = component.version, version_text(record.identity["chain"][kind])
    if was not in (None, now):
        emit("note", text=f"run {record.run_id}: {offer.title} is {now} now, was {was}")
    return component


# --- its galaxies ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reopened:
    """The galaxies of a run, loaded again.

    Attributes:
        galaxies: as they are now.
        differing: why they are not those that the run was scored on, in a sentence; None where they are.
    """

    galaxies: Galaxies
    differing: str | None


def reopen_galaxies(
    run: OpenRun,
    registry: Registry,
    settings: Settings,
    cache: Path,
    device: torch.device,
    *,
    dataset: str | None = None,
    resident_bytes: int = RESIDENT_BYTES,
) -> Reopened:
    """Load the galaxies of a run again, at the size of its images.

    Args:
        run: a finished run.
        registry: offers the dataset.
        settings: options of the dataset, over those recorded.
        cache: folder of converted galaxies.
        device: where batches are wanted.
        dataset: name of the dataset, where another one holds the same galaxies by now.
        resident_bytes: images up to this size are copied to the device at once.

    Raises:
        ConfigError: a file is needed and was not given, or an option is unknown.
        DataError: the galaxies cannot be read.
    """
    places = GalaxyPlaces(run.store.out)
    component, left_out = recorded_dataset(run.record, registry, settings, dataset, places.of(run.record))
    galaxies = load_galaxies(component, run.spec.size_px, cache, device, resident_bytes)
    differing = difference(run.record, galaxies, left_out)
    if differing is None:
        places.keep(galaxies.table.fingerprint, component.name, component.options)
    return Reopened(galaxies, differing)


def recorded_dataset(
    record: RunRecord,
    registry: Registry,
    settings: Settings,
    dataset: str | None = None,
    places: Places | None = None,
) -> tuple[Component, dict[str, object]]:
    """Resolve the dataset of a run again: options as they are recorded, files as they are given now.

    A record keeps the names of files and no folders. A file that is not given is taken where the output folder
    remembers it, or where it lies in the current folder; it is left out where the dataset can do without it.

    Args:
        record: of the run.
        registry: offers the dataset.
        settings: options of the dataset, over those recorded.
        dataset: name of the dataset, where another one holds the same galaxies by now.
        places: where its output folder says that these galaxies lie.

    Returns:
        The dataset, and the recorded options that were left out.

    Raises:
        ConfigError: a file is needed and was not given, or an option is unknown.
    """
    offer = registry.get("dataset", dataset or record.dataset)
    given = settings_for(settings, offer)
    recorded = record.options.get("dataset", {}) if offer.name == record.dataset else {}
    known = {  # of what the run had, where this is its dataset
        name: place
        for name, place in (places or {}).get(offer.name, {}).items()
        if offer.has(name) and (offer.name != record.dataset or recorded.get(name) is not None)
    }
    given = {**{name: place for name, place in known.items() if Path(place).exists()}, **given}
    files = [option for option in offer.options if "Path" in option.type and option.name not in given]
    lost = [each for each in files if each.name in recorded and recorded[each.name] is not None]
    lost = [each for each in lost if not Path(recorded[each.name]).expanduser().exists()]
    for option in files:
        if option.required and (option in lost or option.name not in recorded):
            name, last = recorded.get(option.name, "a file"), known.get(option.name)
            lay = " and records keep no folders" if last is None else f", which lay at {last} and is gone"
            raise ConfigError(
                f"run {record.run_id} was scored on galaxies of {name}{lay}; give "
                f"its path with --set dataset.{option.name}=FILE, or name other galaxies with -d DATASET"
            )
    left_out = {option.name for option in lost}
    kept = {option: value for option, value in recorded.items() if option not in left_out}
    component = Component.of(offer, {"dataset": {**kept, **given}})
    return component, {name: known.get(name, recorded[name]) for name in sorted(left_out)}


def difference(record: RunRecord, galaxies: Galaxies, left_out: dict[str, object]) -> str | None:
    """Return in a sentence why galaxies are not those that a run was scored on; None where they are."""
    if left_out:
        missing = ", ".join(f"dataset.{name}={value}" for name, value in left_out.items())
        return f"run {record.run_id} also had {missing}, not found here; give the path with --set"
    table = galaxies.table
    found = {"fingerprint": table.fingerprint, "splits": split_hash(table.ids, table.split)}
    if {name: record.identity.get(name) for name in found} == found:
        return None
    return (
        f"dataset '{galaxies.name}' holds other galaxies: these are not the galaxies that run {record.run_id} was "
        "trained and scored on (another fingerprint or split); set its options as they were"
    )
