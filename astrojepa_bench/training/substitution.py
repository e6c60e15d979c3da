"""Functions of ours in the place of torch's, whoever calls those: layers and encoders stay what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, no_type_check

from torch.overrides import TorchFunctionMode

Function = Callable[..., Any]


class Substitution(TorchFunctionMode):
    """Hands what calls some functions of torch to others, with the same arguments.

    Args:
        instead: the other functions, by torch's; inside them torch's own are called.
    """

    def __init__(self, instead: Mapping[Function, Function]) -> None:
        super().__init__()
        self._instead = instead

    @no_type_check  # it sees every operation, those of whoever checks annotations among them
    def __torch_function__(
        self,
        func: Function,
        types: object,
        args: Any = (),  # noqa: ANN401 whatever torch is given
        kwargs: Any = None,  # noqa: ANN401 whatever torch is given
    ) -> Any:  # noqa: ANN401 whatever torch returns
        return self._instead.get(func, func)(*args, **(kwargs or {}))
