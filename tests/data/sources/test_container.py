"""Folders and zips: nothing outside is read or written, nothing endless is begun."""

import os
import zipfile

import pandas as pd
import pytest

from astrojepa_bench.data.sources import container

ESCAPES = ("../secret.png", "images/../../secret.png", "{absolute}", "C:/secret.png", "..\\secret.png")


@pytest.mark.parametrize("escape", ESCAPES)
def test_path_that_escapes_is_never_read(files, tmp_path, escape):
    """A path out of the folder is unreadable for that reason, though a good image lies where it leads."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(files.png(files.pixels(1)[0]))
    path = escape.format(absolute=secret)
    folder = files.write(tmp_path / "f", files.numbered(), path=[path, *files.numbered()[1:]])
    assert "1 of 24 images cannot be read" in files.refusal(folder)
    assert "escapes the folder" in files.refusal(folder)
    table = files.load(folder, on_bad_image="skip")
    assert len(table) == 23
    assert any("escapes the folder" in note for note in table.card.notes)


@pytest.mark.parametrize("entry", ["../x.png", "/x.png", "a/../../x.png", "C:\\x.png"])
def test_zip_entry_that_escapes_is_never_read(files, tmp_path, entry):
    """Such an entry is counted as unreadable, the others are used, and nothing appears beside the zip."""
    path = files.zipped(files.write(tmp_path / "f", files.numbered()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, files.png(files.pixels(1, seed=3)[0]))
    before = sorted(tmp_path.rglob("*"))
    assert "1 of 25 images cannot be read" in files.refusal(path)
    assert len(files.load(path, on_bad_image="skip")) == 24
    assert before == [file for file in sorted(tmp_path.rglob("*")) if "cache" not in file.parts]


def test_links_to_files_are_followed_and_pipes_are_not(files, tmp_path):
    """A folder of symbolic links is a usual way to choose images; a pipe under an image's name would never end."""
    files.write(tmp_path / "all", files.numbered())
    (tmp_path / "f" / "images").mkdir(parents=True)
    for name in files.numbered():
        (tmp_path / "f" / name).symlink_to(tmp_path / "all" / name)
    assert len(files.load(tmp_path / "f")) == 24
    os.mkfifo(tmp_path / "f" / "pipe.png")
    pd.DataFrame({"path": [*files.numbered(), "pipe.png"]}).to_csv(tmp_path / "f" / "table.csv", index=False)
    assert "pipe.png (missing)" in files.refusal(tmp_path / "f")


def test_encrypted_zip_is_refused(files, tmp_path):
    """A zip with a password is refused in one line that says what to do."""
    path = files.zipped(files.write(tmp_path / "f", files.numbered(2)))
    data = bytearray(path.read_bytes())
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(header)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(header, at + 4)
    path.write_bytes(bytes(data))
    assert "is an encrypted zip; unpack it" in files.refusal(path)


def test_huge_files_are_refused(files, tmp_path, monkeypatch):
    """What would unpack to more than the limit is never unpacked, in a zip or a folder."""
    monkeypatch.setattr(container, "LARGEST_FILE", 2 << 20)
    folder = files.write(tmp_path / "f", files.numbered())
    (folder / "images" / "03.png").write_bytes(bytes(5 << 20))
    for path in (folder, files.zipped(folder)):
        assert "images/03.png (5 MB, more than 2)" in files.refusal(path)
