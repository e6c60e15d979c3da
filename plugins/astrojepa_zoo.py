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

from collections.abc import Iterator, Mapping
from typing import Any

from astrojepa_bench.plugin import Block, Published, Suite, hookimpl

ZOO = "github.com/FurqanBhat/AstroJEPA, README"
PAPER = "Balestriero & LeCun 2025, arXiv 2511.08544"
GALAXY10 = "Galaxy10 DECaLS, ten classes"

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
        "crop": None,
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


def _of_the_zoo() -> Iterator[Published]:
    """Quote the five models themselves."""
    for (model, figure, differs), block in zip(FIGURES, MODELS, strict=True):
        yield Published(
            model=model, figure=figure, measured=f"{GALAXY10}; one run", source=ZOO, entry=block, differs=differs,
            split="random; a tenth (1,774 galaxies) both chose the model and gave the figure",
            head="linear, not published", ran_by="its author",
        )  # fmt: skip


def _of_the_paper() -> Iterator[Published]:
    """Quote what the authors of LeJEPA trained on galaxies, and what they read frozen beside it."""
    shared: dict[str, Any] = {
        "measured": f"{GALAXY10}; 400 epochs, mean of three seeds",
        "split": "11,008 training galaxies",
        "head": "linear, frozen features",
        "ran_by": "the authors of LeJEPA",
        "source": f"{PAPER}, table 3",
    }
    convnets = (
        ("LeJEPA, ResNet-18", "75.95", "timm:resnet18"),
        ("LeJEPA, ConvNeXt V2 nano", "76.52", "timm:convnextv2_nano"),
        ("LeJEPA, ResNet-34", "78.17", "timm:resnet34"),
    )
    for model, figure, encoder in convnets:
        ours = Block(objectives=("lejepa",), encoders=(encoder,))
        differs = "budget, augmentation, split and probe are ours"
        yield Published(model=model, figure=figure, entry=ours, differs=differs, **shared)
    for model, figure in (("DINOv2-S", "67.6"), ("DINOv3-S/16", "71.4")):
        differs = "pretrained on images that are no galaxies; budget, split and probe are not ours"
        yield Published(model=model, figure=figure, differs=differs, **shared)
    yield Published(
        model="I-JEPA, ViT-H/14, ImageNet-22k", figure="62.9",
        differs="pretrained on ImageNet-22k, and far larger; split and probe are not ours",
        **{**shared, "measured": GALAXY10, "source": f"{PAPER}, table 5"},
    )  # fmt: skip


def _of_galaxies() -> Iterator[Published]:
    """Quote what others trained on galaxies, with and without labels."""
    own_split: dict[str, Any] = {"split": "its own", "head": "linear, frozen features"}
    course: dict[str, Any] = {
        **own_split,
        "source": "github.com/Sizchode/SSL-Project",
        "ran_by": "its author, as course work",
    }
    other = "budget, augmentation, split and probe are ours"
    yield Published(
        model="untrained ViT, 384 wide, 12 deep", figure="25.5", measured=GALAXY10,
        entry=Block(objectives=("untrained",), encoders=("vit-small",)), differs=other, **course,
    )  # fmt: skip
    yield Published(
        model="MAE, the same ViT", figure="66.2",
        entry=Block(objectives=("mae",), maskers=("random",), encoders=("vit-small",)),
        measured=f"{GALAXY10}; 77.5 when fine-tuned, 64.2 trained from scratch", differs=other, **course,
    )  # fmt: skip
    worlds: dict[str, Any] = {
        **own_split,
        "source": "Astro-Worldmodels",
        "ran_by": "its authors",
        "measured": GALAXY10,
    }
    for model, figure, encoders in (
        ("ViT-S/14", "61.2 ± 1.4", ("vit-small",)),
        ("ViT-L/14", "71.8 ± .8", ()),
    ):
        entry = Block(objectives=("lejepa",), encoders=encoders) if encoders else None
        yield Published(
            model=f"LeJEPA, {model}, 8.47 M galaxies, three seeds", figure=figure, entry=entry,
            differs="pretrained on 8.47 M galaxies; budget, split and probe are not ours", **worlds,
        )  # fmt: skip
    yield Published(
        model="LeJEPA, ViT-S, RTX 3060, 500 epochs", figure="66.0",
        measured=f"{GALAXY10}; 22,000 images; 81.7 when fine-tuned", split="unclear whether train and test overlap",
        head="linear, frozen features", ran_by="its author, checked by nobody",
        source="github.com/geantendormi76/LeJEPA-MVP", entry=Block(objectives=("lejepa",), encoders=("vit-small",)),
        differs=other,
    )  # fmt: skip
    subset: dict[str, Any] = {
        "measured": GALAXY10,
        "split": "another subset, about 8,000 galaxies",
        "head": "MLP, frozen features",
        "ran_by": "the authors of AION",
        "source": "arXiv 2510.17960",
    }
    yield Published(
        model="AION-L",
        figure="87.2",
        differs="pretrained on many kinds of data; head, subset and size are not ours",
        **subset,
    )
    yield Published(
        model="Zoobot", figure="89.6", differs="pretrained on volunteers' votes: uses labels", **subset
    )


def _elsewhere() -> Iterator[Published]:
    """Quote figures on other images, or of another kind."""
    yield Published(
        model="BYOL on radio galaxies", figure="error 7.79",
        measured="RGZ, FRI against FRII; an error, not an accuracy",
        split="145 labels to train on", head="fine-tuned", ran_by="its authors", source="arXiv 2305.16127",
        differs="radio images, two classes, fine-tuned",
    )  # fmt: skip
    yield Published(
        model="AnomalyMatch", figure="AUROC .89", measured="GalaxyMNIST; an area under the curve, not an accuracy",
        split="5 to 10 labels", head="semi-supervised, active", ran_by="its authors", source="arXiv 2505.03509",
        differs="told labels of anomalies; ours are found without any",
    )  # fmt: skip
    photographs: dict[str, Any] = {
        "measured": "Imagenette, photographs of ten things; 200 epochs, one seed",
        "split": "the epoch that is best on val, scored on val",
        "head": "linear, frozen features",
        "ran_by": "the maintainers of stable-pretraining",
        "source": "stable-pretraining, RESULTS.md of 2026-07-16",
        "differs": "no galaxies, another encoder and budget; shows how objectives compare elsewhere",
    }
    figures = (
        ("VISReg", "90.2"), ("LeJEPA", "87.1"), ("DINO", "86.1"), ("MAE", "84.1"), ("VICReg", "79.4"),
        ("I-JEPA", "34.0"),
    )  # fmt: skip
    for model, figure in figures:
        yield Published(model=f"{model}, ViT-S/16, photographs", figure=figure, **photographs)


PUBLISHED = (*_of_the_zoo(), *_of_the_paper(), *_of_galaxies(), *_elsewhere())


@hookimpl
def astrojepa_suites() -> Mapping[str, Suite]:
    """Offer the suite."""
    summary = "The five published models of AstroJEPA, approximately (see its page for what is assumed)."
    return {"astrojepa-zoo": Suite(summary=summary, blocks=MODELS, published=PUBLISHED)}
