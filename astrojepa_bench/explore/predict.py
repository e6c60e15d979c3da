"""Class and redshift of any galaxies, by the probes of a finished run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from jaxtyping import Float

from astrojepa_bench import events
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.explore.probes import RunProbes, class_names, fit_probes
from astrojepa_bench.explore.sample import Sample, sample_of
from astrojepa_bench.explore.tables import facts_table, rounded
from astrojepa_bench.registry import load_registry
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs.open_run import OpenRun, reopen_galaxies
from astrojepa_bench.types import GalaxyTable

PROBABILITY = "probability_"


def predict(
    run: OpenRun, dataset: GalaxyTable | Dataset | None = None, *, latents: bool = False
) -> pd.DataFrame:
    """Predict class and redshift of galaxies by the probes that were fitted for a run.

    Nothing is fitted to these galaxies, whatever is known of them, and the run's own are not encoded again.

    Args:
        run: a finished run (`open_run`).
        dataset: every galaxy of it is looked at; None: the run's own test galaxies.
        latents: whether to add the features of each galaxy, one array a row.

    Returns:
        one row a galaxy, see `prediction_table`; `frame.attrs["probes"]` tells what the probes are.

    Raises:
        ConfigError: the run's galaxies have neither labels nor redshifts, or lie in files and nothing was kept.
        DataError: the galaxies cannot be read, have other bands than the run's, or get non-finite features.
    """
    probes = fit_probes(
        run,
        lambda: reopen_galaxies(run, load_registry(), {}, default_cache(), run.device, resident_bytes=0),
    )
    return prediction_table(sample_of(run, dataset), probes, latents=latents)


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
    is_own = sample.table.fingerprint == sample.run.record.identity.get("fingerprint")
    dropped = ["split"] * (not is_own) + ["label", "class"] * bool((frame["label"] < 0).all())
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


def distinct(names: Iterable[str]) -> list[str]:
    """Number names that differ in nothing but case: many tables know no other difference.

    Example:
        >>> distinct(["p_S0", "p_s0", "p_E"])
        ['p_S0', 'p_s0_2', 'p_E']
    """
    found = list[str]()
    for name in names:
        taken, chosen, number = {each.casefold() for each in found}, name, 2
        while chosen.casefold() in taken:
            chosen, number = f"{name}_{number}", number + 1
        found.append(chosen)
    return found


def _tell_familiar(sample: Sample, probes: RunProbes) -> None:
    """Emit a note where predictions are of galaxies that the probes have seen with their labels."""
    familiar = int(np.isin(sample.table.ids[sample.rows], probes.fitted_ids).sum())
    if familiar:
        events.emit(
            "note",
            text=f"{familiar:,} of these {len(sample):,} galaxies bear ids of the run's train or val galaxies, to "
            "which its probes were fitted: predictions of them look better than of new ones",
        )
