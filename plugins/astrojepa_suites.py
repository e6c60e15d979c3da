"""Suites: the questions this field asks, each as the grid of entries that answers it.

**galaxy-suite-1.** The board, version 1: which objective, with which masking, for which galaxies? Galaxies, seeds,
entries and the difference that matters are fixed before its runs. It is meant for the budget `small` and the
encoder that comes with it. Its runs are scored by `core` and by a small network in place of the linear probe
(`mlp`); on the floor `profile` that is what an encoder that is told measurements has to pass.

| key | galaxies | matters from | what runs | seeds |
|---|---|---|---|---|
| `gz2` | Galaxy Zoo 2: 5 classes, a pool, odd galaxies | 2 points | the full grid | 3, and 20 |
| `synthetic` | 8,000 simulated galaxies of 10 classes | 1 point | the full grid | 3, and 10 |
| `gz1` | Galaxy Zoo 1: smooth, spiral, edge-on | 2 points | the core of it | 3 |
| `radio` | FIRST radio galaxies: 4 classes, one band | 2 points | the core of it | 3 |

The full grid: `lejepa`, `ijepa`, `ijepa-sigreg` and `mae` under `random`, `multiblock`, `brightness` and `radial`;
`masked-lejepa` and `lejepa-morphology` under `random` and `brightness`, the two that recipes were tuned on; six
objectives without masks; the ceiling `supervised`; the floors. The core: `lejepa` and `ijepa` under `random`,
`brightness` and `radial`; `mae` under `random`; `vicreg`; ceiling and floors. The higher number of seeds is that of
`lejepa` under its four maskers, and of its untrained self: the question that the suite was made for.

What was chosen of the galaxies, and why:

- **Galaxy Zoo 1** is read by `superclass`: its own classes part spirals by their winding, which a mirrored galaxy
  turns round. Its 136 mergers and artefacts have no superclass: they pretrain, and are never scored. The 1,716
  further ellipticals that can be had are no pool of it. A pool holds galaxies that nobody classified; these were
  picked by their class, and would make three quarters of what objectives pretrain on ellipticals.
- **Simulated galaxies** are as the DESI Legacy Surveys show them, of the population `matched`, so that redshift,
  magnitude or size alone tell no class, and in equal numbers of each class. Their anomalies are as frequent as in
  the published classes of Galaxy Zoo 2's odd galaxies, of those kinds that the simulator has (four of five are
  mergers; of all 189 odd galaxies two of three); no score had a say in that.
- **FIRST** keeps its authors' split, whose test part has fifty galaxies of each class. At 64 px its images (128 px,
  230 arcsec) lose nothing at their edge and no flux, but a pixel is then 3.6 arcsec beside a beam of 5.4: a twelfth
  of the squared signal of a source is gone, and one source in seven has fewer or more components above a tenth of
  its peak than before.

Seeds 20 to 39 are the board's, in this order: `--seeds 20` asks for all, of which a block of three takes 20 to 22.
Recipes were chosen with seed 0, of 0 to 9 which it never uses; 10 to 19 are for experiments. All of this, recipes
and families of comparisons among it, was fixed in one commit before the first of its runs.

**baseline.** The whole field on any galaxies, with any seeds: every objective that is driven by masks meets every
masker; what ignores masks runs once. An experiment, not a board.

**masking.** One objective that learns within minutes under every masker, so that what differs is where the masks
lie. `none` takes its local views from anywhere, as published; `radial` is the control for `brightness`: the same
formula, told only where the centre is; `saliency` follows what a round galaxy does not explain; `inverse` takes
its blocks from blank sky, and LeJEPA's local views show what a masker's blocks cover.

**collapse.** What keeps a joint-embedding predictive architecture from the constant solution? Four arms: the
published method, the same without its moving-average teacher and stopped gradient, and both with SIGReg added, at
the recipe of `ijepa-sigreg` (Balestriero & LeCun 2025, arXiv 2511.08544; the claim of the AstroJEPA zoo). Expected,
and found in three of three seeds with version 4 of `ijepa`: only the one that has neither ends `collapsed`.

**features.** The recommended recipe for one's own galaxies: `astrojepa-bench run --suite features -d my_images/`
trains it, scores what can be scored, and then writes the latents of every galaxy, their map, the most anomalous of
them and a report into the output folder. It is `lejepa` with `radial`, by a rule that was set before the board's
runs: the self-supervised entry with the best mean linear accuracy on Galaxy Zoo 2. `radial` takes galaxies to be in
the centre of their images; where they are not, run `lejepa` with `brightness`, which looks where they are.

Run one with `astrojepa-bench run --suite NAME`. Budget, encoder and evaluators are the user's; so are the galaxies
and seeds of all but the board. Galaxies that are named (`-d DATASET`, `--set dataset.OPTION=VALUE`) make an
experiment of that too: its full grid on them, with any seeds.
"""

from __future__ import annotations

from collections.abc import Mapping

from astrojepa_bench.plugin import Block, Data, Suite, hookimpl

MASKERS = ("random", "multiblock", "brightness", "brightness-seed", "radial", "saliency", "inverse")
DRIVEN_BY_MASKS = ("ijepa", "lejepa", "lejepa-morphology", "ijepa-sigreg", "masked-lejepa", "mae")
BLIND = ("vicreg", "visreg", "simclr", "barlow-twins", "byol", "dino", "supervised", "untrained")
PLACES = ("random", "multiblock", "brightness", "radial")
SDSS = (
    "not stated by the repositories that they were taken from; images: Sloan Digital Sky Survey (acknowledge it); "
    "labels: Galaxy Zoo (cite it)"
)
FEW, ENOUGH = 3, {"gz2": 20, "synthetic": 10}
"""Seeds of an entry; and of the question that the suite was made for."""


def full_grid(seeds: int) -> tuple[Block, ...]:
    """Lay out the whole field, its first block with more seeds than the rest."""
    return (
        Block(objectives=("lejepa",), maskers=PLACES, seeds=seeds),
        Block(objectives=("ijepa", "ijepa-sigreg", "mae"), maskers=PLACES, seeds=FEW),
        Block(objectives=("masked-lejepa", "lejepa-morphology"), maskers=("random", "brightness"), seeds=FEW),
        Block(
            objectives=("vicreg", "visreg", "simclr", "barlow-twins", "byol", "dino", "supervised"), seeds=FEW
        ),
    )


GALAXY_SUITE_1 = Suite(
    summary="The board: which objective, with which masking? Real, simulated and radio galaxies; version 1.",
    version=1,
    cite="astrojepa-bench, galaxy-suite-1, version 1.0; see CITATION.cff",
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
            grid="gz2",
            licence=SDSS,
            citation="Willett et al. 2013, MNRAS 435, 2835; Lintott et al. 2008, MNRAS 389, 1179; "
            "Hart et al. 2016, MNRAS 461, 3663; Sloan Digital Sky Survey",
        ),
        "synthetic": Data(
            title="Simulated galaxies",
            dataset="synthetic",
            options={"population": "matched", "anomaly_mix": "galaxy_zoo2"},
            fingerprint="82d4437fbf0cc6114bde4bbce2b596a3",
            grid="synthetic",
            licence="MIT (generated by astrojepa-bench)",
            citation="Simulated by astrojepa-bench after the DECam Legacy Survey (Dey et al. 2019, AJ 157, 168) "
            "with the classes of Galaxy10 DECaLS (Leung & Bovy; Walmsley et al. 2022, MNRAS 509, 3966)",
        ),
        "gz1": Data(
            title="Galaxy Zoo 1",
            dataset="hdf5",
            options={"label": "superclass"},
            files={"path": "galaxy_zoo1.h5"},
            fingerprint="6a6ee8a42b714b5c3b0027cec46aa826",
            grid="core",
            licence=SDSS,
            citation="Lintott et al. 2008, MNRAS 389, 1179; Lintott et al. 2011, MNRAS 410, 166; "
            "Sloan Digital Sky Survey",
        ),
        "radio": Data(
            title="FIRST radio galaxies",
            dataset="hdf5",
            files={"path": "radio_first.h5"},
            fingerprint="9516e83be7a04e5689bd4e54bc3a2fa3",
            grid="core",
            licence="MIT (code of the repository); images: for scholarly, educational and private non-commercial "
            "use, (c) 1994 University of California",
            citation="Griese, Kummer and Rustige 2022, Radio Galaxy Dataset (10.5281/zenodo.7120632), and the "
            "catalogues that it lists; Becker, White and Helfand 1995, ApJ 450, 559",
        ),
    },
    grids={
        **{name: full_grid(seeds) for name, seeds in ENOUGH.items()},
        "core": (
            Block(objectives=("lejepa", "ijepa"), maskers=("random", "brightness", "radial"), seeds=FEW),
            Block(objectives=("mae",), maskers=("random",), seeds=FEW),
            Block(objectives=("vicreg", "supervised"), seeds=FEW),
        ),
    },
    seeds=tuple(range(20, 40)),
    tuning_seeds=tuple(range(10)),
    margins={"gz2": 0.02, "synthetic": 0.01, "gz1": 0.02, "radio": 0.02},
    references={"masker": "random"},
    headline="linear.accuracy",
    evaluators=("core", "mlp"),
)
BASELINE = Suite(
    summary="The whole field on any galaxies: every objective, every masker, floors and ceiling.",
    version=2,
    blocks=(Block(objectives=DRIVEN_BY_MASKS, maskers=MASKERS), Block(objectives=BLIND)),
    evaluators=("core", "mlp"),
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
    summary="Own galaxies: train the recipe that is recommended; latents, map, anomalies, report.",
    blocks=(Block(objectives=("lejepa",), maskers=("radial",)),),
    products=("latents", "map", "anomalies", "report"),
)


@hookimpl
def astrojepa_suites() -> Mapping[str, Suite]:
    """Offer the suites."""
    return {
        "galaxy-suite-1": GALAXY_SUITE_1,
        "baseline": BASELINE,
        "masking": MASKING,
        "collapse": COLLAPSE,
        "features": FEATURES,
    }
