"""Which columns of a Parquet table hold the image, its bands and what is known of a galaxy?

The image is one column of encoded files (bytes, or the `bytes` of a struct), of nested lists, or of a tensor; or
the `flux` of a struct, of a list of structs, or of columns that begin alike (`image_flux`), beside which lie
`band`, `ivar`, `mask` and `scale`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import pyarrow as pa
from pyarrow import types

from astrojepa_bench.data.column_names import bands_beside, candidates, spelling
from astrojepa_bench.data.sources.catalogue import FACTS
from astrojepa_bench.data.sources.container import shown
from astrojepa_bench.errors import DataError, nearest

AUTO = "auto"
FLUX = ("flux", "array")
BAND, IVAR, MASK, SCALE = ("band", "bands"), ("ivar",), ("mask", "bit_mask"), ("scale",)
BESIDE = (*BAND, *IVAR, *MASK, *SCALE, "psf_fwhm")
FOUND = ("label", "id", "ra", "dec", "redshift", "pixel_scale", "split")  # by their usual names
STRICT: Mapping[str, tuple[str, ...]] = {"label": ("label",), "id": ("id", "object_id")}
"""Names that say so plainly what a column holds that anything else in it is an error, not another column."""
LABEL_END = "_label"
DEEPEST = 8  # levels of lists; an image has three
Kind: TypeAlias = Literal["encoded", "numbers", "bands"]


class ColumnPlace(NamedTuple):
    """Where values lie: a column, or a field of one that holds structs.

    Attributes:
        column: name.
        inner: name of the field; empty for the column itself.
    """

    column: str
    inner: str = ""

    def __str__(self) -> str:
        return f"{self.column}.{self.inner}" if self.inner else self.column

    def leaves(self, paths: Iterable[str]) -> list[str]:
        """Return those of a file's leaf columns that hold these values."""
        mine = [path for path in paths if path == self.column or path.startswith(f"{self.column}.")]
        if not self.inner:
            return mine
        return [path for path in mine if self.inner in path[len(self.column) + 1 :].split(".")]


@dataclass(frozen=True)
class ImagePlaces:
    """Where an image lies.

    Attributes:
        kind: files, numbers, or flux beside which there is more.
        pixels: the files or numbers.
        band, ivar, mask, scale: what lies beside flux, where it does.
    """

    kind: Kind
    pixels: ColumnPlace
    band: ColumnPlace | None = None
    ivar: ColumnPlace | None = None
    mask: ColumnPlace | None = None
    scale: ColumnPlace | None = None

    @property
    def beside(self) -> tuple[ColumnPlace, ...]:
        """What lies beside flux and is as large, at most."""
        return tuple(place for place in (self.ivar, self.mask) if place is not None)


def stored(kind: pa.DataType) -> pa.DataType:
    """Return what values are, whatever type gives them: extension types and dictionaries stand for others."""
    while not isinstance(kind, pa.FixedShapeTensorType):
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif types.is_dictionary(kind):
            kind = kind.value_type
        else:
            break
    return kind


def is_listed(kind: pa.DataType) -> bool:
    """Whether a type is that of lists of any kind."""
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def levels(kind: pa.DataType) -> tuple[int, pa.DataType]:
    """Count how deeply lists are nested, and return what the innermost hold."""
    depth, kind = 0, stored(kind)
    if isinstance(kind, pa.FixedShapeTensorType):
        return len(kind.shape), stored(kind.value_type)
    while is_listed(kind) and depth <= DEEPEST:
        depth, kind = depth + 1, stored(kind.value_type)
    return depth, kind


def fields_of(kind: pa.DataType) -> dict[str, pa.DataType]:
    """Return the fields of a struct, or of a list of structs, by name; none of anything else."""
    depth, inner = levels(kind)
    if depth > 1 or not types.is_struct(inner):
        return {}
    return {inner.field(at).name: inner.field(at).type for at in range(inner.num_fields)}


@dataclass(frozen=True)
class Schema:
    """The columns of a table.

    Attributes:
        title: what to call the table in a message.
        columns: types by name.
    """

    title: str
    columns: Mapping[str, pa.DataType]

    def place(self, name: str, role: str) -> ColumnPlace:
        """Find a column by its name, or a field of one as `column.field`.

        Raises:
            DataError: there is none, or several that differ in nothing but case.
        """
        alike = [each for each in self.columns if each == name]
        alike = alike or [each for each in self.columns if each.lower() == name.lower()]
        if len(alike) == 1:
            return ColumnPlace(alike[0])
        column, _, inner = name.partition(".")
        if column in self.columns and inner in fields_of(self.columns[column]):
            return ColumnPlace(column, inner)
        way_out = ", or to none" if role != "image" else ""
        known = [shown(each) for each in list(self.columns)[:50]]
        raise DataError(
            f"{self.title} has no column '{shown(name)}'; set dataset.{role} to another{way_out}: "
            f"{nearest(name, known)}"
        )

    def known(self, role: str, asked: str | None, stated: Sequence[str] = ()) -> ColumnPlace | None:
        """Find the column of numbers or text for a role; None where there is none.

        Args:
            role: of `FOUND`, or one that has no usual name.
            asked: a name; `auto` for the usual ones; None or empty for no column.
            stated: the name that the table itself gives, before all others.

        Raises:
            DataError: the column asked for is missing or holds lists, or several could be meant.
        """
        if not asked:
            return None
        if asked != AUTO:
            return self._flat(self.place(asked, role), role)
        names = [name for name in stated if name in self.columns]
        names = names or self._usual(role)
        if len(names) > 1:
            raise DataError(
                f"{self.title}: columns {', '.join(map(shown, names))} could each be the {role}; set "
                f"dataset.{role} to one of them, or to none"
            )
        return self._flat(ColumnPlace(names[0]), role) if names else None

    def _usual(self, role: str) -> list[str]:
        """List what could be meant: the plain name alone, else the likeliest of the other usual ones."""
        if role not in FOUND:
            return []
        usual = candidates(role, list(self.columns))
        plain = [name for name in usual if name.lower() == role]
        if plain:
            return [role] if role in plain else plain
        ended = [name for name in self.columns if role == "label" and name.lower().endswith(LABEL_END)]
        flat = (
            self._may_be_numbers(usual)
            if role in FACTS
            else [n for n in usual if not _is_nested(self.columns[n])]
        )
        return ended or flat[:1]

    def deciding(self, role: str) -> list[str]:
        """List the columns whose values decide which of them holds a fact; none where the names alone do."""
        usual = self._may_be_numbers(candidates(role, list(self.columns)))
        bands = bands_beside(list(self.columns)).values() if "z" in map(spelling, usual) else ()
        return [] if usual == [role] else [*usual, *self._may_be_numbers(bands)]

    def _may_be_numbers(self, names: Iterable[str]) -> list[str]:
        """List the columns of one number or text a row; one of bytes may hold images."""
        return [n for n in names if not (_is_nested(self.columns[n]) or _is_bytes(stored(self.columns[n])))]

    def _flat(self, place: ColumnPlace, role: str) -> ColumnPlace:
        kind = self.type_of(place)
        if _is_nested(kind):
            raise DataError(
                f"{self.title}: column '{shown(str(place))}' holds {shown(str(kind))}; expected one value a "
                f"galaxy: set dataset.{role} to another, or to none"
            )
        return place

    def type_of(self, place: ColumnPlace) -> pa.DataType:
        """Return the type of the values at a place."""
        kind = self.columns[place.column]
        return fields_of(kind)[place.inner] if place.inner else kind

    def image(self, asked: str) -> ImagePlaces:
        """Find the image.

        Args:
            asked: name of a column, `column.field`, or what columns begin with before `_flux`; `auto` for the
                column `image`, or the only one that can hold images.

        Raises:
            DataError: there is none, or several, or it holds no image.
        """
        if asked == AUTO:
            asked = self._only_image()
        begun = [f"{asked}_{word}" for word in FLUX if f"{asked}_{word}" in self.columns]
        place = ColumnPlace(begun[0]) if begun and asked not in self.columns else self.place(asked, "image")
        fields = fields_of(self.columns[place.column])
        inner = place.inner or next((name for name in FLUX if name in fields), "")
        if inner in FLUX:
            return self._beside(
                ColumnPlace(place.column, inner), {name: ColumnPlace(place.column, name) for name in fields}
            )
        if not place.inner and types.is_binary(stored(fields.get("bytes", pa.null()))):
            return ImagePlaces("encoded", ColumnPlace(place.column, "bytes"))
        depth, kind = levels(self.type_of(place))
        if not depth and _is_bytes(kind):
            return ImagePlaces("encoded", place)
        if not depth or not _is_number(kind):
            raise DataError(
                f"{self.title}: column '{shown(str(place))}' holds {shown(str(self.type_of(place)))}; expected "
                "bytes of image files, nested lists of numbers, or a struct with flux: set dataset.image to another"
            )
        stem, _, word = place.column.rpartition("_")
        stem = stem if word in FLUX else ""
        beside = {
            word: ColumnPlace(f"{stem}_{word}")
            for word in BESIDE
            if stem and f"{stem}_{word}" in self.columns
        }
        return self._beside(place, beside)

    def _beside(self, pixels: ColumnPlace, beside: Mapping[str, ColumnPlace]) -> ImagePlaces:
        def first(words: tuple[str, ...]) -> ColumnPlace | None:
            return next((beside[word] for word in words if word in beside), None)

        depth, kind = levels(self.type_of(pixels))
        if not depth or not _is_number(kind):
            raise DataError(
                f"{self.title}: column '{shown(str(pixels))}' holds {shown(str(self.type_of(pixels)))}; expected "
                "lists of numbers: set dataset.image to another"
            )
        return ImagePlaces("bands" if beside else "numbers", pixels, *map(first, (BAND, IVAR, MASK, SCALE)))

    def _only_image(self) -> str:
        stems = [name.rpartition("_")[0] for name in self.columns if name.rpartition("_")[2] in FLUX]
        beside = {f"{stem}_{word}" for stem in stems for word in BESIDE}
        found = [name for name, kind in self.columns.items() if _can_show(kind) and name not in beside]
        if "image" in found:
            return "image"
        if len(found) == 1:
            return found[0]
        many = f"columns {', '.join(map(shown, found[:9]))} can each hold images"
        none = f"no column holds images among {', '.join(map(shown, list(self.columns)[:20]))}"
        raise DataError(f"{self.title}: {many if found else none}; set dataset.image to the one that does")


def _is_nested(kind: pa.DataType) -> bool:
    depth, inner = levels(kind)
    return bool(depth) or types.is_struct(inner) or types.is_map(inner)


def _can_show(kind: pa.DataType) -> bool:
    depth, inner = levels(kind)
    fields = fields_of(kind)
    if any(levels(fields[name])[0] >= 2 for name in FLUX if name in fields):
        return True
    if types.is_binary(stored(fields.get("bytes", pa.null()))):
        return True
    return _is_bytes(inner) if not depth else depth >= 2 and _is_number(inner)


def _is_bytes(kind: pa.DataType) -> bool:
    return types.is_binary(kind) or types.is_large_binary(kind)


def _is_number(kind: pa.DataType) -> bool:
    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
