"""Published files: fetched whole or not at all, resumed where they stopped, and examined to the last chunk."""

import hashlib
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest

from astrojepa_bench.data.published.download import fetch
from astrojepa_bench.data.published.releases import DECALS, RELEASES, SDSS
from astrojepa_bench.data.published.verification import verify
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import listening

CONTENT = np.random.default_rng(0).bytes(3_500_000)
RELEASE = replace(DECALS, sha256=hashlib.sha256(CONTENT).hexdigest())


class Server(ThreadingHTTPServer):
    """Serves one file, in the way that its attributes say; remembers what was asked of it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.status, self.ranges = CONTENT, 200, True
        self.drop_after = self.stated_length = None
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/mirror/some%20name.h5?download=1"

    def handle_error(self, request, client_address):
        """A client that hung up is no reason to print."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        beyond = start >= len(server.content) and start > 0
        body = b"" if beyond else server.content[start:]
        self.send_response(416 if beyond else 206 if start else server.status)
        if server.stated_length is not False:
            self.send_header("Content-Length", str(len(body)))
        if start and not beyond:
            last = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        self.end_headers()
        self.wfile.write(body[: server.drop_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_published_facts_are_those_of_the_record():
    """Checksums and sizes stand as published; a digit out of place would refuse the right file."""
    assert {name: release.sha256[:8] for name, release in RELEASES.items()} == {
        "decals": "19aefc47",
        "sdss": "969a6b1c",
    }
    assert all(re.fullmatch("[0-9a-f]{64}", release.sha256) for release in RELEASES.values())
    assert (DECALS.rows, DECALS.side_px, SDSS.rows, SDSS.side_px) == (17_736, 256, 21_785, 69)
    assert all(release.url.endswith(f"/{release.file_name}") for release in RELEASES.values())


def test_file_arrives_under_its_published_name(tmp_path, server, capfd):
    """Byte for byte, whatever the mirror calls it, with progress in MiB, and nothing printed."""
    heard = []
    with listening(heard.append):
        path = fetch(RELEASE, tmp_path / "new" / "folder", server.url)
    assert path == tmp_path / "new" / "folder" / "Galaxy10_DECals.h5"
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == [path.name]
    (started,) = [e for e in heard if e.name == "task_started" and "fetching" in str(e.fields["task"])]
    moved = [e for e in heard if e.name == "task_advanced" and "fetching" in str(e.fields["task"])]
    assert started.fields["total"] == len(moved) == 4
    assert capfd.readouterr() == ("", "")


def test_second_fetch_asks_for_nothing(tmp_path, server):
    """A complete file is checked and left alone."""
    path = fetch(RELEASE, tmp_path, server.url)
    stamp = path.stat().st_mtime_ns
    fetch(RELEASE, tmp_path, server.url)
    assert len(server.asked) == 1
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("ranges", [True, False], ids=["resuming", "restarting"])
def test_dropped_connection_is_mended_by_the_same_command(tmp_path, server, ranges):
    """What came is kept aside; the rest is asked for, and a server that cannot give a rest starts anew."""
    server.drop_after, server.ranges = 2_000_000, ranges
    with pytest.raises(
        DataError, match=r"broke off before the end; run it again to go on after \d"
    ) as caught:
        fetch(RELEASE, tmp_path, server.url)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["Galaxy10_DECals.h5.partial"]
    kept = (tmp_path / "Galaxy10_DECals.h5.partial").stat().st_size
    assert 0 < kept <= 2_000_000
    server.drop_after = None
    assert fetch(RELEASE, tmp_path, server.url).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={kept}-"]
    assert names(tmp_path) == ["Galaxy10_DECals.h5"]


def test_complete_beginning_needs_no_more_bytes(tmp_path, server):
    """Killed between the last byte and the check, a download ends without being repeated."""
    (tmp_path / "Galaxy10_DECals.h5.partial").write_bytes(CONTENT)
    assert fetch(RELEASE, tmp_path, server.url).read_bytes() == CONTENT


@pytest.mark.parametrize("before", [b"", b"something else entirely"], ids=["anew", "resumed"])
def test_wrong_content_never_gets_the_final_name(tmp_path, server, before):
    """A checksum that differs is shown beside the right one, the file is gone, and the next try is clean."""
    (tmp_path / "Galaxy10_DECals.h5.partial").write_bytes(before)
    server.content = CONTENT if before else CONTENT[:-1] + b"?"
    wrong = before + CONTENT[len(before) :] if before else server.content
    found = hashlib.sha256(wrong).hexdigest()
    with pytest.raises(DataError, match=f"SHA-256 {found}, expected {RELEASE.sha256}"):
        fetch(RELEASE, tmp_path, server.url)
    assert names(tmp_path) == []
    server.content = CONTENT
    assert fetch(RELEASE, tmp_path, server.url).read_bytes() == CONTENT


def test_wrong_file_of_the_right_name_stays_until_the_right_one_is_here(tmp_path, server):
    """Somebody's damaged copy is replaced by a whole one, and by nothing else."""
    path = tmp_path / "Galaxy10_DECals.h5"
    path.write_bytes(b"damaged")
    server.content = b"also wrong"
    with pytest.raises(DataError, match="SHA-256"):
        fetch(RELEASE, tmp_path, server.url)
    assert path.read_bytes() == b"damaged"
    server.content = CONTENT
    assert fetch(RELEASE, tmp_path, server.url).read_bytes() == CONTENT


def test_length_that_is_not_stated_is_no_obstacle(tmp_path, server):
    """Some servers send without saying how much; the checksum decides."""
    server.stated_length = False
    assert fetch(RELEASE, tmp_path, server.url).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 429, 503])
def test_refusal_is_told_and_spares_the_beginning(tmp_path, server, status):
    """An error page is not a file, and what came before it is still there afterwards."""
    partial = tmp_path / "Galaxy10_DECals.h5.partial"
    partial.write_bytes(CONTENT[:1000])
    server.status, server.ranges, server.content = status, False, b"<html>sorry"
    with pytest.raises(DataError, match=f"answered {status} .*go on after 1,000 bytes.*--from URL") as caught:
        fetch(RELEASE, tmp_path, server.url)
    assert "\n" not in str(caught.value)
    assert partial.read_bytes() == CONTENT[:1000]


def test_empty_answer_is_no_file(tmp_path, server):
    """Zero bytes, as some hosts send when they are down, leave nothing behind."""
    server.content = b""
    with pytest.raises(DataError, match="broke off before the end; try again later"):
        fetch(RELEASE, tmp_path, server.url)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/file.h5", "cannot be reached"),
        ("ftp://127.0.0.1/file.h5", "is not an http"),
        ("file.h5", "is not an http"),
    ],
)
def test_address_that_leads_nowhere_gives_one_line(tmp_path, url, reason):
    """The line says what was tried, and what else there is to do."""
    with pytest.raises(DataError, match=f"{url} {reason}.*put the file at {tmp_path}") as caught:
        fetch(RELEASE, tmp_path, url)
    assert "\n" not in str(caught.value)


def test_folder_that_cannot_be_written_is_told(tmp_path, server):
    """A file in the place of the folder stops everything before a byte is asked for."""
    (tmp_path / "cache").touch()
    with pytest.raises(ConfigError, match=r"cannot write to .*--cache"):
        fetch(RELEASE, tmp_path / "cache" / "galaxy10", server.url)
    assert server.asked == []


def galaxies(path, side=256, **columns):
    """Write 30 noisy images with six kinds of planted defects."""
    images = np.random.default_rng(0).integers(0, 256, (30, side, side, 3), dtype=np.uint8)
    images[11] = images[0]  # classes 1 and 0
    images[20] = images[10]  # both of class 0
    images[5:7] = 7
    ra, dec, redshift = 1 + 5.0 * np.arange(30), np.full(30, 40.0), np.full(30, 0.1)
    ra[11] = ra[0]
    ra[23], dec[23] = ra[12], dec[12] + 0.5 / 3600  # classes 3 and 2, other pixels, 0.5 arcsec apart
    ra[24], dec[24] = ra[14], dec[14] + 15 / 3600  # both of class 4
    redshift[7:10] = np.nan
    scale = np.where(np.arange(30) < 4, 0.524, 0.262)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(5, side, side, 3), compression="gzip")
        given = {"ans": np.arange(30) % 10, "ra": ra, "dec": dec, "redshift": redshift, "pxscale": scale}
        for name, values in {**given, **columns}.items():
            file[name] = values
    return path


def test_every_planted_defect_is_counted(tmp_path):
    """Conflicts by pixels and by position, shared sky, blank images, unknown redshifts, pixel scales."""
    found = verify(galaxies(tmp_path / "a.h5"))
    assert found.ok
    assert found.published is None
    assert found.layout == "Galaxy10 DECaLS"
    assert found.shape == (30, 256, 256, 3)
    assert found.dtypes["images"] == "uint8"
    assert list(found.classes.items())[:2] == [("Disturbed Galaxies", 3), ("Merging Galaxies", 3)]
    assert found.pixel_scales == {"0.262": 26, "0.524": 4}
    assert found.defects == {
        "conflicting_by_pixels": 2,
        "conflicting_by_position": 4,
        "overlapping": 8,
        "blank": 2,
        "without_redshift": 3,
        "without_position": 0,
    }


def test_published_file_is_known_by_its_bytes(tmp_path, monkeypatch):
    """Every bit counts: a copy with one attribute more is whole, but not the published file."""
    path = galaxies(tmp_path / "a.h5", side=69)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(
        "astrojepa_bench.data.published.verification.RELEASES", {"sdss": replace(SDSS, sha256=sha256)}
    )
    assert verify(path).published == "Galaxy10 SDSS"
    with h5py.File(path, "a") as file:
        file.attrs["copied"] = "by hand"
    changed = verify(path)
    assert changed.published is None
    assert changed.layout == "Galaxy10 SDSS"
    assert changed.ok


def test_other_file_is_whole_without_being_a_release(tmp_path):
    """Any file that dataset hdf5 reads passes, with labels or without."""
    path = galaxies(tmp_path / "a.h5", side=20)
    assert verify(path).layout == "hdf5"
    with h5py.File(path, "a") as file:
        del file["ans"]
    found = verify(path)
    assert found.ok
    assert found.layout == "hdf5"
    assert found.classes == {"unlabelled": 30}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_file_is_damaged(tmp_path, share):
    """A download cut off anywhere is told in one line."""
    path = galaxies(tmp_path / "a.h5", side=69)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    found = verify(path)
    assert not found.ok
    assert "\n" not in found.problem
    assert "fetch it again" in found.problem


def test_damage_in_the_last_chunk_is_found(tmp_path):
    """Only reading every chunk shows that one was overwritten."""
    path = galaxies(tmp_path / "a.h5", side=69)
    with h5py.File(path) as file:
        chunk = file["images"].id.get_chunk_info(5)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        file.write(b"\xff" * 100)
    assert not verify(path).ok


@pytest.mark.parametrize(
    ("content", "problem"), [(b"", "is not an HDF5 file"), (b"<html>404", "starts with b'<html>40'")]
)
def test_other_things_are_not_galaxies(tmp_path, content, problem):
    """An error page saved as .h5 is said to be none."""
    (tmp_path / "a.h5").write_bytes(content)
    found = verify(tmp_path / "a.h5")
    assert not found.ok
    assert problem in found.problem


def test_nothing_to_verify_is_an_error(tmp_path):
    """A path that does not exist, or a folder, is a mistake of the request and not damage."""
    with pytest.raises(DataError, match="No such file"):
        verify(tmp_path / "none.h5")
    with pytest.raises(DataError, match="is a folder"):
        verify(tmp_path)
