"""The weights of a run: the whole objective, with what the images looked like, in one safetensors file.

Kept whole (teacher, predictor, projector) and not only the scored encoder, so that a finished run can still
predict. The facts in the same file are enough to build the run again where its galaxies are not at hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from astrojepa_bench.border import blamed_on
from astrojepa_bench.checked import described
from astrojepa_bench.data.look.survey import survey_of, usual_pixel_scale
from astrojepa_bench.encoders.timm_model import write_tensors
from astrojepa_bench.errors import ContractError, DataError, named
from astrojepa_bench.files import replacing
from astrojepa_bench.options import legible
from astrojepa_bench.roles import Objective
from astrojepa_bench.seals import BLANK, fill_seal, seal_holds
from astrojepa_bench.training.checkpoint import growing_buffers, misfit, stretch
from astrojepa_bench.types import GalaxyTable, ImageSpec


@dataclass(frozen=True)
class DataFacts:
    """What a run knows of the galaxies that it was trained on.

    Attributes:
        spec: bands, size and training statistics of the images.
        classes: how many classes.
        class_names: their names, empty where nobody named them.
        dataset: name of the card.
        survey: whose images they are, as the card tells; empty where it does not, or in older files.
        pixel_scale: the usual one of its images [arcsec/px]; None where it is unknown, or in older files.
    """

    spec: ImageSpec
    classes: int
    class_names: tuple[str, ...]
    dataset: str
    survey: str = ""
    pixel_scale: float | None = None

    @classmethod
    def of(cls, table: GalaxyTable) -> DataFacts:
        """Read the facts off the galaxies themselves."""
        names = tuple(legible(name) for name in table.card.class_names)
        survey, scale = survey_of(table.card), usual_pixel_scale(table)
        return cls(table.spec, table.classes, names, legible(table.card.name), survey, scale)


_FACTS = TypeAdapter(DataFacts)


def write_weights(path: Path, objective: Objective, facts: DataFacts) -> None:
    """Write every parameter and buffer of an objective, whole or not at all, under a seal.

    Raises:
        StorageError: the folder cannot be written, or its disk is full.
    """
    # Cloned, because the format refuses tensors that share memory (an encoder that is known by two names).
    with blamed_on(objective):
        state = {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in objective.state_dict().items()
        }
    # The seal stands among the facts: of several entries, safetensors writes any first.
    about = {"seal": BLANK.decode(), **_FACTS.dump_python(facts, mode="json")}
    with replacing(path, sum(value.nbytes for value in state.values())) as draft:
        write_tensors(state, draft, {"galaxies": json.dumps(about, ensure_ascii=False)})
        fill_seal(draft)


def check_keepable(objective: Objective) -> None:
    """Refuse an objective whose weights no file can hold, before anything is learnt.

    Raises:
        ContractError: naming the first parameter or buffer that is in the way.
    """
    with blamed_on(objective):
        for name, value in objective.state_dict().items():
            reason = _reason_against(value)
            if reason is not None:
                raise ContractError(
                    f"the weights of {type(objective).__name__} cannot be kept: '{name}' is {reason}; expected "
                    "dense tensors of real numbers: register what can be made again with persistent=False, and "
                    "return other state from extra_state()"
                )


def _reason_against(value: object) -> str | None:
    if not isinstance(value, torch.Tensor):
        return described(value)
    if value.is_meta:
        return "on the device 'meta', without values"
    if value.layout is not torch.strided or value.is_nested or value.is_complex():
        return f"{value.dtype} of layout {value.layout}"
    try:
        save({"any": torch.empty(0, dtype=value.dtype)})
    except (KeyError, ValueError, SafetensorError):
        return f"of type {value.dtype}"
    return None


def read_weights(path: Path, objective: Objective) -> None:
    """Load kept weights into an objective that was built as it was then, and leave it in evaluation mode.

    Names and shapes are compared before anything is copied, so weights that are refused for them change nothing.
    An objective that raises while it loads may be half loaded: whoever meets the error builds another one. Buffers
    that have grown while they learnt are made as long as they were.

    Raises:
        DataError: the file is missing, damaged, or of another objective.
    """
    try:
        _check(path)
        state = load_file(path)
    except FileNotFoundError:
        raise _missing(path) from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}); delete it and run again") from None
    with blamed_on(objective):
        reason = misfit(state, objective.state_dict(), growing_buffers(objective).keys())
        if reason is None:
            try:
                stretch(objective, state)
                objective.load_state_dict(state)
            except Exception as error:  # an objective may be choosier than its names and shapes
                reason = named(error)[:200]
    if reason is not None:
        raise DataError(
            f"{path} does not fit the objective built from the record ({reason}); its plugin has changed since: "
            "run again"
        )
    objective.eval()


def read_facts(path: Path) -> DataFacts:
    """Read what is known of the galaxies of a run.

    Raises:
        DataError: the file is missing, damaged, or of an older version.
    """
    try:
        _check(path)
        with safe_open(path, "pt") as file:
            return _FACTS.validate_json(file.metadata()["galaxies"])
    except FileNotFoundError:
        raise _missing(path) from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} does not say which galaxies the run was trained on ({type(error).__name__}); "
            "delete it and run again"
        ) from None


def _check(path: Path) -> None:
    """Refuse a file that is not what was written; older ones bear no seal and cannot be checked.

    Raises:
        DataError: its seal does not hold.
        OSError: it cannot be read.
    """
    if seal_holds(path) is False:
        raise DataError(
            f"{path} is damaged (its checksum is not that of what was written); delete it and run again"
        )


def _missing(path: Path) -> DataError:
    return DataError(f"no weights at {path}; issue the command of the record again (see `show`) to make them")
