"""Folders of real galaxies, and what of them is converted anew."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.sources.archive import ImageFiles
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import listening

REAL = Path(__file__).parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real galaxies are not here")


def tasks_of(run):
    """List the tasks that were started while something ran."""
    events = []
    with listening(events.append):
        run()
    return [event.fields["task"] for event in events if event.name == "task_started"]


def test_new_labels_convert_nothing(files, tmp_path):
    """Pixels are converted once per image and order: a mended label or redshift changes only the facts."""
    folder = files.tabled(tmp_path / "f", label=["a", "b"] * 12)
    assert any("converting" in task for task in tasks_of(lambda: files.load(folder)))
    files.tabled(folder, label=["b", "a", "b"] * 8)
    assert not any("converting" in task or "looking" in task for task in tasks_of(lambda: files.load(folder)))
    assert files.load(folder).label.tolist() == [1, 0, 1] * 8


def test_order_and_stretch_enter_the_cache(files, tmp_path):
    """Other rows of the same files, and another stretch of the same flux, are converted anew."""
    folder = tmp_path / "f"
    folder.mkdir()
    flux = np.random.default_rng(0).normal(0.01, 0.01, (24, 3, 12, 12))
    for row, image in enumerate(flux):
        np.save(folder / f"{row:02}.npy", image)
    auto, viewer = files.load(folder), files.load(folder, stretch="viewer")
    assert auto.fingerprint != viewer.fingerprint
    assert (auto.images != viewer.images).any()
    assert files.load(folder, stretch="asinh").fingerprint == auto.fingerprint
    (folder / "table.csv").write_text("path\n" + "".join(f"{row:02}.npy\n" for row in reversed(range(24))))
    np.testing.assert_array_equal(files.load(folder).images, auto.images[::-1])
    assert "24 images of flux are stretched one by one (asinh)" in str(auto.card.notes)
    assert "24 images of flux are stretched as the Legacy Survey viewer does" in str(viewer.card.notes)
    assert viewer.spec.bands == ("z", "r", "g")  # which that stretch needs; those of the others nobody told
    assert auto.spec.bands == ("red", "green", "blue")


def test_fits_folder_needs_no_table(files, tmp_path):
    """Positions, fields and sky groups come from the headers; a table overrules them; NaN pixels are counted."""
    folder = tmp_path / "f"
    folder.mkdir()
    for row in range(24):
        values = np.random.default_rng(row).normal(0, 0.01, (20, 20)).astype(np.float32)
        values[0, : row % 2] = np.nan
        hdu = fits.PrimaryHDU(values)
        hdu.header.update({
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0 * row, "CRVAL2": 0.0, "CRPIX1": 10.5,
            "CRPIX2": 10.5, "CDELT1": -0.5 / 3600, "CDELT2": 0.5 / 3600,
        })  # fmt: skip
        hdu.writeto(folder / f"{row:02}.fits")
    table = files.load(folder, size_px=10)
    np.testing.assert_allclose(table.ra, 10.0 * np.arange(24), atol=1e-9)
    np.testing.assert_allclose(table.pixel_scale, 1.0)
    assert "12 images have pixels without a value (NaN), which show sky" in table.card.notes
    rows = {
        "path": [f"{row:02}.fits" for row in range(24)],
        "ra": [55.5, *[""] * 23],
        "dec": [1.5, *[""] * 23],
    }
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    again = files.load(folder, size_px=10)
    np.testing.assert_allclose(again.ra, [55.5, *(10.0 * np.arange(1, 24))], atol=1e-9)


@real
def test_galaxy_zoo_2_votes_are_attributes(tmp_path, uncompared):
    """648 galaxies of five classes carry vote fractions between 0 and 1."""
    names = tuple(
        name for name in pd.read_csv(REAL / "galaxy_zoo2_votes" / "table.csv", nrows=1) if name[:2] == "f_"
    )
    table = Folder(path=REAL / "galaxy_zoo2_votes", attributes=names).load(64, tmp_path)
    assert len(table) == 648
    assert table.card.class_names == ("barred_spiral", "edge_on", "elliptical", "spiral", "star_or_artifact")
    assert np.bincount(table.label).tolist() == [81, 176, 161, 228, 2]
    assert len(table.factors) == 14
    assert all(0 <= column.min() <= column.max() <= 1 for column in table.factors.values())
    assert table.ids[0] == "587732578312454276"
    smooth = table.factors["f_smooth"]
    assert (
        smooth[table.label == 2].mean() > smooth[table.label == 3].mean()
    )  # ellipticals are the smooth ones


@real
def test_decals_rings_know_where_they_are(tmp_path):
    """470 galaxies, half of them rings, have positions; lenses join the test set as anomalies."""
    path = REAL / "decals_rings"
    table = Folder(path=path, anomalies=REAL / "strong_lens_candidates").load(64, tmp_path)
    assert len(table) == 470 + 112
    assert np.bincount(table.label + 1).tolist() == [112, 235, 235]
    assert table.card.class_names == ("not_ring", "ring")
    first = table.ids.tolist().index("J000411.19+020924.0")
    np.testing.assert_allclose((table.ra[first], table.dec[first]), (1.04663, 2.15667))
    assert (np.abs(table.dec[:470]) <= 90).all()
    assert set(table.anomaly_type[470:]) == {"strong_lens_candidate"}
    own = table.group[:470]
    pairs = _close_pairs(table.ra[:470], table.dec[:470], 67.0)
    assert all(own[left] == own[right] for left, right in pairs)
    assert len(np.unique(own)) == 470 - len(pairs)  # no two are copies, and no three lie together


def _close_pairs(ra, dec, arcsec):
    """Find pairs by the haversine formula, all against all."""
    a, d = np.radians(ra), np.radians(dec)
    half = (
        np.sin((d[:, None] - d) / 2) ** 2 + np.cos(d[:, None]) * np.cos(d) * np.sin((a[:, None] - a) / 2) ** 2
    )
    apart = np.degrees(2 * np.arcsin(np.sqrt(half))) * 3600
    return [(i, j) for i, j in np.argwhere(apart < arcsec).tolist() if i < j]


@real
def test_sdss_sample_has_redshifts_and_no_labels(tmp_path):
    """20 unlabelled galaxies at redshifts .0217 to .1413 are divided into train, val and test."""
    table = Folder(path=REAL / "sdss_redshift_sample").load(64, tmp_path)
    assert len(table) == 20
    np.testing.assert_allclose((table.redshift.min(), table.redshift.max()), (0.021652, 0.141342))
    assert set(table.label) == {-1}
    assert [len(table.rows(name)) for name in ("train", "val", "test")] == [10, 3, 7]


@real
def test_real_fits_cutouts_are_one_place_on_the_sky(tmp_path):
    """The two cut-outs show one galaxy, so they are one group and cannot be divided; headers say where."""
    with pytest.raises(DataError, match="2 galaxies in 1 sky groups cannot be divided"):
        Folder(path=REAL / "fits").load(64, tmp_path)
    found = ImageFiles.opened(REAL / "fits").catalogue()
    np.testing.assert_allclose(found.ra, 0.00437, atol=1e-5)
    np.testing.assert_allclose(found.dec, 0.54132, atol=1e-5)


@real
@pytest.mark.slow
def test_zips_are_pools_of_folders(tmp_path):
    """Both zips pretrain beside the vote fractions, and the odd galaxies join the test set."""
    path = REAL / "galaxy_zoo2_votes"
    for pool, count in (("galaxy_zoo1_extra_ellipticals.zip", 1716), ("galaxy_zoo2_unlabelled.zip", 4766)):
        assert len(Folder(path=path, pool=REAL / pool).load(64, tmp_path).rows("pool")) == count
    rings = Folder(path=REAL / "decals_rings", anomalies=REAL / "galaxy_zoo2_odd.h5").load(64, tmp_path)
    assert (rings.anomaly > 0).sum() == 189
    assert len(set(rings.anomaly_type) - {""}) == 7
