"""Learning-rate schedules over a whole run, as Lightning's scheduler configs.

Each function takes the optimiser and ``num_steps`` (optimiser steps in the run). Every learning rate is
``optimizer.lr`` times a factor, so one key sets the scale of all of them, and parts of the run are fractions, so a
schedule fits a run of any length.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from fulgurite.errors import ConfigError, check_choice, check_int, check_number, is_number


class StepwiseLR(LambdaLR):
    """``LambdaLR`` whose step costs 1 microsecond instead of 6, a tenth of a small network's whole step.

    It leaves out the checks for calls in the wrong order and for learning rates that are tensors.
    """

    def step(self, epoch: int | None = None) -> None:
        """Set the learning rates of the next optimiser step."""
        self.last_epoch += 1
        self._last_lr = [
            base * factor(self.last_epoch) for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


def one_cycle(
    optimizer: Optimizer,
    num_steps: int,
    warmup_fraction: float = 0.3,
    start_factor: float = 0.04,
    end_factor: float = 4e-6,
) -> dict[str, Any]:
    """Cosine up from ``start_factor`` to 1 over ``warmup_fraction`` of the run, then cosine down to ``end_factor``.

    Source: Smith and Topin, "Super-convergence" (2018), with the cosine shape of torch's ``OneCycleLR``; unlike that
    one it leaves the momentum alone.

    Raises:
        ConfigError: when an argument is outside [0, 1].
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


def cosine(optimizer: Optimizer, num_steps: int, warmup_steps: int = 0, end_factor: float = 0.0) -> dict[str, Any]:
    """Linear up over ``warmup_steps``, then cosine down to ``end_factor``, which the step after the last would have.

    Source: Loshchilov and Hutter, "SGDR" (2017), equation 5, without restarts; the warm-up is that of Goyal et al.
    (2017), step s at (s + 1) / (warmup_steps + 1).

    Raises:
        ConfigError: when the warm-up is as long as the run, or ``end_factor`` is outside [0, 1].
    """
    check_number("end_factor", end_factor, low=0, high=1)
    if check_int("warmup_steps", warmup_steps, low=0) >= num_steps:
        raise ConfigError(f"warmup_steps must be less than the {num_steps} steps of the run, got {warmup_steps}")

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return _cosine(1.0, end_factor, (step - warmup_steps) / (num_steps - warmup_steps))

    return _each_step(optimizer, factor)


def step(
    optimizer: Optimizer, num_steps: int, milestones: Sequence[float] = (0.5, 0.75), gamma: float = 0.1
) -> dict[str, Any]:
    """Times ``gamma`` whenever a milestone, a fraction of the run, has passed.

    Source: the defaults are those of He et al., "Deep residual learning" (2015), section 4.2.

    Raises:
        ConfigError: when a milestone is not in (0, 1) or ``gamma`` not in (0, 1].
    """
    check_number("gamma", gamma, above=0, high=1)
    if isinstance(milestones, str) or not all(is_number(each) and 0 < each < 1 for each in milestones):
        raise ConfigError(
            f"milestones must be fractions of the run between 0 and 1 such as [0.5,0.75], got {milestones}"
        )
    starts = [milestone * num_steps for milestone in milestones]
    return _each_step(optimizer, lambda step: gamma ** sum(step >= start for start in starts))


def invscaling(
    optimizer: Optimizer, num_steps: int, power: float = 0.5, samples_per_step: int = 1, every_n_steps: int = 1
) -> dict[str, Any]:
    """``lr / (1 + t)^power``, t counted up by ``samples_per_step`` a step and looked at every ``every_n_steps``.

    Source: ``learning_rate="invscaling"`` of scikit-learn's ``MLPClassifier``. Its own way is the batch size for
    ``samples_per_step`` and the batches of an epoch for ``every_n_steps``; by default t counts steps.

    Raises:
        ConfigError: when ``power`` is negative, or a number is not a positive integer.
    """
    check_number("power", power, low=0)
    counted, every = check_int("samples_per_step", samples_per_step), check_int("every_n_steps", every_n_steps)
    return _each_step(optimizer, lambda step: (1 + counted * (step - step % every)) ** -power)


def plateau(
    optimizer: Optimizer,
    num_steps: int,
    metric: str,
    mode: str,
    factor: float = 0.1,
    patience: int = 3,
    threshold: float = 1e-4,
    min_lr: float = 0.0,
) -> dict[str, Any]:
    """Times ``factor`` when ``metric`` has not become better for more than ``patience`` validations in a row.

    Source: torch's ``ReduceLROnPlateau``. scikit-learn's way is ``adaptive``.

    Args:
        optimizer: whose learning rate is set.
        num_steps: not used; every schedule takes it.
        metric: name of the validation metric, such as ``val/acc``.
        mode: ``max`` when a larger metric is better, else ``min``.
        factor: in (0, 1).
        patience: validations without an improvement that are let pass.
        threshold: relative change that counts as an improvement.
        min_lr: the learning rate never goes below it.

    Raises:
        ConfigError: when an argument is out of its range.
    """
    schedule = ReduceLROnPlateau(
        optimizer,
        # A config's mode is an enum, which a checkpoint could not hold.
        mode=str(check_choice("mode", mode, ("min", "max"))),  # type: ignore[arg-type]
        factor=_checked_factor(factor),
        patience=check_int("patience", patience, low=0),
        threshold=check_number("threshold", threshold, low=0),
        min_lr=check_number("min_lr", min_lr, low=0),
    )
    return {"scheduler": schedule, "interval": "epoch", "monitor": metric}


class AdaptiveLR(ReduceLROnPlateau):
    """``ReduceLROnPlateau`` that holds each loss against the least before it, also when that was no improvement."""

    def step(self, metrics: Any, epoch: Any = None) -> None:  # type: ignore[override]
        """Take the loss of the epoch just made."""
        super().step(metrics)
        self.best = min(self.best, float(metrics))


def adaptive(
    optimizer: Optimizer, num_steps: int, factor: float = 0.2, patience: int = 10, threshold: float = 1e-4
) -> dict[str, Any]:
    """Times ``factor`` when the training loss has not fallen by ``threshold`` for more than ``patience`` epochs.

    Source: ``learning_rate="adaptive"`` of scikit-learn's ``MLPClassifier``, whose ``n_iter_no_change`` and ``tol``
    these are. It stops at a rate of 1e-6; a run goes on to its last epoch.

    Raises:
        ConfigError: when an argument is out of its range.
    """
    schedule = AdaptiveLR(
        optimizer,
        factor=_checked_factor(factor),
        patience=check_int("patience", patience, low=0),
        threshold=check_number("threshold", threshold, low=0),
        threshold_mode="abs",
    )
    return {"scheduler": schedule, "interval": "epoch", "monitor": "train/loss", "frequency": 1}


def _checked_factor(factor: float) -> float:
    if check_number("factor", factor, above=0) >= 1:
        raise ConfigError(f"factor must be less than 1, or the learning rate would not fall; got {factor}")
    return factor


def _cosine(start: float, end: float, position: float) -> float:
    """From ``start`` to ``end`` along half a cosine; ``position`` in [0, 1]."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, position))) / 2


def _each_step(optimizer: Optimizer, factor: Callable[[int], float]) -> dict[str, Any]:
    return {"scheduler": StepwiseLR(optimizer, factor), "interval": "step"}
