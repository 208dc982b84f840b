"""What happens to the gradients of K members between the program and their optimisers: adding up, clipping."""

from collections.abc import Sequence

import torch
from pytorch_lightning.utilities import GradClipAlgorithmType
from torch import Tensor, nn

from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.stack import Stack


class Gradients:
    """Gradients of K members, a tensor of K x S for each parameter of shape S.

    Args:
        loops: the members' epoch loops.
        stack: their parameters.
    """

    def __init__(self, loops: Sequence[FusedEpochLoop], stack: Stack) -> None:
        self._loops = loops
        self._stack = stack
        self._accumulated = loops[0].accumulated
        self._clip = self._clip_values()

    def add(self, gradients: list[Tensor], added: list[Tensor] | None) -> list[Tensor]:
        """A batch's gradients and those before it since the last update, where several batches make one."""
        if self._accumulated > 1:
            gradients = torch._foreach_div(gradients, self._accumulated)  # type: ignore[assignment]
        return gradients if added is None else torch._foreach_add(added, gradients)  # type: ignore[return-value]

    def held(self, waiting: Sequence[int]) -> list[Tensor] | None:
        """What the members hold from batches since the last update; ``None`` right after one."""
        if self._loops[waiting[0]].batch_progress.current.ready % self._accumulated == 0:
            return None
        held = [torch.zeros_like(each) for each in self._stack.parameters.values()]
        for own in waiting:
            for rows, parameter in zip(held, self._trained(own), strict=True):
                assert parameter.grad is not None
                rows[own].copy_(parameter.grad)
        return held

    def hand_out(self, added: Sequence[Tensor], waiting: Sequence[int]) -> None:
        """Leave gradients that await an update with the members, where their solo runs would hold them."""
        for own in waiting:
            for rows, parameter in zip(added, self._trained(own), strict=True):
                parameter.grad = rows[own].clone()

    def clipped(self, gradients: list[Tensor]) -> list[Tensor]:
        """Clip each member's gradients as torch's ``clip_grad_norm_`` and ``clip_grad_value_`` do."""
        if self._clip is None:
            return gradients
        clip = [self._clip.view(-1, *[1] * (each.dim() - 1)) for each in gradients]
        if self._loops[0].trainer.gradient_clip_algorithm == GradClipAlgorithmType.VALUE:
            return [each.clamp(-limit, limit) for each, limit in zip(gradients, clip, strict=True)]
        scale = (self._clip / (norms_of(gradients) + 1e-6)).clamp(max=1.0)
        return [each * scale.view(-1, *[1] * (each.dim() - 1)) for each in gradients]

    def _clip_values(self) -> Tensor | None:
        values = [loop.trainer.gradient_clip_val for loop in self._loops]
        if values[0] is None:
            return None
        first = next(iter(self._stack.parameters.values()))
        return torch.tensor(values, dtype=first.dtype, device=first.device)

    def _trained(self, own: int) -> list[nn.Parameter]:
        parameters = dict(self._loops[own].model.named_parameters())
        return [parameters[name] for name in self._stack.parameters]


def norms_of(gradients: Sequence[Tensor]) -> Tensor:
    """L2 norm of each member's gradient over all parameters: K."""
    return torch.stack([each.reshape(len(each), -1).norm(dim=1) for each in gradients]).norm(dim=0)
