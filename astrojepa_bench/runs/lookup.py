"""Who was asked for: the names of a request, or of the suite it names, looked up block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.options import Offer, Settings, check_all_used
from astrojepa_bench.registry import Registry
from astrojepa_bench.runs.request import EVALUATOR_SETS, RunRequest
from astrojepa_bench.suites import Block


@dataclass(frozen=True)
class Found:
    """A block whose names were looked up.

    Attributes:
        objectives, maskers, encoders: what meets what.
        options: what the block itself sets on them.
    """

    objectives: tuple[Offer, ...]
    maskers: tuple[Offer, ...]
    encoders: tuple[Offer, ...]
    options: Settings

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Everything in it."""
        return (*self.objectives, *self.maskers, *self.encoders)


def find_blocks(request: RunRequest, registry: Registry, default_encoder: str) -> list[Found]:
    """Look up the objectives, maskers and encoders of a request; without a suite it is one block.

    Raises:
        ConfigError: a name is unknown; if a suite gave it, the message names the suite and its plugin.
    """
    if request.suite is None:
        names = Block(objectives=request.objectives, maskers=request.maskers, encoders=request.encoders)
        return [_find(names, registry, (default_encoder,))]
    blocks = registry.suite(request.suite).suite.blocks
    if request.encoders and all(block.encoders for block in blocks):
        raise ConfigError(f"suite '{request.suite}' names its own encoders; leave out --encoder")
    with _on_behalf_of_suite(request, registry):
        return [_find(block, registry, request.encoders or (default_encoder,)) for block in blocks]


def find_evaluators(request: RunRequest, registry: Registry) -> list[Offer]:
    """Look up who judges: those asked for, or else the suite's, or else `core`.

    Raises:
        ConfigError: a name is unknown.
    """
    if request.evaluators or request.suite is None:
        return evaluators_named(request.evaluators or ("core",), registry)
    with _on_behalf_of_suite(request, registry):
        return evaluators_named(registry.suite(request.suite).suite.evaluators, registry)


@contextmanager
def _on_behalf_of_suite(request: RunRequest, registry: Registry) -> Iterator[None]:
    """Say of an error that the suite caused it: the user typed none of the names in it."""
    title = registry.suite(request.suite or "").title
    try:
        yield
    except ConfigError as error:
        raise ConfigError(
            f"{title}: {error}; install what it names, or choose entries by --objective"
        ) from None


def _find(block: Block, registry: Registry, encoders: tuple[str, ...]) -> Found:
    found = Found(
        tuple(registry.get("objective", name) for name in block.objectives),
        tuple(registry.get("masker", name) for name in block.maskers),
        tuple(registry.get("encoder", name) for name in block.encoders or encoders),
        block.options,
    )
    check_all_used(block.options, found.offers)
    return found


def evaluators_named(names: tuple[str, ...], registry: Registry) -> list[Offer]:
    """Look evaluators up by name, or by the name of a set: `core`, or `full` for all that are on offer.

    Raises:
        ConfigError: a name is unknown.
    """
    wanted: list[str] = []
    for name in names:
        if name == "full":
            wanted += [offer.name for offer in registry.offers("evaluator")]
        else:
            wanted += EVALUATOR_SETS.get(name, (name,))
    return [registry.get("evaluator", name) for name in dict.fromkeys(wanted)]
