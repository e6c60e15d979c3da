"""`data show`: a contact sheet, the first thing to look at in any dataset."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from astrojepa_bench.board.terms import terms_text
from astrojepa_bench.cli.data_target import load_target
from astrojepa_bench.cli.printing import print
from astrojepa_bench.data.look.sheet import contact_sheet, sheet_columns, sheet_note
from astrojepa_bench.errors import ConfigError


def execute(arguments: Namespace) -> int:
    """Write the sheet and print where it is."""
    if arguments.per_class < 1:
        raise ConfigError(f"--per-class {arguments.per_class} shows nothing; give 1 or more")
    _, table = load_target(arguments)
    out: Path = arguments.picture or Path(f"{Path(arguments.target).stem}.png")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(table, arguments.per_class).save(out)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot write {out} ({error}); name a picture such as sheet.png with --picture"
        ) from None
    rows = [row for column in sheet_columns(table, arguments.per_class) for row in column.rows.tolist()]
    facts = {
        "sheet": str(out),
        "galaxies": len(table),
        "drawn": len(rows),
        "classes": len(table.present),
        "fingerprint": table.fingerprint,
        "caption": sheet_note(table, range(len(table))),
        **{name: text for name, text in table.card.terms.items() if name != "name"},
    }
    if arguments.json:
        print(json.dumps(facts))
    else:
        odd, kinds = int((table.anomaly > 0).sum()), len(table.present)
        classes = "" if kinds == 0 else " in 1 class" if kinds == 1 else f" in {kinds} classes"
        of_them = f", {odd} of them anomalies" if odd else ""
        print(f"{out}: {len(table):,} galaxies{classes}{of_them}; {len(rows):,} are drawn")
        print(facts["caption"])
        if table.card.terms:
            print(terms_text(table.card.terms))
    return 0
