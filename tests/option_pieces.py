"""A piece with an option of every type, and its offer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from astrojepa_bench.options import Offer
from astrojepa_bench.signatures import option_schema


class Ring:
    """Hide a ring.

    Args:
        grid: given by the bench.
        radius: of the ring [pixel],
            from its centre.
        inner, outer: edges [pixel].
    """

    def __init__(
        self,
        grid: object,
        *,
        radius: float = 8.0,
        inner: int | None = None,
        outer: "int | None" = None,
        span: tuple[float, float] = (0.15, 0.2),
        bands: Sequence[str] = ("r",),
        mode: Literal["hard", "soft"] = "hard",
        mirror: bool = False,
        weights: Path | None = None,
        label: str = "",
        depth: int | Literal["auto"] = "auto",
    ) -> None:
        """Keep nothing."""


def offer(factory, kind="masker", name="ring"):
    return Offer(kind, name, factory, "astrojepa_ring", "someone", "0.3", "", option_schema(factory))
