"""Galaxies from Parquet: the same as from HDF5 and FITS files, whatever the shape and names of the columns."""

import json

import h5py
import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from pyarrow import parquet

from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.parquet import Parquet
from astrojepa_bench.data.sources.archive import ImageFiles
from astrojepa_bench.data.sources.band_names import chosen_bands, is_legacy, letters_of
from astrojepa_bench.data.sources.flux import Flux, displayed
from astrojepa_bench.data.sources.parquet_rows import ParquetRows, Wanted
from astrojepa_bench.errors import ConfigError, DataError
from tests.data.parquet_files import COUNT, PIXELS, RNG, SIDE, encoded, nested, refusal, write

FLUX = RNG.normal(0.02, 0.05, (COUNT, 3, SIDE, SIDE)).astype(np.float32)  # bands g, r, z [nanomaggies]
RA, DEC = np.linspace(1, 300, COUNT), np.linspace(-60, 60, COUNT)
PLANES = pa.list_(pa.list_(pa.list_(pa.float32())))
FLAGS = pa.list_(pa.list_(pa.list_(pa.bool_())))
UNIVERSE = pa.struct([
    ("band", pa.list_(pa.string())), ("flux", PLANES), ("ivar", PLANES), ("mask", FLAGS),
    ("psf_fwhm", pa.list_(pa.float32())), ("scale", pa.list_(pa.float32())),
])  # fmt: skip
A_BAND = pa.struct([
    ("band", pa.string()), ("flux", pa.list_(pa.list_(pa.float32()))), ("scale", pa.float32())
])  # fmt: skip


def observed(row, names=("DES-G", "DES-R", "DES-Z"), scale=0.262):
    """Return one galaxy in the schema of the Multimodal Universe."""
    flux = FLUX[row]
    return {
        "band": list(names), "flux": flux.tolist(), "ivar": np.ones_like(flux).tolist(),
        "mask": np.ones(flux.shape, bool).tolist(), "psf_fwhm": [1.2] * 3, "scale": [scale] * 3,
    }  # fmt: skip


def universe(cells):
    return pa.array(cells, UNIVERSE)


def pictures(path, stretch="auto", use_mask=True, **wanted):
    return list(ParquetRows.opened(path, Wanted(**wanted), stretch, use_mask).pictures())


# --- the same galaxies --------------------------------------------------------------------------------------


def test_the_same_galaxies_as_hdf5_give_the_same_table(tmp_path):
    """Pixels, labels, positions, scales, splits and the fingerprint of them all are those of the HDF5 file."""
    label, redshift = np.arange(COUNT) % 2, np.linspace(0.01, 0.2, COUNT)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["ans"], file["redshift"] = PIXELS, label, redshift
        file["ra"], file["dec"], file["pxscale"] = RA, DEC, np.full(COUNT, 0.5)
    truth = Hdf5(path=tmp_path / "a.h5").load(6, tmp_path / "cache")
    columns = {"label": label, "redshift": redshift, "ra": RA, "dec": DEC, "pixel_scale": np.full(COUNT, 0.5)}
    path = write(tmp_path / "a.parquet", nested(), **columns)
    table = Parquet(path=path).load(6, tmp_path / "cache")
    for column in ("images", "label", "split", "ids", "redshift", "ra", "dec", "pixel_scale", "group"):
        np.testing.assert_array_equal(getattr(table, column), getattr(truth, column))
    assert table.spec == truth.spec
    assert table.fingerprint == truth.fingerprint


def test_flux_of_the_multimodal_universe_is_that_of_fits_files(tmp_path):
    """Three bands in nanomaggies become what the same flux in FITS files does: the viewer's z, r, g."""
    (tmp_path / "fits").mkdir()
    for row in range(8):
        hdu = fits.PrimaryHDU(FLUX[row][:, ::-1])  # FITS counts rows from the bottom
        hdu.header.update({
            "BANDS": "grz", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": RA[row], "CRVAL2": DEC[row],
            "CRPIX1": 4.5, "CRPIX2": 4.5, "CDELT1": -0.262 / 3600, "CDELT2": 0.262 / 3600,
        })  # fmt: skip
        hdu.writeto(tmp_path / "fits" / f"{row:02}.fits")
    truth = ImageFiles.opened(tmp_path / "fits")
    path = write(
        tmp_path / "a.parquet", universe([observed(row) for row in range(8)]), ra=RA[:8], dec=DEC[:8]
    )
    rows = ParquetRows.opened(path)
    for found, wanted in zip(rows.pictures(), truth.pictures(), strict=True):
        np.testing.assert_array_equal(found.pixels, wanted.pixels)
    known, stated = rows.catalogue(), truth.catalogue()
    np.testing.assert_allclose(known.field_arcsec, stated.field_arcsec, rtol=1e-6)
    assert known.bands == stated.bands == ("z", "r", "g")


def shapes():
    """Yield the same flux in each shape of column that is read."""
    bands = ["DES-G", "DES-R", "DES-Z"]
    rows = range(COUNT)
    yield "struct of lists", {"image": universe([observed(row) for row in rows])}, {}
    structs = [
        [
            {"band": band, "flux": flux.tolist(), "scale": 0.262}
            for band, flux in zip(bands, FLUX[row], strict=True)
        ]
        for row in rows
    ]
    yield "list of structs", {"image": pa.array(structs, pa.list_(A_BAND))}, {}
    flux, scale = pa.array(FLUX.tolist(), PLANES), np.full(COUNT, 0.262)
    beside = {"image_band": pa.array([bands] * COUNT), "image_scale": pa.array([[0.262] * 3] * COUNT)}
    yield "columns that begin alike", {"image_flux": flux, **beside}, {"image": "image"}
    yield "nested lists", {"image": flux, "pixel_scale": pa.array(scale)}, {"bands": ("g", "r", "z")}
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(FLUX.ravel()), 3 * SIDE**2)
    yield (
        "flat lists",
        {"image": fixed, "pixel_scale": pa.array(scale)},
        {"image": "image", "bands": ("g", "r", "z")},
    )
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(FLUX)
    yield "tensors", {"image": tensor, "pixel_scale": pa.array(scale)}, {"bands": ("g", "r", "z")}
    turned = pa.array([observed(row) for row in rows], UNIVERSE).to_pylist()
    for at, cell in enumerate(turned):
        order = [0, 2, 1] if at % 3 else [1, 0, 2]
        cell.update({name: [cell[name][place] for place in order] for name in ("band", "flux")})
    yield "bands in any order", {"image": universe(turned)}, {"bands": ("DES-Z", "g", "r")}


SHAPES = {name: (columns, wanted) for name, columns, wanted in shapes()}


@pytest.mark.parametrize("shape", SHAPES)
def test_flux_may_lie_in_columns_of_any_shape(shape, tmp_path):
    """The same numbers give the same pixels, from whatever nesting."""
    columns, wanted = SHAPES[shape]
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    rows = ParquetRows.opened(tmp_path / "a.parquet", Wanted(**wanted))
    assert rows.bands == 3
    for row, picture in enumerate(rows.pictures()):
        light = Flux(FLUX[row].astype(np.float64), "grz", float(np.float32(0.262)))
        truth, _ = displayed(light, "viewer")
        np.testing.assert_array_equal(picture.pixels, truth.transpose(1, 2, 0))
    known = rows.catalogue()
    assert known.bands == ("z", "r", "g")
    np.testing.assert_allclose(known.field_arcsec, 0.262 * SIDE, rtol=1e-6)


@pytest.mark.slow
def test_what_the_library_of_the_hub_writes_is_read(tmp_path):
    """Features as the Multimodal Universe declares them, written by `datasets`, whose array types are its own."""
    hub = pytest.importorskip("datasets")
    plane, number = hub.Array2D((SIDE, SIDE), "float32"), hub.Value("float32")
    a_band = {"band": hub.Value("string"), "flux": plane, "ivar": plane, "psf_fwhm": number, "scale": number}
    a_band["mask"] = hub.Array2D((SIDE, SIDE), "bool")
    features = hub.Features({"image": hub.Sequence(a_band), "object_id": hub.Value("string")})
    cells = {
        "image": [observed(row) for row in range(COUNT)],
        "object_id": [f"g{row}" for row in range(COUNT)],
    }
    hub.Dataset.from_dict(cells, features).to_parquet(str(tmp_path / "a.parquet"))
    rows = ParquetRows.opened(tmp_path / "a.parquet")
    assert rows.catalogue().ids[3] == "g3"
    truth, _ = displayed(Flux(FLUX[3].astype(np.float64), "grz", float(np.float32(0.262))), "viewer")
    np.testing.assert_array_equal(list(rows.pictures())[3].pixels, truth.transpose(1, 2, 0))
    assert rows.showing.bands == ("DES-Z", "DES-R", "DES-G")


@pytest.mark.parametrize("held", ["bytes", "struct", "integers"])
def test_display_images_are_shown_as_they_are(held, tmp_path):
    """Files in bytes, in the struct of `datasets`, and whole numbers of any width."""
    files = [encoded(image) for image in PIXELS]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = {
        "bytes": pa.array(files),
        "struct": pa.array([{"bytes": file, "path": None} for file in files], kind),
        "integers": pa.array(PIXELS.tolist()),
    }[held]
    path = write(tmp_path / "a.parquet", image, rgb_pixel_scale=np.full(COUNT, 0.5))
    rows = ParquetRows.opened(path)
    np.testing.assert_array_equal([picture.pixels for picture in rows.pictures()], PIXELS)
    np.testing.assert_allclose(rows.catalogue().field_arcsec, 0.5 * SIDE)


def test_pixels_that_were_not_measured_show_sky(tmp_path):
    """No inverse variance, a mask that does not pass, and NaN are gaps as in FITS files; the mask only if used."""
    cells = [observed(row) for row in range(4)]
    cells[1]["ivar"][0][2][3] = 0.0
    cells[2]["mask"][1][4][5] = False
    cells[3]["flux"][2][6][7] = float("nan")
    path = write(tmp_path / "a.parquet", universe(cells))
    found = pictures(path)
    assert [picture.gaps for picture in found] == [0, 1, 1, 1]
    light = FLUX[1].astype(np.float64)
    light[0, 2, 3] = np.nan
    truth, _ = displayed(Flux(light, "grz", float(np.float32(0.262))), "viewer")
    np.testing.assert_array_equal(found[1].pixels, truth.transpose(1, 2, 0))
    assert [picture.gaps for picture in pictures(path, use_mask=False)] == [0, 1, 0, 1]


def test_flux_of_another_survey_is_stretched_by_itself(tmp_path):
    """The viewer's stretch is made for nanomaggies; whoever wants it for other flux asks for it."""
    path = write(
        tmp_path / "a.parquet", universe([observed(row, ("HSC-G", "HSC-R", "HSC-Z")) for row in range(3)])
    )
    by_itself, _ = displayed(Flux(FLUX[0][::-1].astype(np.float64)), "asinh")
    np.testing.assert_array_equal(pictures(path)[0].pixels, by_itself.transpose(1, 2, 0))
    viewed, _ = displayed(Flux(FLUX[0].astype(np.float64), "grz", float(np.float32(0.262))), "viewer")
    np.testing.assert_array_equal(pictures(path, "viewer")[0].pixels, viewed.transpose(1, 2, 0))


def test_bands_are_ordered_by_wavelength_and_chosen_by_letter():
    """The reddest first, as in a display image; what is no filter stays where it is."""
    assert letters_of(["hsc-g", "DES-R", "Y"]) == "gry"
    assert letters_of(["F090W", "F277W"]) == letters_of(["g", "DES-G"]) == ""
    assert chosen_bands((), ("DES-G", "DES-R", "DES-I", "DES-Z"), "x") == ("DES-Z", "DES-I", "DES-R", "DES-G")
    assert chosen_bands(("g", "des-z"), ("DES-G", "DES-R", "DES-Z"), "x") == ("DES-Z", "DES-G")
    assert chosen_bands((), ("F277W", "F090W"), "x") == ("F277W", "F090W")
    assert is_legacy(("z", "DES-R", "g"))
    assert not is_legacy(("HSC-G", "HSC-R", "HSC-Z"))
    with pytest.raises(DataError, match="x has no band 'i'; it has g, r"):
        chosen_bands(("i",), ("g", "r"), "x")


# --- columns ------------------------------------------------------------------------------------------------


def test_columns_are_found_and_named_on_the_card(tmp_path):
    """Multimodal Universe's gz10 has names of its own for image, label, scale and id; -99 is no redshift."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = {"gz10_label": {"names": ["disturbed", "merging"], "_type": "ClassLabel"}}
    table = pa.table({
        "rgb_image": pa.array([{"bytes": encoded(image), "path": None} for image in PIXELS], kind),
        "gz10_label": pa.array((np.arange(COUNT) % 2).astype(np.int32)),
        "object_id": [str(2**62 + r) for r in range(COUNT)],
        "rgb_pixel_scale": np.full(COUNT, 0.262, np.float32), "RA": RA, "DEC": DEC, "z_spec": [-99.0, *[0.1] * 23],
        "FLUX_R": np.arange(COUNT, dtype=np.float32),
    }).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})  # fmt: skip
    parquet.write_table(table, tmp_path / "a.parquet")
    known = ParquetRows.opened(tmp_path / "a.parquet", Wanted(attributes=("FLUX_R",))).catalogue()
    assert known.class_names == ("disturbed", "merging")
    assert known.ids[1] == str(2**62 + 1)
    assert np.isnan(known.redshift).tolist() == [True] + [False] * 23
    np.testing.assert_array_equal(known.ra, RA)
    np.testing.assert_array_equal(known.attributes["FLUX_R"], np.arange(COUNT))
    assert known.notes[0] == (
        "columns read: image (rgb_image.bytes), label (gz10_label), id (object_id), ra (RA), dec (DEC), "
        "redshift (z_spec), pixel_scale (rgb_pixel_scale), FLUX_R"
    )


def test_columns_with_other_names_are_taken_if_they_hold_what_they_say(tmp_path):
    """Ids keep 19 digits beside a gap; z among bands, a repeated name and a fraction `type` are passed over."""
    ids = [1237648720693755918 + row for row in range(COUNT - 1)]
    path = write(
        tmp_path / "a.parquet", nested(), objid=pa.array([*ids, None], pa.int64()), z=NUMBERS / 99,
        label_of=NUMBERS, **{"class": ["a", "NA"] * 12},
    )  # fmt: skip
    known = ParquetRows.opened(path, Wanted()).catalogue()
    assert known.ids.tolist() == [*map(str, ids), str(COUNT - 1)]
    assert known.class_names == ("NA", "a")
    np.testing.assert_array_equal(known.redshift, NUMBERS / 99)
    assert "1 columns are not used: label_of" in known.notes
    path = write(
        tmp_path / "b.parquet",
        nested(),
        name=["x"] * COUNT,
        type=NUMBERS / 7,
        z=NUMBERS,
        g=NUMBERS,
        r=NUMBERS,
    )
    known = ParquetRows.opened(path, Wanted()).catalogue()
    assert known.ids[1] == "1"
    assert set(known.label) == {-1}
    assert np.isnan(known.redshift).all()
    told = " ".join(known.notes)
    assert "'type' is not taken for label" in told
    assert "'name' is not taken for id: it repeats 23 of its values" in told


NUMBERS = np.arange(COUNT)
COLUMNS = {
    "two images": ({"a": nested(), "b": nested()}, {}, "columns a, b can each hold images; set dataset.image"),
    "no image": ({"a": NUMBERS}, {}, "no column holds images among a; set dataset.image to the one that does"),
    "numbers": ({"a": NUMBERS}, {"image": "a"}, "column 'a' holds int64; expected bytes of image files"),
    "missing": ({"image": nested()}, {"label": "class"}, "no column 'class'; set dataset.label to another, or to"),
    "two labels": (
        {"image": nested(), "a_label": NUMBERS, "b_label": NUMBERS}, {},
        "columns a_label, b_label could each be the label; set dataset.label to one of them, or to none",
    ),
    "lists": ({"image": nested(), "ra": nested()}, {}, "column 'ra' holds list.*; expected one value a galaxy"),
    "fractions": ({"image": nested(), "label": NUMBERS / 7}, {}, "label column 'label' holds 0.14"),
    "bands of files": ({"image": [b"x"] * COUNT}, {"bands": ("g",)}, "image files, whose bands have no names"),
    "too many bands": (
        {"image": pa.array([{"band": list("ugrizy"), "flux": [[[0.5]]] * 6}] * COUNT)}, {},
        "has 6 bands .*; set dataset.bands to at most 5 of them",
    ),
    "repeated": ({"image": nested(), "id": NUMBERS // 2}, {}, "has 12 repeated ids, first '0'; ids must be unique"),
}  # fmt: skip


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_that_cannot_be_used_are_named(kind, tmp_path):
    """What was found, what could be meant, and which option settles it."""
    columns, options, message = COLUMNS[kind]
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        Parquet(path=tmp_path / "a.parquet", **options).load(4, tmp_path / "cache")


def test_bad_rows_are_counted_or_end_everything(tmp_path):
    """Null, empty, ragged, of another size beside, without a band: unreadable; a repeated id is left out once."""
    cells = [observed(row) for row in range(COUNT)]
    cells[0] = None
    cells[1]["flux"] = []
    cells[2]["flux"][1].pop()
    cells[3]["flux"][1][2].pop()
    cells[4]["ivar"] = np.ones((3, 5, 5)).tolist()
    cells[5]["band"] = ["DES-G", "DES-R", "DES-Y"]
    cells[6]["flux"] = np.full((3, SIDE, SIDE), np.nan).tolist()
    names = [f"g{row}" for row in range(COUNT - 1)] + ["g22"]
    path = write(tmp_path / "a.parquet", universe(cells), id=names, label=["a", "b"] * 12)
    assert "1 repeated ids, first 'g22'" in refusal(path)
    assert "7 of 24 images cannot be read, first 0 (missing)" in refusal(path, id=None)
    table = Parquet(path=path, on_bad_image="skip").load(4, tmp_path / "cache")
    assert table.ids.tolist() == [f"g{row}" for row in range(7, 23)]
    notes = " ".join(table.card.notes)
    assert "7 images cannot be read and were left out" in notes
    assert "1 repeated ids, first 'g22'; all but the first of each were left out" in notes
    reasons = [picture.reason for picture in pictures(path, on_bad_image="skip")[:7]]
    words = ["missing", "its", "its", "its", "its", "it", "a"]
    assert [reason.partition(" ")[0] for reason in reasons] == words


def test_options_are_checked_before_anything_is_read(tmp_path):
    """A sample of nothing is a mistake."""
    with pytest.raises(ConfigError, match=r"dataset.galaxies is 0; expected at least 1"):
        Parquet(path=tmp_path, galaxies=0)
