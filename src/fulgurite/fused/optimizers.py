"""One optimiser step for K members, with hyper-parameters of each member's own.

The members' torch optimisers stay the source of truth: their state tensors are rows of stacked ones, so a checkpoint
of a member holds what its solo run's would, and their ``param_groups`` say the learning rates, so any schedule works.
The rules are read side by side, so they share a file. Shapes: K members, S the shape of one parameter.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fulgurite.fused.records import UnfusableError
from fulgurite.fused.stack import Stack
from fulgurite.fused.stacked_optimizer import Rates, StackedOptimizer


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
    rule = _RULES.get(type(optimizers[0]))
    special = ("amsgrad", "maximize", "differentiable")
    if rule is None or any(group.get(key) for group in optimizers[0].param_groups for key in special):
        return Each(optimizers)
    parts = [rule(optimizers, parameters, number) for number, parameters in enumerate(groups)]
    return parts[0] if len(parts) == 1 else ByGroup(parts)


class _Counting(StackedOptimizer):
    """An optimiser that counts its steps, in a tensor for each parameter."""

    def _stacked_counts(self) -> Tensor:
        fresh = torch.zeros((), device=self.parameters[0].device if self.group.get("fused") else "cpu")
        stacked = torch.empty(len(self.parameters), len(self.optimizers), device=fresh.device)
        for member, (optimizer, group) in enumerate(zip(self.optimizers, self.groups, strict=True)):
            for number, parameter in enumerate(group["params"]):
                state = optimizer.state[parameter]
                stacked[number, member] = state.get("step", fresh)
                state["step"] = stacked[number, member]
        return stacked


class Adam(_Counting):
    """Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019)."""

    keys = ("lr", "betas", "weight_decay", "eps")
    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, optimizers: Sequence[torch.optim.Optimizer], parameters: Sequence[Tensor], number: int = 0
    ) -> None:
        super().__init__(optimizers, parameters, number)
        self._decoupled = bool(self.group.get("decoupled_weight_decay")) or isinstance(optimizers[0], torch.optim.AdamW)
        self._kernel = torch._fused_adamw_ if self._decoupled else torch._fused_adam_
        assert self.counts is not None
        self._counts_of = [list(column.unbind(0)) for column in self.counts.t()]

    def update_alike(
        self, parameters: list[Tensor], gradients: list[Tensor], states: list[list[Tensor]], first: int, rate: Rates
    ) -> None:
        """See the base class."""
        lr, (beta1, beta2), weight_decay, eps = rate
        self._kernel(
            parameters,
            gradients,
            states[0],
            states[1],
            [],
            self._counts_of[first],
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=weight_decay,
            eps=eps,
            amsgrad=False,
            maximize=False,
        )

    def update_all(self, gradients: list[Tensor], rates: list[Any]) -> None:
        """See the base class."""
        lr, (beta1, beta2), weight_decay, eps = rates
        assert self.counts is not None
        count = self.counts[0].to(lr.device, lr.dtype)
        size1 = lr / (1 - beta1**count)
        root2 = (1 - beta2**count).sqrt()
        for number, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            mean, square = self.states[0][number], self.states[1][number]
            decay = self.spread(weight_decay, parameter)
            if self._decoupled:
                parameter.mul_(1 - self.spread(lr, parameter) * decay)
            else:
                gradient = gradient + decay * parameter
            mean.lerp_(gradient, 1 - self.spread(beta1, parameter))
            square.mul_(self.spread(beta2, parameter))
            square.addcmul_(gradient * (1 - self.spread(beta2, parameter)), gradient)
            scale = (square.sqrt() / self.spread(root2, parameter)).add_(self.spread(eps, parameter))
            parameter.sub_(mean.div(scale).mul_(self.spread(size1, parameter)))


class SGD(StackedOptimizer):
    """Stochastic gradient descent, with momentum as torch defines it."""

    keys = ("lr", "weight_decay", "momentum", "dampening")
    state_names = ("momentum_buffer",)

    def __init__(
        self, optimizers: Sequence[torch.optim.Optimizer], parameters: Sequence[Tensor], number: int = 0
    ) -> None:
        # The first step takes the gradient itself for the buffer, without dampening.
        self._is_first = optimizers[0].param_groups[number]["params"][0] not in optimizers[0].state
        super().__init__(optimizers, parameters, number)

    def _names(self) -> tuple[str, ...]:
        return self.state_names if self.group["momentum"] else ()

    def step(self, gradients: list[Tensor], rates: Sequence[Rates]) -> None:
        """See the base class."""
        super().step(gradients, rates)
        self._is_first = False

    def update_alike(
        self, parameters: list[Tensor], gradients: list[Tensor], states: list[list[Tensor]], first: int, rate: Rates
    ) -> None:
        """See the base class."""
        lr, weight_decay, momentum, dampening = rate
        torch._fused_sgd_(
            parameters,
            gradients,
            states[0] if states else [],
            weight_decay=weight_decay,
            momentum=momentum,
            lr=lr,
            dampening=dampening,
            nesterov=self.group["nesterov"],
            maximize=False,
            is_first_step=self._is_first,
        )

    def update_all(self, gradients: list[Tensor], rates: list[Any]) -> None:
        """See the base class."""
        lr, weight_decay, momentum, dampening = rates
        for number, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            gradient = gradient + self.spread(weight_decay, parameter) * parameter
            if self.states:
                buffer, kept = self.states[0][number], self.spread(momentum, parameter)
                new = gradient if self._is_first else gradient * (1 - self.spread(dampening, parameter))
                buffer.mul_(kept).add_(new)
                gradient = gradient + kept * buffer if self.group["nesterov"] else buffer
            parameter.sub_(self.spread(lr, parameter) * gradient)


class RMSprop(_Counting):
    """RMSprop (Tieleman and Hinton, 2012), as torch defines it; torch has no fused kernel for it."""

    keys = ("lr", "alpha", "weight_decay", "momentum", "eps")
    state_names = ("square_avg", "momentum_buffer", "grad_avg")

    def _names(self) -> tuple[str, ...]:
        kept = ("square_avg", *(["momentum_buffer"] if self.group["momentum"] else []))
        return (*kept, "grad_avg") if self.group["centered"] else kept

    def has_kernel(self) -> bool:
        """See the base class."""
        return False

    def update_all(self, gradients: list[Tensor], rates: list[Any]) -> None:
        """See the base class."""
        lr, alpha, weight_decay, momentum, eps = rates
        for number, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            states = {name: state[number] for name, state in zip(self._names(), self.states, strict=True)}
            kept = self.spread(alpha, parameter)
            gradient = gradient + self.spread(weight_decay, parameter) * parameter
            square = states["square_avg"].mul_(kept).addcmul_(gradient * (1 - kept), gradient)
            if "grad_avg" in states:
                mean = states["grad_avg"].lerp_(gradient, 1 - kept)
                square = square.addcmul(mean, mean, value=-1)
            change = gradient / square.sqrt().add_(self.spread(eps, parameter))
            if "momentum_buffer" in states:
                change = states["momentum_buffer"].mul_(self.spread(momentum, parameter)).add_(change)
            parameter.sub_(self.spread(lr, parameter) * change)


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
_RULES: dict[type[torch.optim.Optimizer], type[StackedOptimizer]] = {
    torch.optim.Adam: Adam,
    torch.optim.AdamW: Adam,
    torch.optim.SGD: SGD,
    torch.optim.RMSprop: RMSprop,
}
