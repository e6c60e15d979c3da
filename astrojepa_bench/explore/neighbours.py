"""Similarity search: the galaxies whose latents are nearest to those of a given one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch.nn import functional as F

from astrojepa_bench.data.sources.catalogue import unknown_orientation
from astrojepa_bench.explore.mosaic import captioned, mosaic_figure
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import facts_table, rounded

NEIGHBOURS = 9


def find_neighbours(
    sample: Sample, index: int, number: int = NEIGHBOURS, *, query: Sample | None = None
) -> pd.DataFrame:
    """Find the galaxies of a sample that are most similar to one of them, or to one from elsewhere.

    Args:
        sample: the galaxies to search.
        index: number of the query in its sample.
        number: how many neighbours; all if there are fewer.
        query: the sample that holds the query, seen by the same run; None: the one that is searched.

    Returns:
        facts of the query (`rank` 0) and its neighbours, nearest first, with `similarity`: the cosine of their
        features after subtracting the mean of the reference galaxies, as in evaluator `knn`. `index` counts in the
        sample of each.

    Raises:
        ConfigError: there is no such galaxy.
        DataError: a feature is not finite.
    """
    asked = sample if query is None else query
    row = asked.row_of(index)
    centre = sample.reference.double().mean(dim=0)
    directions = F.normalize(sample.latents.double() - centre, dim=1)
    towards = F.normalize(asked.latents[index : index + 1].double() - centre, dim=1)[0]
    similarity = rounded((directions @ towards).numpy())
    order = np.lexsort((sample.table.ids[sample.rows], -similarity))
    if asked.table.fingerprint == sample.table.fingerprint:  # an identical galaxy must not displace the query
        order = order[sample.rows[order] != row]
    found = facts_table(sample).assign(similarity=similarity).iloc[order[:number]]
    first = facts_table(asked).iloc[[index]].assign(similarity=rounded(np.array([float(towards @ towards)])))
    frame = first if found.empty else pd.concat([first, found]).reset_index(drop=True)
    texts = {str(name): "" for name in frame if frame[name].dtype.kind not in "ifb"}
    frame = frame.fillna(texts)  # what only one of two tables knows
    frame.insert(0, "rank", np.arange(len(frame)))
    return frame


def neighbours_figure(
    sample: Sample, index: int, number: int = NEIGHBOURS, *, query: Sample | None = None
) -> Figure:
    """Draw a galaxy and its nearest neighbours, the nearest first; for the arguments see `find_neighbours`.

    Raises:
        ConfigError: there is no such galaxy.
        DataError: a feature is not finite.
    """
    frame = find_neighbours(sample, index, number, query=query)
    of, among, counted = "", "", "index"
    notes = ["cosine: of the features, mean subtracted; 1 for the same direction"]
    if query is not None:  # two samples number their galaxies each on its own
        counted, among = f"{sample.split if sample.own else 'its'} index", f" of {query.title}"
        notes.append(f"index: of the query among {query.title}, {counted}: among {sample.title}")
        of = f"{sample.title}, query of {query.title}, seen by {sample.run_title}"
        sample = side_by_side(query, sample, frame)
    captions = [
        captioned(
            fact,
            f"{fact['rank']}." if fact["rank"] else "query:",
            f"cosine {fact['similarity']:.3f}",
            counted if fact["rank"] else "index",
        )
        for _, fact in frame.iterrows()
    ]
    rows = sample.rows[np.arange(len(frame)) if query is not None else frame["index"].to_numpy()].tolist()
    title = f"Most similar to galaxy {frame['id'][0]} (index {index}{among})"
    return mosaic_figure(sample, rows, captions, title, *notes, of=of)


def side_by_side(query: Sample, sample: Sample, frame: pd.DataFrame) -> Sample:
    """Return a query from elsewhere and its neighbours as a sample of their own, to be drawn.

    Args:
        query: holds the galaxy of the first row.
        sample: holds those of the other rows.
        frame: of `find_neighbours`.
    """
    places = frame["index"].to_numpy()
    parts = ((query.table, query.rows[places[:1]]), (sample.table, sample.rows[places[1:]]))

    def joined(name: str) -> np.ndarray:
        columns = [(getattr(table, name), rows) for table, rows in parts]
        return np.concatenate(
            [np.full(len(rows), np.nan) if each is None else each[rows] for each, rows in columns]
        )

    lying = [
        unknown_orientation(len(rows)) if each is None else each[rows]
        for each, rows in ((table.orientation, rows) for table, rows in parts)
    ]
    names = (sample.table.card.name, query.table.card.name)
    count = len(frame)
    table = replace(
        sample.table, images=joined("images"), ids=np.arange(count).astype(str), group=None, factors={}, columns={},
        split=np.full(count, "test"), card=replace(sample.table.card, name=f"{names[0]}, query of {names[1]}"),
        anomaly=np.zeros(count, dtype=np.int64), anomaly_type=np.full(count, ""), block=0,
        redshift=None, ra=None, dec=None, pixel_scale=joined("pixel_scale"), label=np.full(count, -1),
        orientation=np.concatenate(lying),
    )  # fmt: skip
    return Sample(sample.run, table, np.arange(count))
