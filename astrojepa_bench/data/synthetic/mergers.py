"""Two galaxies that merge: bent by each other's tides, with tails, a bridge and a common envelope.

The pair is one object: one redshift, one magnitude, shared out among its parts. Light goes with mass, so the ratio
of the masses is that of the light.

Source: tides draw tails and a bridge out of both galaxies along the line that joins them, the tails on the far
sides and curved by the orbit (Toomre & Toomre 1972, ApJ 178, 623). Mass ratios of 1:4 to 1:1 are what is called a
major merger (Lotz et al. 2011, ApJ 742, 103). Deviation: streams are sums of Gaussians along arcs, not orbits that
were followed, and ranges were set by eye, by images of mergers of Galaxy Zoo 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, hypot, pi, sin

import numpy as np
from jaxtyping import Float

from astrojepa_bench.data.synthetic.canvas import Canvas, Shape
from astrojepa_bench.data.synthetic.draws import Range, between
from astrojepa_bench.data.synthetic.profiles import Light, Plane, sersic, unit_flux
from astrojepa_bench.data.synthetic.spirals import DISK_SCALE, LOOSE, draw_arms

MASS_RATIO: Range = (0.25, 1.0)  # lighter over heavier, its logarithm uniform
SEPARATION: Range = (0.7, 2.6)  # projected, in half-light radii of a galaxy as luminous as the pair
SPHEROIDS, MIXED = 0.4, 0.25  # shares of pairs without a disk, and with one
_NODES = 24


@dataclass(frozen=True)
class Member:
    """One galaxy of a pair.

    Attributes:
        x, y: its nucleus, from the pair's centre of light [arcsec].
        share: of the pair's light.
        radius: its half-light radius before the encounter [arcsec].
        towards: direction of its partner, from the right over the top [rad].
        is_disk: whether it is a disk galaxy, else a spheroid.
    """

    x: float
    y: float
    share: float
    radius: float
    towards: float
    is_disk: bool


@dataclass(frozen=True)
class TidalStream:
    """Light along a curve: Gaussians of unit total flux.

    Attributes:
        x, y: their centres along the curve [arcsec].
        width: their standard deviations [arcsec].
        weight: their shares of the light; together one.
    """

    x: Float[np.ndarray, " node"]
    y: Float[np.ndarray, " node"]
    width: Float[np.ndarray, " node"]
    weight: Float[np.ndarray, " node"]

    def light(self, plane: Plane) -> Light:
        """Draw it [per pixel]; what lies beyond the plane is lost."""
        light = np.zeros_like(plane.x)
        for x, y, width, weight in zip(self.x, self.y, self.width, self.weight, strict=True):
            squared = (plane.x - np.float32(x)) ** 2 + (plane.y - np.float32(y)) ** 2
            light += np.float32(weight / (2 * pi * width**2)) * np.exp(squared * np.float32(-0.5 / width**2))
        return light * np.float32(plane.step**2)


def merger(canvas: Canvas, rng: np.random.Generator) -> Shape:
    """Draw two merging galaxies around their common centre of light."""
    pair = draw_pair(rng, canvas.galaxy.radius)
    sense = int(rng.choice((-1, 1)))
    envelope, bridge = between(rng, (0.08, 0.2)), between(rng, (0.02, 0.07))
    paint_envelope(canvas, rng, pair, envelope)
    light = joined(rng, *pair).light(canvas.plane)
    canvas.add(light, bridge, between(rng, (0.3, 1.2)))
    for member in pair:
        share = (1 - envelope - bridge) * member.share
        torn = between(rng, (0.05, 0.15) if member.is_disk else (0.03, 0.1))
        drawn_out = tail(rng, member, sense).light(canvas.plane)
        canvas.add(drawn_out, share * torn, between(rng, (0.9, 1.8) if member.is_disk else (0.1, 0.5)))
        paint = paint_disk_galaxy if member.is_disk else paint_spheroid
        paint(canvas, rng, member, share * (1 - torn))
    return Shape(bar=0)


def draw_pair(rng: np.random.Generator, radius: float) -> tuple[Member, Member]:
    """Draw the heavier and the lighter galaxy of a pair.

    Args:
        rng: the stream of the shape.
        radius: half-light radius of a galaxy as luminous as the pair [arcsec].
    """
    ratio = float(np.exp(between(rng, (float(np.log(MASS_RATIO[0])), float(np.log(MASS_RATIO[1]))))))
    distance, where = between(rng, SEPARATION) * radius, between(rng, (0, 2 * pi))
    kind = rng.random()
    disks = (kind >= SPHEROIDS + MIXED, kind >= SPHEROIDS)
    heavier, lighter = 1 / (1 + ratio), ratio / (1 + ratio)
    return (
        _placed(-lighter * distance, where, heavier, radius, where, disks[0]),
        _placed(heavier * distance, where, lighter, radius, where + pi, disks[1]),
    )


def _placed(along: float, where: float, share: float, radius: float, towards: float, is_disk: bool) -> Member:
    """Put a member on the line of the pair; its size follows its light as that of galaxies does."""
    return Member(along * cos(where), along * sin(where), share, radius * share**0.45, towards, is_disk)


def tail(rng: np.random.Generator, member: Member, sense: int) -> TidalStream:
    """Draw a tail out of the far side of a member, curved by the orbit, ever wider and fainter.

    Args:
        rng: the stream of the shape.
        member: whose stars it is made of.
        sense: of the orbit, which bends both tails of a pair alike.
    """
    length = between(rng, (2.6, 5.5) if member.is_disk else (1.8, 3.6)) * member.radius
    bend, aside = sense * between(rng, (0.5, 1.9)), float(rng.normal(0, 0.25))
    way = np.linspace(0, 1, _NODES)
    heading = member.towards + pi + aside + bend * way
    step = length / (_NODES - 1)
    start = member.towards + pi + aside
    x = member.x + 0.7 * member.radius * cos(start) + step * np.cumsum(np.cos(heading))
    y = member.y + 0.7 * member.radius * sin(start) + step * np.cumsum(np.sin(heading))
    slim = 0.16 if member.is_disk else 0.34
    width = member.radius * slim * (1 + between(rng, (0.3, 1.2)) * way)
    weight = np.exp(-between(rng, (1.4, 3.4)) * way + 0.35 * rng.standard_normal(_NODES))
    if member.is_disk and rng.random() < 0.4:
        weight[-3:] *= between(rng, (2.0, 5.0))  # a dwarf forms at the tip
    return TidalStream(x, y, width, weight / weight.sum())


def joined(rng: np.random.Generator, one: Member, other: Member) -> TidalStream:
    """Draw the bridge: an arc from the nucleus of one member to that of the other."""
    way = np.linspace(0, 1, _NODES)
    right, up = other.x - one.x, other.y - one.y
    bow = between(rng, (-0.9, 0.9)) * way * (1 - way)
    x, y = one.x + right * way - up * bow, one.y + up * way + right * bow
    width = np.full(_NODES, 0.22 * (one.radius + other.radius) / 2 + 0.02 * hypot(right, up))
    return TidalStream(x, y, width, np.full(_NODES, 1 / _NODES))


def paint_envelope(
    canvas: Canvas, rng: np.random.Generator, pair: tuple[Member, Member], share: float
) -> None:
    """Paint stars that belong to neither galaxy any more, along the line of the pair."""
    apart = hypot(pair[0].x - pair[1].x, pair[0].y - pair[1].y)
    size = between(rng, (1.0, 1.5)) * (canvas.galaxy.radius + 0.4 * apart)
    angle = (np.degrees(pair[0].towards) - 90 + float(rng.normal(0, 20))) % 180  # from north through east
    light = sersic(canvas.plane, 1.0, size, between(rng, (0.5, 0.85)), angle)
    canvas.add(unit_flux(light), share, between(rng, (0.2, 0.8)))


def paint_spheroid(canvas: Canvas, rng: np.random.Generator, member: Member, share: float) -> None:
    """Paint a spheroid whose outskirts lean towards its partner."""
    here = canvas.plane.moved(member.x, member.y)
    bent = tidal(here, member, between(rng, (0.1, 0.5)), between(rng, (0.05, 0.3)))
    index, ratio, angle = between(rng, (2.2, 4.2)), between(rng, (0.65, 1.0)), between(rng, (0, 180))
    canvas.add(unit_flux(sersic(bent, index, member.radius, ratio, angle)), share, between(rng, (0.0, 0.25)))


def paint_disk_galaxy(canvas: Canvas, rng: np.random.Generator, member: Member, share: float) -> None:
    """Paint a bulge, a disk bent by the tides, and its arms with their star-forming regions."""
    here = canvas.plane.moved(member.x, member.y)
    bent = tidal(here, member, between(rng, (0.2, 0.8)), between(rng, (0.1, 0.6)))
    ratio, angle, length = between(rng, (0.35, 1.0)), between(rng, (0, 180)), member.radius * DISK_SCALE
    bulge, arm_share, knots = between(rng, (0.15, 0.4)), between(rng, (0.2, 0.4)), between(rng, (0.02, 0.07))
    core = sersic(here, between(rng, (1.5, 3.0)), between(rng, (0.25, 0.4)) * length, max(ratio, 0.7), angle)
    canvas.add(core, share * bulge, between(rng, (0.1, 0.6)))
    rest = share * (1 - bulge)
    disk = sersic(bent, 1.0, member.radius, ratio, angle)
    canvas.add(unit_flux(disk), rest * (1 - arm_share - knots), between(rng, (0.6, 1.4)))
    style = replace(LOOSE, arm_numbers=(1, 2, 2), pitch=(18, 40))
    arms = draw_arms(rng, style, length, 0.5 * length, between(rng, (0, 2 * pi)))
    canvas.add(unit_flux(arms.light(*bent.disk(angle, ratio))), rest * arm_share, between(rng, (1.4, 2.4)))
    number = int(rng.integers(8, 30))
    away, around = rng.gamma(2.5, 0.6 * length, number), rng.uniform(0, 2 * pi, number)
    x, y = member.x + away * np.cos(around), member.y + ratio * away * np.sin(around)
    canvas.add_points(x, y, np.minimum(1 + rng.pareto(1.6, number), 12), rest * knots, 2.8)


def tidal(plane: Plane, member: Member, lean: float, stretch: float) -> Plane:
    """Bend the sky around a member so that what is drawn on it leans and stretches towards its partner.

    The nucleus stays; far outside, isophotes lie `lean` radii towards the partner and are 1 + `stretch` times as
    long along that line.

    Args:
        plane: positions relative to the nucleus.
        member: whose partner pulls.
        lean: in its half-light radii.
        stretch: relative.
    """
    c, s = np.float32(cos(member.towards)), np.float32(sin(member.towards))
    along, across = plane.x * c + plane.y * s, plane.y * c - plane.x * s
    squared = plane.x**2 + plane.y**2
    far = squared / (squared + np.float32(member.radius**2))
    along = (along - np.float32(lean * member.radius) * far) / (1 + np.float32(stretch) * far)
    return Plane(along * c - across * s, along * s + across * c, plane.step)
