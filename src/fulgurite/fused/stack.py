"""Parameters and buffers of K models as rows of stacked tensors.

The models stay ordinary ones: their tensors are views, so what a program writes into the stack is in the models, and
the other way round. Shapes: K members, S the shape of one tensor.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Stack:
    """K models' tensors, by name, each K x S.

    Args:
        models: of equal structure. Their parameters and buffers become rows of the stack.

    Attributes:
        parameters: those that are trained.
        constants: buffers, and parameters that are frozen.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.models = list(models)
        parameters = [dict(model.named_parameters()) for model in models]
        buffers = [dict(model.named_buffers()) for model in models]
        trained = [name for name, each in parameters[0].items() if each.requires_grad]
        frozen = [name for name in parameters[0] if name not in trained]
        self.parameters = {name: stack_rows([one[name] for one in parameters]) for name in trained}
        self.constants = {name: stack_rows([one[name] for one in parameters]) for name in frozen}
        self.constants |= {name: stack_rows([one[name] for one in buffers]) for name in buffers[0]}

    def __len__(self) -> int:
        """Number of members."""
        return len(self.models)


@torch.no_grad()
def stack_rows(tensors: Sequence[Tensor]) -> Tensor:
    """Copy equal-shaped tensors into one, and make them its rows; each keeps its strides (such as channels_last)."""
    first = tensors[0]
    stacked = torch.empty_strided(
        (len(tensors), *first.shape),
        (first.numel(), *torch.empty_like(first).stride()),
        dtype=first.dtype,
        device=first.device,
    )
    for row, tensor in zip(stacked, tensors, strict=True):
        row.copy_(tensor)
        tensor.data = row
    return stacked
