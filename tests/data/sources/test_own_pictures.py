"""Pictures as people have them: turned, packed, of 16 bits, in any format; and files that are none."""

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from astrojepa_bench.data.sources import container, raster
from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.image_formats import decode, glance
from astrojepa_bench.data.sources.raster import told_notes

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 14, 3), dtype=np.uint8)


def encoded(image, form="PNG", **how):
    file = io.BytesIO()
    image.save(file, form, **how)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "WEBP"])
def test_pictures_of_any_format_have_the_same_pixels(form):
    """Lossless formats give the pixels that were saved."""
    data = encoded(Image.fromarray(PIXELS), form, **({"lossless": True} if form == "WEBP" else {}))
    picture = decode(data, 3, "auto")
    np.testing.assert_array_equal(picture.pixels, PIXELS)
    assert picture.told == 0
    seen = glance(data, "auto")
    assert (seen.bands, seen.side_px) == (3, 10)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6])
def test_photographs_are_turned_upright(form, orientation):
    """The sky stands as EXIF says; a spiral is not mirrored, and a turned copy is not the same picture."""
    exif = Image.Exif()
    exif[0x112] = orientation
    plain, turned = encoded(Image.fromarray(PIXELS), form), encoded(Image.fromarray(PIXELS), form, exif=exif)
    turns = {
        1: lambda x: x,
        3: lambda x: np.rot90(x, 2),
        5: lambda x: x.transpose(1, 0, 2),
        6: lambda x: np.rot90(x, -1),
    }
    before, after = decode(plain, 3, "auto"), decode(turned, 3, "auto")
    np.testing.assert_array_equal(after.pixels, turns[orientation](before.pixels))
    assert after.told == (raster.TURNED if orientation != 1 else 0)
    assert told_notes(np.array([after.told])) == (
        ["1 images were turned upright, as their EXIF orientation says"] if orientation != 1 else []
    )


DEEP = (PIXELS[..., 0].astype(np.uint16) << 8) + 7
CLEAR = np.dstack([PIXELS, np.where(np.arange(14) < 3, 0, 255)[None].repeat(10, 0).astype(np.uint8)])
CONVERTED = {
    "16-bit PNG": (encoded(Image.fromarray(DEEP)), PIXELS[..., :1], raster.DEEP),
    "16-bit TIFF": (encoded(Image.fromarray(DEEP), "TIFF"), PIXELS[..., :1], raster.DEEP),
    "palette": (encoded(Image.fromarray(PIXELS // 200 * 200).quantize(8)), PIXELS // 200 * 200, raster.PALETTE),
    "transparency": (encoded(Image.fromarray(CLEAR)), PIXELS, raster.CLEAR),
    "opaque alpha": (encoded(Image.fromarray(CLEAR | np.uint8([0, 0, 0, 255]))), PIXELS, 0),
    "one bit": (
        encoded(Image.fromarray(PIXELS[..., 0] > 99)), 255 * (PIXELS[..., :1] > 99), raster.BILEVEL,
    ),
    "CMYK": (encoded(Image.fromarray(PIXELS).convert("CMYK"), "TIFF"), PIXELS, raster.CMYK),
    "pages": (
        encoded(Image.fromarray(PIXELS), "TIFF", save_all=True, append_images=[Image.fromarray(255 - PIXELS)]),
        PIXELS, raster.FRAMES,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CONVERTED)
def test_what_is_converted_is_right_and_counted(kind):
    """No level is cut off, and each conversion has a note."""
    data, expected, told = CONVERTED[kind]
    picture = decode(data, expected.shape[2], "auto")
    np.testing.assert_array_equal(picture.pixels, expected)
    assert picture.told == told
    assert len(told_notes(np.array([picture.told, picture.told]))) == (told > 0)


def test_a_picture_of_floating_point_numbers_is_flux():
    """A TIFF of 32 bits is stretched as a FITS file of the same numbers is, and may stay linear."""
    flux = np.random.default_rng(1).normal(5, 1, (16, 16)).astype(np.float32)
    data, array = encoded(Image.fromarray(flux), "TIFF"), io.BytesIO()
    np.save(array, flux)
    for stretch in ("auto", "none"):
        np.testing.assert_array_equal(
            decode(data, 1, stretch).pixels, decode(array.getvalue(), 1, stretch).pixels
        )
    assert glance(data, "auto").stretch == "asinh"


def test_fits_that_is_packed_is_the_file_itself(monkeypatch):
    """A .fits.gz is the same picture by the same digest; cut short, or without end, it is refused."""
    file = io.BytesIO()
    fits.PrimaryHDU(np.random.default_rng(2).normal(0, 1, (12, 12)).astype(np.float32)).writeto(file)
    whole = file.getvalue()
    assert decode(gzip.compress(whole), 1, "auto").digest == decode(whole, 1, "auto").digest
    monkeypatch.setattr(container, "LARGEST_FILE", 1 << 20)
    for spoilt in (gzip.compress(whole)[:-600], gzip.compress(bytes(2 << 20), 1)):
        with pytest.raises(RefusedError):
            glance(spoilt, "auto")


def test_no_file_of_a_class_folder_vanishes(files, tmp_path):
    """Packed FITS, TIFF, WebP, BMP and upper case are read; the rest is counted, and a folder of it is named."""
    folder = tmp_path / "f"
    for place, name, form in (
        ("tif", "{}.tif", "TIFF"), ("bmp", "{}.BMP", "BMP"), ("webp", "{}.webp", "WEBP"), ("jpe", "{}.jpe", "JPEG"),
    ):  # fmt: skip
        (folder / place).mkdir(parents=True)
        for row, image in enumerate(files.pixels(6, seed=len(place) + ord(place[0]))):
            Image.fromarray(image).save(folder / place / name.format(row), form)
    for place, ending in (("packed", "fits.gz"), ("other", "FTS"), ("tiles", "fits.fz")):
        (folder / place).mkdir()
        for row in range(6):
            values = np.random.default_rng([row, *place.encode()]).normal(0, 1, (12, 12)).astype(np.float32)
            whole = fits.CompImageHDU(values) if ending == "fits.fz" else fits.ImageHDU(values)
            file = io.BytesIO()
            fits.HDUList([fits.PrimaryHDU(), whole]).writeto(file)
            data = file.getvalue()
            (folder / place / f"{row}.{ending}").write_bytes(
                gzip.compress(data) if ending[-2:] == "gz" else data
            )
    (folder / "ring").mkdir()
    for row in range(3):
        (folder / "ring" / f"{row}.heic").write_bytes(b"no picture")
    (folder / "README.md").write_text("about them")
    table = files.load(folder)
    assert table.card.class_names == ("bmp", "jpe", "other", "packed", "tif", "tiles", "webp")
    assert np.bincount(table.label).tolist() == [6] * 7
    assert "packed/0" in table.ids.tolist()
    assert "3 files of other kinds were not read: 3 .heic" in table.card.notes
    assert "folder 'ring' holds no file that is read: 3 .heic" in table.card.notes


def test_a_folder_without_images_says_what_it_holds(files, tmp_path):
    """By ending, so that it is plain what to convert."""
    (tmp_path / "f").mkdir()
    for row in range(3):
        (tmp_path / "f" / f"{row}.gif").write_bytes(b"GIF89a")
    assert "holds no image; expected JPEG or PNG" in files.refusal(tmp_path / "f")
    assert "(found 3 .gif)" in files.refusal(tmp_path / "f")
