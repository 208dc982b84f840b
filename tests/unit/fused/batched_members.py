"""K models called as one, in the way of fused/program.py: vmap outside, ordinary autograd on stacked parameters."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from fulgurite.fused.rules import Rules

Drop = Callable[..., Tensor]


def stacked_parameters(models: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Leaves with gradients, K x S each, that hold the models' values."""
    rows = [dict(model.named_parameters()) for model in models]
    return {name: torch.stack([one[name].detach() for one in rows]).requires_grad_() for name in rows[0]}


def call_members(
    model: nn.Module,
    parameters: dict[str, Tensor],
    inputs: Sequence[Any],
    in_dims: Sequence[Any] | None = None,
    drop: Callable[[Tensor, Any, Sequence[Any]], Tensor] | None = None,
    given_to_drop: Any = (),
    attributes: dict[str, Any] | None = None,
) -> Any:
    """What K models of the structure of ``model`` give.

    ``drop`` gets the tensor, the probability and the member's rows of ``given_to_drop``. ``attributes`` of the model
    are replaced by the member's row of a tensor of K.
    """
    attributes = attributes or {}

    def one(own: dict[str, Tensor], given: Any, values: Any, *own_inputs: Any) -> Any:
        waiting = iter(given)
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name, value in zip(attributes, values, strict=True):
                patch.setitem(vars(model), name, value)
            stack.enter_context(Rules((lambda x, p: drop(x, p, next(waiting))) if drop else _no_dropout))
            return functional_call(model, own, own_inputs)

    dims = (0, 0, 0, *(in_dims or [0] * len(inputs)))
    return vmap(one, in_dims=dims, randomness="error")(parameters, given_to_drop, tuple(attributes.values()), *inputs)


def _no_dropout(x: Tensor, p: Any) -> Tensor:
    raise AssertionError("nothing is dropped here")
