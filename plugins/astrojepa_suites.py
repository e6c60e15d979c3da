"""Suites: the questions this field asks, each as the grid of entries that answers it.

**baseline.** The whole field under one budget: which objective, with which masking? Every objective that is
driven by masks meets every masker; what ignores masks runs once. It is a board: its galaxies, its seeds and the
difference that matters are fixed before its runs.

| key | galaxies | a difference matters from | what runs |
|---|---|---|---|
| `gz2` | Galaxy Zoo 2, real; `--data gz2=FOLDER` says where its three files lie | 2 points | the whole field |
| `simulated` | 8,000 simulated galaxies, and the same seen by another instrument | 1 point | the whole field |
| `shifted` | simulated galaxies, each 8 px off the centre | 1 point | one objective under five maskers |

The anomalies of the simulated galaxies are the mix `rare`, as when their records were made.

Seeds 20 to 39 are the board's, in this order. Recipes were chosen with seeds 0 to 9, which it never uses; 10 to 19
are for experiments. The fingerprints are **provisional** until the first full board freezes them.

**masking.** One objective that learns within minutes under every masker, so that what differs is where the masks
lie. `none` takes its local views from anywhere, as published; `radial` is the control for `brightness`: the same
formula, told only where the centre is; `saliency` follows what a round galaxy does not explain; `inverse` hides
nothing but sky.

**collapse.** What keeps a joint-embedding predictive architecture from the constant solution? Four arms: the
published method, the same without its moving-average teacher and stopped gradient, and both with SIGReg added
(Balestriero & LeCun 2025, arXiv 2511.08544; the claim of the AstroJEPA zoo). Expected, and found in three of three
seeds with version 4 of `ijepa`: only the one that has neither ends `collapsed`.

**features.** The recommended recipe for one's own galaxies: `astrojepa-bench run --suite features -d my_images/`
trains it, scores what can be scored, and then writes the latents of every galaxy, their map, the most anomalous of
them and a report into the output folder. **Provisional:** `lejepa` with `random` until the first full board names
the entry; it is the masker that needs to know nothing of the galaxies.

Run one with `astrojepa-bench run --suite NAME`; budget, encoder and evaluators are the user's, and so are galaxies
and seeds of `masking`, `collapse` and `features`. With galaxies named (`-d DATASET`, `--set dataset.OPTION=VALUE`)
`baseline` too is an experiment: the whole field on them, with any seeds.
"""

from __future__ import annotations

from collections.abc import Mapping

from astrojepa_bench.plugin import Block, Data, Suite, hookimpl

MASKERS = ("random", "multiblock", "brightness", "brightness-seed", "radial", "saliency", "inverse")
DRIVEN_BY_MASKS = ("ijepa", "lejepa", "lejepa-morphology", "ijepa-sigreg", "masked-lejepa", "mae")
BLIND = ("vicreg", "visreg", "simclr", "barlow-twins", "byol", "dino", "supervised", "untrained")

BASELINE = Suite(
    summary="Which objective, with which masking? The whole field, floors and ceiling included.",
    version=1,
    cite="astrojepa-bench, suite baseline, version 1; see CITATION.cff",
    data={
        "gz2": Data(
            title="Galaxy Zoo 2",
            dataset="hdf5",
            files={
                "path": "galaxy_zoo2.h5",
                "pool": "galaxy_zoo2_unlabelled.zip",
                "anomalies": "galaxy_zoo2_odd.h5",
            },
            fingerprint="0499d4bd447740b642446aabdba1a6be",
            grid="field",
        ),
        "simulated": Data(
            title="Simulated galaxies",
            dataset="synthetic",
            options={"anomaly_mix": "rare"},
            fingerprint="08ddd78f0e62cd2a6c7d51b02a329792",
            grid="field",
        ),
        "shifted": Data(
            title="Simulated galaxies, off centre",
            dataset="synthetic",
            options={"anomaly_mix": "rare", "shift": 8.0},
            fingerprint="cbfd0736f9a0f6d403a8750ab0f3dd9a",
            grid="centre",
        ),
    },
    grids={
        "field": (Block(objectives=DRIVEN_BY_MASKS, maskers=MASKERS), Block(objectives=BLIND)),
        "centre": (
            Block(objectives=("lejepa",), maskers=("none", "random", "multiblock", "brightness", "radial")),
            Block(objectives=("supervised", "untrained")),
        ),
    },
    seeds=tuple(range(20, 40)),
    tuning_seeds=tuple(range(10)),
    margins={"gz2": 0.02, "simulated": 0.01, "shifted": 0.01},
    references={"masker": "random"},
    headline="linear.accuracy",
    evaluators=("core", "mlp"),
    groups={
        "lejepa-morphology": "told by measurements",
        "profile": "told by measurements",
        "supervised": "uses labels",
    },
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
FEATURES = Suite(
    summary="Own galaxies: train the recipe that is recommended (provisional); latents, map, anomalies, report.",
    blocks=(Block(objectives=("lejepa",), maskers=("random",)),),
    products=("latents", "map", "anomalies", "report"),
)


@hookimpl
def astrojepa_suites() -> Mapping[str, Suite]:
    """Offer the suites."""
    return {"baseline": BASELINE, "masking": MASKING, "collapse": COLLAPSE, "features": FEATURES}
