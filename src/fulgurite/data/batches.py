"""Batches gathered from tensors that stay in memory on the training device.

A batch is one ``index_select``; there are no workers, no copies between devices and no per-sample Python.
Shapes: N samples, B batch, D flattened features, S the shape of one sample.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from fulgurite.errors import ConfigError
from fulgurite.randomness import Stream, derive_seed

Batch = tuple[Tensor, Tensor]
Encode = Callable[[Tensor], Tensor]


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


Augment = Callable[[Tensor, Draws], Tensor]


class BatchLoader:
    """Iterates over (x, y) in batches; what Lightning needs of a ``DataLoader`` and no more.

    The order of epoch e is a function of (seed, e). The state is the number of batches consumed, so a run resumed in
    mid-epoch goes on with the very batch it would have had. A global batch is drawn first and then cut over the ranks,
    so the number of devices does not change what is learned.

    Args:
        x: raw samples, N x ...; any dtype.
        y: targets, N or N x outputs.
        batch_size: samples in a global batch.
        encode: turns a raw batch into the float batch the model sees (B x S).
        augment: changes a raw batch before it is encoded, with numbers drawn per sample from (seed, epoch, batch).
        shuffle: draw a new order each epoch; without it samples come in order, each exactly once at any world size.
        drop_last: leave out the last batch of a pass when it is smaller than the others.
        passes: how many passes over the data make one epoch.
        seed: seed of the order and the augmentation.
        rank: this process's number.
        world_size: number of processes.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        batch_size: int,
        encode: Encode,
        augment: Augment | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        passes: int = 1,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if drop_last and batch_size > len(x):
            raise ConfigError(
                f"data.batch_size={batch_size} is larger than the {len(x)} training samples, and data.drop_last=true "
                f"would leave no batch; use data.batch_size<={len(x)} or data.drop_last=false"
            )
        if shuffle and batch_size % world_size:
            raise ConfigError(f"data.batch_size={batch_size} must be divisible by the number of devices, {world_size}")
        # A flat, contiguous view: index_select on 2-D rows is 14 times faster than on images.
        self.x = x.reshape(len(x), -1).contiguous()
        self.sample_shape = x.shape[1:]
        self.y = y
        self.batch_size = batch_size
        self.encode = encode
        self.augment = augment
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.passes = passes
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.consumed = 0
        self._generator = torch.Generator(device=x.device)

    # Lightning looks for it on any loader that has a sampler.
    batch_sampler = None

    @property
    def sampler(self) -> "BatchLoader":
        """Lightning calls ``set_epoch`` on a loader's sampler before each epoch; here that is the loader itself."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        if epoch != self.epoch:
            self.epoch, self.consumed = epoch, 0

    def __len__(self) -> int:
        """Number of batches in an epoch, the same on every rank."""
        return self.passes * self._batches_per_pass

    @property
    def _batches_per_pass(self) -> int:
        full, rest = divmod(len(self.x), self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[Batch]:
        start, self.consumed = self.consumed, 0
        number = 0
        for one_pass in range(self.passes):
            if start >= number + self._batches_per_pass:
                number += self._batches_per_pass
                continue
            for index in self._indices(one_pass):
                if number >= start:
                    self.consumed = number + 1
                    yield self._gather(index, number)
                number += 1
        self.consumed = 0

    def _indices(self, one_pass: int) -> tuple[Tensor, ...] | list[Tensor]:
        """This rank's rows of each batch of a pass."""
        if self.shuffle:
            # Drawn on the CPU: the same order whatever the device.
            generator = torch.Generator().manual_seed(derive_seed(self.seed, Stream.ORDER, self.epoch, one_pass))
            order = torch.randperm(len(self.x), generator=generator)
        else:
            order = torch.arange(len(self.x))
        batches = order.to(self.x.device).split(self.batch_size)[: self._batches_per_pass]
        if self.world_size == 1:
            return batches
        return [batch.tensor_split(self.world_size)[self.rank] for batch in batches]

    def _gather(self, index: Tensor, number: int) -> Batch:
        x = self.x.index_select(0, index).view(-1, *self.sample_shape)
        if self.augment:
            self._generator.manual_seed(derive_seed(self.seed, Stream.AUGMENTATION, self.epoch, number))
            global_size = self.batch_size if self.world_size > 1 else len(index)
            x = self.augment(x, Draws(self._generator, global_size, self.rank, self.world_size))
        return self.encode(x), self.y.index_select(0, index)

    def state_dict(self) -> dict[str, Any]:
        """Epoch and number of batches consumed in it."""
        return {"epoch": self.epoch, "consumed": self.consumed % max(len(self), 1)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``: the next iteration starts with the batch after the last one consumed."""
        self.epoch, self.consumed = state["epoch"], state["consumed"]
