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
        """Log all but Lightning's ``epoch``, which would be the first card on the board."""
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)


class CSV(CSVLogger):
    """``metrics.csv`` in the run folder itself.

    Args:
        folder: the run folder.
        options: see Lightning's ``CSVLogger``.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(save_dir=folder, name="", version="", **options)
