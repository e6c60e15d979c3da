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

What is not known before the runs can be left to them: a sentence for each verdict, and none asserted.

```toml
[[chapters.claims]]
id = "brightness-or-centre"
on = "gz2"
compare = ["mine+brightness", "mine+radial"]
[chapters.claims.says]
better = "`brightness` reads {size} points better than `radial` [{low}, {high}]."
worse = "`radial` reads {size} points better than `brightness` [{low}, {high}]."
equivalent = "`brightness` and `radial` are equal within {margin} points ({effect} [{low}, {high}])."
undecided = "Nothing tells `brightness` from `radial`; {reach} points are not excluded; {needs}."
```

The verdict then stands in `verdicts.json`, which is committed beside the board: when the records say another one,
`leaderboard check` names the claim, and `leaderboard build` writes the sentence of the new verdict.

While the runs of a place come in, it is `complete = false`: what is claimed there is no fault, and is left out of
the findings until the line goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from astrojepa_bench.board.verdicts import EXPLORATORY
from astrojepa_bench.data.given import read_toml
from astrojepa_bench.errors import ConfigError, DataError

CLAIMS = "claims.toml"
ANYWHERE = ("figure", "forecasts")
"""Kinds of claims that need no place."""
DIFFERENCES = ("compare", "factor")
"""Kinds of claims that are about one difference."""
MEASURED = ("compare", "factor", "entry", "lifts", "agreement")
"""Kinds of claims that may be about another metric than the headline."""
VERDICTS: Mapping[str, tuple[str, ...]] = {
    "compare": ("better", "worse", "equivalent", "undecided"),
    "factor": ("better", "worse", "undecided"),
    "entry": (),
    "collapsed": ("none", "some", "all"),
    "lifts": ("better", "worse", "both", "undecided"),
    "leads": ("one", "several"),
    "rank": ("first", "leading", "behind"),
    "cost": ("dearer", "cheaper", "equal"),
    "agreement": ("alike", "opposite", "undecided"),
    "forecasts": ("kept", "missed", "wide"),
    "figure": (),
}
"""What may come out, by what a claim is about. A pair of no family of the suite is `exploratory` besides."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(_Part):
    """A section of the board, by facts that only it has.

    Attributes:
        title: what readers call its galaxies.
        fingerprint: the first letters.
        budget: with the number of images where it is not the budget's own, and that of pretraining galaxies where
            it was limited, as in its title.
        effort: the budget with its numbers, as in its facts.
        device_class, precision: as in its facts.
        complete: whether all its runs are in; until then nothing that is claimed there is known.
    """

    title: str
    fingerprint: str = ""
    budget: str = ""
    effort: str = ""
    device_class: str = ""
    precision: str = ""
    complete: bool = True


class Figure(_Part):
    """A number in a committed file that no record holds.

    Attributes:
        file: JSON in the folder of the board, so that a copy of it can be checked anywhere.
        value: where the number stands: keys and places in lists, from 0 on, with dots between.
        low, high: the same of its interval; empty: it has none.
    """

    file: str
    value: str
    low: str = ""
    high: str = ""

    @model_validator(mode="after")
    def _lies_in_the_folder(self) -> Self:
        if Path(self.file).name != self.file:
            raise ValueError(f"'{self.file}' is no file of the board's own folder; put it there and name it")
        return self


class Claim(_Part):
    """A sentence and what must be true for it to stand.

    Exactly one of the fields from `compare` to `figure` says what it is about.

    Attributes:
        id: how messages and other documents name it.
        says: the sentence, with slots; or one for each verdict.
        on: its place; of `figure` none, of `forecasts` all if empty.
        compare: two entries; slots effect, size (without its sign), low, high, half (of the interval), reach (the
            largest difference that is not excluded), margin, seeds (`3 seeds of each`), needs (what would show a
            difference that is undecided, as a clause).
        factor: `masker:brightness` and the level that it is compared with; slots as far as margin, blocks, count
            (of blocks), and interaction: a sentence where the factor differs between blocks, else nothing.
        entry: one entry; slots value, sd, low, high, seeds, first, last (its ranks), in the unit of the board's
            column.
        collapsed: one entry; slots collapsed, runs.
        cost: two entries; slots ratio (training operations of the first over those of the second), first, second
            [TFLOP].
        lifts: a group of contestants, each against its own encoder before training; slots better, worse,
            undecided, equivalent (names), `better_count` and so on, count, and of the most telling one: most,
            effect, size, low, high.
        leads: a group of contestants; slots leaders (those that may hold the first rank), count, of, and of the
            one with the best mean: best, value, low, high (for other seeds and other test galaxies).
        rank: one entry of its group: `first` alone, among those `leading` that may be, or `behind`; slots place
            (of its mean), first, last (of the ranks that it may hold), of.
        agreement: another place, whose order of contestants is correlated; slots rho, low, high, entries.
        forecasts: of later seeds by the first three of their entry; slots forecasts, inside, share, entries.
        figure: a number of a file; slots value, low, high.
        metric: `evaluator.metric`, of the kinds in `MEASURED`; the headline if empty. Of `entry` also a column of
            cost or masks, or `composite`.
        seeds: of `compare`: only so many seeds of each entry count, the first ones.
        asserts: the verdict, one of `VERDICTS`.
        at_least: the least that the low end of the interval, the value, or a number of runs, leaders or forecasts
            may be; in points, of costs as a ratio, of agreement as a correlation.
        at_most: the most that the high end, the value, or that number may be.
        effect_at_least, effect_at_most: what a difference itself may be, whatever its interval; in points.
    """

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    says: str | dict[str, str] = Field(min_length=1)
    on: str = ""
    compare: tuple[str, str] | None = None
    factor: tuple[str, str] | None = None
    entry: str | None = None
    collapsed: str | None = None
    cost: tuple[str, str] | None = None
    lifts: str | None = None
    leads: str | None = None
    rank: str | None = None
    agreement: str | None = None
    forecasts: bool | None = None
    figure: Figure | None = None
    metric: str = ""
    seeds: int | None = Field(default=None, ge=2)
    asserts: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    effect_at_least: float | None = None
    effect_at_most: float | None = None

    @property
    def kind(self) -> str:
        """What it is about."""
        return next(name for name in VERDICTS if getattr(self, name) is not None)

    @property
    def is_open(self) -> bool:
        """Whether its verdict is left to the records."""
        return self.asserts is None and not isinstance(self.says, str)

    def sentence(self, verdict: str) -> str:
        """Return what it says under a verdict, with slots.

        Raises:
            ConfigError: it has no sentence for that verdict.
        """
        if isinstance(self.says, str):
            return self.says
        if verdict not in self.says:
            raise ConfigError(
                f"it has no sentence for '{verdict}', only for {', '.join(self.says)}; write one"
            )
        return self.says[verdict]

    @model_validator(mode="after")
    def _asserts_one_thing(self) -> Self:
        about = [name for name in VERDICTS if getattr(self, name) is not None]
        if len(about) != 1:
            raise ValueError(
                f"it is about {' and '.join(about) or 'nothing'}; expected one of {', '.join(VERDICTS)}"
            )
        if not self.on and about[0] not in ANYWHERE:
            raise ValueError("it stands nowhere; give a place as on")
        known = VERDICTS[self.kind]
        if self.asserts is not None and not known:
            raise ValueError(f"asserts is a verdict, and {about[0]} has none; give at_least or at_most")
        if self.asserts is not None and self.asserts not in known:
            raise ValueError(f"asserts '{self.asserts}' is no verdict of {about[0]}; use {', '.join(known)}")
        on_effect = (self.effect_at_least, self.effect_at_most)
        if any(bound is not None for bound in on_effect) and about[0] not in DIFFERENCES:
            raise ValueError(
                f"effect_at_… is of a difference, and {about[0]} has none; give at_least or at_most"
            )
        bounds = (self.asserts, self.at_least, self.at_most, *on_effect)
        if isinstance(self.says, str) and all(each is None for each in bounds):
            raise ValueError(
                "it asserts nothing; give asserts, at_least or at_most, or a sentence for each verdict"
            )
        return self

    @model_validator(mode="after")
    def _has_options_of_its_kind(self) -> Self:
        for option, kinds in (("seeds", ("compare",)), ("metric", MEASURED)):
            if getattr(self, option) and self.kind not in kinds:
                raise ValueError(f"{option} belongs to {', '.join(kinds)}, and it is about {self.kind}")
        return self

    @model_validator(mode="after")
    def _says_something_whatever_comes_out(self) -> Self:
        if isinstance(self.says, str):
            return self
        known = VERDICTS[self.kind]
        more = next((name for name in self.says if name not in (*known, EXPLORATORY)), None)
        if more is not None:
            told = f"the verdicts are {', '.join(known)}" if known else "there are no verdicts"
            raise ValueError(f"it has a sentence for '{more}', but of {self.kind} {told}")
        # only shares of galaxies have a margin within which entries can be equivalent
        is_share = not self.metric or self.metric.endswith("accuracy")
        needed = [self.asserts] if self.asserts else [v for v in known if v != "equivalent" or is_share]
        lacking = [verdict for verdict in needed if verdict not in self.says and EXPLORATORY not in self.says]
        if lacking:
            raise ValueError(f"says nothing for {', '.join(lacking)}; write a sentence for each verdict")
        return self


class NumberTable(_Part):
    """Numbers side by side, straight from the records.

    Attributes:
        on: its place.
        entries: the rows.
        metrics: the columns, by the keys of the board's.
        titles: headings other than the board's, by key.
    """

    on: str
    entries: tuple[str, ...] = Field(min_length=1)
    metrics: tuple[str, ...] = ("linear.accuracy", "lift.accuracy", "knn.accuracy")
    titles: dict[str, str] = {}


class Chapter(_Part):
    """A question, how it was asked, and what the records say.

    Attributes:
        title: the question.
        text: what was done, in Markdown; it holds no result but those of claims, between marks.
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
        used = [on for claim in self.claims for on in (claim.on, claim.agreement) if on]
        lost = next((on for on in (*used, *tables) if on not in self.places), None)
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
