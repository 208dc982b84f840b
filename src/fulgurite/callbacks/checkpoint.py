"""The checkpoints of a run: the best by the objective, and the last to go on from."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from fulgurite.errors import ConfigError, check_choice, did_you_mean

# The part of a checkpoint that is about the moment in which it was written.
GOING_ON = "going_on"


class _InFolder(ModelCheckpoint):
    """A checkpoint callback whose record belongs to its folder."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the record over when the run goes on in its own folder; in a new one, start a new record."""
        if state_dict["dirpath"] == self.dirpath:
            super().load_state_dict(state_dict)
            # Lightning leaves it out, and a fused sweep chooses by it who goes on.
            self.current_score = state_dict["current_score"]
            self.load_own(state_dict)

    def load_own(self, state_dict: dict[str, Any]) -> None:
        """Take over what a subclass has added to the record."""


class BestCheckpoint(_InFolder):
    """Keeps ``checkpoints/best.ckpt``, and the metrics of its epoch.

    Args:
        folder: the folder of the checkpoints.
        metric: name of the objective, such as ``val/acc``.
        mode: ``max`` or ``min``.
        choose: ``best``, or ``last``: take the last validated epoch for the best, whatever its score. For runs whose
            epochs are no rivals: tasks that are learned one after the other, a network that is to overfit.

    Attributes:
        best_metrics: validation metrics of the best epoch.
    """

    def __init__(self, folder: str, metric: str, mode: str, choose: str = "best") -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor=metric,
            mode=mode,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )
        self.choose = check_choice("choose", choose, ("best", "last"))
        self.best_metrics: dict[str, float] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Without validation there is no best: ``best.ckpt`` is then the last epoch's."""
        super().setup(trainer, pl_module, stage)
        if trainer.limit_val_batches == 0 and self.monitor is not None and self.monitor.startswith("val/"):
            self.monitor = None

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether an epoch takes the place of the best so far."""
        return self.choose == "last" or super().check_monitor_top_k(trainer, current)

    def state_dict(self) -> dict[str, Any]:
        """The record, with the metrics of the best epoch."""
        return {**super().state_dict(), "best_metrics": self.best_metrics}

    def load_own(self, state_dict: dict[str, Any]) -> None:
        """Take the metrics of the best epoch over."""
        self.best_metrics = state_dict["best_metrics"]

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        """Keep the metrics of what has just become the best, then save; the checkpoint holds them, too."""
        if self.best_model_score is not None:
            self.best_metrics = _floats(trainer, "val/")
        super()._save_checkpoint(trainer, filepath)

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse an unknown objective now, not after a whole epoch.

        Raises:
            ConfigError: listing the metrics that the validation logs.
        """
        known = sorted(trainer.callback_metrics)
        assert self.monitor is not None
        if known and self.monitor not in known and not self.monitor.startswith("train/"):
            raise ConfigError(
                f"objective.metric must be one of {', '.join(known)}; got {self.monitor!r}"
                f"{did_you_mean(self.monitor, known)}"
            )


class LastCheckpoint(_InFolder):
    """Keeps ``checkpoints/last.ckpt``, written after every epoch.

    ``ModelCheckpoint(save_last=True)`` writes the last only when the best is written too.

    Args:
        folder: the folder of the checkpoints.

    Attributes:
        metrics: of a run that goes on, when its checkpoint was written.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(dirpath=folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
        self.metrics: dict[str, float] = {}
        self._was_stopped = False
        self._row: dict[str, Any] = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add to each checkpoint all metrics, whether a callback has stopped the run, and what is logged just after."""
        stopped, row = trainer.should_stop, _row(trainer)
        checkpoint[GOING_ON] = {"metrics": _floats(trainer), "was_stopped": stopped, "row": row}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take that over when the run goes on in its own folder."""
        left = checkpoint.get(GOING_ON)
        if left and checkpoint["callbacks"].get(self.state_key, {}).get("dirpath") == self.dirpath:
            self.metrics, self._was_stopped, self._row = left["metrics"], left["was_stopped"], left["row"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on where the checkpoint was written, between the end of an epoch and the log of its metrics.

        A run that had been stopped, early or because it diverged, trains no further.
        """
        trainer.should_stop = trainer.should_stop or self._was_stopped
        for logger in trainer.loggers if self._row else ():
            row = dict(self._row)
            logger.log_metrics(row, step=row.pop("step"))
            logger.save()


def _row(trainer: Any) -> dict[str, Any]:
    """What Lightning logs at the end of an epoch, as it does (see ``_LoggerConnector.log_metrics``); empty within."""
    epochs = trainer.fit_loop.epoch_progress.current
    is_end = trainer.training and epochs.processed > epochs.completed
    logged = trainer._logger_connector.metrics["log"] if is_end else {}
    marks = {"epoch": trainer.current_epoch, "step": trainer.fit_loop.epoch_loop._batches_that_stepped - 1}
    return marks | {name: float(value) for name, value in logged.items()} if logged else {}


def _floats(trainer: pl.Trainer, prefix: str = "") -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(prefix)}
