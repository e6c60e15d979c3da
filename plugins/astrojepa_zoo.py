"""Suite `astrojepa-zoo`: the five published models of AstroJEPA, each *approximately*, and what was published.

| | parameters | epochs | loss | linear probe % |
|---|---|---|---|---|
| model 1 | 5.5 M | 100 | I-JEPA | 30 |
| model 2 | 5.5 M | 300 | I-JEPA | 40 |
| model 3 | 5.5 M | 300 | I-JEPA + SIGReg, λ = .6 | 52 |
| model 4 | 25.3 M | 100 | I-JEPA + SIGReg, λ = .6 | 59.1 |
| model 5 | 25.3 M | 100 | I-JEPA + SIGReg, λ = .01 | 57.1 |

Epochs are the budget's, the same for every entry: `--budget standard` is 100 epochs of Galaxy10 at 224 px, which
is the scale of models 1, 4 and 5, and `--budget long` is 300, that of models 2 and 3. At one budget models 1 and
2 differ only in how long their teacher remembers. `--budget small` shows the same five on a laptop.

Taken as published: encoder `astrojepa-vit`, as deep a predictor as wide, masker `brightness-seed` with its
inverted weights, four targets of about 5 % of the patches and a context of 27 %, batches of 256, learning rates
of the code (1e-4; 5e-5 for model 3, 4e-4 and 5e-4 for models 4 and 5), 256 slices and 17 knots from -5 to 5, the
statistic without the factor N (printed values lie below what it would give).

Assumed, because nothing was published: SIGReg acts on the mean of the online encoder's context tokens
(`tensor=pooled`); models 4 and 5 are 384 wide with 6 heads and 8 layers (only their 25,290,240 parameters are
known, and 8 with 6 in the predictor give them exactly); model 3 starts at random, where the published one went on
from an earlier training.

Different, because the bench gives every entry the same: visible patches are gathered, where AstroJEPA lets the
rest leak through its predictor; the teacher owns its patch embedding and its momentum rises from .996 to 1
instead of staying there; targets are layer-normalised and the distance is smooth-L1 instead of squared; the
predictor has a linear layer on either side and fixed positions; weight decay rises from .04 to .4 instead of
staying at .05; galaxies turn by quarters and are not cropped to their centre; the last step is scored, by a probe
that never sees test galaxies, on a split by sky. The published figures are single runs, chosen and reported on
one random tenth of Galaxy10 DECaLS (1,774 galaxies: ±1.2 points), by a probe that is not published.

The published checkpoints themselves are scored, without any training, by

    astrojepa-bench import-checkpoint 100jepa.pth -d galaxy10 --out zoo
    astrojepa-bench import-checkpoint 300cosmic_jepa_latest.pth -d galaxy10 --out zoo
    astrojepa-bench import-checkpoint 100lejepa.pth -d galaxy10 --out zoo

Source: github.com/FurqanBhat/AstroJEPA (models, figures); Balestriero & LeCun 2025 (arXiv 2511.08544), table 3
(LeJEPA on Galaxy10 DECaLS). Deviations: above.
"""

from __future__ import annotations

from collections.abc import Mapping

from astrojepa_bench.plugin import Block, Published, Suite, hookimpl

ZOO = "github.com/FurqanBhat/AstroJEPA, README"
PAPER = "Balestriero & LeCun 2025, arXiv 2511.08544, table 3"
PROBE = "Galaxy10 DECaLS, linear probe (not published) on a random tenth that also chose the model; one run"
FROZEN = "Galaxy10 DECaLS, frozen linear probe, 11,008 training galaxies, 400 epochs, mean of 3 seeds"

EMA_STEPS = 250  # memory of the published momentum of .996
EPOCH_STEPS = 62  # 15,962 training galaxies in batches of 256
SMALL = {"width": 192, "depth": 6, "heads": 3}
LARGE = {"width": 384, "depth": 8, "heads": 6}


def _model(
    epochs: int, learning_rate: float, encoder: Mapping[str, int] = SMALL, lam: float | None = None
) -> Block:
    """Describe one model of the zoo as a block of a single entry."""
    jepa = {
        "target_scale": 0.05,
        "context_scale": 0.27,
        "horizon": round(EMA_STEPS / (epochs * EPOCH_STEPS), 4),
        "predictor_width": encoder["width"],
        "predictor_depth": 6,
        "predictor_heads": encoder["heads"],
        "learning_rate": learning_rate,
        "batch_size": 256,
    }
    sigreg = {"lam": lam, "tensor": "pooled", "scale_by_n": False, "reach": 5.0}
    return Block(
        objectives=("ijepa" if lam is None else "ijepa-sigreg",),
        maskers=("brightness-seed",),
        encoders=("astrojepa-vit",),
        options={"objective": jepa if lam is None else jepa | sigreg, "encoder": dict(encoder)},
    )


MODELS = (
    _model(100, 1e-4),
    _model(300, 1e-4),
    _model(300, 5e-5, lam=0.6),
    _model(100, 4e-4, LARGE, lam=0.6),
    _model(100, 5e-4, LARGE, lam=0.01),
)
ALL = "approximate: gathered context, layer-normalised targets, smooth-L1, our augmentation, split and probe"
POOLED = f"{ALL}; SIGReg on the mean context token is assumed"
WIDE = f"{POOLED}; width 384, 6 heads and 8 + 6 layers are inferred from the number of parameters"
FIGURES = (
    ("AstroJEPA model 1: I-JEPA, 5.5 M, 100 epochs", "30", f"{ALL}; an untrained encoder scores about as much"),
    ("AstroJEPA model 2: I-JEPA, 5.5 M, 300 epochs", "40", f"{ALL}; needs budget long"),
    (
        "AstroJEPA model 3: I-JEPA + SIGReg .6, 5.5 M, 300 epochs", "52",
        f"{POOLED}; starts at random, the published one was warm; needs budget long",
    ),
    ("AstroJEPA model 4: I-JEPA + SIGReg .6, 25.3 M, 100 epochs", "59.1", WIDE),
    ("AstroJEPA model 5: I-JEPA + SIGReg .01, 25.3 M, 100 epochs", "57.1", WIDE),
)  # fmt: skip
CONVNETS = (
    ("ResNet-18", "75.95", "timm:resnet18"),
    ("ConvNeXt V2 nano", "76.52", "timm:convnextv2_nano"),
    ("ResNet-34", "78.17", "timm:resnet34"),
)


def _published() -> tuple[Published, ...]:
    zoo = (
        Published(model=model, figure=figure, measured=PROBE, source=ZOO, entry=block, differs=differs)
        for (model, figure, differs), block in zip(FIGURES, MODELS, strict=True)
    )
    convnets = (
        Published(
            model=f"LeJEPA, {name}", figure=figure, measured=FROZEN, source=PAPER,
            entry=Block(objectives=("lejepa",), encoders=(encoder,)),
            differs="budget, augmentation, split and probe are ours",
        )
        for name, figure, encoder in CONVNETS
    )  # fmt: skip
    return (*zoo, *convnets)


@hookimpl
def astrojepa_suites() -> Mapping[str, Suite]:
    """Offer the suite."""
    summary = "The five published models of AstroJEPA, approximately (see its page for what is assumed)."
    return {"astrojepa-zoo": Suite(summary=summary, blocks=MODELS, published=_published())}
