"""What a suite fixes before its runs, and the board needs to judge them.

`leaderboard build --suite NAME` and `run --suite NAME` keep the rules of a suite beside its records, in
`suite.json`, so that a board follows from its folder alone. Without that file the defaults hold.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from astrojepa_bench.errors import DataError

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
        headline: the metric by which contestants are ordered and judged, `evaluator.metric`.
        alpha: chance of one false claim or more in a family.
        margin: differences below it are of no consequence, as a fraction.
        margins: the same by fingerprint of the galaxies, where it is another.
        titles: what the galaxies are called, by fingerprint.
        groups: group of an objective, for records that hold none.
        references: the level of each factor to which the others are compared.
        families: which differences are judged together, narrowest first.
        borrowed: by evaluator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str = ""
    version: int = 0
    headline: str = "linear.accuracy"
    alpha: float = Field(default=0.05, gt=0, lt=1)
    margin: float = Field(default=0.02, gt=0)
    margins: dict[str, float] = {}
    titles: dict[str, str] = {}
    groups: dict[str, str] = {}
    references: dict[str, str] = {"masker": "random"}
    families: tuple[str, ...] = ("lift", "masker", "objective", "all")
    borrowed: dict[str, Borrowed] = {
        "linear": Borrowed(same=0.01, other=0.02, rest=0.0727),
        "knn": Borrowed(same=0.03, other=0.06, rest=0.058),
    }

    def margin_of(self, fingerprint: str) -> float:
        """Return the margin of equivalence on some galaxies, as a fraction."""
        return self.margins.get(fingerprint, self.margin)


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
