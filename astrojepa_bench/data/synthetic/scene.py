"""From a galaxy's number to its image: target, field, seeing, noise, stretch.

Every purpose has its own random stream, seeded by (seed, index, purpose): a galaxy is the same galaxy
whatever else is drawn, in whatever order, by however many processes; it keeps its shape at any image size,
and another instrument, whose seeing and noise have streams of their own, looks at the very same scene.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from math import ceil, cos, pi, sin

import numpy as np
from jaxtyping import Float, UInt8
from scipy.fft import next_fast_len

from astrojepa_bench.data.sources.stretch import viewer_stretch
from astrojepa_bench.data.synthetic.anomalies import ARTEFACTS, PHYSICAL
from astrojepa_bench.data.synthetic.canvas import Canvas, Shape
from astrojepa_bench.data.synthetic.field import draw_field
from astrojepa_bench.data.synthetic.population import (
    POPULATIONS,
    SHARED,
    Galaxy,
    Population,
    class_of,
    draw_galaxy,
)
from astrojepa_bench.data.synthetic.profiles import Plane
from astrojepa_bench.data.synthetic.recipes import RECIPES, Recipe
from astrojepa_bench.data.synthetic.survey import (
    INSTRUMENTS,
    NATIVE_ARCSEC,
    Conditions,
    Instrument,
    blurred,
    draw_conditions,
    moffat_transfer,
)
from astrojepa_bench.data.synthetic.truth import coverage, half_light, truth

ANOMALY_TYPES = (*PHYSICAL, *ARTEFACTS)
ANOMALIES_A_ROUND = 6  # artefacts strike a galaxy of the next class after so many anomalies
_COARSEST_ARCSEC = 0.35  # finer sampling than this under the point-spread function
_MARGIN_PX = 8
_TRIAL_PX, _TRIAL_RADII = 128, 6.5  # half of the frame on which matched galaxies are measured


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
        population: `natural`, or `matched` where all classes share one.
        instrument: a name from `INSTRUMENTS`.
        shift_px: how far galaxies lie from the image centre, in a direction of their own [pixel].
        anomaly_mix: how often each type of anomaly occurs, a name from `MIXES`.
    """

    seed: int
    balance: str
    size_px: int
    fov_arcsec: float
    population: str = "natural"
    instrument: str = "survey"
    shift_px: float = 0.0
    anomaly_mix: str = "rare"

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

    def plane_of(self, subject: SceneSubject) -> Plane:
        """The sampling grid of one subject, relative to the place where its galaxy is put."""
        where = subject.direction(self.seed)
        distance = self.shift_px * self.pixel_arcsec
        return self.canvas_plane().moved(distance * cos(where), distance * sin(where))

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
class SceneSubject:
    """One row of the dataset before it is drawn.

    Attributes:
        index: number among the galaxies, or among the anomalies.
        anomaly: name from `ANOMALY_TYPES`, empty for ordinary galaxies.
    """

    index: int
    anomaly: str = ""

    def stream(
        self, seed: int, purpose: Purpose, instrument: Instrument = INSTRUMENTS["survey"]
    ) -> np.random.Generator:
        """Return this subject's random stream for a purpose; the survey's own has no number in it."""
        use = purpose + (len(Purpose) if self.anomaly else 0)
        return np.random.default_rng([seed, self.index, use] + [instrument.number] * (instrument.number > 0))

    def direction(self, seed: int) -> float:
        """Return the direction in which a survey that shifts galaxies has shifted this one [rad]."""
        # A branch of the population's stream: a purpose of its own would renumber those of the anomalies.
        return float(self.stream(seed, Purpose.POPULATION).spawn(1)[0].uniform(0, 2 * pi))

    def recipe(self, survey: Survey) -> tuple[Population, Recipe]:
        """Return the population it belongs to and how it is drawn."""
        if self.anomaly in PHYSICAL:
            population, recipe = PHYSICAL[self.anomaly]
        else:
            number = self.index // ANOMALIES_A_ROUND if self.anomaly else self.index
            kind = class_of(number, survey.balance)
            population, recipe = POPULATIONS[kind], RECIPES[kind]
        shared = survey.population == "matched" and self.anomaly != "lens"  # no arcs around a near one
        return (SHARED if shared else population), recipe


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


def draw(survey: Survey, subject: SceneSubject) -> Drawn:
    """Draw one galaxy as the survey, or another instrument, sees it."""
    instrument = INSTRUMENTS[survey.instrument]
    conditions = draw_conditions(subject.stream(survey.seed, Purpose.CONDITIONS, instrument), instrument)
    canvas, shape = paint(survey, subject)
    transfers = [moffat_transfer(len(canvas.plane.x), canvas.plane.step, fwhm) for fwhm in conditions.seeing]
    target = blurred(canvas.light[1], transfers[1])
    scene = canvas.light + surroundings(survey, subject)
    light = np.stack([blurred(band, kernel) for band, kernel in zip(scene, transfers, strict=True)])
    flux = expose(survey, survey.to_pixels(light), conditions, subject)
    return Drawn(viewer_stretch(flux), coverage(survey.to_pixels(target)), truth(canvas, shape, conditions))


def surroundings(survey: Survey, subject: SceneSubject) -> Float[np.ndarray, "band height width"]:
    """Draw the light of everything else in the frame, above the atmosphere."""
    return draw_field(subject.stream(survey.seed, Purpose.FIELD), survey.plane_of(subject))


def paint(survey: Survey, subject: SceneSubject) -> tuple[Canvas, Shape]:
    """Draw the light of the galaxy alone, above the atmosphere, slightly off its place in the frame."""
    population, recipe = subject.recipe(survey)
    plane = survey.plane_of(subject)
    galaxy = draw_galaxy(population, subject.stream(survey.seed, Purpose.POPULATION))
    if population is not SHARED:
        return painted(plane, galaxy, recipe, subject.stream(survey.seed, Purpose.SHAPE))
    drawn = rescaled(galaxy, recipe, subject.stream(survey.seed, Purpose.SHAPE))
    canvas, shape = painted(plane, drawn, recipe, subject.stream(survey.seed, Purpose.SHAPE))
    return canvas, replace(shape, half_light=galaxy.radius)


def painted(plane: Plane, galaxy: Galaxy, recipe: Recipe, rng: np.random.Generator) -> tuple[Canvas, Shape]:
    """Follow a recipe on a sampling grid."""
    right, up = (float(offset) for offset in rng.normal(0.0, 0.2, 2))
    canvas = Canvas(plane.moved(right, up), galaxy)
    return canvas, recipe(canvas, rng)


def rescaled(galaxy: Galaxy, recipe: Recipe, rng: np.random.Generator) -> Galaxy:
    """Scale a galaxy so that half of the light its recipe draws lies within its radius.

    A recipe takes the radius for a scale: what it draws may be larger or smaller, by class. The trial frame
    grows with the galaxy, so the result does not depend on the image.
    """
    plane = Plane.framed(_TRIAL_PX, 2 * _TRIAL_RADII * galaxy.radius / _TRIAL_PX)
    return replace(galaxy, radius=galaxy.radius**2 / half_light(*painted(plane, galaxy, recipe, rng)))


def expose(
    survey: Survey,
    flux: Float[np.ndarray, "band height width"],
    conditions: Conditions,
    subject: SceneSubject,
) -> Float[np.ndarray, "band height width"]:
    """Add the noise of sky and photons, then the artefact if the subject is one.

    Noise is white per native pixel; a pixel that averages k of them has it √k times smaller.
    """
    stream = subject.stream(survey.seed, Purpose.NOISE, INSTRUMENTS[survey.instrument])
    noise = stream.standard_normal(flux.shape, dtype=np.float32)
    sky = np.asarray(conditions.noise, dtype=np.float32)[:, None, None] ** 2
    spread = np.sqrt(sky + np.maximum(flux, 0) / np.float32(conditions.electrons))
    exposed = flux + noise * spread * np.float32(NATIVE_ARCSEC / survey.pixel_arcsec)
    if subject.anomaly in ARTEFACTS:
        plane = Plane.framed(survey.size_px, survey.pixel_arcsec)
        ARTEFACTS[subject.anomaly](exposed, plane, subject.stream(survey.seed, Purpose.ANOMALY))
    return exposed
