"""One optimiser step for K members, with hyper-parameters of each member's own.

The members' torch optimisers stay the source of truth: their state tensors are rows of stacked ones, so a checkpoint
of a member holds what its solo run's would, and their ``param_groups`` say the learning rates, so any schedule works.
Shapes: K members, S the shape of one parameter.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fulgurite.fused.optimizer_rules import RULES
from fulgurite.fused.stack import Stack
from fulgurite.fused.stacked_optimizer import Rates, StackedOptimizer
from fulgurite.fused.unfusable import UnfusableError


def stack_optimizers(optimizers: Sequence[torch.optim.Optimizer], stack: Stack) -> "Optimizer":
    """The K optimisers as one: vectorised where there is a rule, else each by itself on its rows.

    Args:
        optimizers: one a member, of equal parameter groups.
        stack: the members' tensors.

    Raises:
        UnfusableError: when they leave some trained parameters alone.
    """
    names, stacked = list(stack.parameters), list(stack.parameters.values())
    name_of = {id(parameter): name for name, parameter in stack.models[0].named_parameters()}
    groups = [[name_of.get(id(each)) for each in group["params"]] for group in optimizers[0].param_groups]
    given = [name for group in groups for name in group]
    if sorted(map(str, given)) != sorted(names):
        raise UnfusableError("its optimiser does not have all of its parameters, or others")
    order = [names.index(name) for name in given if name is not None]
    optimizer = _in_own_order(optimizers, [[stacked[names.index(str(name))] for name in group] for group in groups])
    return optimizer if order == sorted(order) else _Reordered(optimizer, order)


def _in_own_order(optimizers: Sequence[torch.optim.Optimizer], groups: Sequence[Sequence[Tensor]]) -> "Optimizer":
    rule = RULES.get(type(optimizers[0]))
    special = ("amsgrad", "maximize", "differentiable")
    if rule is None or any(group.get(key) for group in optimizers[0].param_groups for key in special):
        return Each(optimizers)
    parts = [rule(optimizers, parameters, number) for number, parameters in enumerate(groups)]
    return parts[0] if len(parts) == 1 else ByGroup(parts)


class Each:
    """Any other optimiser: K real ones, each stepping on its rows.

    Args:
        optimizers: one a member, of equal parameter groups.
    """

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        self.optimizers = list(optimizers)

    def rates(self, member: int) -> Rates:
        """What the next step of a member reads: all of each group but its parameters."""
        groups = self.optimizers[member].param_groups
        return tuple({key: value for key, value in group.items() if key != "params"} for group in groups)

    def step(self, gradients: list[Tensor], rates: Sequence[Rates]) -> None:
        """One step of all members; the gradients in the order of the optimisers' groups and parameters."""
        rows = [gradient.unbind(0) for gradient in gradients]
        for member, (optimizer, rate) in enumerate(zip(self.optimizers, rates, strict=True)):
            scheduled = self.rates(member)
            for group, values in zip(optimizer.param_groups, rate, strict=True):
                group.update(values)
            parameters = [each for group in optimizer.param_groups for each in group["params"]]
            for row, parameter in zip(rows, parameters, strict=True):
                parameter.grad = row[member]
            # Past the schedule's and Lightning's wrappers, which count steps.
            type(optimizer).step(optimizer)
            optimizer.zero_grad()
            for group, values in zip(optimizer.param_groups, scheduled, strict=True):
                group.update(values)


class ByGroup:
    """Optimisers of several parameter groups, each group by its own.

    Args:
        parts: one for each group.
    """

    def __init__(self, parts: Sequence[StackedOptimizer]) -> None:
        self.parts = list(parts)

    def rates(self, member: int) -> Rates:
        """What the next step of a member reads."""
        return tuple(part.rates(member) for part in self.parts)

    def step(self, gradients: list[Tensor], rates: Sequence[Rates]) -> None:
        """One step of all members; the gradients in the order of the optimisers' groups and parameters."""
        waiting = iter(gradients)
        for number, part in enumerate(self.parts):
            own = [next(waiting) for _ in part.parameters]
            part.step(own, [each[number] for each in rates])


class _Reordered:
    """An optimiser whose parameters are not in the order of the model's."""

    def __init__(self, optimizer: "Optimizer", order: Sequence[int]) -> None:
        self._optimizer = optimizer
        self._order = list(order)

    def rates(self, member: int) -> Rates:
        """What the next step of a member reads."""
        return self._optimizer.rates(member)

    def step(self, gradients: list[Tensor], rates: Sequence[Rates]) -> None:
        """One step of all members; the gradients in the order of the model's parameters."""
        self._optimizer.step([gradients[place] for place in self._order], rates)


Optimizer = StackedOptimizer | Each | ByGroup | _Reordered
