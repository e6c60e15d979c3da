"""The ruler's own components, offered through the same hooks as everybody else's."""

from __future__ import annotations

from collections.abc import Mapping

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.hub import HuggingFace
from astrojepa_bench.data.parquet import Parquet
from astrojepa_bench.data.prepared import Prepared
from astrojepa_bench.data.published.galaxy10 import Galaxy10
from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.encoders.floors import Majority, PixelPCA, Pixels
from astrojepa_bench.encoders.profile import Profile
from astrojepa_bench.encoders.ring_vit import RingViT
from astrojepa_bench.encoders.timm_models import TimmEncoder
from astrojepa_bench.encoders.vit import ViTBase, ViTMicro, ViTSmall, ViTTiny
from astrojepa_bench.evaluators.anomaly import Anomaly
from astrojepa_bench.evaluators.anomaly_scorers import AnomalyScorers
from astrojepa_bench.evaluators.attentive import Attentive
from astrojepa_bench.evaluators.collapse import Collapse
from astrojepa_bench.evaluators.factors import Factors
from astrojepa_bench.evaluators.few_shot import FewShot
from astrojepa_bench.evaluators.finetune import Finetune
from astrojepa_bench.evaluators.kmeans import KMeans
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.layers import Layers
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.mlp import MLP
from astrojepa_bench.evaluators.nuisance import Nuisance
from astrojepa_bench.evaluators.redshift import Redshift
from astrojepa_bench.evaluators.robustness import Robustness
from astrojepa_bench.evaluators.transfer import Transfer
from astrojepa_bench.hookspecs import hookimpl
from astrojepa_bench.roles import Dataset, Encoder, Evaluator


@hookimpl
def astrojepa_datasets() -> Mapping[str, type[Dataset]]:
    """Offer the built-in galaxies."""
    return {
        "synthetic": Synthetic,
        "galaxy10": Galaxy10,
        "hdf5": Hdf5,
        "folder": Folder,
        "parquet": Parquet,
        "huggingface": HuggingFace,
        "prepared": Prepared,
    }


@hookimpl
def astrojepa_encoders() -> Mapping[str, type[Encoder]]:
    """Offer vision transformers, all models of timm, and the encoder floors."""
    return {
        "vit-micro": ViTMicro,
        "vit-micro-rings": RingViT,
        "vit-tiny": ViTTiny,
        "vit-small": ViTSmall,
        "vit-base": ViTBase,
        "timm:<name>": TimmEncoder,
        "pixels": Pixels,
        "pca": PixelPCA,
        "profile": Profile,
        "majority": Majority,
    }


@hookimpl
def astrojepa_evaluators() -> Mapping[str, type[Evaluator]]:
    """Offer the evaluators."""
    return {
        "linear": Linear,
        "mlp": MLP,
        "few-shot": FewShot,
        "layers": Layers,
        "attentive": Attentive,
        "finetune": Finetune,
        "knn": KNN,
        "kmeans": KMeans,
        "anomaly": Anomaly,
        "anomaly-scorers": AnomalyScorers,
        "redshift": Redshift,
        "factors": Factors,
        "nuisance": Nuisance,
        "transfer": Transfer,
        "robustness": Robustness,
        "collapse": Collapse,
    }
