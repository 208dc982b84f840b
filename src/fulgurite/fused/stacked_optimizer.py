"""The base of optimisers that step K members at once. Shapes: K members, S the shape of one parameter."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from fulgurite.fused.stack import stack_rows

Rates = tuple[Any, ...]
# Beyond this many distinct sets of rates one broadcast program beats a kernel call for each.
_MOST_KERNEL_CALLS = 64


class StackedOptimizer:
    """K optimisers of one class as one; the base of the vectorised ones.

    Args:
        optimizers: one a member, of equal parameter groups.
        parameters: of one of those groups, K x S each, in its order.
        number: of that group.

    Attributes:
        keys: which entries of its group a step reads, in the order of its rates.
        state_names: the tensors that it keeps for each parameter.
    """

    keys: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ()

    def __init__(
        self, optimizers: Sequence[torch.optim.Optimizer], parameters: Sequence[Tensor], number: int = 0
    ) -> None:
        self.optimizers = list(optimizers)
        self.groups = [optimizer.param_groups[number] for optimizer in optimizers]
        self.group = self.groups[0]
        self.parameters = list(parameters)
        self.states = [self._stacked_state(name) for name in self._names()]
        self.counts = self._stacked_counts()
        self._rows: dict[tuple[int, int], list[list[Tensor]]] = {}
        self._known: tuple[list[Rates], list[Any]] | None = None

    def _names(self) -> tuple[str, ...]:
        """Those of ``state_names`` that this setting keeps."""
        return self.state_names

    def rates(self, member: int) -> Rates:
        """What the next step of a member reads."""
        return tuple(self.groups[member][key] for key in self.keys)

    def step(self, gradients: list[Tensor], rates: Sequence[Rates]) -> None:
        """One step of all members.

        Args:
            gradients: K x S each, in the order of the parameters.
            rates: for each member, the values of ``keys``.
        """
        with torch.no_grad():
            if self.counts is not None:
                self.counts += 1
            # Not looked at in vain: on a GPU, to read the counts is to wait.
            runs = self._alike(rates) if self.has_kernel() else []
            if not 0 < len(runs) <= _MOST_KERNEL_CALLS:
                self.update_all(gradients, self._columns(rates))
                return
            for run in runs:
                rows = (run[0], run[-1] + 1)
                parameters, *states = self._rows_of(rows)
                self.update_alike(
                    parameters, [each[slice(*rows)] for each in gradients], states, rows[0], rates[run[0]]
                )

    def _alike(self, rates: Sequence[Rates]) -> list[list[int]]:
        """Neighbours with equal rates, such as the seeds of one learning rate, which go together."""
        alike = list(zip(rates, self.ages(), strict=True))
        return [list(run) for _, run in groupby(range(len(rates)), key=alike.__getitem__)]

    def ages(self) -> list[Any]:
        """What must be equal for members to go together, beside their rates: the steps that they have made."""
        return [0.0] * len(self.optimizers) if self.counts is None else self.counts[0].tolist()

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

    def _columns(self, rates: Sequence[Rates]) -> list[Any]:
        """Rates as tensors of K on the parameters' device, copied there when they have changed."""
        if self._known is None or self._known[0] != list(rates):
            self._known = list(rates), [self._column(values) for values in zip(*rates, strict=True)]
        return self._known[1]

    def _column(self, values: Sequence[Any]) -> Any:
        if isinstance(values[0], tuple | list):
            return tuple(self._column(each) for each in zip(*values, strict=True))
        first = self.parameters[0]
        # Apple's GPUs have no float64.
        dtype = torch.float32 if first.device.type == "mps" else torch.float64
        return torch.tensor([float(each) for each in values], dtype=dtype).to(first.device)

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
            for optimizer, group in zip(self.optimizers, self.groups, strict=True):
                parameter = group["params"][number]
                state = optimizer.state[parameter]
                if state.get(name) is None:
                    state[name] = torch.zeros_like(parameter)
                rows.append(state[name])
            stacked.append(stack_rows(rows))
        return stacked

    def _stacked_counts(self) -> Tensor | None:
        """The members' step counts, parameters x K; ``None`` for an optimiser that does not count."""
        return None
