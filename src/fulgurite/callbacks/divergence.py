"""Stops a run whose loss is lost."""

import math

import pytorch_lightning as pl


class StopOnDivergence(pl.Callback):
    """Stops after an epoch whose mean training loss is infinite or not a number.

    Attributes:
        diverged: whether that happened.
    """

    def __init__(self) -> None:
        self.diverged = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the epoch's mean loss, once an epoch: a look at each step would cost a synchronisation."""
        loss = trainer.callback_metrics.get("train/loss")
        if loss is not None and not math.isfinite(float(loss)):
            self.diverged = True
            trainer.should_stop = True
