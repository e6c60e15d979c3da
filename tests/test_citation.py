"""The citation file is what its format asks for, and says the same as the package."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_citation_has_what_its_format_requires():
    """CFF 1.2.0 asks for these four, and knows two types of work and two kinds of author."""
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["message"]
    assert CITATION["title"]
    assert CITATION["type"] in {"software", "dataset"}
    known = {"name", "family-names", "given-names", "orcid", "affiliation", "website", "alias", "email"}
    assert CITATION["authors"]
    assert all(
        set(author) & {"name", "family-names", "alias"} and set(author) <= known
        for author in CITATION["authors"]
    )
    assert set(CITATION) <= {
        "cff-version", "message", "title", "type", "abstract", "authors", "version", "license", "keywords", "doi",
        "date-released", "repository-code", "url", "identifiers", "references", "preferred-citation", "contact",
    }  # fmt: skip


def test_citation_agrees_with_the_package_and_its_licence():
    """A release that is cited is the one that is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    holder = re.search(r"Copyright \(c\) \d+ (.*)", (ROOT / "LICENSE").read_text())[1]

    assert CITATION["version"] == project["version"]
    assert CITATION["license"] == project["license"]
    assert CITATION["title"].startswith(project["name"])
    assert CITATION["authors"] == [{"name": holder}]
