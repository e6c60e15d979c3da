"""What a suite fixes before its runs, and the board needs to judge them.

`leaderboard build --suite NAME` and `run --suite NAME` keep the rules of a suite beside its records, in
`suite.json`, so that a board follows from its folder alone. Without that file the defaults hold.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.results.store import write_atomically
from astrojepa_bench.suites import FAMILIES, Data, SuiteOffer

RULES = "suite.json"


class Borrowed(BaseModel):
    """The test galaxies' part of an error, for records that do not hold which of them were right.

    All are variances of one galaxy, in squared fractions.

    Attributes:
        same: component of galaxies that prefer one of two entries of one objective.
        other: the same, of two entries of different objectives.
        rest: what one galaxy changes sides by from seed to seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    same: float = Field(ge=0)
    other: float = Field(ge=0)
    rest: float = Field(default=0.0727, ge=0)


class Rules(BaseModel):
    """How the runs of a folder are judged.

    Attributes:
        suite: its name; empty for the defaults.
        version: of the suite.
        cite: how to cite its results.
        headline: the metric by which contestants are ordered and judged, `evaluator.metric`.
        alpha: chance of one false claim or more in a family.
        margin: differences below it are of no consequence, as a fraction.
        margins: the same by fingerprint of the galaxies, where it is another.
        titles: what the galaxies are called, by fingerprint.
        terms: licence and citation of the galaxies, by fingerprint; they move no judgement.
        groups: group of an objective or an encoder, for records that hold none.
        references: the level of each factor to which the others are compared.
        families: which differences are judged together, narrowest first.
        borrowed: by evaluator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str = ""
    version: int = 0
    cite: str = ""
    headline: str = "linear.accuracy"
    alpha: float = Field(default=0.05, gt=0, lt=1)
    margin: float = Field(default=0.02, gt=0)
    margins: dict[str, float] = {}
    titles: dict[str, str] = {}
    terms: dict[str, dict[str, str]] = {}
    groups: dict[str, str] = {}
    references: dict[str, str] = {"masker": "random"}
    families: tuple[str, ...] = FAMILIES
    borrowed: dict[str, Borrowed] = {
        "linear": Borrowed(same=0.01, other=0.02, rest=0.0727),
        "knn": Borrowed(same=0.03, other=0.06, rest=0.058),
    }

    def margin_of(self, fingerprint: str) -> float:
        """Return the margin of equivalence on some galaxies, as a fraction."""
        return self.margins.get(fingerprint, self.margin)


def rules_of(offer: SuiteOffer) -> Rules:
    """Read off a suite how its runs are judged."""
    suite = offer.suite
    fixed = {key: data.fingerprint for key, data in suite.data.items() if data.fingerprint}
    return Rules(
        suite=offer.name,
        version=suite.version,
        cite=suite.cite,
        headline=suite.headline,
        margins={fixed[key]: margin for key, margin in suite.margins.items() if key in fixed},
        titles={fingerprint: suite.data[key].title for key, fingerprint in fixed.items()},
        terms={
            fingerprint: terms for key, fingerprint in fixed.items() if (terms := _terms(suite.data[key]))
        },
        groups=suite.groups,
        references=suite.references,
        families=suite.families,
    )


def _terms(data: Data) -> dict[str, str]:
    """Collect the licence and the citation that a suite states of its galaxies."""
    stated = {"licence": data.licence, "citation": data.citation}
    return {name: text for name, text in stated.items() if text}


def keep_rules(out: Path, rules: Rules) -> None:
    """Keep rules in the folder of a board; from then on it is judged by them.

    Raises:
        ConfigError: it is judged by others, or cannot be written.
        DataError: its file holds no rules.
    """
    refuse_other_rules(out, rules)
    facts = rules.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(facts, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_atomically(out / RULES, text.encode())


def refuse_other_rules(out: Path, rules: Rules) -> None:
    """Refuse to judge runs by rules that were not fixed before them.

    Raises:
        ConfigError: the folder keeps other rules.
        DataError: its file holds no rules.
    """
    kept = read_rules(out)
    if not (out / RULES).is_file() or kept.model_copy(update={"terms": rules.terms}) == rules:
        return
    mine, theirs = (f"suite '{each.suite}' version {each.version}" for each in (rules, kept))
    names = (name for name in Rules.model_fields if name != "terms")
    moved = [name for name in names if getattr(rules, name) != getattr(kept, name)]
    what = f"other {', '.join(moved)}" if mine == theirs else f"expected {mine}"
    raise ConfigError(
        f"{out / RULES} holds the rules of {theirs}, {what}; use another folder, or delete that file to judge all "
        "runs of this folder anew"
    )


def read_rules(out: Path) -> Rules:
    """Read the rules that a folder keeps; the defaults where it keeps none.

    Raises:
        DataError: the file holds no rules.
    """
    path = out / RULES
    if not path.is_file():
        return Rules()
    try:
        return Rules.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"{path} holds no rules of a suite: {field}: {first['msg']}") from None
