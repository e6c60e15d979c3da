"""`export`: write the encoder of a run as a file that plain timm loads."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from astrojepa_bench.cli.names import registry_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.stdout import plugins_at_work
from astrojepa_bench.encoders.timm_model import HasTimmForm, TimmModel
from astrojepa_bench.errors import ConfigError, StorageError
from astrojepa_bench.runs.open_run import OpenRun, open_run

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")


def execute(arguments: Namespace) -> int:
    """Write the file, and print how it is read.

    Raises:
        ConfigError: the file's name promises another format, or it cannot be written.
    """
    if arguments.weights.suffix.lower() in PICKLES:
        raise ConfigError(
            f"{arguments.weights} is named as torch's pickles are, and what is written is safetensors, which "
            "torch.load cannot read; name it .safetensors"
        )
    with plugins_at_work():
        run = open_run(arguments.run, out=arguments.out, registry=registry_of(arguments))
    if not isinstance(run.encoder, HasTimmForm):
        raise ConfigError(
            f"encoder '{run.record.encoder}' of run {run.record.run_id} is not a timm model; "
            "runs of vit-* and timm:* encoders can be exported"
        )
    model = run.encoder.as_timm()
    about = {"bands": list(run.spec.bands), "size_px": run.spec.size_px, "run": run.record.run_id}
    try:
        model.write(arguments.weights, about)
    except StorageError as error:
        raise ConfigError(
            f"--weights {arguments.weights}: {error.reason}; give a file that can be written"
        ) from None
    if arguments.json:
        print(json.dumps({"file": str(arguments.weights), **model.facts(), **about}))
    else:
        _show(run, model, arguments.weights)
    return 0


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
