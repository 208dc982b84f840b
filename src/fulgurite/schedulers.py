"""Learning-rate schedules over a whole run, as Lightning's scheduler configs.

Each function takes the optimiser, ``num_steps`` (optimiser steps in the run) and ``steps_per_epoch``; every learning
rate is ``optimizer.lr`` times a factor, so one key sets the scale of all of them.
"""

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from fulgurite.errors import check_choice, check_int, check_number


def one_cycle(
    optimizer: Optimizer,
    num_steps: int,
    steps_per_epoch: int,
    warmup_fraction: float = 0.3,
    start_factor: float = 0.04,
    end_factor: float = 4e-6,
) -> dict[str, Any]:
    """Cosine up from ``start_factor`` to 1, then cosine down to ``end_factor``.

    Source: Smith and Topin, "Super-convergence" (2018), with the cosine shape of torch's ``OneCycleLR``; unlike that
    one it leaves the momentum alone.
    """
    check_number("warmup_fraction", warmup_fraction, low=0, high=1)
    check_number("start_factor", start_factor, low=0, high=1)
    check_number("end_factor", end_factor, low=0, high=1)
    peak = warmup_fraction * num_steps

    def factor(step: int) -> float:
        if step < peak:
            return _cosine(start_factor, 1.0, step / peak)
        return _cosine(1.0, end_factor, (step - peak) / max(1.0, num_steps - 1 - peak))

    return _each_step(optimizer, factor)


def _cosine(start: float, end: float, position: float) -> float:
    """From ``start`` to ``end`` along half a cosine; ``position`` in [0, 1]."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, position))) / 2


def _each_step(optimizer: Optimizer, factor: Callable[[int], float]) -> dict[str, Any]:
    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}
