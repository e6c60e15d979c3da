"""Messages in the words of Python.

The bench writes each message once, in one notation: `--set KIND.OPTION=VALUE` sets an option of a component,
`--flag` is a field of a request, `-d DATASET` names galaxies, and `astrojepa-bench VERB` is a command. The command
line shows it as it is; the Python face says it as a caller would type it. `FLAGS` holds every flag, so that a
message with another one fails a test and not a reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from astrojepa_bench.errors import BenchError
from astrojepa_bench.options import KINDS

FLAGS: Mapping[str, str] = {
    "budget": "budget", "cache": "cache", "data": "data", "dataset": "dataset", "device": "device",
    "encoder": "encoders", "evaluator": "evaluators", "executor": "executor",
    "id": "idx", "radius": "radius",
    "executor-option": "executor_options", "isolate": "isolate=True", "jobs": "jobs", "labels": "labels",
    "masker": "maskers", "match": "match", "no-floors": "floors=False", "objective": "objectives",
    "on-bad-image": "dataset.on_bad_image", "out": "out", "overlap": "overlap", "plugin": "plugins",
    "precision": "precision", "pretraining": "pretraining", "ray-address": "ray_address", "runs": "out",
    "seeds": "seeds", "shard": "shard", "size": "size", "suite": "suite", "timeout": "timeout",
}  # fmt: skip
"""The argument that each flag is in Python; with its value where it takes none, or the option that it sets."""
VERBS: Mapping[str, str] = {
    "anomalies": "compute_jepa_anomaly_scores", "data info": "load", "embed": "extract_latents",
    "latents": "visualize_full_latent_map", "leaderboard compare": "compare", "list runs": "list_runs",
    "map": "draw_map", "neighbours": "find_neighbours", "predict": "predict", "run": "run",
}  # fmt: skip
"""The function that does what a command does, which messages name between backticks."""

LISTS = frozenset({"executor_options", "plugins"})

_KIND = rf"(?:{'|'.join(KINDS)})"
_QUOTED = r"'[^']*'|\"[^\"]*\""
_WORD = rf"(?:{_QUOTED}|(?:[^\s,;:)`']|,(?=\S))*)"
_CHOICE = "slurm|ray|local|cpu|cuda|auto|flops|images|float32|bf16|skip|fail"
# What follows a flag is its value only if it looks like one: a placeholder, a number, a path, a choice, or whatever
# a colon follows. "--jobs is of one machine" has none.
_PATH = r"[^\s,;:)]*[/.=][^\s,;:)]*(?<!\.)"
_VALUE = rf"(?:{_QUOTED}|(?:{_CHOICE})\b|[A-Z][A-Z_]*\b|{_PATH}|\d[\w.,%]*(?<![.,])|[^\s:]+(?=:))"
_NOTATION = re.compile(
    rf"(?P<command>astrojepa-bench [a-z][^,;`')]*[^,;`')\s])(?P<tick>[`']?)"
    rf"|(?P<verb>--set |\bset )(?P<address>{_KIND}[\w:.]*\.\w+)=(?P<option>{_WORD})"
    rf"|--set (?P<part>[\w:.]*…)"
    rf"|(?P<set>--set)\b"
    rf"|--data (?P<key>[A-Za-z]\w*)(?P<place>=[^\s,;:]+)(?=[\s,;:]|$)"
    rf"|--(?P<flag>{'|'.join(sorted(FLAGS, key=len, reverse=True))})(?![\w-])(?: (?P<value>{_VALUE}))?"
    rf"|(?<![\w-])-d (?P<galaxies>[A-Z]+)\b"
    rf"|`(?P<named>{'|'.join(VERBS)})`"
)


def in_python(message: str) -> str:
    """Rewrite a message as its words are typed in Python.

    Example:
        >>> in_python("give its path with --set dataset.path=FILE, or name other galaxies with -d DATASET")
        'give its path with settings={"dataset.path": "FILE"}, or name other galaxies with dataset=DATASET'
        >>> in_python("--jobs two: expected a number; leave out --isolate")
        'jobs="two": expected a number; leave out isolate=True'
    """
    return _NOTATION.sub(_said, message)


@contextmanager
def speaking_python() -> Iterator[None]:
    """Rewrite the errors that leave this block, or the function it decorates, in the words of Python."""
    try:
        yield
    except BenchError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise


def _said(found: re.Match[str]) -> str:
    parts = found.groupdict()
    if parts["flag"]:
        return _argument(FLAGS[parts["flag"]], parts["value"])
    if parts["address"]:
        return ("give " if parts["verb"] == "set " else "") + _setting(parts["address"], parts["option"])
    if parts["key"]:
        return f'data={{"{parts["key"]}": {_literal(parts["place"][1:])}}}'
    if parts["part"]:
        return f'settings={{"{parts["part"]}": …}}'
    if parts["galaxies"] or parts["named"]:
        return f"dataset={parts['galaxies']}" if parts["galaxies"] else f"`{VERBS[parts['named']]}`"
    return f"{parts['command']}{parts['tick']} in a terminal" if parts["command"] else "settings="


def _argument(name: str, value: str | None) -> str:
    if name.startswith("dataset."):
        return _setting(name, value or "…")
    if "=" in name or value is None:
        return name if "=" in name else f"{name}="
    return f"{name}=[{_literal(value)}]" if name in LISTS else f"{name}={_literal(value)}"


def _setting(address: str, value: str) -> str:
    return f'settings={{"{address}": {_literal(value, quoted=True)}}}'


def _literal(value: str, *, quoted: bool = False) -> str:
    """Spell a value as Python does; a placeholder (`FILE`) of an argument stays bare."""
    text = value[1:-1] if value[:1] in ("'", '"') and value[-1:] == value[:1] else value
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return text
    if text.lower() in ("true", "false", "none"):
        return text.capitalize()
    return text if text.isupper() and not quoted else f'"{text}"'
