"""Which samples each epoch learns from when the classes come as tasks, one after the other.

Shapes: N samples, T tasks, B batch, M samples in the memory.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from fulgurite.errors import ConfigError
from fulgurite.randomness import Stream, derive_seed

METHODS = ("naive", "replay", "joint")


class TaskSequence:
    """Tasks in their order, each for an equal part of the run's epochs: the curriculum of ``BatchLoader``.

    Every pass has as many batches as the smallest task fills, so that all tasks and all methods make equally many
    steps. With ``replay`` a part of each batch is drawn from a memory: after each task the memory is an even random
    choice of all samples so far, as that of reservoir sampling (Vitter, "Random sampling with a reservoir", 1985).
    Here it is those with the M least of N random numbers, which needs no state, so a resumed run has the same one.

    Source: Robins, "Catastrophic forgetting, rehearsal and pseudorehearsal" (1995); batches of new and old samples as
    in Chaudhry et al., "On tiny episodic memories in continual learning" (2019).

    Args:
        tasks: the task of each training sample, N, from 0.
        num_tasks: T; each must have a batch of samples at least.
        num_epochs: of the run.
        method: ``naive`` sees the samples of the current task alone, ``replay`` those and a memory of earlier ones,
            ``joint`` all samples from the start.
        memory: M.
        replay_share: what part of a batch comes from the memory, in [0, 1).
        batch_size: B.
        seed: of the choice that the memory is.

    Attributes:
        num_batches: of a pass.

    Raises:
        ConfigError: when a task has fewer samples than a batch, or a batch has no place for new samples.
    """

    def __init__(
        self,
        tasks: Tensor,
        num_tasks: int,
        num_epochs: int,
        method: str,
        memory: int,
        replay_share: float,
        batch_size: int,
        seed: int,
    ) -> None:
        self._rows = [(tasks == number).nonzero()[:, 0] for number in range(num_tasks)]
        self._all = torch.arange(len(tasks), device=tasks.device)
        generator = torch.Generator().manual_seed(derive_seed(seed, Stream.MEMORY))
        self._chances = torch.rand(len(tasks), generator=generator).to(tasks.device)
        self._num_epochs, self._method, self._memory = num_epochs, method, memory
        self._batch_size, self._num_old = batch_size, round(batch_size * replay_share)
        if method == "replay" and self._num_old == batch_size:
            raise ConfigError(
                f"data.replay_share={replay_share:g} leaves none of the {batch_size} places of a batch to new samples; "
                "use a smaller one"
            )
        self.num_batches = _fewest_batches(min(map(len, self._rows)), batch_size)

    def task(self, epoch: int) -> int:
        """The task that is learned in an epoch (from 0)."""
        return min(epoch * len(self._rows) // self._num_epochs, len(self._rows) - 1)

    def batches(self, seed: int, epoch: int, one_pass: int) -> tuple[Tensor, ...]:
        """Rows of each batch of a pass, ``num_batches`` of B."""
        # Drawn on the CPU: the same order whatever the device.
        generator = torch.Generator().manual_seed(derive_seed(seed, Stream.ORDER, epoch, one_pass))
        task = self.task(epoch)
        if self._method == "joint":
            return tuple(self._drawn(self._all, self._batch_size, generator))
        num_old = self._num_old if self._method == "replay" and task else 0
        new = self._drawn(self._rows[task], self._batch_size - num_old, generator)
        if not num_old:
            return tuple(new)
        old = self._drawn(self.memory(task), num_old, generator)
        return tuple(map(torch.cat, zip(new, old, strict=True)))

    def memory(self, task: int) -> Tensor:
        """Rows in the memory while a task is learned, M or all of the earlier tasks if those are fewer."""
        seen = torch.cat(self._rows[:task])
        return seen[self._chances[seen].argsort()[: self._memory]]

    def _drawn(self, rows: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """``num_batches`` batches of rows: each row once, and again only when all have been drawn."""
        wanted = self.num_batches * size
        rounds = -(-wanted // len(rows))
        order = torch.cat([torch.randperm(len(rows), generator=generator) for _ in range(rounds)])
        yield from rows[order[:wanted].to(rows.device)].split(size)


def _fewest_batches(least: int, batch_size: int) -> int:
    """Batches that the smallest task fills, which has ``least`` samples."""
    if least < batch_size:
        raise ConfigError(
            f"data.batch_size={batch_size} is larger than the smallest task, which has {least} training samples; "
            f"use data.batch_size<={max(least, 1)} or a larger data.train_subset"
        )
    return least // batch_size
