"""Flux that stays flux (`stretch=none`): the numbers of the files, in the splits of what is shown of them."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from PIL import Image
from pyarrow import parquet

import astrojepa_bench as ab
from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.galaxies import load_table
from astrojepa_bench.data.parquet import Parquet
from astrojepa_bench.data.prepare import prepare, shuffled
from astrojepa_bench.data.prepared import Prepared
from astrojepa_bench.errors import DataError

SIDE, COUNT = 32, 12
PLANES = pa.list_(pa.list_(pa.list_(pa.float32())))


def fluxes(count=COUNT, sky=0.0):
    """Galaxies in bands g, r, z [nanomaggies]; the second half are turned copies of the first in other noise."""
    rng = np.random.default_rng(0)
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    light = []
    for _ in range(count // 2):
        knots = rng.normal(0, 5, (6, 2))
        light.append(sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2 / 2**2) for a, b in knots))
    light = np.stack([*light, *(np.rot90(each) for each in light)])[:, None] * [[[0.1]], [[0.2]], [[0.3]]]
    return (sky + light + rng.normal(0, 0.004, light.shape)).astype(np.float32)


def write(folder, flux, positions=True, bands="grz"):
    """Write FITS files; g, r and z with positions are taken for the Legacy Surveys'."""
    folder.mkdir()
    for row, planes in enumerate(flux):
        hdu = fits.PrimaryHDU(planes)
        hdu.header["BANDS"] = bands
        if positions:
            hdu.header.update({
                "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 5.0 * row, "CRVAL2": 2.0, "CRPIX1": 16.5,
                "CRPIX2": 16.5, "CDELT1": -0.262 / 3600, "CDELT2": 0.262 / 3600,
            })  # fmt: skip
        hdu.writeto(folder / f"{row:02}.fits")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of the Legacy Surveys' flux."""
    return write(tmp_path_factory.mktemp("flux") / "field", fluxes())


def load(path, size_px=SIDE, **options):
    return Folder(path=path, **{"stretch": "none", **options}).load(size_px, path.parent / "cache")


def in_files(folder):
    """Read the files with astropy alone, top row first, bands z, r, g."""
    planes = [fits.getdata(path)[::-1, ::-1] for path in sorted(folder.iterdir())]
    return np.stack(planes).astype(np.float64)


def test_flux_is_that_of_the_files(folder):
    """To half a unit in the last place of float16, in the order of bands that is displayed."""
    table = load(folder)
    assert table.images.dtype == np.float16
    assert table.spec.bands == tuple("zrg")
    assert table.ids.tolist() == [path.stem for path in sorted(folder.iterdir())]
    truth = in_files(folder)
    assert (np.abs(table.images - truth) <= 2.0**-11 * np.abs(truth) + 2.0**-25).all()
    train = truth[table.split == "train"]
    np.testing.assert_allclose(table.spec.mean, train.mean((0, 2, 3)), rtol=1e-3)
    np.testing.assert_allclose(table.spec.std, train.std((0, 2, 3)), rtol=1e-3)
    assert any(f"{COUNT} images are linear flux" in note for note in table.card.notes)
    assert not any("stretched" in note for note in table.card.notes)


def test_smaller_flux_is_the_mean_of_what_it_covers(folder):
    """Neither rounded to levels nor clipped at 0: noise of the sky keeps both its signs."""
    found = load(folder, SIDE // 2).images
    truth = in_files(folder).reshape(COUNT, 3, SIDE // 2, 2, SIDE // 2, 2).mean((3, 5))
    assert (np.abs(found - truth) <= 2.0**-11 * np.abs(truth) + 2.0**-25).all()
    assert (found < 0).mean() > 0.05


@pytest.mark.parametrize("positions", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_splits_are_those_of_what_is_shown(folder, tmp_path, positions):
    """Copies are sought by their display, so that nobody moves; the fingerprint is another one."""
    path = folder if positions else write(tmp_path / "field", fluxes(8), positions=False)
    linear, shown = load(path), load(path, stretch="auto")
    assert shown.images.dtype == np.uint8
    for column in ("ids", "split", "label", "group"):
        np.testing.assert_array_equal(getattr(linear, column), getattr(shown, column))
    groups = len(np.unique(linear.group))
    assert (
        groups == COUNT if positions else 4 <= groups < 8
    )  # four of eight are copies, in noise of their own
    assert linear.fingerprint != shown.fingerprint


@pytest.mark.parametrize(("bands", "level"), [("grz", 0.0), ("gri", 5.0)])
def test_gaps_show_the_sky(tmp_path, bands, level):
    """Where the survey took its sky off that is 0, else the level of the band; the card counts them."""
    flux = fluxes(12, sky=level)
    flux[3, 2, 4, 5] = np.nan
    table = load(write(tmp_path / "field", flux, bands=bands))
    row = table.ids.tolist().index("03")
    band = 2 if bands == "gri" else 0  # z comes first where these are the survey's
    assert abs(table.images[row, band, SIDE - 5, 5] - level) <= (0 if level == 0 else 0.01)
    assert "1 images have pixels without a value (NaN), which show sky" in table.card.notes


def test_prepared_flux_is_the_same_to_the_bit(folder, tmp_path):
    """And its card says that these are no display levels."""
    table = load_table(Folder(path=folder, stretch="none"), SIDE, folder.parent / "cache")
    prepare(table, tmp_path / "prepared", 0, {})
    found = load_table(Prepared(path=tmp_path / "prepared"), SIDE, tmp_path)
    order = shuffled(table, 0)
    assert found.images.dtype == np.float16
    assert found.images.tobytes() == table.images[order].tobytes()
    np.testing.assert_array_equal(found.ids, table.ids[order])
    assert any("flux in a unit of its own" in note for note in found.card.notes)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1e6, "values of flux are beyond 65504, the most that float16 holds, up to"),
        (1e-9, "values of flux are below 6.1e-05, where float16 loses digits, the largest"),
    ],
)
def test_what_float16_cannot_hold_is_refused(tmp_path, factor, words):
    """It says how many images and values, and what to do; or those images alone are left out."""
    flux = fluxes(12)
    flux[3] *= factor
    with pytest.raises(DataError, match=words) as caught:
        load(write(tmp_path / "field", flux))
    line = str(caught.value)
    assert "1 of 12 images cannot be read, first 03.fits" in line
    if factor > 1:
        assert f" ({(np.abs(flux[3]) > 65504).sum()} of {flux[3].size} values" in line
    assert "dataset.stretch=auto" in line
    assert "\n" not in line
    assert "03" not in load(tmp_path / "field", on_bad_image="skip").ids


def test_pictures_have_no_linear_flux(tmp_path):
    """JPEG, PNG and arrays of bytes are levels of some display."""
    levels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    for name in ("a.jpg", "b.png"):
        Image.fromarray(levels).save(tmp_path / name)
    np.save(tmp_path / "c.npy", levels)
    with pytest.raises(
        DataError, match=r"3 of 3 images cannot be read, first a.jpg .display levels"
    ) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_flux_of_parquet_stays_flux(tmp_path):
    """As that of files does; whole numbers are display levels, and are refused."""
    flux = fluxes(12)
    columns = {"ra": 5.0 * np.arange(12), "dec": np.full(12, 2.0), "pixel_scale": np.full(12, 0.262)}
    parquet.write_table(
        pa.table({"image": pa.array(flux.tolist(), PLANES), **columns}), tmp_path / "a.parquet"
    )
    tables = [
        Parquet(path=tmp_path / "a.parquet", bands=("g", "r", "z"), stretch=stretch).load(
            SIDE, tmp_path / "cache"
        )
        for stretch in ("none", "auto")
    ]
    linear, shown = tables
    np.testing.assert_array_equal(linear.images, flux[:, ::-1].astype(np.float16))
    for column in ("ids", "split", "group", "ra", "pixel_scale"):
        np.testing.assert_array_equal(getattr(linear, column), getattr(shown, column))
    assert linear.spec.bands == shown.spec.bands
    assert linear.fingerprint != shown.fingerprint
    assert "flux of bands z, r, g is linear, in its own unit" in linear.card.notes
    levels = pa.array(
        (flux * 100).clip(0, 255).astype(np.uint8).tolist(), pa.list_(pa.list_(pa.list_(pa.uint8())))
    )
    parquet.write_table(pa.table({"image": levels}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"12 of 12 images cannot be read, first .*display levels"):
        Parquet(path=tmp_path / "b.parquet", stretch="none").load(SIDE, tmp_path / "cache")


@pytest.mark.slow
def test_an_encoder_learns_from_flux(tmp_path):
    """A training ends well, and its record says what it saw."""
    path = write(tmp_path / "field", fluxes(60))
    rows = [f"{row:02},{row % 2}" for row in range(60)]
    (path / "table.csv").write_text("\n".join(["id,label", *rows]))
    record = ab.run(
        objective="lejepa", masker="random", dataset="folder", budget="smoke", out=tmp_path / "runs",
        cache=tmp_path / "cache", evaluators="linear", settings={"dataset": {"path": path, "stretch": "none"}},
    ).record  # fmt: skip
    assert record.status in ("ok", "collapsed")
    assert record.options["dataset"]["stretch"] == "none"
    assert all(np.isfinite(score.value) for score in record.scores)
