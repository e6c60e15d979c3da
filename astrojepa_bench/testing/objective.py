"""Rules for objectives: a finite loss that falls, masks as declared, a teacher without gradients."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import BenchError
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Encoder, Objective
from astrojepa_bench.runs.weights import DataFacts, read_weights, write_weights
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.testing import galaxies
from astrojepa_bench.testing.checks import NotApplicable, RuleSet
from astrojepa_bench.testing.rehearsal import (
    BATCH,
    Anywhere,
    Drawer,
    Nowhere,
    build,
    descend,
    drawer_for,
    equal_values,
    labelled_batch,
    loss_of,
    small_encoder,
    streams_of,
    told_batch,
)
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Tokens

STEPS = 30
rules = RuleSet("objective", after=("acts", "settings"))
FINITE, REPEATABLE = ("objective-finite",), ("global-random", "repeatable")


def trained(piece: Subject) -> Objective:
    """Build an objective in training mode.

    Raises:
        NotApplicable: it declares `trains = False`.
    """
    objective: Objective = build(piece)
    if not objective.trains:
        raise NotApplicable("it declares that it does not train")
    return objective.train()


def finite_or_fault(objective: Objective, batch: GalaxyBatch, draw: Drawer | None = None) -> str | None:
    """Return the first term of the loss, or the first gradient, that is not finite."""
    loss = loss_of(objective, batch, draw)
    bad = loss.first_non_finite()
    if bad is not None:
        return f"loss term '{bad}' is not finite"
    if objective.trains:
        loss.total.backward()
    for name, value in objective.named_parameters():
        if value.grad is not None and not bool(value.grad.isfinite().all()):
            return f"the gradient of {name} is not finite"
    return None


@rules(
    "recipe",
    "Its recipe has positive rates and sizes, and a warm-up between 0 and 1.",
    "return Recipe(learning_rate=..., batch_size=...)",
)
def find_recipe(piece: Subject) -> str | None:
    """Look at the numbers."""
    recipe: object = build(piece).recipe()
    if not isinstance(recipe, Recipe):
        return f"recipe returned {type(recipe).__name__}"
    sound = (
        0 < recipe.learning_rate < math.inf
        and recipe.batch_size >= 1
        and 0 <= recipe.warmup < 1
        and recipe.weight_decay >= 0
        and (recipe.clip is None or recipe.clip > 0)
    )
    return None if sound else f"{recipe}"


@rules(
    "finite",
    "The first loss and its gradient are finite.",
    "return Loss(total, terms) with scalar tensors; look for divisions and logarithms of 0",
)
def find_finite(piece: Subject) -> str | None:
    """Compute one loss on ordinary galaxies."""
    objective: Objective = build(piece).train()
    return finite_or_fault(objective, labelled_batch(objective))


@rules(
    "edge-cases",
    "Blank, constant and saturated images give a finite loss and gradient.",
    "add a small constant under square roots and to denominators that can be 0",
    FINITE,
)
def find_edge_cases(piece: Subject) -> str | None:
    """Compute the loss on a batch of each edge case alone, and on all together."""
    stored = galaxies.stored_edge_cases()
    shown = {name: image.expand(8, -1, -1, -1).contiguous() for name, image in stored.items()}
    shown["all of them"] = torch.stack([*stored.values(), *galaxies.images(3)])
    for name, images in shown.items():
        objective: Objective = build(piece).train()
        fault = finite_or_fault(objective, told_batch(objective, images))
        if fault:
            return f"{name}: {fault}"
    return None


class Constant(TokenViT):
    """A collapsed encoder: every token of every image is the same."""

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Return the same token everywhere."""
        tokens = super().forward(images, keep)
        return Tokens(0 * tokens.values + 1, tokens.positions)


@rules(
    "collapse",
    "Identical features give a finite loss and gradient, so that a collapse is reported as one.",
    "add a small constant under square roots: the gradient of a standard deviation of 0 is infinite",
    FINITE,
)
def find_collapse(piece: Subject) -> str | None:
    """Compute the loss on constant features."""
    with scoped_global(0, "check objective"):
        encoder = Constant(galaxies.image_spec(), patch=galaxies.PATCH_PX, width=32, depth=1, heads=2)
        objective: Objective = piece.build(encoder, encoder.grid, galaxies.CLASSES)
    return finite_or_fault(objective.train(), labelled_batch(objective))


@rules(
    "one-galaxy",
    "A batch of one galaxy gives a finite loss, or is refused with a reason.",
    "raise ConfigError where statistics of a batch need more than one galaxy",
    FINITE,
)
def find_one_galaxy(piece: Subject) -> str | None:
    """Compute the loss of one galaxy."""
    objective: Objective = build(piece).train()
    try:
        return finite_or_fault(objective, labelled_batch(objective, 1))
    except BenchError:
        return None


@rules(
    "weights",
    "Its weights can be kept in a file and read back, so that a finished run can be scored again.",
    "keep dense tensors of real numbers in the state dict; lists, text and sparse tensors do not go into the file",
)
def find_weights(piece: Subject) -> str | None:
    """Write the weights as a run does, and read them into another objective."""
    first, second = build(piece), build(piece, seed=1)
    names = tuple(f"class {number}" for number in range(galaxies.CLASSES))
    facts = DataFacts(galaxies.image_spec(), galaxies.CLASSES, names, "invented galaxies")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        write_weights(path, first, facts)
        read_weights(path, second)
    again = second.state_dict()
    lost = [name for name, value in first.state_dict().items() if not equal_values(value, again[name])]
    return f"'{lost[0]}' comes back as another" if lost else None


@rules(
    "gradients",
    "The loss has a gradient on the encoder.",
    "compute it from self.encoder(...) without detach or no_grad",
    FINITE,
)
def find_gradients(piece: Subject) -> str | None:
    """Send a gradient back."""
    objective = trained(piece)
    loss_of(objective, labelled_batch(objective)).total.backward()
    gradients = [value.grad for value in objective.encoder.parameters() if value.grad is not None]
    return None if any(bool(gradient.any()) for gradient in gradients) else "no gradient reaches the encoder"


@rules(
    "learns",
    f"Gradient steps alone, {STEPS} of its own recipe on one batch, make the loss fall; all else is held still.",
    "look at the sign of the loss, at detached terms, and at the learning rate of recipe()",
    (*REPEATABLE, "objective-recipe", "objective-gradients"),
)
def find_learns(piece: Subject) -> str | None:
    """Descend on one batch; teachers, queues and critics, which no gradient trains, stay as they were."""
    objective = trained(piece)
    losses = descend(objective, labelled_batch(objective), STEPS, still=True)
    return None if losses[-1] < losses[0] else f"the loss went from {losses[0]:.4g} to {losses[-1]:.4g}"


@rules(
    "scored-encoder",
    "Training changes the encoder that is scored.",
    "return the trained encoder from scored_encoder, and move a teacher in after_step",
    ("objective-recipe", "objective-gradients"),
)
def find_scored_encoder(piece: Subject) -> str | None:
    """Take a few steps, and compare the features that would be scored."""
    objective, shown = trained(piece), galaxies.images(4)
    before = _features(objective, shown)
    descend(objective, labelled_batch(objective), 3)
    after = _features(objective, shown)
    if after.dtype != torch.float32:
        return f"its features are {after.dtype}; expected torch.float32"
    return "three steps left its features as they were" if torch.equal(before, after) else None


@torch.no_grad()
def _features(objective: Objective, shown: Tensor) -> Tensor:
    objective.eval()
    features = objective.scored_encoder.taps(shown)["last"]
    objective.train()
    return features


@rules(
    "teacher",
    "A teacher gets no gradient, and computing the loss changes no weights.",
    "wrap the teacher in torch.no_grad(), requires_grad_(False), and move it in after_step only",
    ("objective-weights", "objective-gradients"),
)
def find_teacher(piece: Subject) -> str | None:
    """Compare the weights before and after a loss."""
    objective = trained(piece)
    before = {name: value.detach().clone() for name, value in objective.named_parameters()}
    loss_of(objective, labelled_batch(objective)).total.backward()
    moved = [name for name, value in objective.named_parameters() if not torch.equal(value, before[name])]
    if moved:
        return f"loss changed {moved[0]}"
    online = {id(value) for value in objective.encoder.parameters()}
    scored = dict(objective.scored_encoder.named_parameters())
    if any(id(value) in online for value in scored.values()):
        return None
    taught = [name for name, value in scored.items() if value.grad is not None]
    return f"the scored encoder is not the trained one, yet {taught[0]} got a gradient" if taught else None


@rules(
    "masks",
    "It uses masks as it declares: required, optional or ignored.",
    "set `masks` on the class, draw only masks that are used, and ask draw.hides first where they are optional",
    ("declared",),
)
def find_masks(piece: Subject) -> str | None:
    """Count its draws, and let it do without masks where they are optional."""
    objective: Objective = build(piece).train()
    draw = Drawer(streams_of())
    loss_of(objective, labelled_batch(objective), draw)
    if objective.masks == "ignored":
        return "it declares that it ignores masks, but draws some" if draw.asked else None
    if not draw.asked and objective.trains:
        return f"masks = '{objective.masks}', but it draws none"
    if objective.masks == "optional":
        loss_of(objective, labelled_batch(objective), Drawer(streams_of(), hides=False))
    return None


@rules(
    "same-images",
    "Masks are drawn for the very images that are encoded: an augmentation moves the galaxy.",
    "call draw(views, sizes) with the views that are encoded",
    ("objective-gradients",),
)
def find_same_images(piece: Subject) -> str | None:
    """Compare the masked images with the encoded ones."""
    objective: Objective = build(piece).train()
    draw, encoded = Drawer(streams_of()), []

    def notice(_module: object, given: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        keep = named.get("keep", given[1] if len(given) > 1 else None)
        encoded.append((given[0] if given else named["images"], keep))

    handle = objective.encoder.register_forward_pre_hook(notice, with_kwargs=True)
    loss_of(objective, labelled_batch(objective), draw)
    handle.remove()
    contexts = [(shown, masks.context) for shown, masks in draw.asked]
    pairs = [(shown, seen) for shown, keep in contexts for seen, kept in encoded if _equal(keep, kept)]
    if not pairs:
        raise NotApplicable("it encodes no context as it was drawn")
    return None if all(_equal(*pair) for pair in pairs) else "the encoder saw other images than the masker"


def _equal(first: Tensor, second: Tensor | None) -> bool:
    return second is not None and first.shape == second.shape and torch.equal(first, second)


@rules(
    "prediction",
    "It predicts for every galaxy, or for none.",
    "return Prediction(predicted, actual) of shape (batch, block, token, dim), or None",
)
def find_prediction(piece: Subject) -> str | None:
    """Predict for a batch."""
    objective: Objective = build(piece).eval()
    streams, batch = streams_of(), labelled_batch(objective)
    with torch.no_grad():
        found = objective.predict(batch, drawer_for(objective, streams), streams)
    if found is None:
        raise NotApplicable("it predicts nothing")
    return (
        None if len(found.predicted) == BATCH else f"{len(found.predicted)} predictions for {BATCH} galaxies"
    )


class Patchless(Encoder):
    """A small convolutional network: one token an image, no patches."""

    grid = None

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__(spec)
        self.dim = 32
        self.layer = torch.nn.Conv2d(len(spec.bands), self.dim, 8, stride=8)

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Average a convolution over the image."""
        values = self.layer(images).relu().mean(dim=(2, 3))[:, None]
        return Tokens(values, torch.zeros(len(images), 1, dtype=torch.long))


@rules(
    "skip",
    "It runs with every encoder and masker that its `skip` does not refuse.",
    "return the reason from skip(encoder, masker), ask draw.hides before drawing, and handle grid = None",
    FINITE,
)
def find_skip(piece: Subject) -> str | None:
    """Compute the loss with and without masks, and with an encoder without patches, unless refused."""
    refusing, ran = type(build(piece)).skip, False
    for kind, masker in ((TokenViT, Anywhere), (TokenViT, Nowhere), (Patchless, Nowhere)):
        with scoped_global(0, "check objective"):
            encoder = small_encoder() if kind is TokenViT else Patchless(galaxies.image_spec())
            reasons = [refusing(kind, masker), refusing(encoder, masker)]
            wrong = [reason for reason in reasons if reason is not None and not isinstance(reason, str)]
            if wrong or "" in reasons:
                return f"skip returned {[*wrong, ''][0]!r}, expected a reason or None"
            if any(reasons):
                continue
            objective: Objective = piece.build(encoder, encoder.grid, galaxies.CLASSES)
        fault = finite_or_fault(
            objective.train(), labelled_batch(objective), Drawer(streams_of(), hides=masker.hides)
        )
        if fault:
            return f"encoder {kind.__name__}, {'' if masker.hides else 'no '}masks: {fault}"
        ran = True
    if not ran:
        raise NotApplicable("it refuses every encoder of the checks")
    return None
