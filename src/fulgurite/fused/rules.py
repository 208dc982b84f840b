"""How operations that ``vmap`` does badly, or not at all, are done for K members at once.

``Rules`` is a function mode: while it is active, calls from inside an unchanged model are replaced. Each rule is an
``autograd.Function`` whose ``vmap`` is ours; vmap is outermost, ordinary autograd runs below it on the stacked tensors.
Shapes: K members, B batch, I inputs, O outputs.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fulgurite.fused import convolution
from fulgurite.fused.recurrent import KINDS, run_recurrent
from fulgurite.fused.under_vmap import UnderVmap, stacked


class Rules(TorchFunctionMode):
    """Replaces calls on members' tensors.

    Args:
        drop: called for each dropout with the tensor (a member's view of it) and the probability; gives the result.
            Called with ones and ``UNIFORM`` for ``torch.rand_like``.
    """

    def __init__(self, drop: Callable[[Tensor, Any], Tensor]) -> None:
        super().__init__()
        self._drop = drop

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Replace ``func`` when there is a rule for it and its tensors are batched."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if func is nn.functional.linear and any(map(_is_batched, (*args[1:2], kwargs.get("weight")))):
            return _linear(*args, **kwargs)
        if func in (Tensor.contiguous, Tensor.is_contiguous) and _is_batched(args[0]):
            # vmap knows no channels_last.
            return func(args[0])
        if name in _PER_CHANNEL and _is_batched(args[0]) and args[0].dim() == 4:
            return convolution.per_channel(func, *args, **kwargs)
        if name == "conv2d" and any(map(_is_batched, (*args[1:2], kwargs.get("weight")))):
            return convolution.conv2d(*args, **kwargs)
        if func is nn.functional.batch_norm and _is_batched(args[0]) and args[0].dim() == 4:
            return convolution.batch_norm(*args, **kwargs)
        if func is torch.rand_like and len(args) == 1 and not kwargs:
            return self._drop(torch.ones_like(args[0]), UNIFORM)
        if name in _DROPOUTS:
            return self._dropout(func, *args, **kwargs)
        if name in KINDS and isinstance(args[2], list | tuple) and _is_batched(args[2][0]):
            return run_recurrent(name, self._drop, *args, **kwargs)
        if func is nn.functional.cross_entropy and torch.is_tensor(kwargs.get("label_smoothing")):
            return _smoothed_cross_entropy(*args, **kwargs)
        if func is nn.functional.cross_entropy and _is_batched(args[0]) and args[0].dim() == 2:
            return _cross_entropy(*args, **kwargs)
        return func(*args, **kwargs)

    def _dropout(self, func: Any, x: Tensor, p: Any = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training:
            return x
        name = func.__name__
        if name in _UNBATCHED_DIMS and x.is_cuda:
            raise NotImplementedError(f"{name} draws on a GPU in a way that has no fused form")
        if name in _UNBATCHED_DIMS:
            dropped = x * self._drop(torch.ones_like(_channels(x, _UNBATCHED_DIMS[name])), p)
        elif name == "dropout":
            dropped = self._drop(x, p)
        else:
            raise NotImplementedError(f"{name} draws more than zeros, for which there is no fused form")
        return x.copy_(dropped) if inplace else dropped


# In the place of a probability: numbers from U(0, 1) are drawn, and nothing is dropped.
UNIFORM = "uniform"
_PER_CHANNEL = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "_max_pool2d")
_DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
# Those that drop whole channels, with the number of dimensions that one sample by itself has.
_UNBATCHED_DIMS = {"dropout1d": 2, "dropout2d": 0, "dropout3d": 4}


def _channels(x: Tensor, unbatched_dims: int) -> Tensor:
    """The first number of each channel: B x C x 1 ..., or C x 1 ... of one sample by itself."""
    kept = 1 if x.dim() == unbatched_dims else 2
    for dim in range(kept, x.dim()):
        x = x.narrow(dim, 0, 1)
    return x


def _is_batched(x: Any) -> bool:
    return torch.is_tensor(x) and torch._C._functorch.is_batchedtensor(x)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return _Linear.apply(input, weight, bias)


class _Linear(UnderVmap):
    """``nn.functional.linear`` of one member."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, int]:
        """K layers as one batched product."""
        size = info.batch_size
        weight = stacked(weight, in_dims[1], size)
        x = stacked(x, in_dims[0], size)
        out = _BatchedLinear.apply(
            x.reshape(size, -1, x.shape[-1]), weight, None if bias is None else stacked(bias, in_dims[2], size)
        )
        return out.view(*x.shape[:-1], weight.shape[1]), 0


class _BatchedLinear(torch.autograd.Function):
    """K linear layers: x K x B x I, weight K x O x I, bias K x O or ``None``, output K x B x O.

    Its own gradient, because vmap's come out transposed, and a fused optimiser misreads those in silence.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """One batched product."""
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        if bias is None:
            return torch.bmm(x, weight.transpose(1, 2))
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the layout of the parameters."""
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()
        return (
            torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None,
            torch.bmm(grad.transpose(1, 2), x) if ctx.needs_input_grad[1] else None,
            grad.sum(1) if ctx.has_bias else None,
        )


def _cross_entropy(output: Tensor, target: Tensor, *rest: Any, **options: Any) -> Tensor:
    """Cross entropy of B x C in its two parts.

    The softmax goes down a C x B tensor: along C numbers beside one another it is ten times as slow on a CPU.
    """
    if rest or options.get("label_smoothing") or target.is_floating_point() or output.device.type != "cpu":
        return nn.functional.cross_entropy(output, target, *rest, **options)
    options.pop("label_smoothing", None)
    return nn.functional.nll_loss(output.t().contiguous().log_softmax(0).t(), target, **options)


def _smoothed_cross_entropy(
    output: Tensor, target: Tensor, *, label_smoothing: Tensor, weight: Tensor | None = None, **options: Any
) -> Tensor:
    """Cross entropy whose label smoothing is a tensor: (1 - s) times the usual one plus s times that of even odds."""
    if weight is not None or options.get("reduction", "mean") != "mean" or target.is_floating_point():
        raise NotImplementedError("label smoothing that differs between members needs the plain mean cross entropy")
    ignored = options.get("ignore_index", -100)
    usual = nn.functional.cross_entropy(output, target, ignore_index=ignored)
    kept = target != ignored
    even = -(output.log_softmax(1).mean(1) * kept).sum() / kept.sum()
    return (1 - label_smoothing) * usual + label_smoothing * even
