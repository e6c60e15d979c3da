"""How to cite the bench: read from `CITATION.cff`, which stands beside the package or, installed, inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import astrojepa_bench

FILE = "CITATION.cff"


@dataclass(frozen=True)
class Citation:
    """A reference to the bench.

    Attributes:
        text: as a sentence.
        bibtex: for a bibliography.
    """

    text: str
    bibtex: str


def citation() -> Citation | None:
    """Read how to cite the bench; None where the file is missing, as in a copy of the package alone."""
    package = Path(astrojepa_bench.__file__).parent
    found = (path for path in (package / FILE, package.parent / FILE) if path.is_file())
    path = next(found, None)
    return citation_of(path.read_text(encoding="utf-8")) if path else None


def citation_of(text: str) -> Citation:
    """Write the reference that a citation file describes.

    Args:
        text: the file, in the Citation File Format 1.2.

    Source: Druskat et al. 2021 (Citation File Format 1.2.0, doi 10.5281/zenodo.5171937).
    """
    facts: Mapping[str, Any] = yaml.safe_load(text)
    authors = [_name(author) for author in facts.get("authors", ())]
    year = str(facts.get("date-released", ""))[:4]
    where = f"https://doi.org/{facts['doi']}" if facts.get("doi") else str(facts.get("repository-code") or "")
    version = f"Version {facts['version']}" if facts.get("version") else ""
    parts = [", ".join(authors) + (f" ({year})" if year else ""), str(facts["title"]), version, where]
    fields = {
        "title": f"{{{facts['title']}}}",
        "author": " and ".join(f"{{{name}}}" if "," not in name else name for name in authors),
        "year": year,
        "version": str(facts.get("version", "")),
        "doi": str(facts.get("doi", "")),
        "url": str(facts.get("repository-code") or facts.get("url") or ""),
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    sentences = (part if part[-1] in ".?!" or part == where else f"{part}." for part in parts if part)
    return Citation(" ".join(sentences), f"@software{{astrojepa_bench,\n{lines}\n}}")


def _name(author: Mapping[str, str]) -> str:
    """Return the name of a person or of a group."""
    given, family = author.get("given-names", ""), author.get("family-names", "")
    return f"{family}, {given}" if given and family else author.get("name", family or given)
