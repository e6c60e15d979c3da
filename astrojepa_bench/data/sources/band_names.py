"""Which filters do names such as "DES-G" mean, and in which order are their bands shown?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from astrojepa_bench.data.sources.filters import named_twice, red_first
from astrojepa_bench.data.sources.flux import DISPLAY_ORDER
from astrojepa_bench.errors import DataError

FILTER = re.compile(r"(?:(?P<survey>[a-z0-9]+)[-_. ])?(?P<letter>[ugrizyjhk])")
NANOMAGGIES = frozenset({"", "des", "decam", "decals", "ls", "legacysurvey"})  # whose flux is in that unit


def letters_of(names: Sequence[str]) -> str:
    """Return one letter a band; empty unless every name ends in the letter of a filter, each in another.

    Example:
        >>> letters_of(("DES-G", "DES-R", "DES-Z")), letters_of(("F090W", "F277W"))
        ('grz', '')
    """
    found = [FILTER.fullmatch(name.strip().lower()) for name in names]
    letters = "".join(match["letter"] for match in found if match)
    return letters if len(set(letters)) == len(found) else ""


def is_legacy(names: Sequence[str]) -> bool:
    """Whether these are g, r and z of the Legacy Surveys, or of nobody in particular."""
    found = [FILTER.fullmatch(name.strip().lower()) for name in names]
    surveys = {match["survey"] or "" for match in found if match}
    return sorted(letters_of(names)) == sorted(DISPLAY_ORDER) and surveys <= NANOMAGGIES


def chosen_bands(wanted: Sequence[str], stated: Sequence[str], title: str) -> tuple[str, ...]:
    """Find the bands that are asked for by name or by the letter of their filter, the reddest first.

    Args:
        wanted: names or letters; none for all.
        stated: names that the data state.
        title: what to call the data in a message.

    Raises:
        DataError: one of them is not there, or is there twice.
    """
    spelt = {letter: name for name in stated if (letter := letters_of([name]))}
    spelt |= {name.lower(): name for name in stated}
    missing = next((name for name in wanted if name.lower() not in spelt), None)
    if missing is not None:
        raise DataError(
            f"{title} has no band '{missing}'; it has {', '.join(stated)}: set dataset.bands to some of these"
        )
    found = [spelt[name.lower()] for name in wanted] or stated
    if named_twice(found) is not None:
        whose = "dataset.bands names" if wanted else "its names are"
        raise DataError(f"{title} cannot show a band twice: {whose} {', '.join(wanted or stated)}")
    return red_first(found)
