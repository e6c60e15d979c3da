"""Components and suites, explained: what they are, the page of their module, and how to set their options."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence

from astrojepa_bench.cli.catalogue import offer_facts, option_text, suite_facts
from astrojepa_bench.cli.pages import page_of, prose_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.loading import known_as, module_known_as
from astrojepa_bench.options import Kind, Offer
from astrojepa_bench.registry import Registry
from astrojepa_bench.signatures import made_by
from astrojepa_bench.suites import Block, Suite, SuiteOffer


def component_facts(offer: Offer) -> dict[str, object]:
    """Return what `show --json` prints of a component."""
    source = {"distribution": offer.distribution, "version": offer.version_text}
    return {
        **offer_facts(offer),
        **source,
        "description": offer.doc,
        "page": page_of(offer.factory),
    }


def print_component(offer: Offer) -> None:
    """Print what a component is, the page of its module, and its options."""
    print(f"{offer.kind} {offer.name}, offered by {offer.owner}\n")
    print(prose_of(offer.doc) or "(no docstring)")
    page = page_of(offer.factory)
    if page:
        print(f"\n--- {known_as(made_by(offer.factory).__module__)} ---\n\n{page}")
    print("\noptions" if offer.options else "\nno options")
    for option in offer.options:
        print(f"  --set {offer.kind}.{option_text(option)}")
        required = ", required" if option.required else ""
        print(_indented(f"{option.type}{required}{': ' if option.doc else ''}{option.doc}"))


def print_suite(offer: SuiteOffer, registry: Registry) -> None:
    """Print the entries of a suite, and which of its names no installed plugin offers."""
    print(f"suite {offer.name}, offered by {offer.owner}\n\n{offer.suite.summary}\n\nentries")
    for line in _entries_of(offer.suite):
        print(_indented(line))
    print(f"evaluators\n{_indented(', '.join(offer.suite.evaluators))}")
    absent = _absent(offer.suite.all_blocks, registry)
    if absent:
        print(f"not installed\n{_indented(', '.join(absent))}")
    if offer.suite.published:
        print("published by others")
    for figure in offer.suite.published:
        print(_indented(f"{figure.figure}  {figure.model} ({figure.source})"))
    print(f"\nrun it: astrojepa-bench run --suite {offer.name}")
    module = module_known_as(offer.plugin)  # a suite is data and has no docstring
    page = (getattr(module, "__doc__", "") or "").strip()
    if page:
        print(f"\n--- {offer.plugin} ---\n\n{page}")


def _entries_of(suite: Suite) -> Iterator[str]:
    """Name what runs, grid by grid, and on which galaxies with which seeds where the suite fixes them."""
    for name in suite.grids or ("",):
        heading = f"grid {name}: " if name else ""
        yield from (heading + _block_text(block) for block in suite.grid(name))
    for key, galaxies in suite.data.items():
        grid = galaxies.grid or next(iter(suite.grids), "of the suite")
        margin = f", a difference matters from {suite.margins[key]:.1%} on" if key in suite.margins else ""
        yield f"on {key} ({galaxies.title}): grid {grid}{margin}"
    if suite.seeds:
        yield f"with seeds {', '.join(map(str, suite.seeds))}"


def full_suite_facts(offer: SuiteOffer, registry: Registry) -> dict[str, object]:
    """Return what `show --json` prints of a suite."""
    return {**suite_facts(offer), "not_installed": _absent(offer.suite.all_blocks, registry)}


def _block_text(block: Block) -> str:
    names = [block.objectives, block.maskers, block.encoders]
    grid = " x ".join(", ".join(group) for group in names if group)
    options = [
        f"{kind}.{key}={value}" for kind, chosen in block.options.items() for key, value in chosen.items()
    ]
    return f"{grid} with {', '.join(options)}" if options else grid


def _absent(blocks: Sequence[Block], registry: Registry) -> list[str]:
    wanted: list[tuple[Kind, str]] = []
    for block in blocks:
        wanted += [("objective", name) for name in block.objectives]
        wanted += [("masker", name) for name in block.maskers]
        wanted += [("encoder", name) for name in block.encoders]
    absent = []
    for kind, name in dict.fromkeys(wanted):
        try:
            registry.get(kind, name)
        except ConfigError:
            absent.append(f"{kind} {name}")
    return absent


def _indented(text: str) -> str:
    width = min(shutil.get_terminal_size((110, 24)).columns, 110)
    return textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
