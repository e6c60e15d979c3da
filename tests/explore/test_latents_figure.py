"""What a run sees and predicts of one galaxy: only hidden patches are judged, the same ones each time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from astrojepa_bench import open_run, visualize_full_latent_map
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore.figures import bar_length, display_note, picture_bytes
from astrojepa_bench.explore.latents_figure import latents_figure
from astrojepa_bench.explore.latents_map import agreement, compare, patch_errors
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.types import ORIENTATION, Prediction


@pytest.fixture(scope="module")
def views_run(trained):
    """A run of an objective that compares views and predicts no patches."""
    return open_run(trained("lejepa", 64, "knn"))


def test_only_what_was_hidden_is_judged(sample):
    """Context and targets share no patch; cosines lie in their range; patches never hidden have no value."""
    errors = patch_errors(sample, int(sample.rows[0]), draws=3)
    hidden = set(errors.targets.flatten().tolist())

    assert not hidden & set(errors.context.tolist())
    known = np.flatnonzero(np.isfinite(errors.cosine.flatten()))
    assert hidden <= set(known.tolist())
    assert (np.abs(errors.cosine.flatten()[known]) <= 1 + 1e-9).all()
    assert (errors.squared.flatten()[known] >= 0).all()
    np.testing.assert_array_equal(np.isnan(errors.cosine), np.isnan(errors.squared))


def test_the_same_draw_is_the_same_comparison(sample):
    """By number; another number hides other patches."""
    row = int(sample.rows[0])
    first, again, other = (compare(sample, row, draw) for draw in (0, 0, 1))

    assert torch.equal(first.prediction.predicted, again.prediction.predicted)
    assert not torch.equal(first.masks[0].targets, other.masks[0].targets)


def test_agreement_is_that_of_the_definition():
    """A vector against itself, against its opposite, and against nothing like it."""
    actual = torch.tensor([[[[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]]]])
    predicted = torch.tensor([[[[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]]]])
    cosine, squared = agreement(Prediction(predicted, actual))

    assert cosine.tolist() == [[1, -1, 0]]
    assert squared.tolist() == [[0, 2, 4]]


def test_five_panels_and_what_is_needed_to_read_them(sample):
    """Galaxy, context, targets, cosine and error, with bands, origin and run."""
    figure = latents_figure(sample, 0)
    titles = " ".join(axes.get_title() for axes in figure.axes).lower()

    assert all(word in titles for word in ("galaxy", "context", "target", "cosine", "error"))
    assert display_note(sample.table) in figure.get_supxlabel().replace("\n", " ")
    assert sample.run.record.run_id[:8] in figure.get_suptitle()
    cosine = next(axes for axes in figure.axes if "cosine" in axes.get_title()).images[0]
    assert cosine.get_clim() == (0, 1)
    assert cosine.colorbar is not None
    assert picture_bytes(figure).startswith(b"\x89PNG")


def test_views_are_shown_where_no_patch_is_predicted(views_run, table):
    """Labelled as what they are: one comparison a view."""
    figure = visualize_full_latent_map(views_run, table, idx=0)

    assert "predicts no patches; it compares views" in figure.get_supxlabel().replace("\n", " ")
    assert sum(axes.get_title().startswith("view") for axes in figure.axes) == 6


@pytest.mark.slow
def test_views_of_flux_are_stretched(views_run, table):
    """As the galaxy beside them is: cut to [0, 1], flux of hundreds is white and black."""
    flux = replace(table, images=((table.images.astype(np.float32) - 30) * 5).astype(np.float16))
    figure = visualize_full_latent_map(views_run, flux, idx=0)

    views = [axes for axes in figure.axes if axes.get_title().startswith("view")]
    pixels = np.concatenate([np.asarray(axes.images[0].get_array()).flatten() for axes in views])
    share = np.isin(pixels, (0, 255)).mean()
    assert share < 0.25, share


def test_no_such_galaxy(sample):
    """The places that there are are told."""
    with pytest.raises(ConfigError, match="index -1 is not among"):
        latents_figure(sample, -1)


def test_a_bar_is_round_and_fits(table):
    """32 px of 0.262 arcsec are 8.4 arcsec; 40 % of them hold 2 and not 5."""
    assert bar_length(table, 0) == 2


def test_pictures_of_fits_count_from_below_and_show_north(run, sample, table):
    """As their caption says; targets lie on the patches that they are, and other pictures have no arrows."""
    lying = np.zeros(len(table), dtype=ORIENTATION)
    lying["north_deg"], lying["bottom_up"] = 90, True
    fits, plain = (
        latents_figure(Sample(run, replace(table, orientation=each), sample.rows), 0)
        for each in (lying, None)
    )
    edges, flipped = (
        np.concatenate([path.vertices for path in figure.axes[2].collections[0].get_paths()])
        for figure in (plain, fits)
    )
    side = plain.axes[0].get_ylim()[0]

    assert (fits.axes[0].get_ylim(), plain.axes[0].get_ylim()) == ((0, side), (side, 0))
    np.testing.assert_allclose(flipped, [0, side] + edges * [1, -1])
    assert "arrows: north and east, row 0 at the bottom" in fits.get_supxlabel().replace("\n", " ")
    north, east = (text.get_position() for text in fits.axes[0].texts if text.get_text() in ("N", "E"))
    assert north[0] < east[0]
    assert north[1] > east[1]
    assert not plain.axes[0].texts
    assert all(abs(at - 0.5) < 0.45 for place in (north, east) for at in place)
