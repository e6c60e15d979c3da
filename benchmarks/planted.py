"""The ways in which somebody's copy of a galaxy may differ from the original; shared by benchmark and tests.

Each takes and returns one image, uint8, channels last.
"""

import io
from functools import partial

import numpy as np
from PIL import Image

BICUBIC, LANCZOS, BOX = Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX


def sky(image):
    """Return the median of each band."""
    return tuple(int(level) for level in np.median(image.reshape(-1, image.shape[-1]), axis=0))


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def shifted(image, pixels):
    """Move to the left; what comes in from the right is sky."""
    motion = (1, 0, pixels, 0, 1, 0)
    return np.asarray(
        Image.fromarray(image).transform(
            image.shape[1::-1], Image.Transform.AFFINE, motion, fillcolor=sky(image)
        )
    )


def turned(image, degrees):
    return np.asarray(Image.fromarray(image).rotate(degrees, BICUBIC, fillcolor=sky(image)))


def resized(image, side, how=BICUBIC):
    return np.asarray(Image.fromarray(image).resize((side, side), how))


def zoomed(image, ratio):
    side = len(image)
    if ratio >= 1:
        cut = side / ratio / 2
        box = (side / 2 - cut, side / 2 - cut, side / 2 + cut, side / 2 + cut)
        return np.asarray(Image.fromarray(image).resize((side, side), BICUBIC, box=box))
    small = resized(image, round(side * ratio), LANCZOS)
    wide = np.empty_like(image)
    wide[:] = sky(image)
    edge = (side - len(small)) // 2
    wide[edge : edge + len(small), edge : edge + len(small)] = small
    return wide


def levels(image, gain=1.0, gamma=1.0, offset=0.0):
    return np.clip(255 * (image / 255 * gain) ** gamma + offset, 0, 255).round().astype(np.uint8)


def noisy(image, sigma):
    noise = np.random.default_rng(int(image.sum())).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).round().astype(np.uint8)


def grey(image):
    return np.repeat(image.mean(axis=2, keepdims=True).round().astype(np.uint8), image.shape[2], axis=2)


def halved(image):
    return resized(resized(image, len(image) // 2, BOX), len(image))


WAYS = {
    "exact": np.copy,
    "96 px": partial(resized, side=96),
    **{f"shift {pixels} of 80 px": partial(shifted, pixels=pixels) for pixels in (1, 3, 6, 8, 10)},
    "turned 90 deg": np.rot90,
    "turned 37 deg": partial(turned, degrees=37),
    "mirrored": lambda image: image[:, ::-1],
    **{f"JPEG {quality}": partial(jpeg, quality=quality) for quality in (90, 60, 30, 10)},
    **{f"zoom {ratio}": partial(zoomed, ratio=ratio) for ratio in (0.75, 1.25, 1.5, 1.9, 2.2)},
    "brighter 1.3": partial(levels, gain=1.3),
    "darker 0.7": partial(levels, gain=0.7),
    "gamma 0.7": partial(levels, gamma=0.7),
    "offset 20": partial(levels, offset=20),
    "grey": grey,
    "bands swapped": lambda image: image[..., ::-1],
    "noise 5": partial(noisy, sigma=5),
    "noise 15": partial(noisy, sigma=15),
    "half resolution": halved,
    "turned, zoomed, JPEG 60, dark": lambda image: jpeg(
        levels(zoomed(turned(image, 37), 1.25), gain=0.7), 60
    ),
    "turned, shifted, JPEG 30": lambda image: jpeg(shifted(turned(image, 37), 2), 30),
    "negative": lambda image: 255 - image,
}
MISSED = ("JPEG 10", "zoom 2.2", "negative")  # beyond what is promised
PARTLY = ("shift 10 of 80 px",)
FOUND = tuple(name for name in WAYS if name not in (*MISSED, *PARTLY))
