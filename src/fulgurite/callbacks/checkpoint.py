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
