"""Sentences about results, each bound to the comparison behind it: `claims.toml` of a board's folder.

```toml
[places.gz2]                      # where: every fact given here must hold of a section
title = "Galaxy Zoo 2"
budget = "small"

[[chapters]]
title = "Brightness, or only the centre?"
text = "What was done; no result."

[[chapters.claims]]
id = "brightness-or-centre"
says = "Nothing tells `brightness` from `radial`: {effect} points [{low}, {high}]."
on = "gz2"
compare = ["mine+brightness", "mine+radial"]
asserts = "undecided"
```

A sentence has slots, and no numbers of its own; the records fill them, and must support what it asserts.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from astrojepa_bench.data.given import read_toml
from astrojepa_bench.errors import ConfigError, DataError

CLAIMS = "claims.toml"
Asserted: TypeAlias = Literal["better", "worse", "equivalent", "undecided"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(_Part):
    """A section of the board, by facts that only it has.

    Attributes:
        title: what readers call its galaxies.
        fingerprint: the first letters.
        budget: with the number of images where it is not the budget's own, and that of pretraining galaxies where
            it was limited, as in its title.
        device_class, precision: as in its facts.
    """

    title: str
    fingerprint: str = ""
    budget: str = ""
    device_class: str = ""
    precision: str = ""


class Claim(_Part):
    """A sentence and what must be true for it to stand.

    Exactly one of `compare`, `factor`, `entry` and `collapsed` says what it is about.

    Attributes:
        id: how messages and other documents name it.
        says: the sentence, with slots.
        on: its place.
        compare: two entries; slots effect, size (without its sign), low, high, reach (the largest difference that
            is not excluded), seeds, galaxies, needed.
        factor: `masker:brightness` and the level that it is compared with; the same slots, blocks and count.
        entry: one entry; slots value, sd, seeds, first, last (its ranks). In the unit of the board's column.
        collapsed: one entry; slots collapsed, runs.
        metric: `evaluator.metric`; the headline if empty.
        asserts: the verdict on a comparison or a factor.
        at_least: the least that the low end of the interval, the value, or the number of collapsed runs may be;
            in points.
        at_most: the most that the high end, the value, or that number may be; in points.
        effect_at_least, effect_at_most: what a difference itself may be, whatever its interval; in points.
    """

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    says: str = Field(min_length=1)
    on: str
    compare: tuple[str, str] | None = None
    factor: tuple[str, str] | None = None
    entry: str | None = None
    collapsed: str | None = None
    metric: str = ""
    asserts: Asserted | None = None
    at_least: float | None = None
    at_most: float | None = None
    effect_at_least: float | None = None
    effect_at_most: float | None = None

    @model_validator(mode="after")
    def _asserts_one_thing(self) -> Self:
        about = [
            name for name in ("compare", "factor", "entry", "collapsed") if getattr(self, name) is not None
        ]
        if len(about) != 1:
            raise ValueError(
                f"it is about {' and '.join(about) or 'nothing'}; expected one of compare, factor, …"
            )
        on_effect = [self.effect_at_least, self.effect_at_most]
        if any(bound is not None for bound in on_effect) and about[0] in ("entry", "collapsed"):
            raise ValueError(
                f"effect_at_… is of a difference, and {about[0]} has none; give at_least or at_most"
            )
        if self.asserts is not None and about[0] in ("entry", "collapsed"):
            raise ValueError(f"asserts is a verdict, and {about[0]} has none; give at_least or at_most")
        if all(each is None for each in (self.asserts, self.at_least, self.at_most, *on_effect)):
            raise ValueError("it asserts nothing; give asserts, at_least or at_most")
        return self


class NumberTable(_Part):
    """Numbers side by side, straight from the records.

    Attributes:
        on: its place.
        entries: the rows.
        metrics: the columns, by the keys of the board's.
    """

    on: str
    entries: tuple[str, ...] = Field(min_length=1)
    metrics: tuple[str, ...] = ("linear.accuracy", "lift.accuracy", "knn.accuracy")


class Chapter(_Part):
    """A question, how it was asked, and what the records say.

    Attributes:
        title: the question.
        text: what was done, in Markdown; it holds no result.
        tables: numbers.
        claims: sentences.
        limits: what it does not show, in Markdown; no result either.
    """

    title: str
    text: str = ""
    tables: tuple[NumberTable, ...] = ()
    claims: tuple[Claim, ...] = ()
    limits: str = ""


class Claims(_Part):
    """All that a board says of its results.

    Attributes:
        title: of the page.
        text: what holds for all of it.
        places: sections by the name under which claims speak of them.
        headlines: ids of the claims that stand first on the page of the board.
        documents: other files, relative to the folder, in which claims stand between marks.
        chapters: in their order.
    """

    title: str = "Findings"
    text: str = ""
    places: dict[str, Place]
    headlines: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    chapters: tuple[Chapter, ...]

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        ids = Counter(claim.id for claim in self.claims)
        twice = next((name for name, count in ids.items() if count > 1), None)
        if twice:
            raise ValueError(f"two claims are called '{twice}'")
        tables = [table.on for chapter in self.chapters for table in chapter.tables]
        lost = next(
            (on for on in (*(claim.on for claim in self.claims), *tables) if on not in self.places), None
        )
        if lost:
            raise ValueError(f"'{lost}' is no place; there are {', '.join(self.places)}")
        unknown = next((name for name in self.headlines if name not in ids), None)
        if unknown:
            raise ValueError(f"headline '{unknown}' is no claim")
        return self

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims, in their order."""
        return tuple(claim for chapter in self.chapters for claim in chapter.claims)


def read_claims(out: Path) -> Claims | None:
    """Read the claims of a folder; None where it makes none.

    Raises:
        DataError: the file cannot be read, or a claim lacks something; names the first fault.
    """
    path = out / CLAIMS
    if not path.is_file():
        return None
    try:
        return Claims.model_validate(read_toml(path, str(path)))
    except ConfigError as error:
        raise DataError(f"{error}; correct it") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"{path}: {field}: {first['msg']}; correct it") from None
