"""Find entries by the names that people give them: `mae+random`, `mae(batch_size=64)+random`, an entry's id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from astrojepa_bench.board.families import Entries
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.naming import short, titled
from astrojepa_bench.results.record import RunRecord

KINDS = ("objective", "masker", "encoder")
LEAST_LETTERS = 6
"""Of an entry's id."""


@dataclass(frozen=True)
class PartName:
    """One part of an entry's name: `mae(batch_size=64)`; without options, those of the recipe are meant."""

    name: str
    options: frozenset[str] = frozenset()

    def fits(self, record: RunRecord, kind: str) -> bool:
        """Whether the part of that kind of a run is called so."""
        altered = record.altered.get(kind, {})
        texts = {f"{option}={short(value)}" for option, value in altered.items()}
        return getattr(record, kind) == self.name and (self.options <= texts if self.options else not texts)

    def __str__(self) -> str:
        return self.name + (f"({', '.join(sorted(self.options))})" if self.options else "")


@dataclass(frozen=True)
class EntryName:
    """An entry as it was asked for: parts by kind, the encoder perhaps left open; or the first letters of an id."""

    text: str
    parts: Mapping[str, PartName]
    id_letters: str = ""

    @property
    def fixes_encoder(self) -> bool:
        """Whether the encoder is part of what was asked for."""
        return bool(self.id_letters) or "encoder" in self.parts


def read_name(text: str) -> EntryName:
    """Read the name of an entry.

    Raises:
        ConfigError: it is none.
    """
    if re.fullmatch(rf"[0-9a-f]{{{LEAST_LETTERS},}}", text):
        return EntryName(text, {}, text)
    pieces = re.findall(r"([^+()\s][^+()]*?)\s*(?:\(([^()]*)\))?\s*(?:\+|$)", text)
    if not 2 <= len(pieces) <= len(KINDS) or len(re.findall(r"\+(?![^(]*\))", text)) != len(pieces) - 1:
        raise ConfigError(
            f"found '{text}'; expected objective+masker, objective+masker+encoder (each perhaps with its "
            "options in brackets), or the first letters of an entry's id"
        )
    parts = {
        kind: PartName(name, frozenset(re.split(r",\s*(?=\w+=|…)", options)) - {"", "…"})
        for kind, (name, options) in zip(KINDS, pieces, strict=False)
    }
    return EntryName(text, parts)


def find_entries(entries: Entries, name: EntryName) -> list[str]:
    """Find the entries of a section that a name means, by id; a part without options means that of the recipe."""
    if name.id_letters:
        return [entry for entry in entries if entry.startswith(name.id_letters)]
    return [
        entry
        for entry, runs in entries.items()
        if all(part.fits(runs[0], kind) for kind, part in name.parts.items())
    ]


def unknown_name(name: EntryName, sections: Iterable[Entries]) -> ConfigError:
    """Phrase that no section holds an entry of that name, with the nearest that there is."""
    titles = {
        "+".join(titled(getattr(runs[0], kind), runs[0].altered.get(kind, {})) for kind in KINDS[:2])
        for entries in sections
        for runs in entries.values()
    }
    return ConfigError(f"no entry is called '{name.text}'; {nearest(name.text, sorted(titles))}")


def encoder_of(record: RunRecord) -> str:
    """Name the encoder of a run with all its options."""
    return f"{record.encoder} {canonical_json(record.options.get('encoder', {}))}"
