"""The site: built without a warning, whole, and of nothing that lies elsewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

import astrojepa_bench

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md") if ".template" not in path.name),
)
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """Collects what a page fetches when it is opened, where it leads, and which places it has."""

    def __init__(self, path):
        super().__init__()
        self.fetched, self.leads, self.places = [], [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        if tag in FETCHED and told.get("rel") not in ("canonical", "next", "prev"):
            self.fetched += filter(None, [told.get(FETCHED[tag])])
        self.leads += [told["href"]] if tag == "a" and told.get("href") else []
        self.places |= {told["id"]} if told.get("id") else set()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build it as CI does."""
    if importlib.util.find_spec("mkdocs") is None and os.environ.get("WITNESSES") != "required":
        pytest.skip("mkdocs is not installed: pip install -e '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_the_site_has_every_page_under_its_path_and_the_board_beside_its_own(site):
    """What is read in the repository is read there; the page that the board renders itself is left as it is."""
    assert [
        name for name in PAGES if name != "README.md" and not (site / name).with_suffix(".html").exists()
    ] == []
    assert "Leaderboard" in (site / "leaderboard" / "README.html").read_text()
    board = (ROOT / "leaderboard" / "index.html").read_bytes()
    assert (site / "leaderboard" / "index.html").read_bytes() == board


@pytest.mark.slow
def test_a_page_fetches_nothing_from_elsewhere_and_leads_nowhere_that_is_not_there(site):
    """Opened on a train, each page is whole; each link and each place in a page that is linked to is there."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    for board in ("leaderboard", "leaderboard/suite-0"):
        del pages[site / board / "index.html"]  # rendered by the board, and tested there
    faults = []
    for path, page in pages.items():
        for link in [*page.fetched, *page.leads]:
            target, place = urldefrag(link)
            if re.match(r"https?:|mailto:", target):
                faults += [f"{path.name} fetches {link}"] if link in page.fetched else []
                continue
            aimed = (path.parent / unquote(target)).resolve() if target else path
            known = pages[aimed].places | {""} if aimed in pages else {""}
            if not aimed.is_file() or (place and aimed in pages and unquote(place) not in known):
                faults.append(f"{path.name} leads to {link}")

    assert faults == []


@pytest.mark.slow
def test_the_reference_has_every_public_name_with_its_arguments(site):
    """From the docstrings, whatever is added to the package later."""
    page = (site / "docs" / "python.html").read_text()

    assert [name for name in astrojepa_bench.__all__ if f'id="astrojepa_bench.{name}"' not in page] == []
    assert "pretraining seed" in page
    assert "<!-- claim" not in page


@pytest.mark.slow
def test_sentences_of_the_board_are_on_the_first_page_without_their_marks(site):
    """Marks are for the program that fills them in."""
    page = (site / "index.html").read_text()

    assert "For the same images LeJEPA" in page  # claim `cost-lejepa-ijepa`, whatever its verdict
    assert "claim:" not in page
