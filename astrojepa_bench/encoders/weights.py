"""Pretrained weights from a file: safetensors or a torch state dict, read without running any code of it.

A file that does not fit is refused with the names that do not: weights that are silently left out would be
scored as if they had been used. What is left out without harm, a head or another part, is counted and named.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from safetensors.torch import load_file
from torch import Tensor, nn

from astrojepa_bench.encoders.torch_files import NumberArray, read_torch, refused_name
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import emit

version = 1  # raise it whenever a number changes
WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which checkpoints keep the tensors
AROUND = frozenset(("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
AVERAGED = frozenset(
    ("teacher", "target_encoder", "ema", "ema_model", "model_ema", "state_dict_ema", "averaged_model")
)
HEAD = re.compile(
    r"(\w+_)?heads?(_dist)?|fc|classifier|linear|last_layer|prototypes|project(or|ion)|predictor|decoder(_\w+)?|mask_token"
    r"|n_averaged|num_updates|decay"  # which averages count beside their weights
)
DEEPEST = 6  # levels of keys and parts that are looked into
SHOWN, MOST_TOLD = 3, 6


@runtime_checkable
class Translates(Protocol):
    """A module that also understands files in another layout than its own."""

    def translated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors under this module's own names."""


def load_weights(module: nn.Module, path: Path, owner: str) -> None:
    """Load a file of weights into a module: every tensor that the module has, or an error.

    Checkpoints hold more than a module: wrappers of training (`module.`, `_orig_mod.`), the parts around it
    (`student`, `teacher`, `predictor`), a head behind it. The part that fits whole is taken, and a note counts and
    names what was left out. Of several that fit, wherever in the file they lie, the one is taken that is an average
    of another (`teacher`, `target_encoder`, `ema`), else the one below a key that weights are usually kept under
    (`state_dict`, `model_state_dict`, `model`); where that leaves more than one, none.

    Args:
        module: takes the weights; if it has `translated`, the file's names pass through that first.
        path: safetensors, or what `torch.save(module.state_dict())` writes (also below other keys, such as
            `state_dict`, `model_state_dict` or `model`).
        owner: for messages ("encoder 'vit-tiny'").

    Raises:
        ConfigError: there is no such file.
        DataError: the file cannot be read without running code, or its tensors do not fit the module.
    """
    held = _held(path.expanduser(), owner)
    taken = _fitting(module, held, f"{owner}: weights {path.name}")
    module.load_state_dict(taken.given)
    if told := taken.told(held):
        emit("note", text=f"{owner}: weights {path.name}: {told}")


def read_state(path: Path, owner: str) -> dict[str, Tensor]:
    """Read the tensors of a file by name, on the CPU; wrappers of training are taken off their names.

    Raises:
        ConfigError: there is no such file.
        DataError: it is of another format, damaged, or can only be read by running code.
    """
    return unwrapped(_held(path.expanduser(), owner).state)


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the wrappers of training off the names of tensors, wherever they stand; not where two names would meet.

    Example:
        >>> list(unwrapped({"module.blocks._orig_mod.0.weight": torch.zeros(1)}))
        ['blocks.0.weight']
    """
    bare = {".".join(p for p in name.split(".") if p not in AROUND) or name: v for name, v in state.items()}
    return bare if len(bare) == len(state) else dict(state)


@dataclass(frozen=True)
class _Held:
    """What a file holds.

    Attributes:
        state: its weights by name, or those below the key that checkpoints keep them under.
        key: that key; empty where there is none.
        beside: tensors under other keys than that one, by key.
    """

    state: dict[str, Tensor]
    key: str
    beside: Mapping[str, Mapping[str, Tensor]]


def _held(path: Path, owner: str) -> _Held:
    if not path.is_file():
        raise ConfigError(f"{owner}: no file at {path}; give a safetensors or torch state-dict file")
    try:
        with path.open("rb") as file:  # its content tells: eight bytes of length, then a JSON object
            is_safetensors = path.suffix == ".safetensors" or file.read(9)[8:] == b"{"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch finds unusual it reads or refuses all the same
            found = load_file(path) if is_safetensors else read_torch(path)
    except pickle.UnpicklingError as error:
        name = refused_name(error)
        raise DataError(
            f"{owner}: {path.name} is damaged or can only be read by running code in it"
            f"{f' (it asks for {name})' if name else ''}, which is never done; save its state_dict() as safetensors"
        ) from None
    except Exception as error:  # a damaged file can raise anything
        reason = " ".join(str(error).split())[:100]
        raise DataError(
            f"{owner}: {path.name} is no safetensors or torch state-dict file ({type(error).__name__}: {reason}); "
            "give one that is"
        ) from None
    if isinstance(found, Mapping):
        every = {str(key): _tensors(value) for key, value in found.items()}
        key = next((key for key in WRAPPERS if isinstance(found.get(key), Mapping) and every[key]), "")
        state = every[key] if key else _joined(every)
        if state:
            return _Held(
                state, key, {name: each for name, each in every.items() if key and each and name != key}
            )
    raise DataError(
        f"{owner}: {path.name} holds no tensors by name ({type(found).__name__}); save a state_dict()"
    )


def _tensors(value: object, depth: int = DEEPEST) -> dict[str, Tensor]:
    """Collect the tensors below a key by their names there; the value itself by an empty one."""
    if isinstance(value, NumberArray) and value.values is not None:
        return {"": value.values}
    if isinstance(value, Tensor):
        return {"": value}
    if not isinstance(value, Mapping) or not depth:
        return {}
    return _joined({str(key): _tensors(each, depth - 1) for key, each in value.items()})


def _joined(every: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{key}.{name}".rstrip("."): value for key, each in every.items() for name, value in each.items()}


# --- which part of a file is the module ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Taken:
    """A part of a file, under the names of a module.

    Attributes:
        prefix: of its names in the file.
        part: its tensors, without the prefix.
        given: what the module makes of them, heads left out.
        fault: why it does not fit; empty where it does.
        misfits: how many names and shapes do not.
        is_beside: whether it lies under another key than the usual one.
    """

    prefix: str
    part: Mapping[str, Tensor]
    given: dict[str, Tensor]
    fault: str
    misfits: int
    is_beside: bool = False

    @property
    def is_average(self) -> bool:
        """Whether its names in the file say that it is an average of other weights."""
        return not AVERAGED.isdisjoint(self.prefix.split("."))

    @property
    def is_usual(self) -> bool:
        """Whether it lies under a key that checkpoints keep weights under."""
        return not self.is_beside or self.prefix.partition(".")[0] in WRAPPERS

    def told(self, held: _Held) -> str:
        """Tell which part was taken and count what was left out; empty where the file holds nothing else."""
        beside = {key: len(each) for key, each in held.beside.items()}
        among, apart = (
            (_joined(held.beside), {held.key: len(held.state)}) if self.is_beside else (held.state, beside)
        )
        others = (name for name in unwrapped(among) if not name.startswith(self.prefix))
        left = Counter(name.partition(".")[0] for name in others)
        left.update(apart)
        left.update(_unused(self.part, self.given))
        if not left:
            return ""
        named = ", ".join(f"{name} ({count})" for name, count in sorted(left.items())[:MOST_TOLD])
        more = f" and {len(left) - MOST_TOLD} more" if len(left) > MOST_TOLD else ""
        what = f"took '{self.prefix.rstrip('.')}'; " if self.prefix else ""
        return f"{what}left out, by the number of tensors: {named}{more}"


def _fitting(module: nn.Module, held: _Held, what: str) -> _Taken:
    """Find the part of a file that fits a module whole.

    Raises:
        DataError: none does, or several that nothing tells apart.
    """
    tried = [_taken(module, "", held.state, what)]
    for is_beside, state in enumerate((held.state, _joined(held.beside))):
        for prefix, part in _parts(unwrapped(state), len(module.state_dict())):
            if any(not t.fault and t.is_beside == is_beside and prefix.startswith(t.prefix) for t in tried):
                continue  # inside a part that fits
            with suppress(
                Exception
            ):  # translators are written for whole files, and this may be any part of one
                tried.append(replace(_taken(module, prefix, part, what), is_beside=bool(is_beside)))
    fitting = [each for each in tried if not each.fault]
    if not fitting:
        raise DataError(min((t for t in tried if not t.is_beside), key=lambda each: each.misfits).fault)
    rivals = [each for each in fitting if each.is_average]
    rivals = rivals or [each for each in fitting if each.is_usual] or fitting
    if len(rivals) == 1:
        return rivals[0]
    names = ", ".join(f"'{each.prefix.rstrip('.') or held.key}'" for each in rivals[:SHOWN])
    raise DataError(f"{what} hold {len(rivals)} parts that fit ({names}); save the one that is meant alone")


def _parts(state: Mapping[str, Tensor], size: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """List the parts of a file that are large enough for a module of some tensors, the whole first."""
    counts = Counter[str]()
    for name in state:
        words = name.split(".")[:-1][:DEEPEST]
        counts.update({"": 1, **{".".join(words[:end]) + ".": 1 for end in range(1, len(words) + 1)}})
    for prefix in sorted(counts, key=lambda prefix: (prefix.count("."), prefix)):
        if 2 * counts[prefix] >= size:
            yield prefix, {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}


def _taken(module: nn.Module, prefix: str, part: Mapping[str, Tensor], what: str) -> _Taken:
    given = module.translated(part) if isinstance(module, Translates) else dict(part)
    wanted = module.state_dict()
    heads = {name for name in given if name not in wanted and _is_head(name, wanted)}
    left = {name: value for name, value in given.items() if name not in heads}
    fault, misfits = _misfit(wanted, left, what)
    return _Taken(prefix, part, left, fault, misfits)


def _unused(part: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Counter[str]:
    """Count the tensors of a part that a module has not taken, by their first names.

    What a translator computes anew of them, as a table of positions for another size, keeps its last name.
    """
    memory = {value.untyped_storage().data_ptr() for value in given.values()}
    last = {name.rpartition(".")[2] for name in given}
    members, used = Counter[str](), set[str]()
    for name, value in part.items():
        first, _, rest = name.partition(".")
        members[first] += 1
        if value.untyped_storage().data_ptr() in memory or (not rest and first in last):
            used.add(first)
    return Counter({first: count for first, count in members.items() if first not in used})


def _is_head(name: str, wanted: Mapping[str, Tensor]) -> bool:
    """Whether a tensor belongs to what stands behind or beside an encoder: without it the encoder is the same."""
    first, _, rest = name.partition(".")
    inside = any(own.startswith(f"{first}.") for own in wanted)  # as in `model.head.weight` of `model`
    part = rest.partition(".")[0] if inside else first
    return HEAD.fullmatch(part) is not None


def _misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> tuple[str, int]:
    """Phrase why tensors do not fit a module, and count those that do not; empty and 0 where all do."""
    missing = [name for name in wanted if name not in given]
    strange = [name for name in given if name not in wanted]
    odd = [name for name, value in wanted.items() if name in given and value.shape != given[name].shape]
    misfits = len(missing) + len(strange) + len(odd)
    if missing or strange:
        parts = [f"lack {_some(missing)}"] * bool(missing) + [f"have unknown {_some(strange)}"] * bool(
            strange
        )
        return f"{what} {' and '.join(parts)}; they are of another architecture or size", misfits
    return (f"{what} {_mismatch(odd[0], given[odd[0]], wanted[odd[0]])}" if odd else ""), misfits


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _mismatch(name: str, given: Tensor, wanted: Tensor) -> str:
    """Describe what differs; a convolution that differs in its inputs alone was made for other bands."""
    found, own = tuple(given.shape), tuple(wanted.shape)
    if len(found) == len(own) == 4 and found[:1] + found[2:] == own[:1] + own[2:]:
        return f"read {found[1]} bands in '{name}', the images have {own[1]}; give weights made for {own[1]} bands"
    return f"hold '{name}' as {found}, needed is {own}; they are of another size, patch or number of bands"
