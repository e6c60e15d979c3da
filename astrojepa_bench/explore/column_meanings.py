"""What each column of a written table means: unit, UCD and a sentence, so that the file explains itself.

Source:
    The UCD1+ controlled vocabulary, IVOA recommendation, edition 1.6 of 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Meaning(NamedTuple):
    """What a column holds.

    Attributes:
        text: a sentence.
        ucd: in UCD1+, or empty.
        unit: as astropy reads it, or empty.
    """

    text: str
    ucd: str = ""
    unit: str = ""


MEANINGS: Mapping[str, Meaning] = {
    "rank": Meaning("place in this table, 1 for the first; 0 is a query", "stat.rank"),
    "index": Meaning("place of the galaxy among those that were looked at, from 0", "meta.record"),
    "id": Meaning("name of the galaxy in its data set", "meta.id;meta.main"),
    "split": Meaning("part of the data set: train, val, test or pool", "meta.code"),
    "label": Meaning("number of the known class, -1 where unknown", "meta.code.class"),
    "class": Meaning("known class, empty where unknown", "src.class"),
    "anomaly": Meaning("kind of a known anomaly: physical or artefact", "meta.code"),
    "anomaly_type": Meaning("name of a known anomaly", "src.class"),
    "redshift": Meaning("known redshift", "src.redshift"),
    "ra": Meaning("right ascension as the data set states it", "pos.eq.ra;meta.main", "deg"),
    "dec": Meaning("declination as the data set states it", "pos.eq.dec;meta.main", "deg"),
    "viewer": Meaning("link to the place in the Legacy Survey viewer", "meta.ref.url"),
    "pixel_scale": Meaning("side of a pixel of the image that was looked at", "instr.scale", "arcsec / pix"),
    "latents": Meaning("features of tap last of the encoder", "src.morph.param"),
    "knn_distance": Meaning("mean standardised distance to the 10 nearest reference galaxies", "stat.value"),
    "mahalanobis_distance": Meaning(
        "from the mean of the reference galaxies, shrunk covariance", "stat.value"
    ),
    "mean_mse": Meaning("squared error of the predicted tokens, mean", "stat.fit.residual;stat.mean"),
    "max_mse": Meaning("squared error of the predicted tokens, largest", "stat.fit.residual;stat.max"),
    "mean_cosine": Meaning("cosine of predicted and true tokens, mean", "stat.correlation;stat.mean"),
    "min_cosine": Meaning("cosine of predicted and true tokens, smallest", "stat.correlation;stat.min"),
    "prediction_error": Meaning("mean_mse + max_mse / 2 + (1 - mean_cosine) / 10", "stat.fit.residual"),
    "draws": Meaning("draws of masks over which prediction errors are averaged", "meta.number"),
    "similarity": Meaning("cosine of the features with the query's, mean subtracted", "stat.correlation"),
    "separation": Meaning("angular distance from the place that was asked for", "pos.angDistance", "arcsec"),
    "cluster": Meaning("number of the k-means cluster, 0 for the largest", "meta.code.class"),
    "centre_distance": Meaning("distance of the features from the cluster's centre", "stat.value"),
    "predicted_class": Meaning("most probable class, by the linear probe", "src.class;meta.modelled"),
    "probability": Meaning("of the predicted class", "stat.probability;src.class"),
    "predicted_redshift": Meaning("by ridge regression on the features", "src.redshift.phot;meta.modelled"),
    "redshift_scatter": Meaning(
        "half width about predicted_redshift that holds 68.3 % of true redshifts (validation galaxies)",
        "stat.error;src.redshift.phot",
    ),
    "patch": Meaning("number of the patch, row by row", "meta.record"),
    "row": Meaning("of the patch, from the first row of pixels", "meta.record"),
    "column": Meaning("of the patch", "meta.record"),
    "in_context": Meaning("1 where the encoder saw it in the first draw of masks, else 0", "meta.code"),
    "in_targets": Meaning("1 where it was to be predicted in the first draw, else 0", "meta.code"),
    "cosine": Meaning("of predicted and true latents, mean over the draws that hid it", "stat.correlation"),
    "squared_error": Meaning("of predicted latents, mean over the draws that hid it", "stat.fit.residual"),
}
_BEGINNINGS: Mapping[str, Meaning] = {
    "probability_": Meaning("probability of class {}", "stat.probability;src.class"),
    "latents_": Meaning("feature {} of tap last of the encoder", "src.morph.param"),
}
UNITS: Mapping[str, str] = {name: meaning.unit for name, meaning in MEANINGS.items() if meaning.unit}


def meaning_of(column: str) -> Meaning:
    """Look up what a column holds; nothing is known of columns of others.

    Example:
        >>> meaning_of("probability_spiral").text
        'probability of class spiral'
    """
    for beginning, meaning in _BEGINNINGS.items():
        if column.startswith(beginning):
            return meaning._replace(text=meaning.text.format(column.removeprefix(beginning)))
    return MEANINGS.get(column, Meaning(""))
