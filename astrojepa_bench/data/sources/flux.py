"""Which stretch, or none, turns flux into pixels, and what do pixels without a value show?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.stretch import viewer_stretch

Stretch: TypeAlias = Literal["auto", "viewer", "asinh", "none"]
Curve: TypeAlias = Literal["viewer", "asinh"]
NATIVE_ARCSEC = 0.262  # pixel of the Legacy Surveys, for whose flux the viewer's stretch is made
DISPLAY_ORDER = "zrg"  # red first
SKY = 32 / 255  # where the viewer's stretch puts empty sky
WHITE_PERCENTILE = 99.7
LEAST_WHITE_SIGMA = 10.0  # so that an image of mere noise stays dark
SOFTENING_SIGMA = 3.0
NOISELESS_SOFTENING = 0.01  # of white, where there is no noise to go by
NORMAL_QUARTILE = (
    0.6744897501960817  # median absolute deviation of a normal distribution [standard deviations]
)
NO_FLUX = 1e20  # nothing shines so; it is a fill value
NOTHING = 1e-60  # below this, ratios of fluxes overflow
BRIGHTEST = float(np.finfo(np.float16).max)  # 65504
FAINTEST = float(np.finfo(np.float16).smallest_normal)  # 6.1e-5; below it float16 loses digits
DISPLAYED = "display levels, which are no linear flux: set dataset.stretch=auto"


@dataclass(frozen=True)
class Flux:
    """One image of linear flux.

    Attributes:
        values: any unit; NaN where unknown. First row on top.
        filters: one letter a band ("grz"), or empty.
        pixel_arcsec: side of a pixel on the sky, NaN where unknown.
        red_first: whether the reddest band is known to come first.
    """

    values: Float[np.ndarray, "band height width"]
    filters: str = ""
    pixel_arcsec: float = np.nan
    red_first: bool = False


class Planes(NamedTuple):
    """Pixels made of flux.

    Attributes:
        values: display levels, or linear flux in its own unit.
        gaps: how many pixels had no value in some band.
        blank: whether the image shows nothing where it is stretched for display.
    """

    values: UInt8[np.ndarray, "band height width"] | Float[np.ndarray, "band height width"]
    gaps: int
    blank: bool


def chosen_stretch(stretch: Stretch, filters: str, pixel_arcsec: float) -> Curve:
    """Resolve `auto`: the viewer's stretch for g, r and z with a celestial header, else asinh.

    So is `none`: linear flux is named, grouped and divided as it is when it is shown.
    """
    if stretch != "auto" and stretch != "none":
        return stretch
    legacy = sorted(filters) == sorted(DISPLAY_ORDER) and np.isfinite(pixel_arcsec)
    return "viewer" if legacy else "asinh"


def planes_of(flux: Flux, stretch: Stretch, curve: Curve) -> Planes:
    """Stretch flux for display, or with `none` leave it as it is, in the same order of bands.

    Linear flux keeps its unit; where it has no value it gets the sky that its display shows there: 0 where the
    viewer's stretch takes the sky to be off, else the band's own level.

    Args:
        flux: what was measured.
        stretch: what was asked for.
        curve: what is meant by that (`chosen_stretch`), or for display where it is `none`.

    Raises:
        RefusedError: it cannot be shown, or float16 cannot hold it.
    """
    shown, gaps = displayed(flux, curve)
    blank = bool((shown == shown[:, :1, :1]).all())
    if stretch != "none":
        return Planes(shown, gaps, blank)
    light, _ = _ordered(flux)
    sky = [0.0 if curve == "viewer" else sky_level(band[~np.isnan(band)])[0] for band in light.values]
    values = np.where(np.isnan(light.values), np.reshape(sky, (-1, 1, 1)), light.values)
    _check_fits_float16(values)
    return Planes(values, gaps, blank)


def _check_fits_float16(values: Float[np.ndarray, "band height width"]) -> None:
    """Refuse what is too bright or too faint for the precision in which flux is kept, at whatever size."""
    size = np.abs(values)
    over = int((size > BRIGHTEST).sum())
    if over:
        raise RefusedError(
            f"{over} of {values.size} values of flux are beyond {BRIGHTEST:.0f}, the most that float16 holds, up "
            f"to {size.max():.3g}: write it in a larger unit, or set dataset.stretch=auto"
        )
    if 0 < size.max() < FAINTEST:
        raise RefusedError(
            f"all {values.size} values of flux are below {FAINTEST:.1e}, where float16 loses digits, the largest "
            f"{size.max():.3g}: write it in a smaller unit, or set dataset.stretch=auto"
        )


def displayed(flux: Flux, stretch: Stretch) -> tuple[UInt8[np.ndarray, "band height width"], int]:
    """Stretch flux for display; empty sky lands at 32 of 255.

    Pixels that are not finite in some band show sky in that band.

    Args:
        flux: what was measured.
        stretch: `viewer` takes three bands g, r, z in nanomaggies per pixel and shows them as z, r, g;
            `asinh` takes anything; `auto` is the viewer's where the header says g, r, z and gives a position.

    Returns:
        The image, and how many of its pixels had no value in some band.

    Raises:
        RefusedError: a band has no value at all, or the viewer's stretch is asked for and there are not three.
    """
    shown, gaps = _ordered(flux)
    how = chosen_stretch(stretch, flux.filters, flux.pixel_arcsec)
    return _viewed(shown) if how == "viewer" else asinh_stretch(shown.values), gaps


def _ordered(flux: Flux) -> tuple[Flux, int]:
    """Return flux with NaN in all pixels without a value and its bands in order, and how many pixels these are."""
    known = np.abs(np.nan_to_num(flux.values, nan=np.inf)) < NO_FLUX
    if not known.any(axis=(1, 2)).all():
        raise RefusedError("a band has no value in any pixel")
    gaps = int((~known.all(axis=0)).sum())
    light = np.where(known, flux.values, np.nan)
    light[np.abs(light) < NOTHING] = 0.0
    shown = replace(flux, values=light)
    if sorted(flux.filters) == sorted(DISPLAY_ORDER):  # the header names them; others stay as they are
        order = [flux.filters.index(name) for name in DISPLAY_ORDER]
        shown = replace(flux, values=light[order], filters=DISPLAY_ORDER)
    return shown, gaps


def _viewed(flux: Flux) -> UInt8[np.ndarray, "band height width"]:
    if len(flux.values) != 3:
        raise RefusedError(f"the viewer's stretch needs 3 bands g, r, z; found {len(flux.values)}")
    native = (NATIVE_ARCSEC / flux.pixel_arcsec) ** 2 if np.isfinite(flux.pixel_arcsec) else 1.0
    ordered = flux.values if flux.red_first or flux.filters == DISPLAY_ORDER else flux.values[::-1]
    return viewer_stretch((np.nan_to_num(ordered) * native).astype(np.float32))  # the sky is 0


def asinh_stretch(
    flux: Float[np.ndarray, "band height width"],
) -> UInt8[np.ndarray, "band height width"]:
    """Stretch one image by its own sky, noise and highlights, whatever its unit.

    With sky s_b (3-sigma-clipped median of band b), brightness I = mean over b of (f_b - s_b), noise σ of I
    (clipped median absolute deviation), white w = 99.7th percentile of I but at least 10 σ, and softening
    β = 3 σ: every band becomes 32/255 + (223/255) (f_b - s_b) asinh(I/β) / (I asinh(w/β)), clipped to
    [0, 1]. The result is the same for a·f + b, so brightness cannot be compared between images; colours
    inside one can.

    Args:
        flux: one image; NaN where it has no value, which shows sky.

    Source: Lupton, Gunn and Szalay 1999, AJ 118, 1406 (asinh, softened by the noise); Lupton et al. 2004,
    PASP 116, 133 (one factor for all bands). Deviations: sky is taken off and put at 32, not at 0; the
    percentile is galaxy-datasets' for FITS; a noiseless image takes β = w/100.
    """
    sky = [sky_level(band[~np.isnan(band)])[0] for band in flux]
    light = np.nan_to_num(flux - np.reshape(sky, (-1, 1, 1)))
    brightness = light.mean(axis=0)
    noise = sky_level(brightness[~np.isnan(flux).any(axis=0)])[1]
    white = max(float(np.percentile(brightness, WHITE_PERCENTILE)), LEAST_WHITE_SIGMA * noise)
    white = white if white > 0 else float(np.abs(brightness).max())
    factor = _asinh_factor(brightness, white, noise) if white > 0 else 0.0
    shown = np.clip(SKY + (1 - SKY) * light * factor, 0.0, 1.0)
    return np.rint(shown * 255).astype(np.uint8)


def _asinh_factor(
    brightness: Float[np.ndarray, "height width"], white: float, noise: float
) -> Float[np.ndarray, "height width"]:
    softening = SOFTENING_SIGMA * noise if noise > 0 else NOISELESS_SOFTENING * white
    soft = brightness / softening
    flat = np.abs(soft) < 1e-6  # asinh(x) / x is 1 there
    curve = np.where(flat, 1.0, np.arcsinh(soft) / np.where(flat, 1.0, soft))
    return curve / (softening * np.arcsinh(white / softening))


def sky_level(values: Float[np.ndarray, " pixel"]) -> tuple[float, float]:
    """Estimate level and noise of the sky: median and scaled median absolute deviation, clipped at 3 sigma.

    Returns:
        Level and standard deviation; zeros if there are no values.
    """
    level = noise = 0.0
    for _ in range(5):
        level = np.median(values) if len(values) else 0.0
        noise = np.median(np.abs(values - level)) / NORMAL_QUARTILE if len(values) else 0.0
        kept = values[np.abs(values - level) <= 3 * noise]
        if len(kept) == len(values):
            break
        values = kept
    return float(level), float(noise)
