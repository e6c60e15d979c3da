"""Own galaxies in several bands: joined from files, put in order, named, and refused where they do not fit."""

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.prepare import prepare
from astrojepa_bench.data.prepared import Prepared
from astrojepa_bench.data.sources.archive import ImageFiles
from astrojepa_bench.data.sources.band_order import reddest_first
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.sources.listing import Columns
from astrojepa_bench.errors import DataError

SIDE = 10


def flux(seed, light=0.0):
    """Noise with a bright square."""
    values = np.random.default_rng(seed).normal(0, 1, (SIDE, SIDE))
    values[3:7, 3:7] += light
    return values.astype("f4")


def write(path, values, **cards):
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu = fits.PrimaryHDU(values)
    hdu.header.update(cards)
    hdu.writeto(path)


def in_files(folder, count=3, name="x{}_{}.fits", bands="grz", **cards):
    """Write galaxies that shine in their last band alone, a file a band."""
    for galaxy in range(count):
        for number, band in enumerate(bands):
            stated = {key: text.format(galaxy, band, 3 * galaxy + number) for key, text in cards.items()}
            light = 100.0 if band == bands[-1] else 0.0
            write(
                folder / name.format(galaxy, band, 3 * galaxy + number),
                flux(3 * galaxy + number, light),
                **stated,
            )
    return folder


def centres(source):
    return np.array([picture.pixels[4:6, 4:6].mean(axis=(0, 1)) for picture in source.pictures()])


def reasons(source):
    return [picture.reason for picture in source.pictures() if hasattr(picture, "reason")]


HEADERS = {
    "object": {"name": "{2:03}.fits", "FILTER": "{1}", "OBJECT": "NGC {0}"},
    "number": {"name": "x{0}_{2}.fits", "FILTER": "{1}"},
    "folder": {"name": "x{0}/{2}.fits", "BAND": "HSC-{1}"},
    "wheels": {"name": "{2:03}.fits", "FILTER1": "CLEAR1", "FILTER2": "{1}", "TARGNAME": "A{0}"},
}


@pytest.mark.parametrize("kind", ["names", *HEADERS])
def test_a_file_a_band_is_one_galaxy(tmp_path, kind):
    """By name, or by filter and object, number or folder: three galaxies, red in z, told on the card."""
    source = ImageFiles.opened(in_files(tmp_path / "f", **HEADERS.get(kind, {})))
    known = source.catalogue()
    assert (len(source), known.bands) == (3, ("z", "r", "g"))
    red, green, blue = centres(source).T
    assert (red > green + 50).all()
    assert (red > blue + 50).all()
    assert any(
        note.startswith("9 files were joined into 3 galaxies of bands z, r, g") for note in known.notes
    )


def test_files_at_one_place_are_one_galaxy(tmp_path):
    """Headers that put three filters on one place of the sky join them, whatever the files are called."""
    sky = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRPIX1": 5.5,
        "CRPIX2": 5.5,
        "CDELT1": -1e-4,
        "CDELT2": 1e-4,
    }
    for galaxy in range(4):
        for number, band in enumerate("gr"):
            at = {"CRVAL1": 10.0 * galaxy, "CRVAL2": 5.0 + 1e-5 * number}
            write(tmp_path / f"f/{2 * galaxy + number:02}.fits", flux(galaxy), FILTER=band, **sky, **at)
    source = ImageFiles.opened(tmp_path / "f")
    known = source.catalogue()
    assert len(source) == 4
    np.testing.assert_allclose(known.ra, 10.0 * np.arange(4), atol=1e-6)
    assert "4 positions come from the coordinates in FITS headers (WCS)" in known.notes


def test_filters_that_nothing_joins_are_refused_or_told(tmp_path):
    """As many files of each filter and no sign which belong together: refused; a mixed survey is told."""
    with pytest.raises(DataError, match=r"one band each \(3 g, 3 r, 3 z\).*x_g\.fits"):
        ImageFiles.opened(in_files(tmp_path / "f", name="{2:03}.fits", FILTER="{1}"))
    mixed = in_files(tmp_path / "m", 4, "{2:03}.fits", "gr", FILTER="{1}")
    write(mixed / "900.fits", flux(9), FILTER="g")
    source = ImageFiles.opened(mixed)
    assert len(source) == 9
    assert any("different bands (5 g, 4 r)" in note for note in source.catalogue().notes)


def test_odd_galaxies_are_named(tmp_path):
    """A galaxy that lacks a band, has it twice, of another size or another filter is refused by name, no other."""
    folder = in_files(tmp_path / "f", 8)
    (folder / "x1_z.fits").unlink()
    write(folder / "x2-r.fits", flux(0))
    (folder / "x3_g.fits").unlink()
    write(folder / "x3_g.fits", flux(0)[:6, :6])
    (folder / "x4_g.fits").unlink()
    write(folder / "x4_g.fits", flux(0), FILTER="i")
    (folder / "x5_g.fits").unlink()
    write(folder / "x5_g.fits", np.stack([flux(0)] * 3))
    assert reasons(ImageFiles.opened(folder)) == [
        "lacks the band z; it has g, r",
        "has the band r twice: x2-r.fits, x2_r.fits",
        "its bands have 6 x 6 and 10 x 10 pixels; put them on one grid",
        "x4_g.fits is named for band g, and its header says i",
        "x5_g.fits holds 3 bands where its name says that it is band g",
    ]


def test_a_table_names_galaxies_or_one_of_their_files(tmp_path):
    """A row a galaxy, by id or by the path of one band; a row a band is refused with what to do."""
    folder = in_files(tmp_path / "f")
    for column, name in (("id", "x{}"), ("id", "x{}_r"), ("path", "x{}.fits"), ("path", "x{}_g.fits")):
        rows = pd.DataFrame({column: [name.format(n) for n in range(3)], "redshift": np.arange(3) / 10})
        rows.to_csv(folder / "table.csv", index=False)
        source = ImageFiles.opened(folder)
        assert source.names == tuple(f"x{n}.fits" for n in range(3))
        assert source.known.redshift[2] == 0.2
        assert not any("not in table.csv" in note for note in source.known.notes)
    pd.DataFrame({"path": ["x0_g.fits", "x0_r.fits"]}).to_csv(folder / "table.csv", index=False)
    with pytest.raises(DataError, match=r"x0_g\.fits and x0_r\.fits are bands of one galaxy"):
        ImageFiles.opened(folder)


def test_some_bands_may_be_chosen(tmp_path):
    """`dataset.bands` chooses among bands that are named, and names those that are not; the reddest is first."""
    folder = in_files(tmp_path / "f", bands="ugrizy")
    with pytest.raises(DataError, match=r"6 bands \(y, z, i, r, g, u\); set dataset.bands to 5"):
        ImageFiles.opened(folder)
    source = ImageFiles.opened(folder, bands=("g", "y"))
    assert source.catalogue().bands == ("y", "g")
    assert (centres(source)[:, 0] > centres(source)[:, 1] + 50).all()
    with pytest.raises(DataError, match="no band 'k' among"):
        ImageFiles.opened(folder, bands=("k",))
    (tmp_path / "n").mkdir()
    for row in range(3):
        np.save(tmp_path / f"n/{row}.npy", np.stack([flux(row, 100.0), flux(row + 9)]))
    plain, named = (ImageFiles.opened(tmp_path / "n", bands=bands) for bands in ((), ("F606W", "F814W")))
    np.testing.assert_array_equal(centres(plain)[:, ::-1], centres(named))
    assert named.catalogue().bands == ("F814W", "F606W")
    assert reasons(ImageFiles.opened(tmp_path / "n", bands=("g", "r", "i")))[0].startswith("has 2 bands and")


def test_cubes_in_several_orders_are_put_in_one(tmp_path):
    """Each file's header decides; one of other bands is refused, one without names is counted."""
    for row, bands in enumerate(["gri", "irg", "rgi", "grz"]):
        cube = np.stack([flux(row + number, 100.0 * (band == "g")) for number, band in enumerate(bands)])
        write(tmp_path / f"f/{row}.fits", cube, BANDS=bands)
    write(tmp_path / "f/4.fits", cube)
    source = ImageFiles.opened(tmp_path / "f")
    shown = [picture for picture in source.pictures() if not hasattr(picture, "reason")]
    assert all(picture.pixels[4, 4].argmax() == 2 for picture in shown[:3])
    assert reasons(source) == ["has bands z, r, g, most others i, r, g"]
    assert "1 images do not name their bands, which are taken to be in that order" in source.catalogue().notes


def test_files_beside_their_bands_are_left_out(tmp_path):
    """A colour picture and a mask beside the bands of a galaxy are no galaxies; both are counted."""
    folder = in_files(tmp_path / "f")
    write(folder / "x1.fits", flux(0))
    write(folder / "x1_g_mask.fits", flux(0))
    source = ImageFiles.opened(folder, Columns())
    assert len(source) == 3
    told = " ".join(source.known.notes)
    assert "1 images lie beside the bands of the same galaxy and were not read, first x1.fits" in told
    assert "1 files of masks, weights or errors beside an image were not read, first x1_g_mask.fits" in told


def test_hdf5_is_shown_red_first(tmp_path):
    """Bands that lie from blue to red are turned round, and the card says so."""
    images = np.random.default_rng(0).integers(0, 60, (20, SIDE, SIDE, 3)).astype(np.uint8)
    images[:, 3:7, 3:7, 0] = 250
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["ans"] = images, np.arange(20) % 2
    table = Hdf5(path=tmp_path / "a.h5", bands=("g", "r", "z")).load(SIDE, tmp_path / "cache")
    assert table.spec.bands == ("z", "r", "g")
    assert table.images[0, :, 4, 4].argmax() == 2
    assert "bands g, r, z were put in the order z, r, g, the reddest first" in table.card.notes


@pytest.mark.parametrize("kind", ["attribute", "of images", "list", "dataset"])
def test_hdf5_names_bands_where_its_writer_put_them(tmp_path, kind):
    """As an attribute of the file or of its images, as one text or several, or as a dataset beside them."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.zeros((2, SIDE, SIDE, 3), np.uint8)
        if kind == "dataset":
            file["bands"] = [b"g", b"r", b"z"]
        elif kind == "of images":
            file["images"].attrs["filters"] = "grz"
        else:
            file.attrs["bands"] = "g,r,z" if kind == "attribute" else ["g", "r", "z"]
    source, known = reddest_first(file := Hdf5File.opened(tmp_path / "a.h5", None), file.catalogue())
    assert known.bands == ("z", "r", "g")
    assert source.order == (2, 1, 0)


@pytest.mark.slow
def test_orientation_stays_with_its_galaxy(tmp_path):
    """Through a pool of pictures, and through `data prepare`, north stays where each header put it."""
    for row in range(12):
        turn, values = np.radians(10.0 * row), np.stack([flux(row + 20 * band) for band in range(3)])
        sky = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 20.0 * row, "CRVAL2": 5.0, "CRPIX1": 5.5}
        sky |= {"CRPIX2": 5.5, "CD1_1": -np.cos(turn), "CD1_2": -np.sin(turn), "CD2_1": -np.sin(turn)}
        sky |= {"CD2_2": np.cos(turn)}
        scaled = {key: value / 3600 if key.startswith("CD") else value for key, value in sky.items()}
        write(tmp_path / f"f/{row:02}.fits", values, **scaled)
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["images"] = np.random.default_rng(5).integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)
    table = Folder(path=tmp_path / "f", pool=tmp_path / "p.h5").load(SIDE, tmp_path / "cache")
    north = np.concatenate([10.0 * np.arange(12), np.full(6, np.nan)])
    np.testing.assert_allclose(table.orientation["north_deg"], north, atol=0.01)
    assert table.orientation["bottom_up"].tolist() == [True] * 12 + [False] * 6
    prepare(table, tmp_path / "prepared", 0, {"name": "folder"})
    again = Prepared(path=tmp_path / "prepared").load(SIDE, tmp_path / "cache")
    places = [table.ids.tolist().index(name) for name in again.ids.tolist()]
    assert again.orientation.tobytes() == table.orientation[places].tobytes()
