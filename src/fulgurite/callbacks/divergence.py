"""Stops a run whose loss is lost."""

import math

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
        if not trainer.sanity_checking and _is_lost(trainer, "val/loss"):
            self.diverged = True
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell it of a run without validation, too."""
        self.diverged = self.diverged or _is_lost(trainer, "train/loss")


def _is_lost(trainer: pl.Trainer, name: str) -> bool:
    loss = trainer.callback_metrics.get(name)
    return loss is not None and not math.isfinite(float(loss))
