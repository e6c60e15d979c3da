"""How entries are named: their components, each with the options that are not its defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from astrojepa_bench.results.identity import canonical_json

SHOWN = 3
LONGEST = 16


def titled(name: str, altered: Mapping[str, object]) -> str:
    """Name a component with what sets it apart from its defaults; of many options, the first by name.

    Example:
        >>> titled("brightness", {"temperature": 0.5}), titled("random", {})
        ('brightness(temperature=0.5)', 'random')
    """
    if not altered:
        return name
    shown = [f"{option}={short(altered[option])}" for option in sorted(altered)[:SHOWN]]
    return f"{name}({', '.join([*shown, *['…'] * (len(altered) > SHOWN)])})"


def told(reads: Sequence[str], labels: int | float | None) -> str:
    """Name what an objective was told beside images, and how many labels where that was limited.

    Example:
        >>> told(["labels", "redshift"], 100), told(["labels"], None)
        ('labels (100 of them), redshift', 'labels')
    """
    few = f"labels ({labels:g} of them)" if labels else "labels"
    return ", ".join(few if name == "labels" else name for name in reads)


def differing(facts: Collection[Mapping[str, object]]) -> list[str]:
    """Name, in order, what is not the same in all; to lack something is to have None.

    Example:
        >>> differing([{"shift": 0.0, "galaxies": 8000}, {"shift": 8.0, "galaxies": 8000}])
        ['shift']
    """
    names = sorted({name for each in facts for name in each})
    return [name for name in names if len({canonical_json(each.get(name)) for each in facts}) > 1]


def short(value: object) -> str:
    """Write an option's value so that it fits into a name."""
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
