"""Class and redshift of any galaxies, by the probes of a finished run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float

from astrojepa_bench import events
from astrojepa_bench.data.columns import are_row_numbers
from astrojepa_bench.explore.probes import RunProbes, class_names
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.table_formats import distinct
from astrojepa_bench.explore.tables import facts_table, rounded

PROBABILITY = "probability_"


def prediction_table(sample: Sample, probes: RunProbes, *, latents: bool = False) -> pd.DataFrame:
    """Return what probes say of each galaxy, after its facts, in the order of the sample.

    | column | what |
    |---|---|
    | facts | as `facts_table`; `split` only of the run's own galaxies, `label` and `class` only if any is known |
    | `predicted_class`, `probability` | the most probable class, and how probable |
    | `probability_NAME` | of each class; they sum to 1 |
    | `predicted_redshift` | by ridge regression |
    | `redshift_scatter` | half width about it in which 68.3 % of true redshifts lie (`RedshiftScatter`) |
    | `latents` | features of tap `last`, where asked for |

    Numbers have six significant digits.

    Args:
        sample: the galaxies.
        probes: of the run that encodes them.
        latents: whether to add them.

    Raises:
        DataError: a feature is not finite.
    """
    frame = facts_table(sample)
    dropped = ["split"] * (not sample.knows_run) + ["label", "class"] * bool((frame["label"] < 0).all())
    frame = frame.drop(columns=dropped)
    _tell_familiar(sample, probes)
    if probes.linear is not None:
        names = class_names(sample.run)
        known = [names[index] for index in probes.linear.classes]
        probability = np.exp(probes.linear.log_probability(sample.taps[probes.linear.tap]))
        frame = frame.assign(**_classes(known, probability))
    if probes.ridge is not None and probes.scatter is not None:
        redshift = probes.ridge.ridge.predict(sample.taps[probes.ridge.tap])[:, 0].numpy()
        scatter = probes.scatter.around(redshift)
        frame = frame.assign(predicted_redshift=rounded(redshift), redshift_scatter=rounded(scatter))
    if latents:
        frame["latents"] = list(sample.latents.numpy())
    frame.attrs["probes"] = list(probes.told)
    return frame


def _classes(names: list[str], probability: Float[np.ndarray, "galaxy class"]) -> dict[str, np.ndarray]:
    """Return the columns of predicted classes."""
    columns = zip(distinct(PROBABILITY + name for name in names), probability.T, strict=True)
    return {
        "predicted_class": np.array(names)[probability.argmax(axis=1)],
        "probability": rounded(probability.max(axis=1)),
        **{name: rounded(values) for name, values in columns},
    }


def _tell_familiar(sample: Sample, probes: RunProbes) -> None:
    """Emit a note where predictions are of galaxies that the probes have seen with their labels.

    Row numbers name a galaxy within one table only: among others they tell nothing.
    """
    if not sample.knows_run and are_row_numbers(sample.table.ids):
        return
    familiar = int(np.isin(sample.table.ids[sample.rows], probes.fitted_ids).sum())
    if familiar:
        events.emit(
            "note",
            text=f"{familiar:,} of these {len(sample):,} galaxies bear ids of the run's train or val galaxies, to "
            "which its probes were fitted: predictions of them look better than of new ones",
        )
