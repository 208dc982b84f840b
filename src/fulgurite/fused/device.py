"""What is another matter on a GPU: its random numbers, and the time that a step takes there."""

import statistics
import time
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor


def global_state(device: torch.device) -> Tensor:
    """The state of the global generator that a step on ``device`` draws from."""
    if device.type == "cpu":
        return torch.default_generator.get_state()
    return torch.get_device_module(device).get_rng_state(device)


def set_global_state(device: torch.device, state: Tensor) -> None:
    """Go on from what ``global_state`` gave, or from the state of another generator on ``device``."""
    if device.type == "cpu":
        torch.default_generator.set_state(state)
    else:
        torch.get_device_module(device).set_rng_state(state, device)


def draw_mask(mask: Tensor, p: float, generator: torch.Generator) -> None:
    """Fill ``mask`` with what dropout with the probability ``p`` would multiply with.

    Args:
        mask: of one member, contiguous.
        p: in (0, 1).
        generator: on the device of ``mask``, in the state that the global one would be in.
    """
    if mask.device.type != "cuda":
        mask.bernoulli_(1 - p, generator=generator).div_(1 - p)
        return
    # CUDA's dropout is a kernel of its own, whose numbers are not those of bernoulli_; it draws from the global one.
    before = global_state(mask.device)
    set_global_state(mask.device, generator.get_state())
    mask.copy_(torch.native_dropout(torch.ones_like(mask), p, True)[0])
    generator.set_state(global_state(mask.device))
    set_global_state(mask.device, before)


class Clock:
    """Times steps; on a CUDA device as they pass there, since handing them over takes another time.

    Args:
        device: where the steps are made. The first of them begins now.
    """

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._marks: list[Any] = []
        self.mark()

    def mark(self) -> None:
        """A step has been made."""
        mark: Any = torch.cuda.Event(enable_timing=True) if self._is_cuda else time.perf_counter()
        if self._is_cuda:
            mark.record()
        self._marks.append(mark)

    def median_s(self) -> float:
        """Seconds of a step; waits for the device."""
        if not self._is_cuda:
            return statistics.median(end - start for start, end in pairwise(self._marks))
        self._marks[-1].synchronize()
        # In milliseconds.
        return statistics.median(start.elapsed_time(end) for start, end in pairwise(self._marks)) / 1000
