"""Write `docs/methods.md`: every method that is shipped, from its docstring, its options and its recipe.

    python docs/write_methods.py

A test compares the page with what this writes, so it is run whenever a method is added or described anew.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from pathlib import Path

from astrojepa_bench.cli.listed import option_text
from astrojepa_bench.cli.pages import deviations_of, expected_of, page_of, source_of
from astrojepa_bench.options import Offer
from astrojepa_bench.plugin import Encoder, ImageSpec, Recipe
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.streams import scoped_global

PAGE = Path(__file__).with_name("methods.md")
WIDTH = 120
HEAD = """# Methods

Every objective that comes with the bench: what it minimises, where it was published, how it is optimised by
default, what differs from the paper, and what to expect. Then the maskers and encoders, in short. This page is
written by `python docs/write_methods.py` from the docstrings and signatures of the plugins. What is expected of a
method stands in its docstring too, with the budget and data that it was measured on, or with the paper that reports
it. `astrojepa-bench show NAME` prints the whole page of one. How they compare stands on the board
([leaderboard](../leaderboard/README.md)), nowhere else.

{usual}
"""
SPEC = ImageSpec(("z", "r", "g"), 64, (0.1, 0.1, 0.1), (0.1, 0.1, 0.1))
CLASSES = 10


def page(registry: Registry) -> str:
    """Return the whole page."""
    objectives = [offer for offer in shipped(registry, "objective") if not offer.is_family]
    families = [offer for offer in shipped(registry, "objective") if offer.is_family]
    encoder = registry.get("encoder", "vit-micro")
    sections = [*(objective(offer, encoder) for offer in objectives), *(objective(each) for each in families)]
    usual = ", ".join(told(name, value) for name, value in usual_recipe().items())
    usual = wrapped(f"Galaxies in a recipe are those of a step. What it does not name is as usual: {usual}.")
    tables = [
        f"## {kind.capitalize()}s\n\n{table(shipped(registry, kind))}" for kind in ("masker", "encoder")
    ]
    return "\n".join([HEAD.format(usual=usual), "## Objectives\n", *sections, *tables])


def shipped(registry: Registry, kind: str) -> list[Offer]:
    """Return the offers of one kind that come with the bench."""
    return [offer for offer in registry.offers(kind) if offer.distribution == "astrojepa-bench"]


def objective(offer: Offer, encoder: Offer | None = None) -> str:
    """Return the section of an objective; its recipe is asked of one that is built, where it trains."""
    facts = {
        "Paper": source_of(offer.factory),
        "Recipe": recipe_text(offer, encoder),
        "Differs from the paper": deviations_of(offer.factory) or "nothing",
        "Expected": expected_of(offer.factory),
    }
    loss = formula_of(offer)
    summary = re.sub("^Not installed, .* brings it[.] ", "", offer.summary)  # the page is the same everywhere
    lines = [f"### `{offer.name}`\n", wrapped(summary), ""]
    lines += [f"```text\n{loss}\n```\n"] if loss else []
    lines += [wrapped(f"- **{name}:** {ended(text)}", "  ") for name, text in facts.items() if text]
    return "\n".join(lines) + "\n"


def formula_of(offer: Offer) -> str:
    """Return the loss as its docstring writes it: the first indented block with an equation."""
    for docstring in (offer.doc, page_of(offer.factory)):
        for block in re.findall(r"(?:^|\n\n)((?: {4}.*(?:\n|\Z))+)", docstring):
            if re.search(r"^\s*L\w* +=", block, re.MULTILINE):
                return textwrap.dedent(block).strip("\n")
    return ""


def recipe_text(offer: Offer, encoder: Offer | None) -> str:
    """Describe how an objective is optimised by default: what its recipe says beside the recipe's own defaults."""
    if not offer.declares("trains"):
        return "nothing is trained"
    if encoder is None:
        return ""
    with scoped_global(0, "page"):
        made: Encoder = encoder.factory(SPEC, patch=8)
        options = {option.name: option.default for option in offer.options if not option.required}
        found = offer.factory(made, made.grid, CLASSES, **options).recipe()
    usual = usual_recipe()
    scaled = {"none": "", "sqrt": "√({} / {})", "linear": "{} / {}"}[found.scales_with]
    growth = f" · {scaled.format('galaxies', found.reference_batch)}" if scaled else ""
    shown = (
        name
        for name, value in vars(found).items()
        if (name not in usual or value != usual[name]) and name not in ("scales_with", "reference_batch")
    )
    words = {name: told(name, getattr(found, name)) for name in shown}
    return ", ".join({**words, "learning_rate": words["learning_rate"] + growth}.values())


def usual_recipe() -> dict[str, object]:
    """Return what recipes say unless a method says otherwise; learning rate and batch are always told."""
    fields = [each for each in dataclasses.fields(Recipe) if each.name not in ("learning_rate", "batch_size")]
    made = {each.name: each.default_factory for each in fields if each.default is dataclasses.MISSING}
    return {each.name: made[each.name]() if each.name in made else each.default for each in fields}


def told(name: str, value: object) -> str:
    """Write a value of a recipe as a person would."""
    words = {"batch_size": "galaxies", "betas": "β"}.get(name, name.replace("_", " "))
    if isinstance(value, float):
        return f"{words} {value:g}"
    return f"{words} `{value}`" if "*" in str(value) else f"{words} {value}"  # no stars of Markdown


def table(offers: list[Offer]) -> str:
    """Return a table of components: name, what it is, its options, its source."""
    rows = ["| name | what | options | source |", "|---|---|---|---|"]
    for offer in offers:
        options = ", ".join(f"`{option_text(option)}`" for option in offer.options)
        cells = [f"`{offer.name}`", offer.summary, options, source_of(offer.factory)]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def ended(text: str) -> str:
    """Close a sentence."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def wrapped(text: str, indent: str = "") -> str:
    """Fill lines of the page's width."""
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    PAGE.write_text(page(load_registry()))
