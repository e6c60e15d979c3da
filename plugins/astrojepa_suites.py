"""Suites: the questions this field asks, each as the grid of entries that answers it.

**baseline.** The whole field under one budget: which objective, with which masking? Every objective that is
driven by masks meets every masker; what ignores masks runs once.

**masking.** One objective that learns within minutes under every masker, so that what differs is where the masks
lie. `none` takes its local views from anywhere, as published; `radial` is the control for `brightness`: the same
formula, told only where the centre is; `inverse` hides nothing but sky.

**collapse.** What keeps a joint-embedding predictive architecture from the constant solution? Four arms: the
published method, the same without its moving-average teacher and stopped gradient, and both with SIGReg added
(Balestriero & LeCun 2025, arXiv 2511.08544; the claim of the AstroJEPA zoo). Expected, and found in three of three
seeds: only the one that has neither ends `collapsed`.

Run one with `astrojepa-bench run --suite NAME`; seeds, budget, galaxies, encoder and evaluators are the user's.
"""

from __future__ import annotations

from collections.abc import Mapping

from astrojepa_bench.plugin import Block, Suite, hookimpl

MASKERS = ("random", "multiblock", "brightness", "brightness-seed", "radial", "inverse")
DRIVEN_BY_MASKS = ("ijepa", "lejepa", "lejepa-morphology", "ijepa-sigreg", "masked-lejepa", "mae")
BLIND = ("vicreg", "supervised", "untrained")

BASELINE = Suite(
    summary="Which objective, with which masking? The whole field, floors and ceiling included.",
    blocks=(Block(objectives=DRIVEN_BY_MASKS, maskers=MASKERS), Block(objectives=BLIND)),
)
MASKING = Suite(
    summary="Does it matter where the masks lie? One objective that learns under every masker.",
    blocks=(Block(objectives=("lejepa",), maskers=("none", *MASKERS)),),
)
COLLAPSE = Suite(
    summary="What prevents collapse? A moving-average teacher, nothing, or SIGReg.",
    blocks=(
        Block(objectives=("ijepa", "ijepa-sigreg"), maskers=("multiblock",)),
        Block(
            objectives=("ijepa", "ijepa-sigreg"),
            maskers=("multiblock",),
            options={"objective": {"teacher": "none"}},
        ),
    ),
)


@hookimpl
def astrojepa_suites() -> Mapping[str, Suite]:
    """Offer the suites."""
    return {"baseline": BASELINE, "masking": MASKING, "collapse": COLLAPSE}
