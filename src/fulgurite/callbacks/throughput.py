"""How many training samples a second a run processes."""

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger


class Throughput(pl.Callback):
    """Times the training part of each epoch, validation apart.

    Logs ``speed/epoch_s`` and ``speed/samples_per_s`` of each epoch, but not into ``metrics.csv``: that of two equal
    runs is the same, byte by byte.

    Attributes:
        seconds: spent in training epochs, validation apart.
        samples: processed in them, over all devices.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.samples = 0
        self._since = 0.0
        self._epoch_s = 0.0
        # Batches of the epoch that were made before a run was interrupted and gone on with.
        self._num_before = 0

    @property
    def samples_per_s(self) -> float | None:
        """Training samples a second; ``None`` before the first epoch has ended."""
        return self.samples / self.seconds if self.seconds else None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock: an epoch that is gone on with does not start again."""
        done: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        self._start(done.processed)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start(0)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            self._pause()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock again."""
        self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock, count the epoch's samples, and log."""
        self._pause()
        loader: Any = trainer.train_dataloader
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready - self._num_before
        samples = int(batches * getattr(loader, "batch_size", 1))
        self.seconds += self._epoch_s
        self.samples += samples
        if samples > 0:
            _log(trainer, {"speed/epoch_s": self._epoch_s, "speed/samples_per_s": samples / self._epoch_s})

    def leave_out(self, seconds: float) -> None:
        """Do not count so much of the time that has passed: other members of a fused sweep had it."""
        self._since += seconds

    def _start(self, num_before: int) -> None:
        self._since, self._epoch_s, self._num_before = time.perf_counter(), 0.0, num_before

    def _pause(self) -> None:
        now = time.perf_counter()
        self._epoch_s += now - self._since
        self._since = now


def _log(trainer: pl.Trainer, values: dict[str, float]) -> None:
    for logger in trainer.loggers:
        if not isinstance(logger, CSVLogger):
            # With the epoch and the step of the other values of an epoch.
            logger.log_metrics({**values, "epoch": trainer.current_epoch}, step=trainer.global_step - 1)
            logger.save()
