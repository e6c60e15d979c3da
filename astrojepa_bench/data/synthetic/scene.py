"""From a galaxy's number to its image: target, field, seeing, noise, stretch.

Every purpose has its own random stream, seeded by (seed, index, purpose): a galaxy is the same galaxy
whatever else is drawn, in whatever order, by however many processes; it keeps its shape at any image size.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import ceil, isnan

import numpy as np
from jaxtyping import Float, UInt8
from scipy.fft import next_fast_len

from astrojepa_bench.data.stretch import viewer_stretch
from astrojepa_bench.data.synthetic.anomalies import ARTEFACTS, PHYSICAL
from astrojepa_bench.data.synthetic.canvas import Canvas, Shape
from astrojepa_bench.data.synthetic.population import POPULATIONS, Population, class_of, draw_galaxy
from astrojepa_bench.data.synthetic.profiles import Light, Plane, half_light_radius
from astrojepa_bench.data.synthetic.recipes import RECIPES, Recipe
from astrojepa_bench.data.synthetic.survey import (
    ELECTRONS_PER_NMGY,
    NATIVE_ARCSEC,
    Conditions,
    blurred,
    draw_conditions,
    draw_field,
    moffat_transfer,
)

COVERAGE_CELLS = 16
ISOPHOTE = 10 ** (0.4 * (22.5 - 25.0))  # nmgy per square arcsec at 25 mag per square arcsec
ANOMALY_TYPES = (*PHYSICAL, *ARTEFACTS)
_COARSEST_ARCSEC = 0.35  # finer sampling than this under the point-spread function
_MARGIN_PX = 8


class Purpose(IntEnum):
    """What a random stream is for."""

    POPULATION = 0
    SHAPE = 1
    CONDITIONS = 2
    NOISE = 3
    FIELD = 4
    ANOMALY = 5


@dataclass(frozen=True)
class Survey:
    """What decides how galaxies look; equal surveys hold equal galaxies, number by number.

    Attributes:
        seed: of every random stream.
        balance: class shares, `galaxy10` or `uniform`.
        size_px: side of the images.
        fov_arcsec: side of the field they show.
    """

    seed: int
    balance: str
    size_px: int
    fov_arcsec: float

    @property
    def pixel_arcsec(self) -> float:
        """Side of an image pixel."""
        return self.fov_arcsec / self.size_px

    @property
    def oversampling(self) -> int:
        """How many times finer than the image the light is sampled."""
        return ceil(self.pixel_arcsec / _COARSEST_ARCSEC)

    def canvas_plane(self) -> Plane:
        """The sampling grid: the frame and a margin, so that light from just outside blurs into it."""
        margin, inner = _MARGIN_PX, self.size_px * self.oversampling
        while next_fast_len(inner + 2 * margin, real=True) != inner + 2 * margin:
            margin += 1
        return Plane.framed(inner + 2 * margin, self.pixel_arcsec / self.oversampling)

    def to_pixels(
        self, light: Float[np.ndarray, "*band height width"]
    ) -> Float[np.ndarray, "*band row column"]:
        """Cut the margin off and average the samples of each pixel, in nmgy per native pixel."""
        inner, finer = self.size_px * self.oversampling, self.oversampling
        margin = (light.shape[-1] - inner) // 2
        frame = light[..., margin : margin + inner, margin : margin + inner]
        sums = sum(frame[..., i::finer, j::finer] for i in range(finer) for j in range(finer))
        return np.asarray(sums * np.float32((NATIVE_ARCSEC / self.pixel_arcsec) ** 2))


@dataclass(frozen=True)
class Subject:
    """One row of the dataset before it is drawn.

    Attributes:
        index: number among the galaxies, or among the anomalies.
        anomaly: name from `ANOMALY_TYPES`, empty for ordinary galaxies.
    """

    index: int
    anomaly: str = ""

    def stream(self, seed: int, purpose: Purpose) -> np.random.Generator:
        """Give this subject's random stream for a purpose."""
        return np.random.default_rng([seed, self.index, purpose + (len(Purpose) if self.anomaly else 0)])

    def recipe(self, balance: str) -> tuple[Population, Recipe]:
        """Say which population it belongs to and how it is drawn."""
        if self.anomaly in PHYSICAL:
            return PHYSICAL[self.anomaly]
        kind = class_of(self.index // len(ANOMALY_TYPES) if self.anomaly else self.index, balance)
        return POPULATIONS[kind], RECIPES[kind]


@dataclass(frozen=True)
class Drawn:
    """A finished image and what is true of it.

    Attributes:
        image: stretched as display images are.
        coverage: percentage of each cell of a 16 x 16 grid inside the galaxy's isophote of 25 mag per square
            arcsec in r, before noise, without its neighbours.
        truth: redshift and physical parameters by name, NaN where undefined.
    """

    image: UInt8[np.ndarray, "band height width"]
    coverage: UInt8[np.ndarray, "16 16"]
    truth: dict[str, float]


def draw(survey: Survey, subject: Subject) -> Drawn:
    """Draw one galaxy as the survey sees it."""
    conditions = draw_conditions(subject.stream(survey.seed, Purpose.CONDITIONS))
    canvas, shape = paint(survey, subject)
    transfers = [moffat_transfer(len(canvas.plane.x), canvas.plane.step, fwhm) for fwhm in conditions.seeing]
    field = draw_field(subject.stream(survey.seed, Purpose.FIELD), survey.canvas_plane())
    target = blurred(canvas.light[1], transfers[1])
    light = np.stack(
        [blurred(band, kernel) for band, kernel in zip(canvas.light + field, transfers, strict=True)]
    )
    flux = expose(survey, survey.to_pixels(light), conditions, subject)
    return Drawn(viewer_stretch(flux), coverage(survey.to_pixels(target)), truth(canvas, shape, conditions))


def paint(survey: Survey, subject: Subject) -> tuple[Canvas, Shape]:
    """Draw the light of the galaxy alone, above the atmosphere, slightly off the image's centre."""
    population, recipe = subject.recipe(survey.balance)
    galaxy = draw_galaxy(population, subject.stream(survey.seed, Purpose.POPULATION))
    rng = subject.stream(survey.seed, Purpose.SHAPE)
    right, up = (float(offset) for offset in rng.normal(0.0, 0.2, 2))
    canvas = Canvas(survey.canvas_plane().moved(right, up), galaxy)
    return canvas, recipe(canvas, rng)


def expose(
    survey: Survey, flux: Float[np.ndarray, "band height width"], conditions: Conditions, subject: Subject
) -> Float[np.ndarray, "band height width"]:
    """Add the noise of sky and photons, then the artefact if the subject is one.

    Noise is white per native pixel; a pixel that averages k of them has it √k times smaller.
    """
    noise = subject.stream(survey.seed, Purpose.NOISE).standard_normal(flux.shape, dtype=np.float32)
    sky = np.asarray(conditions.noise, dtype=np.float32)[:, None, None] ** 2
    spread = np.sqrt(sky + np.maximum(flux, 0) / np.float32(ELECTRONS_PER_NMGY))
    exposed = flux + noise * spread * np.float32(NATIVE_ARCSEC / survey.pixel_arcsec)
    if subject.anomaly in ARTEFACTS:
        plane = Plane.framed(survey.size_px, survey.pixel_arcsec)
        ARTEFACTS[subject.anomaly](exposed, plane, subject.stream(survey.seed, Purpose.ANOMALY))
    return exposed


def coverage(target: Light) -> UInt8[np.ndarray, "16 16"]:
    """Measure how much of each cell the galaxy covers [percent]."""
    inside = (target > ISOPHOTE * NATIVE_ARCSEC**2).astype(np.float32)
    edges = np.linspace(0, len(target), COVERAGE_CELLS + 1).astype(int)[:-1]
    counts = np.add.reduceat(np.add.reduceat(inside, edges, axis=0), edges, axis=1)
    areas = np.add.reduceat(np.add.reduceat(np.ones_like(inside), edges, axis=0), edges, axis=1)
    return np.rint(100 * counts / areas).astype(np.uint8)


TRUTHS = (
    "redshift", "magnitude_r", "half_light_radius_arcsec", "axis_ratio", "bulge_fraction", "arm_number",
    "pitch_angle_deg", "bar_strength", "position_angle_deg", "psf_fwhm_arcsec", "sky_noise",
)  # fmt: skip


def truth(canvas: Canvas, shape: Shape, conditions: Conditions) -> dict[str, float]:
    """Collect what is true of the galaxy, by the names in `TRUTHS`."""
    galaxy = canvas.galaxy
    radius = shape.half_light
    if isnan(radius):
        tilt = (0.0, 1.0) if isnan(shape.axis_ratio) else (shape.angle, shape.axis_ratio)
        radius = half_light_radius(canvas.light[1], canvas.plane, *tilt)
    values = (
        galaxy.redshift, galaxy.magnitude, radius, shape.axis_ratio, shape.bulge, shape.arms, shape.pitch,
        shape.bar, shape.angle, conditions.seeing[1], conditions.noise[1],
    )  # fmt: skip
    return dict(zip(TRUTHS, values, strict=True))
