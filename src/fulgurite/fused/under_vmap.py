"""Functions whose batched form is written by hand."""

from typing import Any

import torch
from torch import Tensor


class UnderVmap(torch.autograd.Function):
    """A function with a ``vmap`` of its own, whose forward for one member is never reached.

    vmap is outermost; what a subclass's ``vmap`` calls on the stacked tensors is differentiated as usual.
    """

    @staticmethod
    def forward(*args: Any) -> Any:
        """Never reached."""
        raise NotImplementedError

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing to keep."""


def stacked(x: Tensor, dim: int | None, size: int) -> Tensor:
    """``x`` with the members in front; expanded, without a copy, when all of them share it."""
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
