"""`data info`: the card of a dataset."""

from __future__ import annotations

import json
from argparse import Namespace

from tabulate import tabulate

from astrojepa_bench.cli.data_target import load_target
from astrojepa_bench.cli.printing import print
from astrojepa_bench.data.look.describe import Description, describe
from astrojepa_bench.evaluation.pool_gap import pool_gap
from astrojepa_bench.results.identity import split_hash


def execute(arguments: Namespace) -> int:
    """Print the card."""
    name, table = load_target(arguments)
    spec, description, gap = table.spec, describe(table), pool_gap(table)
    facts: dict[str, object] = {
        "name": table.card.name,
        "dataset": name,
        "galaxies": len(table),
        "size_px": spec.size_px,
        "bands": list(spec.bands),
        "mean": [round(value, 4) for value in spec.mean],
        "std": [round(value, 4) for value in spec.std],
        "mirror_safe": spec.mirror_safe,
        "split_hash": split_hash(table.ids, table.split),
        "fingerprint": table.fingerprint,
        "licence": table.card.licence,
        "citation": table.card.citation,
    }
    if arguments.json:
        card = {**facts, **_described(description), "pool_gap": gap and vars(gap), "notes": table.card.notes}
        print(json.dumps(card, indent=2))
        return 0
    notes = [*table.card.notes]
    if gap is not None:
        notes.append(
            f"pool or labelled? untrained features tell them apart with an AUROC of {gap.auroc:.3f} "
            f"(0.5: alike; {gap.n} of each)"
        )
    _print_card(facts, description, notes)
    return 0


def _described(description: Description) -> dict[str, object]:
    groups, galaxies = description.groups
    return {
        "counts": description.counts,
        "numbers": {name: vars(found) for name, found in description.numbers.items()},
        "sky_groups": {"groups": groups, "galaxies": galaxies},
    }


def _print_card(facts: dict[str, object], description: Description, notes: list[str]) -> None:
    print(f"{facts['name']}: {facts['galaxies']:,} galaxies, read as dataset '{facts['dataset']}'\n")
    splits = next(iter(description.counts.values()))
    used = [split for split in splits if any(row[split] for row in description.counts.values())]
    rows = [[kind, *(row[split] for split in used)] for kind, row in description.counts.items()]
    print(tabulate(rows, headers=["", *used], tablefmt="simple"))
    if description.numbers:
        numbers = [
            [
                name,
                f"{found.known:,}",
                *(f"{value:.4g}" for value in (found.least, found.median, found.greatest)),
            ]
            for name, found in description.numbers.items()
        ]
        headers = ["", "known", "least", "median", "greatest"]
        print("\n" + tabulate(numbers, headers=headers, disable_numparse=True))
    print()
    for key in ("bands", "mean", "std", "mirror_safe", "split_hash", "fingerprint", "licence", "citation"):
        value = facts[key]
        print(f"{key:<12} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    for note in notes:
        print(f"- {note}")
