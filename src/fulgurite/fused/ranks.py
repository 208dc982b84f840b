"""Processes that train the same members, each on its part of every batch (``launcher.spread=data``).

All go through the same turns in the same order, so that their collectives meet. What one of them learns by its clock,
from its memory or by a failure must not send it another way than the others: all are asked, or rank 0 decides. One that
finds itself alone ends its process; whoever has started them ends the others.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor, distributed

# As long as Lightning waits: rank 0 may be at work on figures and checkpoints meanwhile.
_TIMEOUT = timedelta(minutes=30)
# For one rank to learn whether the others have failed as it has; they are at most a few files behind.
_FAILED_S = 30.0
# For rank 0 to end its jobs after Ctrl-C; less than whoever has started it waits.
_LEAVE_S = 6.0
_INTERRUPTED = 130


class Turn(IntEnum):
    """How a member's turn has ended."""

    ENDED = 0
    WAITS = 1
    FAILED = 2


class Ranks:
    """The only process: there is nobody to ask.

    Attributes:
        rank: number of this process.
        size: how many there are.
    """

    rank = 0
    size = 1

    def first(self, *numbers: float) -> list[float]:
        """The numbers of rank 0."""
        return list(numbers)

    def least(self, number: float) -> float:
        """The least number of all ranks."""
        return number

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether one rank has set it."""
        return list(flags)

    def meet(self, turn: Turn, *place: int) -> None:
        """Go on when all ranks have come to the same place, which is two numbers."""

    def meet_failed(self, error: BaseException | str) -> None:
        """Go on when all ranks have failed here."""

    def average(self, gradients: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
        """Make gradients their mean over the ranks, and buffers those of rank 0, in place, as DDP does."""

    def leave(self) -> None:
        """Go on without the others, to the end of this process, which is near."""

    def part(self) -> None:
        """Close what connects the ranks, when all have come here; nothing is asked afterwards."""


class JoinedRanks(Ranks):
    """One of several processes, which meet in its constructor.

    Args:
        rank: its number.
        size: how many there are.
        device: where it trains.
        end: ends this process at once, with a line for the user, or without one where another has ended first.

    Raises:
        RuntimeError: when they cannot meet.
    """

    def __init__(self, rank: int, size: int, device: torch.device, end: Callable[[str], None]) -> None:
        self.rank, self.size = rank, size
        self._end = end
        self._left = False
        is_cuda = device.type == "cuda"
        backend = "nccl" if is_cuda else "gloo"
        bound = {"device_id": device} if is_cuda else {}
        distributed.init_process_group(backend, rank=rank, world_size=size, timeout=_TIMEOUT, **bound)  # type: ignore[arg-type]
        # Apart from Lightning's, so that what one rank does alone never meets what another does.
        self._mean_group: Any = distributed.new_group()
        self._ask_group: Any = distributed.new_group(backend="gloo")

    def first(self, *numbers: float) -> list[float]:
        """See the base class."""
        return self._asked([each if self.rank == 0 else 0.0 for each in numbers], distributed.ReduceOp.SUM)

    def least(self, number: float) -> float:
        """See the base class."""
        return self._asked([number], distributed.ReduceOp.MIN)[0]

    def any(self, *flags: bool) -> list[bool]:
        """See the base class."""
        return [each > 0 for each in self._asked([float(flag) for flag in flags], distributed.ReduceOp.MAX)]

    def meet(self, turn: Turn, *place: int) -> None:
        """See the base class."""
        self._meet(turn, place)

    def meet_failed(self, error: BaseException | str) -> None:
        """See the base class."""
        if self._left:
            return
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        told = f"failed, and the others did not: {text}"
        watch = threading.Timer(_FAILED_S, self._end, (told,))
        watch.daemon = True
        watch.start()
        self._meet(Turn.FAILED, (0, 0), told)
        watch.cancel()

    def _meet(self, turn: Turn, place: Sequence[int], told: str = "is not where the others are") -> None:
        if self._left:
            return
        mine = [float(turn), *(float(each) for each in place)]
        found = self._asked([*mine, *(-each for each in mine)], distributed.ReduceOp.MAX)
        high, low = found[: len(mine)], [-each for each in found[len(mine) :]]
        if high != low:
            # The one that has failed says so.
            self._end("" if high[0] == Turn.FAILED != turn else told)

    def average(self, gradients: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
        """See the base class. One collective for each kind of number, which is one but for counters in buffers."""
        averaged, copied = [_numbers(each) for each in gradients], [_numbers(each) for each in buffers]
        for dtype in dict.fromkeys(each.dtype for each in (*averaged, *copied)):
            means = [each for each in averaged if each.dtype == dtype]
            copies = [each for each in copied if each.dtype == dtype]
            self._reduce([*means, *copies], len(means))

    def _reduce(self, tensors: Sequence[Tensor], num_means: int) -> None:
        # Rank 0's number and zeros add up to rank 0's number.
        given = [
            each if own < num_means or self.rank == 0 else torch.zeros_like(each) for own, each in enumerate(tensors)
        ]
        flat = torch.cat([each.reshape(-1) for each in given])
        sizes = [each.numel() for each in tensors]
        if num_means:
            flat[: sum(sizes[:num_means])] /= self.size
        with self._or_end():
            distributed.all_reduce(flat, group=self._mean_group)
        # In place, because the optimiser relies on the gradients' strides.
        for tensor, part in zip(tensors, flat.split(sizes), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def leave(self) -> None:
        """See the base class. Rank 0 writes down what has become of the jobs, and nobody else does."""
        if self.rank:
            os._exit(_INTERRUPTED)
        if self._left:
            return
        self._left = True
        watch = threading.Timer(_LEAVE_S, os._exit, (_INTERRUPTED,))
        watch.daemon = True
        watch.start()

    def part(self) -> None:
        """See the base class. Threads that still listen as Python goes down would abort the process."""
        self.meet(Turn.ENDED, 0, 0)
        distributed.destroy_process_group()

    def _asked(self, numbers: Sequence[float], op: distributed.ReduceOp.RedOpType) -> list[float]:
        if self._left:
            return list(numbers)
        asked = torch.tensor(numbers, dtype=torch.float64)
        with self._or_end():
            distributed.all_reduce(asked, op, group=self._ask_group)
        return asked.tolist()

    @contextmanager
    def _or_end(self) -> Iterator[None]:
        """End this process when another has ended: it would be waited for in vain."""
        try:
            yield
        except RuntimeError:
            self._end("")
            raise


def _numbers(tensor: Tensor) -> Tensor:
    """As numbers that can be added up, in the same memory."""
    return tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor
