"""Maps keep what is near near; principal components are numpy's; colours are what their column says."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.explore import map as map_module
from astrojepa_bench.explore.figures import picture_bytes
from astrojepa_bench.explore.map import colour_column, make_map, usual_colour
from astrojepa_bench.explore.map_figures import map_figure, thumbnail_map_figure
from astrojepa_bench.explore.sample import Sample

FIND_SPEC = importlib.util.find_spec


@pytest.fixture
def without(monkeypatch):
    """Make a library look as if it were not installed."""

    def hide(library):
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, *rest: None if name == library else FIND_SPEC(name, *rest),
        )

    return hide


@pytest.fixture
def groups():
    """Three groups of twenty galaxies, far apart in eight dimensions."""
    group = np.repeat(np.arange(3), 20)
    centres = 15 * np.random.default_rng(1).normal(size=(3, 8))
    return centres[group] + np.random.default_rng(2).normal(size=(60, 8)), group


def test_principal_components_are_numpys(planted, groups):
    """Up to sign, from the singular values of the centred latents; the axes tell their shares."""
    made = make_map(planted(groups[0]), "pca")
    latents = groups[0].astype(np.float32).astype(float)
    left, values, _ = np.linalg.svd(latents - latents.mean(axis=0), full_matrices=False)

    assert np.abs(made.places) == pytest.approx(np.abs(left[:, :2] * values[:2]), abs=1e-4)
    assert made.axes[0] == f"PC 1 ({values[0] ** 2 / (values**2).sum():.0%} of variance)"


def test_neighbours_on_the_map_are_of_one_group(planted, groups, without):
    """t-SNE without openTSNE; a map of noise would put one in three right."""
    without("openTSNE")
    latents, group = groups
    made = make_map(planted(latents), "tsne")
    nearest = NearestNeighbors(n_neighbors=1).fit(made.places).kneighbors()[1][:, 0]

    assert (group[nearest] == group).mean() > 0.95
    assert "scikit-learn" in made.method


def test_the_same_galaxies_lie_in_the_same_place(planted, groups):
    """Whatever library makes the map, it is seeded."""
    first, again = (make_map(planted(groups[0][:24]), "tsne").places for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_umap_says_how_to_get_it(planted, groups, without):
    """One line, with the extra to install."""
    without("umap")
    with pytest.raises(ConfigError, match=r"pip install 'astrojepa-bench\[umap\]'"):
        make_map(planted(groups[0]), "umap")


@pytest.mark.parametrize("latents", [np.zeros((30, 4)), np.eye(4)], ids=["identical", "too few"])
def test_no_map_of_nothing(planted, latents):
    """Identical latents have no map, and four galaxies none worth drawing."""
    with pytest.raises(DataError, match="make no map; give 5 different ones or more"):
        make_map(planted(latents), "pca")


def test_columns_colour_by_what_they_say(sample, run, table):
    """Facts as they are known; the usual colour is the first that is."""
    rows = sample.rows
    np.testing.assert_allclose(colour_column(sample, "redshift"), table.redshift[rows])
    assert usual_colour(sample) == "class"
    unlabelled = replace(table, label=np.full(len(table), -1))
    assert usual_colour(Sample(run, unlabelled, rows)) == "redshift"
    assert usual_colour(Sample(run, replace(unlabelled, redshift=None), rows)) == "knn_distance"


def test_unknown_and_empty_columns_are_refused(sample, run, table):
    """With the nearest name, or that nothing is in it."""
    with pytest.raises(ConfigError, match=r"unknown column 'redshit'.*redshift"):
        colour_column(sample, "redshit")
    factors = {"pitch": np.full(len(table), np.nan)}
    with pytest.raises(ConfigError, match="column 'pitch' is empty"):
        colour_column(Sample(run, replace(table, factors=factors), sample.rows), "pitch")


def test_maps_are_pictures(sample):
    """Coloured by classes, by numbers, and tiled."""
    made = make_map(sample, "pca")

    for figure in (map_figure(made), map_figure(made, "redshift"), thumbnail_map_figure(made)):
        assert picture_bytes(figure).startswith(b"\x89PNG")


def test_a_map_of_none_whose_colour_is_known_is_drawn(sample, run, table):
    """Of 60,000 galaxies with five redshifts, the 5,000 that are drawn may have none."""
    few = np.where(np.arange(len(table)) == sample.rows[0], 0.1, np.nan)
    unlabelled = replace(table, label=np.full(len(table), -1), redshift=few)
    made = replace(make_map(Sample(run, unlabelled, sample.rows), "pca"))
    without = replace(made, index=made.index[1:], places=made.places[1:])
    axes = map_figure(without).axes

    assert len(map_figure(made).axes) == 2  # with a colour bar
    assert len(axes) == 1
    assert axes[0].get_legend().get_texts()[0].get_text() == f"unknown ({len(sample) - 1})"


def test_a_map_of_the_runs_own_galaxies_is_made_once(sample, monkeypatch):
    """Its places are kept with the features and read again; those of other galaxies are not."""
    first = make_map(sample)
    monkeypatch.setattr(map_module, "TSNE", None)
    monkeypatch.setitem(sys.modules, "openTSNE", None)

    np.testing.assert_array_equal(make_map(sample).places, first.places)
    with pytest.raises((TypeError, ImportError)):
        make_map(replace(sample, table=replace(sample.table, fingerprint="f00d")))


def test_a_colour_bar_has_arrows_where_something_is_cut(sample, run, table):
    """Few galaxies or many: colours end at the 1st and the 99th percentile, and one outlier lies beyond."""
    made = make_map(sample, "pca")
    wild = table.redshift.copy()
    wild[sample.rows[0]] = 43.4
    even = replace(table, redshift=np.where(np.arange(len(table)) % 2, 0.1, 0.2))
    bars = [
        map_figure(replace(made, sample=Sample(run, each, sample.rows)), "redshift").axes[0].collections[0]
        for each in (replace(table, redshift=wild), even)
    ]

    assert [bar.colorbar.extend for bar in bars] == ["both", "neither"]
    assert bars[0].get_clim()[1] < 43.4


def test_markers_of_a_legend_do_not_grow_with_the_points(sample):
    """Lines of a legend are 8 points high: a marker as large as those of a small map touches its neighbours."""
    [handle, *_] = map_figure(make_map(sample, "pca"), "class").axes[0].get_legend().legend_handles

    assert np.sqrt(handle.get_sizes()[0]) < 6
