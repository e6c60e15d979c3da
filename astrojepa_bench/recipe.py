"""How an objective wants to be optimised: plain values, all of them recorded with the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NoReturn, TypeAlias, get_args

from astrojepa_bench.checked import described, plain_number
from astrojepa_bench.errors import ContractError

OptimiserName: TypeAlias = Literal["adamw", "sgd", "lars", "muon"]
Scaling: TypeAlias = Literal["none", "sqrt", "linear"]
Schedule: TypeAlias = str | Mapping[float, float]

_EXPONENTS: Mapping[str, float] = {"sqrt": 0.5, "linear": 1.0}
_KINDS = ("cosine", "linear", "constant")
_WHOLE = frozenset({"batch_size", "accumulation", "reference_batch"})


@dataclass(frozen=True)
class Recipe:
    """Optimiser settings of an objective; all of them are recorded with the run.

    Attributes:
        learning_rate: peak of the schedule; where it scales with the batch, at `reference_batch` galaxies.
        batch_size: galaxies a step; a set of fewer makes it smaller.
        betas: moments of AdamW.
        weight_decay: at the start, on matrices only. AdamW and Muon decay apart from the gradient, SGD and LARS
            add it to the gradient.
        weight_decay_end: at the end (cosine in between); None keeps it constant.
        warmup: share of the run spent warming up.
        clip: largest gradient norm; None clips nothing and records the norm as the curve `gradient norm`.
        optimiser: `adamw`, `sgd`, `lars` or `muon`.
        momentum: of SGD, LARS and Muon.
        hidden: names of the matrices that Muon orthogonalises, as a pattern; all else is left to AdamW.
        rates: factors of the learning rate by parameter name, as patterns (`{"encoder.blocks.0.*": 0.1}`). Of
            several that fit a name the product counts; 0 freezes.
        accumulation: parts that a batch is computed in, one after the other; the loss of a step is their mean.
            Statistics of a batch are those of a part.
        schedule: `cosine`, `linear` or `constant` after the warm-up; or a schedule of its own, as factors of the
            rate by share of what follows the warm-up (`{0: 1.0, 0.7: 0.1, 1: 0.0}`), straight lines in between.
        final: factor of the rate that `cosine` and `linear` end with.
        scales_with: whether the rate grows with the batch: `none`, with its square root (`sqrt`) or `linear`.
        reference_batch: batch at which the rate is `learning_rate`.
    """

    learning_rate: float
    batch_size: int = 128
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    weight_decay_end: float | None = None
    warmup: float = 0.08
    clip: float | None = 1.0
    optimiser: OptimiserName = "adamw"
    momentum: float = 0.9
    hidden: str = "*.blocks.*"
    rates: Mapping[str, float] | None = None
    accumulation: int = 1
    schedule: Schedule = "cosine"
    final: float = 0.0
    scales_with: Scaling = "none"
    reference_batch: int = 256

    def __post_init__(self) -> None:
        """Refuse what no optimiser can follow.

        Raises:
            ContractError: naming the setting, what it is and what it may be.
        """
        for name in _WHOLE:
            self._hold(name, "a whole number from 1 on", lambda value: value >= 1 and value == int(value))
        self._hold("learning_rate", "a finite number above 0", lambda value: value > 0)
        self._hold("weight_decay", "a finite number from 0 on", lambda value: value >= 0)
        if self.weight_decay_end is not None:
            self._hold("weight_decay_end", "a finite number from 0 on, or None", lambda value: value >= 0)
        self._hold("warmup", "a share from 0 to 1", lambda value: 0 <= value <= 1)
        self._hold("final", "a share from 0 to 1", lambda value: 0 <= value <= 1)
        self._hold("momentum", "a number from 0 to below 1", lambda value: 0 <= value < 1)
        if self.clip is not None:
            self._hold("clip", "a finite number above 0, or None to clip nothing", lambda value: value > 0)
        if not isinstance(self.hidden, str):
            self._refuse("hidden", "a pattern of parameter names")
        self._choose("optimiser", OptimiserName)
        self._choose("scales_with", Scaling)
        if self.batch_size % self.accumulation:
            self._refuse("batch_size", f"a multiple of accumulation={self.accumulation}")
        betas: object = self.betas
        found = [plain_number(value) for value in betas] if isinstance(betas, tuple | list) else []
        if len(found) != 2 or not all(value is not None and 0 <= value < 1 for value in found):
            self._refuse("betas", "two numbers from 0 to below 1")
        object.__setattr__(self, "betas", tuple(found))
        self._hold_rates()
        self._hold_schedule()

    def _hold(self, name: str, expected: str, fits: Callable[[float], bool]) -> None:
        """Keep a setting as a plain number: NumPy's would not be read back from a checkpoint."""
        value = plain_number(getattr(self, name))
        if value is None or not fits(value):
            self._refuse(name, expected)
        object.__setattr__(self, name, int(value) if name in _WHOLE else value)

    def _choose(self, name: str, kind: object) -> None:
        given, allowed = getattr(self, name), get_args(kind)
        if not isinstance(given, str) or given not in allowed:
            self._refuse(name, f"one of {', '.join(allowed)}")

    def _hold_rates(self) -> None:
        if self.rates is None:
            return
        factors = _numbers(self.rates)
        if not all(
            isinstance(name, str) and value is not None and value >= 0 for name, value in factors.items()
        ):
            self._refuse("rates", "factors from 0 on by pattern of parameter names, or None")
        object.__setattr__(self, "rates", factors)

    def _hold_schedule(self) -> None:
        if self.schedule in _KINDS and (self.schedule != "constant" or self.final == 0):
            return
        factors = _numbers(self.schedule)
        shares = [plain_number(share) for share in factors]
        known = [share for share in shares if share is not None]
        if (
            len(known) == len(shares) >= 2
            and (known[0], known[-1]) == (0, 1)
            and all(first < second for first, second in pairwise(known))
            and all(factor is not None and factor >= 0 for factor in factors.values())
            and self.final == 0
        ):
            object.__setattr__(self, "schedule", dict(zip(known, factors.values(), strict=True)))
            return
        self._refuse(
            "schedule",
            f"one of {', '.join(_KINDS)}, or factors from 0 on by share, rising from 0 to 1; `final` is of cosine "
            "and linear only",
        )

    def _refuse(self, name: str, expected: str) -> NoReturn:
        raise ContractError(f"recipe: {name}={described(getattr(self, name))}; expected {expected}")

    def at_batch(self, batch: int) -> Recipe:
        """Return this recipe with the learning rate that it has at a batch of so many galaxies.

        Example:
            >>> Recipe(learning_rate=1e-3, scales_with="sqrt", reference_batch=2048).at_batch(128).learning_rate
            0.00025
        """
        if self.scales_with == "none":
            return self
        rate = self.learning_rate * (batch / self.reference_batch) ** _EXPONENTS[self.scales_with]
        return replace(self, learning_rate=rate, scales_with="none")


def _numbers(given: object) -> dict[object, int | float | None]:
    """Read a mapping to numbers; None stands for what is none."""
    listed = given.items() if isinstance(given, Mapping) else [(None, None)]
    return {name: plain_number(value) for name, value in listed}
