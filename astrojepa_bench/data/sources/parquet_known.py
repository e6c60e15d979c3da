"""What do the columns of a Parquet table say of its galaxies? The columns of images are not read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float, Int
from pyarrow import compute, types

from astrojepa_bench.data.column_names import first_believable
from astrojepa_bench.data.sources.catalogue import FACTS, Catalogue, measured
from astrojepa_bench.data.sources.container import RefusedError, guarded
from astrojepa_bench.data.sources.parquet_cells import plain
from astrojepa_bench.data.sources.parquet_columns import ColumnPlace, ImagePlaces, is_listed
from astrojepa_bench.data.sources.parquet_table import CATALOGUE_ROWS, Shard, batches
from astrojepa_bench.data.sources.table_columns import believable
from astrojepa_bench.data.sources.tables import class_notes, classes_of, ids_of, names_of, numbers_of
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track

TEXTS = frozenset({"id", "label", "group", "split"})
SCALE_TOLERANCE = 1e-3  # between the bands of an image
SEPARATOR = "\n"


@dataclass(frozen=True)
class Known:
    """What a table says of chosen rows.

    Attributes:
        rows: their numbers over all files.
        catalogue: without fields of view and bands.
        scale: arcsec per pixel of each row's image, NaN where unknown.
        bands: names of the bands that most images have, in the order in which most have them; none where
            the table does not name them.
        places: columns by what they say, without those that hold something else than their names let one guess.
    """

    rows: Int[np.ndarray, " row"]
    catalogue: Catalogue
    scale: Float[np.ndarray, " row"]
    bands: tuple[str, ...] = ()
    places: Mapping[str, ColumnPlace] = field(default_factory=dict)

    def with_(self, **changes: object) -> Known:
        """Return the same with other columns of its catalogue."""
        return replace(self, catalogue=replace(self.catalogue, **changes))  # type: ignore[arg-type]


def known_of(
    title: str,
    shards: Sequence[Shard],
    rows: Int[np.ndarray, " row"],
    places: Mapping[str, ColumnPlace],
    image: ImagePlaces,
    metadata: Mapping[bytes, bytes],
    guessed: frozenset[str] = frozenset(),
    deciding: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Known:
    """Read what a table says of chosen rows.

    Args:
        title: what to call it in a message.
        shards: its files.
        rows: numbers over all files, ascending.
        places: columns by what they say; under a name that is none of a catalogue's, numbers to carry along.
        image: where images lie, for the names and the scale of their bands.
        metadata: of the table, which may name its classes.
        guessed: roles of columns that may hold something else, and are left out if they do.
        deciding: by facts, the columns whose values decide which of them holds it.

    Raises:
        DataError: a column holds something else than expected, or a file is damaged.
    """
    beside = [place for place in (image.band, image.scale) if place is not None]
    sure = [(role, place) for role, place in places.items() if role not in deciding]
    doubtful = [("", ColumnPlace(name)) for names in deciding.values() for name in names]
    held: dict[tuple[str, ColumnPlace], list[pd.Series]] = {each: [] for each in (*sure, *doubtful)}
    bands: Counter[str] = Counter()
    scale, ids = [], []
    every = [*dict.fromkeys((*(place for _, place in held), *beside))]
    steps = sum(-(-count // CATALOGUE_ROWS) for shard in shards for count in shard.groups)
    read = batches(shards, every or [image.pixels], rows, images=False)
    for shard, numbers, batch in track(
        read, task=f"reading the columns of {title}", total=steps, unit="blocks"
    ):
        for (role, place), parts in held.items():
            parts.append(_column(batch, place, role))
        if image.band is not None:
            bands.update(_joined(batch, image.band))
        if image.scale is not None:
            scale.append(_one_scale(batch, image.scale))
        stem = f"{shard.name.rpartition('.')[0]}/" if len(shards) > 1 else ""
        ids += [f"{stem}{number}" for number in numbers.tolist()]
    whole = {key: pd.concat(parts, ignore_index=True).rename(str(key[1])) for key, parts in held.items()}
    columns = {role: column for (role, _), column in whole.items() if role}
    doubted = {place.column: column for (role, place), column in whole.items() if not role}
    try:
        notes = _passed_over(columns, guessed)
        for role in deciding:
            name, told = first_believable(
                role, list(doubted), lambda each: _number(doubted[each], len(doubted[each]))[0]
            )
            notes += told
            columns |= {role: doubted[name]} if name else {}
        catalogue = _catalogue(columns, np.array(ids), _class_names(metadata, places.get("label")))
        catalogue = replace(catalogue, notes=(*notes, *catalogue.notes))
    except DataError as error:
        raise DataError(f"{title}: {error}") from None
    arcsec = np.concatenate(scale) if scale else _number(columns.get("pixel_scale"), len(ids))[0]
    names = bands.most_common(1)[0][0].split(SEPARATOR) if bands else []
    taken = {
        role: ColumnPlace(str(columns[role].name)) if role in deciding else place
        for role, place in places.items()
        if role in columns
    }
    return Known(rows, catalogue, np.where(arcsec > 0, arcsec, np.nan), tuple(filter(None, names)), taken)


def _passed_over(columns: dict[str, pd.Series], guessed: frozenset[str]) -> list[str]:
    """Take out the columns that do not hold what their names let one guess, and note why."""
    why = {}
    if "label" in guessed:
        try:
            classes_of(columns["label"])
        except DataError as error:
            why["label"] = str(error).partition("; ")[0]
    repeated = int(columns["id"].dropna().duplicated().sum()) if "id" in guessed else 0
    if repeated:
        why["id"] = f"it repeats {repeated} of its values"
    names = {role: str(columns[role].name) for role, reason in why.items() if reason}
    for role in names:
        del columns[role]
    return [f"column '{name}' is not taken for {role}: {why[role]}" for role, name in names.items()]


def _catalogue(columns: Mapping[str, pd.Series], ids: np.ndarray, class_names: Sequence[str]) -> Catalogue:
    bare = Catalogue.bare(ids)
    numbers = {
        role: _number(columns.get(role), len(ids)) for role in (*FACTS, *(columns.keys() - {*FACTS, *TEXTS}))
    }
    facts, more = believable({fact: numbers[fact][0] for fact in ("redshift", "ra", "dec")})
    names, label = ((), bare.label) if "label" not in columns else _classes(columns["label"], class_names)
    words = {role: np.array(names_of(columns[role])) for role in TEXTS - {"label", "id"} if role in columns}
    called, told = ids_of(columns["id"]) if "id" in columns else (ids, [])
    told = [*told, *(class_notes(columns["label"]) if "label" in columns and not class_names else ())]
    named = np.array(called)
    return replace(
        bare, ids=np.where(named == "", ids, named), label=label, class_names=names, group=words.get("group"),
        split=words.get("split"), redshift=facts["redshift"], ra=facts["ra"], dec=facts["dec"],
        attributes={role: values for role, (values, _) in numbers.items() if role not in FACTS},
        notes=(*(note for _, said in numbers.values() for note in said), *more, *told),
    )  # fmt: skip


def _classes(
    column: pd.Series, class_names: Sequence[str]
) -> tuple[tuple[str, ...], Int[np.ndarray, " row"]]:
    """Return class names and the class of each row; of numbers whose names the table states, those."""
    if not class_names:
        return classes_of(column)
    numbers = _number(column, len(column))[0]
    return tuple(class_names), np.where(numbers >= 0, numbers, -1).astype(np.int64)


def _class_names(metadata: Mapping[bytes, bytes], place: ColumnPlace | None) -> list[str]:
    """Return the names of classes that are stored as numbers, as the library `datasets` states them."""
    names: object = None
    with suppress(RefusedError), guarded():
        stated = json.loads(metadata.get(b"huggingface", b"{}"))
        names = stated["info"]["features"][place.column]["names"] if place is not None else None
    return [str(name) for name in names] if isinstance(names, list) else []


def _number(column: pd.Series | None, count: int) -> tuple[Float[np.ndarray, " row"], list[str]]:
    if column is None:
        return np.full(count, np.nan), []
    if column.dtype == np.float64:
        return measured(column.to_numpy()), []
    return numbers_of(column)


def _column(batch: pa.RecordBatch, place: ColumnPlace, role: str) -> pd.Series:
    """Return one value a row: numbers as they are, whole ones as text where they are names."""
    values = plain(batch.column(place.column))
    values = plain(compute.struct_field(values, [place.inner])) if place.inner else values
    values = values.dictionary_decode() if types.is_dictionary(values.type) else values
    wanted = pa.string() if role in TEXTS and types.is_integer(values.type) else None
    if role not in TEXTS:
        wanted = pa.float64()
    with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):  # text stays what it is
        values = values if wanted is None else values.cast(wanted, safe=False)
    return values.to_pandas()


def _listed(batch: pa.RecordBatch, place: ColumnPlace) -> tuple[Int[np.ndarray, " row"], pa.Array]:
    """Return how many values each row lists, and all of them behind one another."""
    values = plain(batch.column(place.column))
    lengths = np.ones(len(values), dtype=np.int64)
    for step in ("column", "field"):
        if step == "field" and place.inner:
            values = plain(compute.struct_field(values, [place.inner]))
        if is_listed(values.type):
            lengths = compute.fill_null(compute.list_value_length(values), 0).to_numpy(zero_copy_only=False)
            values = plain(values.flatten())
    return lengths.astype(np.int64), values


def _joined(batch: pa.RecordBatch, place: ColumnPlace) -> list[str]:
    """Return the names that each row lists, in one text."""
    lengths, values = _listed(batch, place)
    offsets = pa.array(np.cumsum([0, *lengths.tolist()]), type=pa.int32())
    words = pa.ListArray.from_arrays(offsets, values.cast(pa.string()))
    return [text for text in compute.binary_join(words, SEPARATOR).to_pylist() if text]


def _one_scale(batch: pa.RecordBatch, place: ColumnPlace) -> Float[np.ndarray, " row"]:
    """Return the scale that all bands of an image share, NaN where they differ or list none."""
    lengths, values = _listed(batch, place)
    numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    starts = np.cumsum(lengths) - lengths
    first = np.full(len(lengths), np.nan)
    first[lengths > 0] = numbers[starts[lengths > 0]]
    spread = np.repeat(first, lengths)
    same = np.abs(numbers - spread) <= SCALE_TOLERANCE * np.abs(spread)
    first[np.repeat(np.arange(len(lengths)), lengths)[~same]] = np.nan
    return first
