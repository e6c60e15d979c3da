"""Pictures of galaxies carry what a reader needs: bands, origin, and a scale only where it is known."""

import re
from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.explore.anomalies import anomaly_table
from astrojepa_bench.explore.figures import bar_length, display_note, draw_bar, picture_bytes, rgb, scale_note
from astrojepa_bench.explore.mosaic import anomalies_figure, mosaic_figure, scales_differ
from astrojepa_bench.explore.sample import Sample

ROWS = [0, 1, 2]


@pytest.fixture
def scaled(table):
    """Set other pixel scales."""
    return lambda scales: replace(table, pixel_scale=np.resize(np.asarray(scales, dtype=float), len(table)))


def bars(figure):
    """Count the scale bars of each picture."""
    return [len(axes.lines) for axes in figure.axes if axes.images]


def mosaic(run, table):
    return mosaic_figure(Sample(run, table, np.arange(len(table))), ROWS, ["a", "b", "c"], "title")


def test_one_bar_where_all_have_one_scale_and_each_its_own_otherwise(run, scaled):
    """A bar may speak for its neighbours only if they are on the same scale."""
    assert bars(mosaic(run, scaled([0.262]))) == [1, 0, 0]
    assert bars(mosaic(run, scaled([0.262, 0.262, 0.4]))) == [1, 1, 1]
    assert not scales_differ(scaled([0.262]), ROWS)
    assert scales_differ(scaled([0.262, np.nan, 0.262]), ROWS)


def test_no_bar_where_the_scale_is_unknown(run, scaled):
    """No picture gets a guessed one, and the note says why."""
    nowhere, somewhere = scaled([np.nan]), scaled([np.nan, 0.262, 0.262])

    assert bars(mosaic(run, nowhere)) == [0, 0, 0]
    assert bars(mosaic(run, somewhere)) == [0, 1, 1]
    assert "pixel scale unknown" in mosaic(run, nowhere).get_supxlabel()
    assert [scale_note(table, ROWS) for table in (nowhere, somewhere, scaled([0.262]))] == [
        "pixel scale unknown", "no bar: pixel scale unknown", "",
    ]  # fmt: skip


@pytest.mark.parametrize("scale", [0.1, 0.262, 0.5, 2.0])
def test_a_bar_is_as_long_as_it_says(scaled, scale):
    """Its pixels times the pixel scale are its arcseconds."""
    from matplotlib.figure import Figure

    table, axes = scaled([scale]), Figure().subplots()
    draw_bar(axes, table, 0)
    (start, end), _ = axes.lines[0].get_data()

    assert (end - start) * scale == pytest.approx(bar_length(table, 0))
    assert axes.texts[0].get_text() == f"{bar_length(table, 0):g}″"


def test_filters_are_claimed_only_where_they_are_named(table):
    """A composite of unknown filters is not said to be z, r, g."""
    named = replace(table, spec=replace(table.spec, bands=("i", "r", "g")))

    assert display_note(named) == "R=i G=r B=g, row 0 at the top"
    assert display_note(table) == "colours as in the files, row 0 at the top"
    np.testing.assert_array_equal(rgb(table, 0), table.images[0].transpose(1, 2, 0))


def test_the_oddest_are_captioned_in_their_order(sample):
    """Rank, id, score, place in the sample, class and redshift of the galaxy that is drawn."""
    frame = anomaly_table(sample)
    figure = anomalies_figure(sample, frame, number=7)
    titles = [axes.get_title() for axes in figure.axes[:7]]

    for title, (_, fact) in zip(titles, frame.head(7).iterrows(), strict=True):
        assert title.startswith(
            f"{fact['rank']}. {fact['id']}\nscore {fact['knn_distance']:.3g}, index {fact['index']}\n"
        )
        assert title.endswith(f"{fact['class']} z={fact['redshift']:.2f}")
    shown = figure.axes[2].images[0].get_array()
    np.testing.assert_array_equal(shown, rgb(sample.table, sample.row_of(int(frame["index"][2]))))
    assert picture_bytes(figure).startswith(b"\x89PNG")
    assert all(
        name in figure.get_suptitle() for name in (sample.table.card.name, sample.run.record.run_id[:8])
    )


def test_no_name_of_a_class_is_cut_off(run, table):
    """It is broken into lines; of an id that is too long both ends are shown, which tell it from others."""
    names, ids = (
        ("Unbarred Tight Spiral Galaxies of the second kind", "b"),
        table.ids.astype(str).astype(object),
    )
    ids[:] = [f"587722981742084144-{at:04d}-of-a-long-survey" for at in range(len(ids))]
    named = replace(table, ids=ids.astype(str), card=replace(table.card, class_names=names))
    sample = Sample(run, named, np.flatnonzero(table.label == 0)[:6])
    figure = anomalies_figure(sample, anomaly_table(sample, predicts=False), number=3)
    titles = [axes.get_title() for axes in figure.axes[:3]]

    assert all(names[0] in " ".join(title.split()) for title in titles)
    assert all(re.match(r"\d\. 587722981742…-long-survey\n", title) for title in titles)
    assert max(len(line) for title in titles for line in title.split("\n")) <= 29
