"""Lightning's loggers, writing straight into the run folder."""

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger


class TensorBoard(TensorBoardLogger):
    """TensorBoard events in the run folder itself.

    Args:
        folder: the run folder.
        options: see Lightning's ``TensorBoardLogger``.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(save_dir=folder, name="", version="", default_hp_metric=False, **options)

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Draw what is logged once an epoch against epochs completed, and what is logged in steps against steps.

        Lightning marks the former with ``epoch``; left in, it would be the first card on the board.
        """
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        super().log_metrics(values, step if epoch is None else int(epoch) + 1)


class CSV(CSVLogger):
    """``metrics.csv`` in the run folder itself.

    Args:
        folder: the run folder.
        options: see Lightning's ``CSVLogger``.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(save_dir=folder, name="", version="", **options)
