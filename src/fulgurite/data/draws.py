"""Random numbers for the augmentation of a batch, the same however the batch is cut over the ranks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Draws:
    """Random numbers for the samples of one batch, independent of how the batch is cut over the ranks.

    Numbers are drawn for the global batch and this rank's rows of them are handed out.

    Args:
        generator: seeded for this batch.
        global_size: samples in the global batch.
        rank: this process's number.
        world_size: number of processes.
    """

    def __init__(self, generator: torch.Generator, global_size: int, rank: int = 0, world_size: int = 1) -> None:
        self._generator = generator
        self._global_size = global_size
        self._rank = rank
        self._world_size = world_size

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform numbers in [low, high), B x shape."""
        return self._mine(torch.rand(self._size(shape), **self._where) * (high - low) + low)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, B x shape."""
        return self._mine(torch.randn(self._size(shape), **self._where))

    @property
    def _where(self) -> dict[str, Any]:
        return {"generator": self._generator, "device": self._generator.device}

    def _size(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self._global_size, *shape)

    def _mine(self, numbers: Tensor) -> Tensor:
        return numbers if self._world_size == 1 else numbers.tensor_split(self._world_size)[self._rank]


class JointDraws:
    """Random numbers for a batch that is several batches in a row, each with draws of its own.

    Args:
        parts: the draws of each.
    """

    def __init__(self, parts: Sequence[Draws]) -> None:
        self._parts = parts

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """See ``Draws.uniform``."""
        return torch.cat([part.uniform(low, high, *shape) for part in self._parts])

    def normal(self, *shape: int) -> Tensor:
        """See ``Draws.normal``."""
        return torch.cat([part.normal(*shape) for part in self._parts])
