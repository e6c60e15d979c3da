"""`export`: write the encoder of a run as a file that plain timm loads."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from astrojepa_bench.errors import ConfigError

if TYPE_CHECKING:
    from astrojepa_bench.encoders.timm_model import TimmModel
    from astrojepa_bench.runs.open_run import OpenRun

SUMMARY = "Write a run's judged encoder as a safetensors file that three lines of timm load."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `export`."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = "example:\n  astrojepa-bench export 3f9a2c --out encoder.safetensors"
    parser.add_argument("run", metavar="RUN", help="a record's .json, or the first letters of a run id")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument(
        "--runs", type=Path, default=Path("astrojepa-runs"), metavar="DIR", help="where run ids are looked up"
    )
    parser.add_argument("--json", action="store_true", help="print what was written, as JSON, only")


def execute(arguments: Namespace) -> int:
    """Write the file, and print how it is read."""
    from astrojepa_bench.registry import load_registry
    from astrojepa_bench.runs.open_run import open_run

    registry = load_registry(arguments.plugin, arguments.strict_plugins)
    run = open_run(arguments.run, out=arguments.runs, registry=registry)
    model = _timm_form(run)
    about = {"bands": list(run.spec.bands), "size_px": run.spec.size_px, "run": run.record.run_id}
    _write(model, arguments.out, about)
    if arguments.json:
        print(json.dumps({"file": str(arguments.out), **model.facts(), **about}))
    else:
        _show(run, model, arguments.out)
    return 0


def _timm_form(run: OpenRun) -> TimmModel:
    from astrojepa_bench.encoders.timm_model import HasTimmForm

    if not isinstance(run.encoder, HasTimmForm):
        raise ConfigError(
            f"encoder '{run.record.encoder}' of run {run.record.run_id} is no model that timm has; "
            "runs of vit-* and timm:* encoders can be exported"
        )
    return run.encoder.as_timm()


def _write(model: TimmModel, path: Path, about: dict[str, object]) -> None:
    try:
        model.write(path, about)
    except OSError as error:
        raise ConfigError(f"--out {path}: {error.strerror}; give a file that can be written") from None


def _show(run: OpenRun, model: TimmModel, path: Path) -> None:
    spec = run.spec
    arguments = ", ".join(f"{name}={value!r}" for name, value in model.arguments.items())
    print(f"Wrote {path}: the encoder of {run.record.title}, run {run.record.run_id}.")
    print(f"It takes images of bands {', '.join(spec.bands)} in [0, 1], trained at {spec.size_px} px, as\n")
    print(f"encoder = timm.create_model({arguments}).eval()")
    print(f'encoder.load_state_dict(safetensors.torch.load_file("{path}"))')
    print("features = encoder((images - mean) / std)\n")
    for name, values in (("mean", model.mean), ("std", model.std)):
        print(f"{name:<4} {', '.join(f'{value:.6g}' for value in values)}")
