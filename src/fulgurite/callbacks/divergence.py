"""Stops a run whose loss is lost."""

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl


class StopOnDivergence(pl.Callback):
    """Stops after an epoch whose loss is infinite or not a number.

    It looks once an epoch: a look at each step would make the device wait.

    Attributes:
        diverged: whether that happened.
    """

    def __init__(self) -> None:
        self.diverged = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop when the validation loss is lost."""
        if trainer.sanity_checking:
            return
        # Where devices log losses of their own, one that stops stops all.
        if trainer.strategy.reduce_boolean_decision(is_lost(trainer.callback_metrics, "val/loss"), all=False):
            self.diverged = True
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell it of a run without validation, too."""
        self.diverged = self.diverged or is_lost(trainer.callback_metrics, "train/loss")


def is_lost(metrics: Mapping[str, Any], *names: str) -> bool:
    """Whether one of the losses in ``metrics`` is infinite or not a number.

    Args:
        metrics: by name.
        names: the losses; those of training and validation by default.
    """
    losses = [metrics.get(name) for name in names or ("train/loss", "val/loss")]
    return any(loss is not None and not math.isfinite(float(loss)) for loss in losses)
