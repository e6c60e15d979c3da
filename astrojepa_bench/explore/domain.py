"""Whether a run looks at images of another kind than it has learnt from."""

from __future__ import annotations

import re

from astrojepa_bench.data.look.survey import survey_of, usual_pixel_scale
from astrojepa_bench.data.sources.band_order import places_of
from astrojepa_bench.runs.open_run import OpenRun
from astrojepa_bench.types import GalaxyTable

ANOTHER_SCALE = 1.2  # ratio of pixel scales from which a galaxy looks another size
COLOUR = re.compile("red|green|blue|gr[ae]y", re.IGNORECASE)  # of a picture: of no known filter
NUMBERED_BAND = re.compile(r"band_?\d+", re.IGNORECASE)  # says nothing at all


def domain_note(run: OpenRun, table: GalaxyTable) -> str | None:
    """Tell in one line where galaxies differ from those that a run was trained on: survey, bands, pixel scale.

    Only what both state is compared; filters differ from colours of pictures, which name none.

    Args:
        run: a finished run.
        table: galaxies that it looks at, at its image size.

    Returns:
        None where nothing that is known differs.
    """
    facts = run.facts
    learnt, seen = list[str](), list[str]()
    survey = survey_of(table.card)
    if facts.survey and survey and facts.survey != survey:
        learnt.append(facts.survey)
        seen.append(survey)
    mine, found = facts.spec.bands, table.spec.bands
    unnamed = any(NUMBERED_BAND.fullmatch(band) for band in (*mine, *found))
    pictures = [any(COLOUR.fullmatch(band) for band in bands) for bands in (mine, found)]
    differ = places_of(mine, found) != [*range(len(mine))]
    if differ and not unnamed and not all(pictures):
        words = ["colours of pictures:" if each else "bands" for each in pictures]
        learnt.append(f"{words[0]} {', '.join(mine)}")
        seen.append(f"{words[1]} {', '.join(found)}")
    scale, here = facts.pixel_scale, usual_pixel_scale(table)
    if scale and here and not 1 / ANOTHER_SCALE < here / scale < ANOTHER_SCALE:
        learnt.append(f"{scale:.3g} arcsec/px")
        seen.append(f"{here:.3g} arcsec/px")
    if not seen:
        return None
    return (
        f"{table.card.name} is {', '.join(seen)}; run {run.record.run_id[:8]} learnt from {', '.join(learnt)}: "
        "scores, distances and predictions may not hold here (evaluator `transfer` measures by how much)"
    )
