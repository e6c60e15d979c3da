"""The plugin authors' door: everything an objective, masker, encoder, dataset or evaluator needs.

Contestants import this module, torch, numpy and timm, and nothing else of ours. It re-exports; it has no code.
"""

from astrojepa_bench.data.convert import band_statistics as statistics
from astrojepa_bench.data.convert import fingerprint
from astrojepa_bench.data.resize import resize
from astrojepa_bench.data.sources.flux import asinh_stretch as stretch
from astrojepa_bench.data.splitting.copies import find_copies
from astrojepa_bench.data.splitting.splits import assign_splits
from astrojepa_bench.encoders.morphology import centroid
from astrojepa_bench.encoders.positions import sincos_positions
from astrojepa_bench.encoders.profile import Profile
from astrojepa_bench.encoders.projected import Projected
from astrojepa_bench.encoders.torch_files import read_torch
from astrojepa_bench.encoders.weights import load_weights, read_state
from astrojepa_bench.errors import BenchError, ConfigError, ContractError, DataError, Unsuitable
from astrojepa_bench.events import Event, track
from astrojepa_bench.features import Features, TokenBatch
from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid
from astrojepa_bench.geometry.patches import (
    PREFER,
    choose_patches,
    covered,
    draw_blocks,
    draw_square,
    rectangle_of,
    rectangle_patches,
)
from astrojepa_bench.geometry.sky import DETECTED, central_component, signal_to_noise, sky
from astrojepa_bench.geometry.views import augment
from astrojepa_bench.hookspecs import hookimpl
from astrojepa_bench.importers import Imported, Importer
from astrojepa_bench.metric import Metric, binomial_se
from astrojepa_bench.ranks import averaged, drawn, gathered, ranks_together
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Dataset, Draw, Encoder, Evaluator, Masker, Objective
from astrojepa_bench.streams import Streams, drawn_alike
from astrojepa_bench.suites import Block, Data, Published, Suite
from astrojepa_bench.types import (
    Card,
    Evaluation,
    GalaxyBatch,
    GalaxyTable,
    ImageSpec,
    Loss,
    Prediction,
    Progress,
    Score,
    Tokens,
)

__all__ = [
    "DETECTED",
    "PREFER",
    "BenchError",
    "Block",
    "Card",
    "ConfigError",
    "ContractError",
    "Data",
    "DataError",
    "Dataset",
    "Draw",
    "Encoder",
    "Evaluation",
    "Evaluator",
    "Event",
    "Features",
    "GalaxyBatch",
    "GalaxyTable",
    "ImageSpec",
    "Imported",
    "Importer",
    "Loss",
    "MaskSizes",
    "Masker",
    "Masks",
    "Metric",
    "Objective",
    "PatchGrid",
    "Prediction",
    "Profile",
    "Progress",
    "Projected",
    "Published",
    "Recipe",
    "Score",
    "Streams",
    "Suite",
    "TokenBatch",
    "Tokens",
    "Unsuitable",
    "assign_splits",
    "augment",
    "averaged",
    "binomial_se",
    "central_component",
    "centroid",
    "choose_patches",
    "covered",
    "draw_blocks",
    "draw_square",
    "drawn",
    "drawn_alike",
    "find_copies",
    "fingerprint",
    "gathered",
    "hookimpl",
    "load_weights",
    "ranks_together",
    "read_state",
    "read_torch",
    "rectangle_of",
    "rectangle_patches",
    "resize",
    "signal_to_noise",
    "sincos_positions",
    "sky",
    "statistics",
    "stretch",
    "track",
]
