"""The optimisers that a recipe may choose from, over groups of parameters that decay and learn alike.

AdamW, SGD and Muon are torch's, LARS is timm's. Matrices decay; vectors (biases, norms) do not, and LARS does not
adapt their rate either, as in SimCLR, BYOL and Barlow Twins. What is frozen stays out.

Source: LARS: You, Gitman and Ginsburg, arXiv 1708.03888, with the rate outside the momentum as torch's SGD has it.
Muon: Jordan et al. 2024, at the scale of AdamW's updates (arXiv 2502.16982, section 2.2), so that one learning rate
serves the matrices that it orthogonalises and all that is left to AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.recipe import Recipe

_Group: TypeAlias = dict[str, Any]


def make_optimiser(objective: nn.Module, recipe: Recipe) -> Optimizer:
    """Make the recipe's optimiser; parameters with a rate factor of 0 are frozen, and none that is frozen learns.

    Raises:
        ContractError: a pattern of the recipe fits no parameter, or nothing is left to learn.
        ConfigError: this release of torch lacks the optimiser.
    """
    factors = {name: 1.0 for name, _ in objective.named_parameters()}
    for pattern, factor in (recipe.rates or {}).items():
        for name in _fitting(pattern, factors, "rates"):
            factors[name] *= factor
    for name, parameter in objective.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and factors[name] > 0)
    trained = {name: each for name, each in objective.named_parameters() if each.requires_grad}
    if not trained:
        raise ContractError("recipe: rates freezes every parameter; leave some of them to learn")
    if recipe.optimiser == "muon":
        return _muon(trained, factors, recipe)
    groups = _groups(trained, factors)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, fused=True)
    if recipe.optimiser == "lars":
        from timm.optim.lars import Lars  # seconds that no other recipe need wait for

        adapted = [{**group, "always_adapt": group["decays"]} for group in groups]
        return Lars(adapted, lr=recipe.learning_rate, momentum=recipe.momentum)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)


def _fitting(pattern: str, names: Iterable[str], setting: str) -> list[str]:
    listed = list(names)
    found = [name for name in listed if fnmatchcase(name, pattern)]
    if not found:
        raise ContractError(
            f"recipe: {setting} has the pattern {pattern!r}, which fits none of them; names are such as "
            f"{', '.join(listed[:1] + listed[-1:])}"
        )
    return found


def _groups(trained: Mapping[str, Tensor], factors: Mapping[str, float]) -> Iterator[_Group]:
    """Sort parameters by rate factor, matrices before vectors."""
    alike: dict[tuple[float, bool], list[Tensor]] = {}
    for factor in dict.fromkeys(factors[name] for name in trained):
        alike |= {(factor, True): [], (factor, False): []}
    for name, parameter in trained.items():
        alike[factors[name], parameter.ndim >= 2].append(parameter)
    for (factor, decays), each in alike.items():
        fixed = {} if decays else {"weight_decay": 0.0}
        yield {"params": each, "decays": decays, "factor": factor, **fixed}


def _muon(trained: Mapping[str, Tensor], factors: Mapping[str, float], recipe: Recipe) -> Optimizer:
    kind = getattr(torch.optim, "Muon", None)
    if kind is None:
        raise ConfigError(
            f"recipe: optimiser='muon' needs torch 2.9 or later and this is {torch.__version__}; update torch, or "
            "choose adamw, sgd or lars"
        )
    matrices_only = [name for name, each in trained.items() if each.ndim == 2]
    hidden = {name: trained[name] for name in _fitting(recipe.hidden, matrices_only, "hidden")}
    rest = {name: each for name, each in trained.items() if name not in hidden}
    groups = [group for group in _groups(hidden, factors) if group["decays"]]
    muon = kind(groups, lr=recipe.learning_rate, momentum=recipe.momentum, adjust_lr_fn="match_rms_adamw")
    if not rest:
        return TwoOptimisers([muon])
    adamw = torch.optim.AdamW(_groups(rest, factors), lr=recipe.learning_rate, betas=recipe.betas, fused=True)
    return TwoOptimisers([muon, adamw])


class TwoOptimisers(Optimizer):
    """Optimisers that step together; schedules and checkpoints see the groups and the state of one."""

    def __init__(self, parts: list[Optimizer]) -> None:
        self.parts = [(part, len(part.param_groups)) for part in parts]
        super().__init__([group for part in parts for group in part.param_groups], {})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Step with each, over its own groups of what is held here."""
        first = 0
        for part, count in self.parts:
            part.param_groups = self.param_groups[first : first + count]
            part.state = self.state
            part.step()
            first += count


def gradient_norm(objective: nn.Module, clip: float | None) -> Tensor:
    """Compute the norm of all gradients, and scale them down to `clip` where it is larger."""
    if clip is not None:
        return nn.utils.clip_grad_norm_(objective.parameters(), clip)
    return nn.utils.get_total_norm([each.grad for each in objective.parameters() if each.grad is not None])


def step_unless(optimiser: Optimizer, non_finite: Tensor) -> None:
    """Step, or leave every weight as it is where something was not finite; nothing is read from the device.

    Args:
        optimiser: whose gradients are in place.
        non_finite: 1 where weights are to stay as they are, else 0.
    """
    if getattr(optimiser, "_step_supports_amp_scaling", False):  # torch's fused ones can be told
        optimiser.found_inf = non_finite  # type: ignore[attr-defined]
        optimiser.step()
        return
    learning = [each for group in optimiser.param_groups for each in group["params"] if each.grad is not None]
    before = [each.detach().clone() for each in learning]
    optimiser.step()
    with torch.no_grad():
        for parameter, value in zip(learning, before, strict=True):
            parameter.copy_(torch.where(non_finite > 0, value, parameter))
