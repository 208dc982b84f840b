"""The two checkpoints of a run: the best by the objective, and the last."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from fulgurite.errors import ConfigError, did_you_mean


class BestAndLast(ModelCheckpoint):
    """Keeps ``checkpoints/best.ckpt`` and ``checkpoints/last.ckpt``.

    Args:
        folder: the folder of the checkpoints.
        metric: name of the objective, such as ``val/acc``.
        mode: ``max`` or ``min``.
    """

    def __init__(self, folder: str, metric: str, mode: str) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor=metric,
            mode=mode,
            save_last=True,
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
        """Save, and keep the metrics of the epoch that was best."""
        before = self.best_model_score
        super().on_validation_end(trainer, pl_module)
        if self.best_model_score is not before:
            self.best_metrics = {
                name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")
            }

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
