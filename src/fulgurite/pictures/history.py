"""The metrics of a run, epoch by epoch, for pictures of how it went."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray

# Epochs that are kept; of longer runs every second, fourth ... and the last.
_MOST = 400


class History:
    """What was logged at the end of each epoch.

    Attributes:
        rows: metrics by name, by the number of epochs completed.
    """

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, float]] = {}

    def note(self, epochs: int, metrics: Mapping[str, Any]) -> None:
        """Keep the metrics of the epoch just completed; the same epoch may be noted again."""
        if not epochs:
            return
        if epochs > _MOST:
            every = 2 ** math.ceil(math.log2(epochs / _MOST))
            self.rows = {number: row for number, row in self.rows.items() if not number % every}
        self.rows[epochs] = {name: float(value) for name, value in metrics.items()}

    def names(self, prefix: str) -> list[str]:
        """Metrics of the last row whose names start so, sorted."""
        last = next(reversed(self.rows.values()), {})
        return sorted(name for name in last if name.startswith(prefix))

    def series(self, name: str) -> tuple[NDArray, NDArray]:
        """Epochs completed, and the metric after each; epochs without it are left out."""
        found = [(epochs, row[name]) for epochs, row in self.rows.items() if name in row]
        epochs, values = zip(*found, strict=True) if found else ((), ())
        return np.array(epochs, dtype=np.float64), np.array(values, dtype=np.float64)


def is_at_end_of_epoch(trainer: pl.Trainer) -> bool:
    """Whether an epoch's batches are all done, and its metrics logged, while a checkpoint is written."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return trainer.training and progress.processed > progress.completed
