"""The checkpoints of a run: the best by the objective, and the last to go on from."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from fulgurite.errors import ConfigError, did_you_mean


class _InFolder(ModelCheckpoint):
    """A checkpoint callback whose record belongs to its folder."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the record over when the run goes on in its own folder; in a new one, start a new record."""
        if state_dict["dirpath"] == self.dirpath:
            super().load_state_dict(state_dict)


class BestCheckpoint(_InFolder):
    """Keeps ``checkpoints/best.ckpt``, and the metrics of its epoch.

    Args:
        folder: the folder of the checkpoints.
        metric: name of the objective, such as ``val/acc``.
        mode: ``max`` or ``min``.

    Attributes:
        best_metrics: validation metrics of the best epoch.
    """

    def __init__(self, folder: str, metric: str, mode: str) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor=metric,
            mode=mode,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

        self.best_metrics: dict[str, float] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Without validation there is no best: ``best.ckpt`` is then the last epoch's."""
        super().setup(trainer, pl_module, stage)
        if trainer.limit_val_batches == 0 and self.monitor is not None and self.monitor.startswith("val/"):
            self.monitor = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save after a validation, when Lightning does not leave that to the end of the epoch."""
        before = self.best_model_score
        super().on_validation_end(trainer, pl_module)
        self._keep_metrics(trainer, before)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save at the end of an epoch."""
        before = self.best_model_score
        super().on_train_epoch_end(trainer, pl_module)
        self._keep_metrics(trainer, before)

    def _keep_metrics(self, trainer: pl.Trainer, before: Tensor | None) -> None:
        """Keep the validation metrics when they have just become the best."""
        if self.best_model_score is not before:
            metrics = trainer.callback_metrics.items()
            self.best_metrics = {name: float(value) for name, value in metrics if name.startswith("val/")}

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
    """

    def __init__(self, folder: str) -> None:
        super().__init__(dirpath=folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
