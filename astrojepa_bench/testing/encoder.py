"""Rules for encoders: declarations are true, and hidden patches do not reach the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.roles import Encoder
from astrojepa_bench.testing import galaxies
from astrojepa_bench.testing.checks import NotApplicable, RuleSet
from astrojepa_bench.testing.rehearsal import FEW, build, construct
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.types import Tokens

CLOSE = 1e-4  # of the largest value: sums over a batch of another shape may be rounded otherwise
rules = RuleSet("encoder", after=("acts",))


def encode(
    encoder: Encoder, images: Float[Tensor, "batch band height width"], keep: Tensor | None = None
) -> Tokens:
    """Encode without gradient; raise unless the output is `Tokens`."""
    with torch.no_grad():
        tokens = encoder(images) if keep is None else encoder(images, keep=keep)
    if not isinstance(tokens, Tokens):
        raise TypeError(f"forward returned {type(tokens).__name__}; expected Tokens")
    return tokens


def kept(grid: PatchGrid, batch: int = FEW) -> Int[Tensor, "batch token"]:
    """Choose a different third of the patches for each image, not in order."""
    every = torch.arange(grid.patches)
    return torch.stack([every.roll(7 * row).flip(0)[: grid.patches // 3] for row in range(batch)])


def apart(first: Tensor, second: Tensor) -> float:
    """Return the largest difference, relative to the largest value."""
    return float((first - second).abs().max() / first.abs().max().clamp(min=1e-6))


def patched(encoder: Encoder) -> PatchGrid:
    """Return the grid of an encoder with patches.

    Raises:
        NotApplicable: it has none.
    """
    if encoder.grid is None:
        raise NotApplicable("it has no patches")
    return encoder.grid


@rules(
    "tokens",
    "It returns finite tokens, of the width and at the positions that it declares.",
    "set self.dim to the width and self.grid to PatchGrid.tiling(spec.size_px, patch), or None without patches",
)
def find_tokens(piece: Subject) -> str | None:
    """Compare declared and real shapes."""
    encoder: Encoder = build(piece)
    tokens = encode(encoder, galaxies.images(FEW))
    batch, count, dim = tokens.values.shape
    if (batch, dim) != (FEW, encoder.dim):
        return f"tokens of shape {(batch, count, dim)} for {FEW} images and dim = {encoder.dim}"
    if not bool(tokens.values.isfinite().all()):
        return "tokens that are not finite"
    if encoder.grid is None:
        return None
    every = torch.arange(encoder.grid.patches)
    complete = torch.equal(tokens.positions.sort(dim=1).values, every.expand(FEW, -1))
    return None if complete else f"{count} tokens that do not stand on each of {len(every)} patches once"


@rules(
    "taps",
    "Its taps are finite vectors, one per image, and `last` is among them.",
    "return {'last': (batch, dim)} from taps, or leave the method to the role",
)
def find_taps(piece: Subject) -> str | None:
    """Look at each tap."""
    encoder: Encoder = build(piece)
    taps = tapped(encoder, galaxies.images(FEW))
    if any(module.training for module in encoder.modules()):
        return "taps left it in training mode"
    if "last" not in taps:
        return f"taps {', '.join(taps) or 'none'} without 'last'"
    wrong = [name for name, values in taps.items() if values.ndim != 2 or len(values) != FEW]
    wrong += [name for name, values in taps.items() if not bool(values.isfinite().all())]
    if wrong:
        return f"tap '{wrong[0]}' has shape {tuple(taps[wrong[0]].shape)} or is not finite"
    wide = [name for name, values in taps.items() if values.dtype != torch.float32]
    return f"tap '{wide[0]}' is {taps[wide[0]].dtype}; expected torch.float32" if wide else None


def tapped(encoder: Encoder, images: Float[Tensor, "batch band height width"]) -> dict[str, Tensor]:
    """Compute the taps without gradient; raise unless they are tensors by name."""
    with torch.no_grad():
        taps: object = encoder.taps(images)
    if not isinstance(taps, Mapping):
        raise TypeError(f"taps returned {type(taps).__name__}; expected a mapping of names to tensors")
    for name, values in taps.items():
        if not isinstance(name, str) or not isinstance(values, Tensor):
            raise TypeError(f"tap {name!r} is a {type(values).__name__}; expected a tensor by name")
    return dict(taps)


@rules(
    "batch",
    "What it makes of a galaxy, tokens and taps, does not depend on the others of the batch, nor on their order.",
    "use no statistics of the batch in evaluation mode",
    ("repeatable",),
)
def find_batch(piece: Subject) -> str | None:
    """Encode a batch turned round, and one galaxy alone."""
    encoder, shown = build(piece), galaxies.images(FEW)
    together, turned, alone = (
        {"the tokens": encode(encoder, images).values}
        | {f"tap '{name}'": values for name, values in tapped(encoder, images).items()}
        for images in (shown, shown.flip(0), shown[:1])
    )
    for name, values in together.items():
        if apart(values, turned[name].flip(0)) > CLOSE:
            return f"the order of the batch changes {name}"
        if apart(values[:1], alone[name]) > CLOSE:
            return f"a galaxy alone differs in {name}"
    return None


@rules(
    "bands",
    "It is built for images of one to five bands.",
    "take the number of bands from len(spec.bands), and normalise with spec.mean and spec.std",
)
def find_bands(piece: Subject) -> str | None:
    """Build it for one and for five bands."""
    for bands in (1, 5):
        encode(construct(piece, bands=bands).eval(), galaxies.images(2, bands=bands))
    return None


@rules(
    "image-sizes",
    "It takes any image that its patches tile: objectives show crops at half the side.",
    "compute grid and positions from images.shape in forward",
)
def find_image_sizes(piece: Subject) -> str | None:
    """Encode images of half and of one and a half times the side."""
    encoder: Encoder = build(piece)
    for size_px in (galaxies.SIZE_PX // 2, galaxies.SIZE_PX * 3 // 2):
        tokens = encode(encoder, galaxies.images(2, size_px=size_px))
        if encoder.grid is not None:
            asked = PatchGrid.tiling(size_px, encoder.grid.patch_px).patches
            if tokens.values.shape[1] != asked:
                return f"{tokens.values.shape[1]} tokens for an image of {size_px} px, expected {asked}"
    return None


@rules(
    "hidden",
    "Patches that are not kept do not reach the output, and the kept ones are named in its positions.",
    "gather the kept patches before anything looks at several patches at once",
)
def find_hidden(piece: Subject) -> str | None:
    """Change every hidden pixel."""
    encoder: Encoder = build(piece)
    grid, shown = patched(encoder), galaxies.images(FEW)
    keep = kept(grid)
    first = encode(encoder, shown, keep)
    if not torch.equal(first.positions, keep):
        return "positions are not the kept patches in their order"
    other = encode(encoder, repainted(shown, grid, keep), keep)
    if not torch.equal(first.values, other.values):
        return "hidden pixels leak"
    return None if alike(first.extra, other.extra) else "hidden pixels leak into the extra tokens"


def repainted(
    images: Float[Tensor, "batch band height width"], grid: PatchGrid, keep: Int[Tensor, "batch token"]
) -> Float[Tensor, "batch band height width"]:
    """Change every pixel outside the kept patches."""
    seen = torch.zeros(FEW, grid.patches).scatter(1, keep, 1.0).view(FEW, 1, grid.rows, grid.columns)
    pixels = torch.nn.functional.interpolate(seen, scale_factor=grid.patch_px, mode="nearest")
    return torch.where(pixels.bool(), images, 1 - images)


def alike(first: Tensor | None, second: Tensor | None) -> bool:
    """Whether there are no extra tokens on either side, or equal ones."""
    return second is None if first is None else second is not None and torch.equal(first, second)


@rules(
    "extra",
    "Its class and register tokens are finite, and equally many whatever is kept.",
    "return Tokens(values, positions, extra) with extra (batch, extra, dim) from every call of forward",
)
def find_extra(piece: Subject) -> str | None:
    """Compare those of all patches and of a few."""
    encoder: Encoder = build(piece)
    whole = encode(encoder, galaxies.images(FEW))
    if whole.extra is None:
        raise NotApplicable("it has no extra tokens")
    if not bool(whole.extra.isfinite().all()):
        return "extra tokens that are not finite"
    part = whole if encoder.grid is None else encode(encoder, galaxies.images(FEW), kept(encoder.grid))
    counts = [0 if tokens.extra is None else tokens.extra.shape[1] for tokens in (whole, part)]
    return (
        None if counts[0] == counts[1] else f"{counts[0]} extra tokens of all patches, {counts[1]} of a few"
    )


@rules(
    "layers",
    "Its layers are tokens, the last of them those that forward returns, and no hidden patch reaches any.",
    "collect the tokens after every block in one pass, and end with what forward returns, normed as there",
    ("hidden",),
)
def find_layers(piece: Subject) -> str | None:
    """Compare the last layer with the output, of all patches and of a few; then change every hidden pixel."""
    encoder: Encoder = build(piece)
    if type(encoder).layers is Encoder.layers:
        raise NotApplicable("its only layer is its output")
    shown = galaxies.images(FEW)
    for keep in (None, *(() if encoder.grid is None else (kept(encoder.grid),))):
        layers, output = layered(encoder, shown, keep), encode(encoder, shown, keep)
        if not all(bool(layer.values.isfinite().all()) for layer in layers):
            return "a layer is not finite"
        last = layers[-1]
        same = torch.equal(last.positions, output.positions) and last.values.shape == output.values.shape
        if not same or apart(last.values, output.values) > CLOSE or not alike(last.extra, output.extra):
            return "the last layer is not what forward returns"
        if keep is not None and encoder.grid is not None:
            others = layered(encoder, repainted(shown, encoder.grid, keep), keep)
            pairs = enumerate(zip(layers, others, strict=True))
            leaks = [number for number, (a, b) in pairs if not torch.equal(a.values, b.values)]
            if leaks:
                return f"hidden pixels leak into layer {leaks[0]} of {len(layers)}"
    return None


def layered(
    encoder: Encoder, images: Float[Tensor, "batch band height width"], keep: Tensor | None = None
) -> list[Tokens]:
    """Compute the layers without gradient; raise unless they are tokens, and some."""
    with torch.no_grad():
        layers: object = encoder.layers(images) if keep is None else encoder.layers(images, keep=keep)
    if not isinstance(layers, Sequence) or not layers or not all(isinstance(each, Tokens) for each in layers):
        raise TypeError(f"layers returned {type(layers).__name__}; expected a sequence of Tokens")
    return list(layers)


@rules(
    "gradients",
    "A gradient reaches every weight that is to be trained.",
    "use every parameter in forward, or set requires_grad to False on those that stay as they are",
)
def find_gradients(piece: Subject) -> str | None:
    """Send a gradient back from all taps."""
    encoder: Encoder = build(piece).train()
    trained = {name: value for name, value in encoder.named_parameters() if value.requires_grad}
    if not trained:
        raise NotApplicable("it has nothing to train")
    shown = galaxies.images(FEW)
    sum(
        values.square().mean() for values in (*encoder.taps(shown).values(), encoder(shown).values)
    ).backward()
    idle = [name for name, value in trained.items() if value.grad is None]
    return f"no gradient on {', '.join(idle[:3])}" if idle else None


@rules(
    "state",
    "Its state dict holds all that it has learnt.",
    "register what is fitted as parameters or buffers",
)
def find_state(piece: Subject) -> str | None:
    """Load one encoder's state into another."""
    first, second, shown = build(piece), build(piece, seed=1), galaxies.images(FEW)
    second.load_state_dict(first.state_dict())
    same = torch.equal(encode(first, shown).values, encode(second, shown).values)
    return None if same else "an encoder with the same state gives other tokens"


@rules("input", "The images that it encodes stay as they are.", "use operations that return new tensors")
def find_input(piece: Subject) -> str | None:
    """Compare the images before and after."""
    shown = galaxies.images(4)
    before = shown.clone()
    encode(build(piece), shown)
    return None if torch.equal(before, shown) else "forward changed the images in place"
