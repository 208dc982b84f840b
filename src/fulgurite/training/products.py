"""Which library makes the matrix products on a CPU.

torch asks MKL, which on AMD's CPUs is half as fast as oneDNN, unless ``torch.set_float32_matmul_precision`` is
"medium": that allows oneDNN to round to bfloat16, which it does only on CPUs that have instructions for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache

import torch
from torch import nn

# Multiplications and additions of a layer in one step from which oneDNN's longer start pays.
_LARGE = 30e6


@contextmanager
def suitable_products(model: nn.Module, batch_size: int, device: torch.device) -> Iterator[None]:
    """``fast_products`` for a model of which one layer's product is so large that it pays; else nothing."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    is_large = any(2 * batch_size * layer.weight.numel() > _LARGE for layer in layers)
    with fast_products(device) if is_large else nullcontext():
        yield


@contextmanager
def fast_products(device: torch.device) -> Iterator[None]:
    """Let oneDNN make the matrix products on a CPU, where it keeps to float32: twice as fast as MKL on AMD's."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cpu" and _is_exact():
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def _is_exact() -> bool:
    """Whether "medium" precision still means float32 here: some CPUs would take bfloat16."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(4, 256, 256, generator=generator) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        error = torch.bmm(a, b) - torch.bmm(a.double(), b.double())
    finally:
        torch.set_float32_matmul_precision(before)
    return float(error.abs().max()) < 1e-4
