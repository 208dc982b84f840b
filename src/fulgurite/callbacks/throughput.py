"""How many training samples a second a run processes."""

import time
from typing import Any

import pytorch_lightning as pl


class Throughput(pl.Callback):
    """Times the training part of each epoch, validation apart.

    Attributes:
        seconds: spent in training epochs, validation apart.
        samples: processed in them, over all devices.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.samples = 0
        self._since = 0.0

    @property
    def samples_per_s(self) -> float | None:
        """Training samples a second; ``None`` before the first epoch has ended."""
        return self.samples / self.seconds if self.seconds else None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._pause()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock again."""
        self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock and count the epoch's samples."""
        self._pause()
        loader: Any = trainer.train_dataloader
        batches = min(len(loader), trainer.num_training_batches)
        self.samples += int(batches * getattr(loader, "batch_size", 1))

    def _pause(self) -> None:
        self.seconds += time.perf_counter() - self._since
        self._since = time.perf_counter()
