"""Tells a search how a run goes, epoch by epoch, and ends the run when the search has no use for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from fulgurite.errors import ConfigError, Pruned


class ReportToSearch(pl.Callback):
    """Reports the objective after each epoch with validation to the pruner of a search.

    The search may be another process: they meet in the storage of the study. A run that is not wanted any more ends
    before its next epoch begins, so its checkpoints and curves are whole; one that has made all epochs has finished.

    Args:
        folder: of the sweep.
        trial: number of the run's trial in the study.
        metric: the objective.
        sweep: the ``sweep`` group as plain values.
    """

    def __init__(self, folder: Path, trial: int, metric: str, sweep: Mapping[str, Any]) -> None:
        self._folder, self._number, self._metric, self._sweep = folder, trial, metric, sweep
        self._trial: Any = None
        self._value: float | None = None
        self._ended = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the study, in the first of several processes.

        Raises:
            ConfigError: when it is not there.
        """
        if trainer.is_global_zero:
            from fulgurite.search.reporting import open_trial

            max_epochs = trainer.max_epochs or 1
            self._trial = open_trial(self._folder, self._number, self._sweep, max_epochs)
            if self._trial is None:
                raise ConfigError(
                    f"sweep.trial must be a trial of the search in {self._folder}, got {self._number}; the search "
                    "sets it, leave it out"
                )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the objective of this validation."""
        if not trainer.sanity_checking and self._metric in trainer.callback_metrics:
            self._value = float(trainer.callback_metrics[self._metric])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report it; the steps of the pruner are epochs, counted from 1."""
        value, self._value = self._value, None
        if value is None:
            return
        ended = self._trial is not None and self._trial.is_worse(trainer.current_epoch + 1, value)
        # All devices go the same way.
        self._ended = bool(trainer.strategy.broadcast(ended))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the run, if it is not wanted.

        Raises:
            Pruned: then.
        """
        if self._ended:
            raise Pruned("others of its sweep are better")
