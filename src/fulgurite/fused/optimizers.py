"""One optimiser step for K members, with hyper-parameters of each member's own.

The members' torch optimisers stay the source of truth: their state tensors are rows of stacked ones, so a checkpoint
of a member holds what its solo run's would, and their ``param_groups`` say the learning rates, so any schedule works.
The rules are read side by side, so they share a file, a little over 300 lines.
Shapes: K members, S the shape of one parameter.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from fulgurite.fused.stack import Stack, stack_rows

Rates = tuple[Any, ...]
# Beyond this many distinct sets of rates one broadcast program beats a kernel call for each.
_MOST_KERNEL_CALLS = 64


def stack_optimizers(optimizers: Sequence[torch.optim.Optimizer], stack: Stack) -> "StackedOptimizer":
    """The K optimisers as one: vectorised where there is a rule, else each by itself on its rows."""
    rule = _RULES.get(type(optimizers[0]), Each)
    plain = not any(optimizers[0].param_groups[0].get(key) for key in ("amsgrad", "maximize", "differentiable"))
    return (rule if plain else Each)(optimizers, stack)


class StackedOptimizer:
    """K optimisers of one class as one; the base of the vectorised ones.

    Args:
        optimizers: one a member, each over all trained parameters in one group.
        stack: the members' tensors.

    Attributes:
        keys: which entries of ``param_groups`` a step reads, in the order of its rates.
        state_names: the tensors that it keeps for each parameter.
    """

    keys: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ()

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], stack: Stack) -> None:
        self.optimizers = list(optimizers)
        self.group = optimizers[0].param_groups[0]
        self.parameters = list(stack.parameters.values())
        self.states = [self._stacked_state(name) for name in self._names()]
        self.counts = self._stacked_counts()
        self._rows: dict[tuple[int, int], list[list[Tensor]]] = {}

    def _names(self) -> tuple[str, ...]:
        """Those of ``state_names`` that this setting keeps."""
        return self.state_names

    def rates(self, member: int) -> Rates:
        """What the next step of a member reads."""
        group = self.optimizers[member].param_groups[0]
        return tuple(group[key] for key in self.keys)

    def step(self, gradients: list[Tensor], rates: Sequence[Rates]) -> None:
        """One step of all members.

        Args:
            gradients: K x S each, in the order of the parameters.
            rates: for each member, the values of ``keys``.
        """
        with torch.no_grad():
            if self.counts is not None:
                self.counts += 1
            # Neighbours with equal rates, such as the seeds of one learning rate, go together.
            counts = [0.0] * len(rates) if self.counts is None else self.counts[0].tolist()
            alike = list(zip(rates, counts, strict=True))
            runs = [list(run) for _, run in groupby(range(len(rates)), key=alike.__getitem__)]
            if len(runs) > _MOST_KERNEL_CALLS or not self.has_kernel():
                columns = [self._column(values) for values in zip(*rates, strict=True)]
                self.update_all(gradients, columns)
                return
            for run in runs:
                rows = (run[0], run[-1] + 1)
                parameters, *states = self._rows_of(rows)
                self.update_alike(
                    parameters, [each[slice(*rows)] for each in gradients], states, rows[0], rates[run[0]]
                )

    def has_kernel(self) -> bool:
        """Whether torch has a fused kernel for members with equal rates."""
        return self.parameters[0].device.type == "cpu"

    def update_alike(
        self, parameters: list[Tensor], gradients: list[Tensor], states: list[list[Tensor]], first: int, rate: Rates
    ) -> None:
        """Update members with equal rates, the first of which is member ``first``."""
        raise NotImplementedError

    def update_all(self, gradients: list[Tensor], rates: list[Any]) -> None:
        """Update all members; each of ``rates`` is a tensor of K, or a pair of them."""
        raise NotImplementedError

    def _column(self, values: Sequence[Any]) -> Any:
        if isinstance(values[0], tuple | list):
            return tuple(self._column(each) for each in zip(*values, strict=True))
        first = self.parameters[0]
        return torch.tensor([float(each) for each in values], dtype=torch.float64).to(first.device)

    def spread(self, values: Tensor, like: Tensor) -> Tensor:
        """K numbers as K x 1 x ..., to be multiplied with ``like`` (K x S)."""
        return values.to(like.dtype).view(-1, *[1] * (like.dim() - 1))

    def _rows_of(self, rows: tuple[int, int]) -> list[list[Tensor]]:
        if rows not in self._rows:
            part = slice(*rows)
            self._rows[rows] = [[each[part] for each in tensors] for tensors in (self.parameters, *self.states)]
        return self._rows[rows]

    def _stacked_state(self, name: str) -> list[Tensor]:
        """One state of all members, K x S a parameter; zero where an optimiser has not stepped yet."""
        stacked = []
        for number in range(len(self.parameters)):
            rows = []
            for optimizer in self.optimizers:
                parameter = optimizer.param_groups[0]["params"][number]
                state = optimizer.state[parameter]
                if state.get(name) is None:
                    state[name] = torch.zeros_like(parameter)
                rows.append(state[name])
            stacked.append(stack_rows(rows))
        return stacked

    def _stacked_counts(self) -> Tensor | None:
        """The members' step counts, parameters x K; ``None`` for an optimiser that does not count."""
        return None


class _Counting(StackedOptimizer):
    """An optimiser that counts its steps, in a tensor for each parameter."""

    def _stacked_counts(self) -> Tensor:
        fresh = torch.zeros((), device=self.parameters[0].device if self.group.get("fused") else "cpu")
        stacked = torch.empty(len(self.parameters), len(self.optimizers), device=fresh.device)
        for member, optimizer in enumerate(self.optimizers):
            for number, parameter in enumerate(optimizer.param_groups[0]["params"]):
                state = optimizer.state[parameter]
                stacked[number, member] = state.get("step", fresh)
                state["step"] = stacked[number, member]
        return stacked


class Adam(_Counting):
    """Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019)."""

    keys = ("lr", "betas", "weight_decay", "eps")
    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], stack: Stack) -> None:
        super().__init__(optimizers, stack)
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
        count = self.counts[0].double().to(lr.device)
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

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], stack: Stack) -> None:
        # The first step takes the gradient itself for the buffer, without dampening.
        self._is_first = not optimizers[0].state
        super().__init__(optimizers, stack)

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


class Each(StackedOptimizer):
    """Any other optimiser: K real ones, each stepping on its rows."""

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], stack: Stack) -> None:
        super().__init__(optimizers, stack)
        self.keys = tuple(key for key in self.group if key != "params")

    def step(self, gradients: list[Tensor], rates: Sequence[Rates]) -> None:
        """See the base class."""
        rows = [gradient.unbind(0) for gradient in gradients]
        for member, (optimizer, rate) in enumerate(zip(self.optimizers, rates, strict=True)):
            group = optimizer.param_groups[0]
            scheduled = {key: group[key] for key in self.keys}
            group.update(zip(self.keys, rate, strict=True))
            for number, parameter in enumerate(group["params"]):
                parameter.grad = rows[number][member]
            # Past the schedule's and Lightning's wrappers, which count steps.
            type(optimizer).step(optimizer)
            optimizer.zero_grad()
            group.update(scheduled)


_RULES: dict[type[torch.optim.Optimizer], type[StackedOptimizer]] = {
    torch.optim.Adam: Adam,
    torch.optim.AdamW: Adam,
    torch.optim.SGD: SGD,
    torch.optim.RMSprop: RMSprop,
}
