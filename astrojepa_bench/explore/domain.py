"""Whether a run looks at images of another kind than it has learnt from."""

from __future__ import annotations

import re

from astrojepa_bench.data.look.survey import survey_of, usual_pixel_scale
from astrojepa_bench.data.sources.band_order import places_of
from astrojepa_bench.runs.open_run import OpenRun
from astrojepa_bench.types import GalaxyTable

ANOTHER_SCALE = 1.2  # ratio of pixel scales from which a galaxy looks another size
UNNAMED_BAND = re.compile(r"red|green|blue|gr[ae]y|band_?\d+", re.IGNORECASE)  # says nothing of a filter


def domain_note(run: OpenRun, table: GalaxyTable) -> str | None:
    """Tell in one line where galaxies differ from those that a run was trained on: survey, bands, pixel scale.

    Only what both state is compared.

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
    named = not any(UNNAMED_BAND.fullmatch(band) for band in (*mine, *found))
    if named and places_of(mine, found) != [*range(len(mine))]:
        learnt.append(f"bands {', '.join(mine)}")
        seen.append(f"bands {', '.join(found)}")
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
