"""Light on a grid: coordinates and the profiles that galaxies are built from.

The image is as a cutout shows it: north up (row 0), east to the left. Position angles run from north through
east, which is anticlockwise on the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, exp, gamma, pi, radians, sin
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.special import gammaincinv, k1

Light: TypeAlias = Float[np.ndarray, "height width *sample"]  # samples within a pixel, only near a centre

_OFFSETS = ((np.arange(8) + 0.5) / 8 - 0.5).astype(np.float32)
_SAMPLES = (np.tile(_OFFSETS, 8), np.repeat(_OFFSETS, 8))  # 8 x 8 positions within a pixel


@dataclass(frozen=True)
class Plane:
    """Positions of pixel centres on the sky, relative to some centre.

    Attributes:
        x: to the right [arcsec].
        y: up [arcsec].
        step: distance of neighbouring pixels [arcsec].
    """

    x: Light
    y: Light
    step: float

    @classmethod
    def framed(cls, side: int, step: float) -> Plane:
        """Lay a square of `side` pixels around its centre."""
        axis = ((np.arange(side) - (side - 1) / 2) * step).astype(np.float32)
        x, y = np.meshgrid(axis, -axis)
        return cls(x, y, step)

    def moved(self, right: float, up: float) -> Plane:
        """See the same pixels from a centre that lies elsewhere [arcsec]."""
        return Plane(self.x - np.float32(right), self.y - np.float32(up), self.step)

    def aligned(self, angle: float) -> tuple[Light, Light]:
        """Return coordinates along and across an axis at position angle `angle` [deg]."""
        s, c = np.float32(sin(radians(angle))), np.float32(cos(radians(angle)))
        return self.y * c - self.x * s, self.x * c + self.y * s

    def disk(self, angle: float, axis_ratio: float) -> tuple[Light, Light]:
        """Return polar coordinates (radius [arcsec], azimuth [rad]) in the plane of an inclined thin disk."""
        along, across = self.aligned(angle)
        across = across / np.float32(axis_ratio)
        return np.hypot(along, across), np.arctan2(across, along)

    def core(self, half_px: int) -> tuple[tuple[slice, slice], Plane]:
        """Return the pixels around the centre, and the positions of 64 samples within each (last axis)."""
        row, column = np.unravel_index(int(np.argmin(self.x**2 + self.y**2)), self.x.shape)
        rows = slice(max(int(row) - half_px, 0), int(row) + half_px + 1)
        columns = slice(max(int(column) - half_px, 0), int(column) + half_px + 1)
        right, up = (offset * np.float32(self.step) for offset in _SAMPLES)
        x, y = self.x[rows, columns, None] + right, self.y[rows, columns, None] + up
        return (rows, columns), Plane(x, y, self.step)


@lru_cache(maxsize=1024)
def sersic_b(n: float) -> float:
    """Solve for the Sérsic constant that makes the effective radius hold half of the light."""
    return float(gammaincinv(2 * n, 0.5))


def sersic(plane: Plane, n: float, radius: float, axis_ratio: float = 1.0, angle: float = 0.0) -> Light:
    """Draw a Sérsic profile of unit total flux [per pixel].

    Args:
        plane: where.
        n: index; 1 exponential disk, 4 elliptical galaxy.
        radius: half-light radius along the major axis [arcsec].
        axis_ratio: minor over major axis.
        angle: position angle [deg].

    Source: Sérsic 1963; Graham & Driver 2005, PASA 22, 118, equations 1 to 4. The normalisation is
    analytic; the central pixels are averaged over 8 x 8 samples.
    """
    b = sersic_b(n)
    total = 2 * pi * n * radius**2 * axis_ratio * exp(b) * b ** (-2 * n) * gamma(2 * n)
    peak = plane.step**2 * exp(b) / total
    light = _sersic_shape(plane, n, radius, axis_ratio, angle, b)
    pixels, fine = plane.core(half_px=5 if n > 1.5 else 2)  # cuspy profiles need more
    light[pixels] = _sersic_shape(fine, n, radius, axis_ratio, angle, b).mean(axis=-1)
    return np.float32(peak) * light


def _sersic_shape(plane: Plane, n: float, radius: float, axis_ratio: float, angle: float, b: float) -> Light:
    along, across = plane.aligned(angle)
    squared = along**2 + (across / np.float32(axis_ratio)) ** 2
    return np.exp(np.float32(-b) * (squared / np.float32(radius**2)) ** np.float32(0.5 / n))


# An exponential disk seen from its edge, along the major axis in scale lengths, fading out at its rim.
_ALONG = np.linspace(1e-4, 4.6, 461)
_EDGE_ON = _ALONG * k1(_ALONG) * np.clip((4.6 - _ALONG) / 1.2, 0, 1)
_EDGE_ON_AREA = float(_EDGE_ON.sum() * (_ALONG[1] - _ALONG[0]))


def edge_on_disk(plane: Plane, length: float, height: float, angle: float, warp: float = 0.0) -> Light:
    """Draw a disk seen exactly from its edge, of unit total flux [per pixel].

    Args:
        plane: where.
        length: exponential scale length [arcsec].
        height: scale height of the sech² layer [arcsec].
        angle: position angle [deg].
        warp: how far the rim leaves the midplane, at three scale lengths [arcsec].

    Source: van der Kruit & Searle 1981, A&A 95, 105: (R/h) K1(R/h) sech²(z/z0). Deviations: the rim
    fades from 3.4 to 4.6 scale lengths, and a cubic warp.
    """
    along, across = plane.aligned(angle)
    across = across - np.float32(warp) * (along / np.float32(3 * length)) ** 3
    radial = np.interp(np.abs(along) / np.float32(length), _ALONG, _EDGE_ON, right=0.0).astype(np.float32)
    vertical = np.cosh(np.clip(across / np.float32(height), -20, 20)) ** -2
    return radial * vertical * np.float32(plane.step**2 / (4 * length * _EDGE_ON_AREA * height))


def bar(
    plane: Plane, half_length: float, axis_ratio: float, angle: float, tilt: tuple[float, float]
) -> Light:
    """Draw a boxy bar of unit flux on the plane.

    Args:
        plane: where.
        half_length: where the light has fallen to a fifth [arcsec].
        axis_ratio: of the bar within the disk.
        angle: of the bar within the disk, from the line of nodes [rad].
        tilt: position angle [deg] and axis ratio of the disk.

    Source: generalised ellipses of Athanassoula et al. 1990, MNRAS 245, 130, with exponent 2.8.
    """
    along, across = plane.aligned(tilt[0])
    across = across / np.float32(tilt[1])
    s, c = np.float32(sin(angle)), np.float32(cos(angle))
    far = np.abs(along * c + across * s) / np.float32(half_length)
    wide = np.abs(across * c - along * s) / np.float32(half_length * axis_ratio)
    squared = (far ** np.float32(2.8) + wide ** np.float32(2.8)) ** np.float32(2 / 2.8)
    return unit_flux(np.exp(np.float32(-1.6) * squared))


def unit_flux(shape: Light) -> Light:
    """Scale a shape so that its pixels add up to one."""
    return shape / np.float32(max(float(shape.sum()), 1e-12))


@dataclass(frozen=True)
class Arms:
    """Logarithmic spiral arms in the plane of a disk.

    Attributes:
        number: how many.
        pitch: angle between an arm and the circle through it [deg].
        inner: radius where they begin [arcsec].
        outer: radius where they fade [arcsec].
        scale: exponential length of their brightness [arcsec].
        sharpness: concentration of the light on the crests (κ of a von Mises profile).
        phase: azimuth of the first arm at the inner radius [rad].
        sense: +1 or -1, the handedness.
        wobble: amplitude of their deviation from the logarithmic spiral [rad].
    """

    number: int
    pitch: float
    inner: float
    outer: float
    scale: float
    sharpness: float
    phase: float
    sense: int = 1
    wobble: float = 0.0

    def crest(self, radius: Float[np.ndarray, "*position"]) -> Float[np.ndarray, "*position"]:
        """Azimuth of the first arm at a radius [rad]."""
        turns = np.log(np.maximum(radius, np.float32(0.05 * self.inner)) / np.float32(self.inner))
        winding = np.float32(self.sense / np.tan(radians(self.pitch)))
        return winding * turns + np.float32(self.wobble) * np.sin(
            np.float32(2.3) * turns + np.float32(self.phase)
        )

    def envelope(self, radius: Light) -> Light:
        """Brightness along the arms, falling inside and outside."""
        begun = np.square(np.minimum(radius / np.float32(self.inner), np.float32(3.0)))
        inside = 1 - np.exp(-begun * begun)
        edge = np.clip((radius - np.float32(self.outer)) / np.float32(0.12 * self.outer), -20, 20)
        return np.exp(-radius / np.float32(self.scale)) * inside / (1 + np.exp(edge))

    def concentration(self, radius: Light, azimuth: Light, lead: float = 0.0) -> Light:
        """Share of the light that each azimuth gets, 1 on the crests; `lead` turns the pattern [rad]."""
        angle = azimuth - self.crest(radius) - np.float32(self.phase + lead)
        return np.exp(np.float32(self.sharpness) * (np.cos(np.float32(self.number) * angle) - 1))

    def light(self, radius: Light, azimuth: Light) -> Light:
        """Surface brightness in the disk plane, not normalised."""
        return self.envelope(radius) * self.concentration(radius, azimuth)


def half_light_radius(light: Light, plane: Plane, angle: float, axis_ratio: float) -> float:
    """Measure the semi-major axis [arcsec] of the ellipse of given shape that holds half of the light."""
    along, across = plane.aligned(angle)
    squared = np.square(along) + np.square(across / np.float32(axis_ratio))
    rings = np.sqrt(squared * np.float32(plane.step**-2)).astype(np.int32)
    growth = np.cumsum(np.bincount(rings.ravel(), weights=light.ravel()))
    return float(np.interp(growth[-1] / 2, growth, (np.arange(growth.size) + 1) * plane.step))


def moments(light: Light, plane: Plane) -> tuple[float, float]:
    """Measure axis ratio and position angle [deg, 0 to 180] from the second moments of the light."""
    total = float(light.sum())
    x = plane.x - np.float32((light * plane.x).sum() / total)
    y = plane.y - np.float32((light * plane.y).sum() / total)
    xx, yy, xy = (float((light * product).sum()) / total for product in (x * x, y * y, x * y))
    spread = np.hypot((xx - yy) / 2, xy)
    middle = (xx + yy) / 2
    angle = 0.5 * np.degrees(np.arctan2(2 * xy, xx - yy)) - 90  # from +y towards -x
    return float(np.sqrt(max(middle - spread, 0.0) / (middle + spread))), float(angle % 180)
