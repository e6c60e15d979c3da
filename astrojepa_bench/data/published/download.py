"""How is a published file fetched? Resumed where it stopped, and in place only when its checksum is right."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from astrojepa_bench.data.convert import MEBIBYTE, file_sha256
from astrojepa_bench.data.published.releases import Release
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import track
from astrojepa_bench.files import locked

PATIENCE_S = (10, 60)  # to connect, and between two packets
NOTHING_MORE = 416  # the answer to a request for bytes beyond the end
REASONS: Mapping[type[Exception], str] = {
    requests.Timeout: "did not answer in time",
    requests.exceptions.ChunkedEncodingError: "broke off before the end",
    requests.ConnectionError: "cannot be reached, or fell silent",
    ValueError: "is not an http(s) address",
    requests.RequestException: "sent an answer that cannot be read",
}


def fetch(release: Release, folder: Path, url: str | None = None) -> Path:
    """Return the path of a published file, fetching it if it is not there.

    A download that was cut off goes on where it stopped: its beginning waits beside the file under another
    name. A file whose checksum is wrong is removed and never bears the final name.

    Args:
        release: which file.
        folder: where to put it.
        url: a mirror; the checksum stays the same.

    Raises:
        DataError: the server cannot be reached, or sends something else.
        ConfigError: the folder cannot be written.
    """
    source, target = url or release.url, folder / release.file_name
    if target.exists() and file_sha256(target) == release.sha256:
        return target
    pooch.get_logger().setLevel(logging.ERROR)  # it would print
    with _explaining(release, folder, source):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(target):  # two processes would append to one beginning
            download = _Resuming(release, _partial(release, folder))
            pooch.retrieve(source, f"sha256:{release.sha256}", target.name, folder, downloader=download)
    return target


@dataclass(frozen=True)
class _Resuming:
    """A downloader for pooch that resumes; pooch's own start anew each time, which 2.5 GB do not allow.

    Attributes:
        release: what is expected.
        partial: where the beginning of it waits.
    """

    release: Release
    partial: Path

    def __call__(self, url: str, output_file: str, _: object) -> None:
        """Complete the beginning, check it, and hand it over.

        Pooch checks again, but in silence, and an interruption would cost it the whole download.
        """
        self._complete(url)
        found = file_sha256(self.partial)
        if found != self.release.sha256:
            size = self.partial.stat().st_size
            self.partial.unlink()
            raise DataError(
                f"{url} gave {size:,} bytes with SHA-256 {found}, expected {self.release.sha256}: not "
                f"{self.release.title}; it was removed: try again, or another server with --from URL"
            )
        os.replace(self.partial, output_file)

    def _complete(self, url: str) -> None:
        start = self.partial.stat().st_size if self.partial.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE_S) as response:
            if start and response.status_code == NOTHING_MORE:
                return  # all of it is here already, or what is here is wrong: the checksum tells
            response.raise_for_status()
            if response.status_code != requests.codes.partial:  # the server sends everything
                start = 0
            length = response.headers.get("Content-Length")
            left = self.release.gigabytes * 1e9 - start if length is None else int(length)
            if left == 0:
                raise requests.exceptions.ChunkedEncodingError
            watched = track(
                response.iter_content(MEBIBYTE), task=f"fetching {self.release.title}",
                total=math.ceil(left / MEBIBYTE), unit="MiB",
            )  # fmt: skip
            with self.partial.open("ab" if start else "wb") as file:
                file.writelines(watched)
                found = file.tell()
            if length is not None and found < start + left:  # older urllib3 does not tell
                raise requests.exceptions.ChunkedEncodingError


@contextmanager
def _explaining(release: Release, folder: Path, url: str) -> Iterator[None]:
    """Turn network and disk errors into one line with advice."""
    try:
        yield
    except requests.RequestException as error:
        partial = _partial(release, folder)
        kept = partial.stat().st_size if partial.exists() else 0
        again = f"run it again to go on after {kept:,} bytes" if kept else "try again later"
        raise DataError(
            f"{release.title} was not fetched: {url} {_reason(error)}; {again}, name a mirror with "
            f"--from URL, or put the file at {folder / release.file_name} yourself"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot write to {folder} ({error.strerror or error}); free {release.gigabytes:g} GB there, "
            "or name another folder with --cache"
        ) from None


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    return next(text for kind, text in REASONS.items() if isinstance(error, kind))


def _partial(release: Release, folder: Path) -> Path:
    return folder / f"{release.file_name}.partial"
