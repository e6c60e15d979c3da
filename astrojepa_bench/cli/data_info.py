"""`data info`: the card of a dataset."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from astrojepa_bench.cli.data_target import add_target, load_target

if TYPE_CHECKING:
    from astrojepa_bench.data.look.describe import Description, Range
    from astrojepa_bench.evaluation.pool_gap import PoolGap
    from astrojepa_bench.types import GalaxyTable

SUMMARY = "Print the card of a dataset: counts per class and split, redshifts, defects, licence, citation."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `data info`."""
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench data info galaxies.h5\n"
        "  astrojepa-bench data info folder --set dataset.path=images --set dataset.label=class"
    )
    add_target(parser)


def execute(arguments: Namespace) -> int:
    """Print the card."""
    from astrojepa_bench.data.look.describe import describe
    from astrojepa_bench.evaluation.pool_gap import pool_gap
    from astrojepa_bench.results.identity import split_hash

    name, table = load_target(arguments)
    facts = _facts(name, table, split_hash(table.ids, table.split))
    description, gap = describe(table), pool_gap(table)
    if arguments.json:
        card = {**facts, **_described(description), "pool_gap": gap and vars(gap), "notes": table.card.notes}
        print(json.dumps(card, indent=2))
    else:
        told = [] if gap is None else [_gap_text(gap)]
        _print_card(facts, description, (*table.card.notes, *told))
    return 0


def _gap_text(gap: PoolGap) -> str:
    return (
        f"pool or labelled? untrained features tell with an AUROC of {gap.auroc:.3f} "
        f"(0.5: alike; {gap.n} of each)"
    )


def _facts(name: str, table: GalaxyTable, splits: str) -> dict[str, object]:
    spec = table.spec
    return {
        "name": table.card.name,
        "dataset": name,
        "galaxies": len(table),
        "size_px": spec.size_px,
        "bands": list(spec.bands),
        "mean": [round(value, 4) for value in spec.mean],
        "std": [round(value, 4) for value in spec.std],
        "mirror_safe": spec.mirror_safe,
        "split_hash": splits,
        "fingerprint": table.fingerprint,
        "licence": table.card.licence,
        "citation": table.card.citation,
    }


def _described(description: Description) -> dict[str, object]:
    groups, galaxies = description.groups
    return {
        "counts": description.counts,
        "numbers": {name: vars(found) for name, found in description.numbers.items()},
        "sky_groups": {"groups": groups, "galaxies": galaxies},
    }


def _print_card(facts: dict[str, object], description: Description, notes: tuple[str, ...]) -> None:
    from tabulate import tabulate

    print(f"{facts['name']}: {facts['galaxies']:,} galaxies, read as dataset '{facts['dataset']}'\n")
    used = [split for split in _splits(description) if any(row[split] for row in description.counts.values())]
    rows = [[kind, *(row[split] for split in used)] for kind, row in description.counts.items()]
    print(tabulate(rows, headers=["", *used], tablefmt="simple"))
    if description.numbers:
        numbers = [[name, *_texts(found)] for name, found in description.numbers.items()]
        print(
            "\n"
            + tabulate(numbers, headers=["", "known", "least", "median", "greatest"], disable_numparse=True)
        )
    print()
    for key in ("bands", "mean", "std", "mirror_safe", "split_hash", "fingerprint", "licence", "citation"):
        value = facts[key]
        print(f"{key:<12} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    for note in notes:
        print(f"- {note}")


def _splits(description: Description) -> list[str]:
    return list(next(iter(description.counts.values())))


def _texts(found: Range) -> list[str]:
    return [f"{found.known:,}", *(f"{value:.4g}" for value in (found.least, found.median, found.greatest))]
