"""The vectorised optimisers, as torch defines them; side by side, since they are read so.

Shapes: K members, S the shape of one parameter.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fulgurite.fused.stacked_optimizer import Rates, StackedOptimizer


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
        # A first step takes the gradient itself for the buffer, without dampening.
        self._is_first = [
            all(
                optimizer.state.get(each, {}).get("momentum_buffer") is None
                for each in optimizer.param_groups[number]["params"]
            )
            for optimizer in optimizers
        ]
        super().__init__(optimizers, parameters, number)
        # torch takes a buffer that is there for one of a step before.
        for optimizer, group, is_first in zip(self.optimizers, self.groups, self._is_first, strict=True):
            for each in group["params"] if is_first else ():
                optimizer.state.pop(each, None)

    def _names(self) -> tuple[str, ...]:
        return self.state_names if self.group["momentum"] else ()

    def step(self, gradients: list[Tensor], rates: Sequence[Rates]) -> None:
        """See the base class."""
        super().step(gradients, rates)
        for own, is_first in enumerate(self._is_first):
            if is_first and self.states:
                self._hand_out_buffers(own)
        self._is_first = [False] * len(self.optimizers)

    def _hand_out_buffers(self, own: int) -> None:
        for parameter, buffers in zip(self.groups[own]["params"], self.states[0], strict=True):
            self.optimizers[own].state[parameter]["momentum_buffer"] = buffers[own]

    def ages(self) -> list[Any]:
        """See the base class."""
        return self._is_first

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
            is_first_step=self._is_first[first],
        )

    def update_all(self, gradients: list[Tensor], rates: list[Any]) -> None:
        """See the base class."""
        lr, weight_decay, momentum, dampening = rates
        if any(self._is_first):
            dampening = dampening.masked_fill(torch.tensor(self._is_first, device=dampening.device), 0.0)
        for number, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            gradient = gradient + self.spread(weight_decay, parameter) * parameter
            if self.states:
                buffer, kept = self.states[0][number], self.spread(momentum, parameter)
                buffer.mul_(kept).add_(gradient * (1 - self.spread(dampening, parameter)))
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


RULES: dict[type[torch.optim.Optimizer], type[StackedOptimizer]] = {
    torch.optim.Adam: Adam,
    torch.optim.AdamW: Adam,
    torch.optim.SGD: SGD,
    torch.optim.RMSprop: RMSprop,
}
