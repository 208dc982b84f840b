"""Convolutions of K members as one grouped convolution, and what stands between them in the same layout.

K x B x C x H x W is kept as B x (K * C) x H x W, channels last: then a grouped convolution, pooling and batch norm read
and write it as it lies. Shapes: K members, B batch, C channels, H height, W width.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fulgurite.fused.under_vmap import UnderVmap, stacked


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """One member's ``functional.conv2d``; only ever run under ``vmap``."""
    return _Convolution.apply(input, weight, bias, stride, padding, dilation, groups)


def per_channel(function: Callable[..., Tensor], input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """One member's pooling, or whatever else treats each channel by itself; only ever run under ``vmap``."""
    return _PerChannel.apply(input, function, args, kwargs)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """One member's ``functional.batch_norm`` of images; only ever run under ``vmap``."""
    return _BatchNorm.apply(input, running_mean, running_var, weight, bias, training, momentum, eps)


class _Convolution(UnderVmap):
    @staticmethod
    def vmap(
        info: Any,
        in_dims: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
    ) -> tuple[Tensor, int]:
        size = info.batch_size
        weight, bias = _flat(weight, in_dims[1], size), _flat(bias, in_dims[2], size)
        # Images that all members share need no group of their own for each.
        is_shared = in_dims[0] is None and groups == 1
        x = x.contiguous(memory_format=torch.channels_last) if is_shared else _merged(x, in_dims[0], size)
        weight = weight.contiguous(memory_format=torch.channels_last)
        out = functional.conv2d(x, weight, bias, stride, padding, dilation, 1 if is_shared else size * groups)
        return out.unflatten(1, (size, -1)), 1


class _PerChannel(UnderVmap):
    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, function: Any, args: Any, kwargs: Any) -> tuple[Tensor, int]:
        size = info.batch_size
        return function(_merged(x, in_dims[0], size), *args, **kwargs).unflatten(1, (size, -1)), 1


class _BatchNorm(UnderVmap):
    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, *others: Any) -> tuple[Tensor, int]:
        size = info.batch_size
        vectors = [_flat(each, dim, size) for each, dim in zip(others[:4], in_dims[1:5], strict=True)]
        out = functional.batch_norm(_merged(x, in_dims[0], size), *vectors, *others[4:])
        return out.unflatten(1, (size, -1)), 1


def _merged(x: Tensor, dim: int | None, size: int) -> Tensor:
    """K x B x C x H x W, with K at ``dim``, as B x (K * C) x H x W; a view when it came out of one of these."""
    return stacked(x, dim, size).movedim(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def _flat(x: Any, dim: int | None, size: int) -> Any:
    """K x C x ... as (K * C) x ...; a view of stacked tensors, so that what is updated in place is theirs."""
    return None if x is None else stacked(x, dim, size).flatten(0, 1)
