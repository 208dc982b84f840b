"""The training step of K models as one traced program: batches in, gradients and outputs out.

``vmap`` over the members' own ``training_step``, ordinary autograd over the stacked parameters, traced once into a
graph of tensor operations: after that a step costs no Python of the model's, nor vmap's, nor autograd's.
Shapes: K members, B batch, S the shape of one parameter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from fulgurite.fused.memory import is_out_of_memory
from fulgurite.fused.reads import Reads
from fulgurite.fused.records import Call, Recorder
from fulgurite.fused.rules import UNIFORM, Rules
from fulgurite.fused.stack import Stack
from fulgurite.fused.surroundings import BATCH_IDX, isolated
from fulgurite.fused.unfusable import UnfusableError, why_not_traced


@dataclass(frozen=True)
class Dropout:
    """One draw of the step: what one member's mask is like, and each member's probability; ``None`` for U(0, 1)."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    probabilities: tuple[float, ...] | None


class StepOutput(NamedTuple):
    """Of one step.

    Attributes:
        gradients: in the order of the stack's parameters, K x S.
        losses: K.
        output: what the step handed out as ``output``, K x B x C.
        recorded: what it logged and measured with, K x ... each.
    """

    gradients: list[Tensor]
    losses: Tensor
    output: Tensor | None
    recorded: list[Tensor]


class Program:
    """The step of K members, for batches of one shape.

    Args:
        model: one of the members; its ``training_step`` is traced. Its own tensors are not touched.
        stack: the members' tensors.
        lifted: attributes that differ between members, (module's name, attribute) to a tensor of K.
        differing: hyper-parameters that differ between members and are not lifted.
        reads: takes down what of ``model`` the trace has read.
        batch: an example (x, y), each K x B x ..., or B x ... when ``shared``.
        shared: all members see the same batch.

    Attributes:
        dropouts: the masks that a call needs, in order.
        calls: what the step logs and measures.

    Raises:
        UnfusableError: with the reason.
    """

    def __init__(
        self,
        model: pl.LightningModule,
        stack: Stack,
        lifted: Mapping[tuple[str, str], Tensor],
        differing: Sequence[str],
        reads: Reads,
        batch: Sequence[Tensor],
        *,
        shared: bool,
    ) -> None:
        self._model = model
        self._stack = stack
        self._lifted = list(lifted.values())
        self._lifted_names = list(lifted)
        self._differing = differing
        self._reads = reads
        self._batch_dim = None if shared else 0
        self._has_output = False
        self.calls: list[Call] = []
        self.dropouts: list[Dropout] = []
        self._inputs = [*stack.parameters.values(), *stack.constants.values(), *self._lifted]
        try:
            self._graph = self._trace(batch)
        except UnfusableError:
            raise
        except (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError, IndexError) as error:
            if is_out_of_memory(error):
                raise
            raise UnfusableError(why_not_traced(error)) from error

    def __call__(self, batch: Sequence[Tensor], masks: Sequence[Tensor]) -> StepOutput:
        """Run one step; batch norm's statistics are updated in place."""
        with torch.no_grad():
            out = self._graph(*self._inputs, *batch, *masks)
        number = len(self._stack.parameters)
        rest = out[number + 1 :]
        output = rest.pop(0) if self._has_output else None
        return StepOutput(out[:number], out[number], output, rest)

    def compile(self) -> None:
        """Compile the graph, which takes seconds.

        Raises:
            Exception: whatever stands in the way, such as a missing C++ compiler; the program is as it was.
        """
        compiled = torch.compile(self._graph)
        # Here, not at the next step: on clones, because a call updates batch norm's statistics.
        with torch.no_grad():
            compiled(*(each.clone() for each in self._inputs), *self._example)
        self._graph = compiled

    def _trace(self, batch: Sequence[Tensor]) -> Callable[..., list[Tensor]]:
        # On clones: a trace runs the step, and would update the running statistics of batch norm.
        inputs = [each.clone() for each in self._inputs]
        # Once without masks, to find out which are needed.
        self._run([*inputs, *batch], _notes_into(self.dropouts, len(self._stack)))
        masks = [batch[0].new_ones((len(self._stack), *each.shape), dtype=each.dtype) for each in self.dropouts]
        self._example = [*batch, *masks]
        return make_fx(lambda *flat: self._run(flat))(*inputs, *self._example)

    def _run(self, flat: Sequence[Tensor], drop: Callable[[Tensor, Any], Tensor] | None = None) -> list[Tensor]:
        """The step itself: what is traced."""
        names, constants = list(self._stack.parameters), list(self._stack.constants)
        parts = _split(flat, len(names), len(constants), len(self._lifted), 2)
        trained = [each.detach().requires_grad_() for each in parts[0]]

        def step_of_one(trained: Any, constant: Any, lifted: Any, batch: Any, masks: Any) -> Any:
            waiting = iter(masks)
            recorder = Recorder()
            tensors = dict(zip([*names, *constants], [*trained, *constant], strict=True))
            with (
                recorder.watching(self._model),
                isolated(self._model, dict(zip(self._lifted_names, lifted, strict=True)), self._differing, self._reads),
                self._reads.watching(self._model),
                Rules(drop or (lambda x, p: x * next(waiting))),
            ):
                out = functional_call(_Step(self._model), {f"model.{k}": v for k, v in tensors.items()}, tuple(batch))
            loss, output = _loss_and_output(out)
            self._has_output, self.calls = output is not None, recorder.calls
            return loss, [*([] if output is None else [output.detach()]), *recorder.tensors]

        step = vmap(step_of_one, in_dims=(0, 0, 0, self._batch_dim, 0), randomness="error")
        losses, rest = step(trained, *parts[1:])
        gradients = torch.autograd.grad(losses.sum(), trained)
        return [*map(_laid_out_like, gradients, trained), losses.detach(), *rest]


class _Step(nn.Module):
    """A model whose call is its training step."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, y: Tensor) -> Any:
        step: Any = self.model.training_step
        return step((x, y), BATCH_IDX)


def _loss_and_output(out: Any) -> tuple[Tensor, Tensor | None]:
    """Of what a training step has returned: the loss, or a dictionary."""
    loss, output = (out.get("loss"), out.get("output")) if isinstance(out, Mapping) else (out, None)
    if not isinstance(loss, Tensor):
        raise UnfusableError("its training step skips batches by returning no loss")
    return loss, output


def _notes_into(dropouts: list[Dropout], size: int) -> Callable[[Tensor, Any], Tensor]:
    def note(x: Tensor, p: Any) -> Tensor:
        values = torch._C._functorch.get_unwrapped(p).tolist() if torch.is_tensor(p) else [p] * size
        dropouts.append(Dropout(tuple(x.shape), x.dtype, None if p is UNIFORM else tuple(map(float, values))))
        return x

    return note


def _split(flat: Sequence[Tensor], *sizes: int) -> list[list[Tensor]]:
    """Parts of the given sizes, and what is left."""
    waiting = iter(flat)
    return [[next(waiting) for _ in range(size)] for size in sizes] + [list(waiting)]


def _laid_out_like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """With the strides of the parameter: a fused optimiser misreads others in silence."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, requires_grad=False).copy_(gradient)
