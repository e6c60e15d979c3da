"""How to cite: what the citation file says, in words and for a bibliography."""

from astrojepa_bench.board.citation import citation, citation_of

FILE = """cff-version: 1.2.0
message: cite it
title: A bench & more
type: software
authors:
  - family-names: Herschel
    given-names: Caroline
  - name: The {Bench} Group
version: 0.2.0
doi: 10.5281/zenodo.1
date-released: 2026-11-28
repository-code: https://example.org/bench
"""


def test_reference_names_everything():
    """People and groups, year, title, version and the DOI rather than the address."""
    text = citation_of(FILE).text

    assert text == (
        "Herschel, Caroline, The {Bench} Group (2026). A bench & more. Version 0.2.0. https://doi.org/10.5281/zenodo.1"
    )


def test_bibliography_entry():
    """Authors are separated by `and`; a group is one name; the year is a year."""
    lines = citation_of(FILE).bibtex.splitlines()

    assert lines[0] == "@software{astrojepa_bench,"
    assert "  author = {Herschel, Caroline and {The {Bench} Group}}," in lines
    assert "  year = {2026}," in lines
    assert lines[-1] == "}"


def test_what_is_unknown_is_left_out():
    """A file with a title and an author is enough."""
    found = citation_of("title: Which bench?\nauthors:\n  - name: Somebody\n")

    assert found.text == "Somebody. Which bench?"
    assert "doi" not in found.bibtex


def test_the_bench_says_how_it_is_cited():
    """The file beside the package is found and read."""
    found = citation()

    assert "astrojepa-bench" in found.text
    assert found.bibtex.startswith("@software{")
