"""`docs/methods.md` is what the plugins say of themselves, and each of them says enough."""

import importlib.util
import re
from pathlib import Path

import pytest

from astrojepa_bench.cli.pages import expected_of, source_of
from astrojepa_bench.registry import load_registry

DOCS = Path(__file__).parents[1] / "docs"
SPEC = importlib.util.spec_from_file_location("write_methods", DOCS / "write_methods.py")
writer = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writer)
PAGE = (DOCS / "methods.md").read_text()
OBJECTIVES = {each.name: each for each in writer.shipped(load_registry(), "objective")}


def section_of(name):
    """Return what the page says of an objective, in one line."""
    return " ".join(PAGE.partition(f"### `{name}`")[2].partition("\n### ")[0].partition("\n## ")[0].split())


def test_the_page_is_what_its_script_writes():
    """Whoever adds a method or changes a default runs `python docs/write_methods.py`."""
    assert writer.page(load_registry()) == PAGE


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_shipped_objective_names_its_paper_and_what_to_expect(name):
    """`Source:` and `Expected:` of its docstring; a reader finds both in `list`, `show` and on the page."""
    offer = OBJECTIVES[name]
    source, expected = source_of(offer.factory), expected_of(offer.factory)

    assert any(sign in source for sign in ("arXiv ", "19", "20", "github.com/")), source
    assert len(expected) > 40
    assert source in section_of(name)
    assert expected in section_of(name)


@pytest.mark.parametrize("name", [each.name for each in OBJECTIVES.values() if each.declares("trains")])
def test_an_objective_that_trains_shows_its_loss_and_its_defaults(name):
    """The equation as its docstring has it; learning rate and galaxies a step as the signature has them."""
    offer = OBJECTIVES[name]
    if offer.is_family:
        pytest.skip("its members have losses of their own")
    options = {option.name: option.default for option in offer.options}
    section = section_of(name)

    assert re.search(r"```text [^`]*\bL\w* += [^`]*```", section)
    if isinstance(options.get("learning_rate"), float):
        assert f"learning rate {options['learning_rate']:g}" in section
    if "batch_size" in options:
        assert f"galaxies {options['batch_size']}" in section


def test_deviations_and_expectation_are_cut_from_a_docstring_as_written():
    """What follows the first sentence of the source; what follows the word in its paragraph."""

    class Ring:
        """Hide a ring.

        Cost: little. Expected at `small`: nothing
        at all. It was tried once.

        Source: Saturn et al. 1610 (arXiv 0000.00001), section 2. Deviations: it
        is square. And blue.
        """

    assert writer.source_of(Ring) == "Saturn et al. 1610 (arXiv 0000.00001), section 2"
    assert writer.deviations_of(Ring) == "it is square. And blue."
    assert expected_of(Ring) == "at `small`: nothing at all. It was tried once."
