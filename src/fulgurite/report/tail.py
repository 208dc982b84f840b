"""How far a run has come by its ``metrics.csv``, which is read on from where it was read to before."""

import csv
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

CSV_NAME = "metrics.csv"


class Tail:
    """Progress and best objective of a run that is being trained; cheap enough to be asked every second.

    Args:
        folder: of the run.
        metric: name of the objective.
        mode: ``max`` or ``min``.

    Attributes:
        epochs: epochs completed, by the last value of the objective.
        progress: the same with the part of the epoch that has been logged since, by steps.
        best: best value of the objective so far; ``None`` before the first.
        changed: when the file was written last, in seconds since 1970; 0 without one.
    """

    def __init__(self, folder: Path, metric: str, mode: str) -> None:
        self._path = folder / CSV_NAME
        self._metric = metric
        self._better = max if mode == "max" else min
        self._forget()

    def _forget(self) -> None:
        self.epochs, self.progress, self.changed = 0, 0.0, 0.0
        self.best: float | None = None
        self._header, self._inode, self._offset, self._steps_an_epoch = b"", 0, 0, 0.0

    def read_on(self) -> None:
        """Take in what has been written since; a file that was written anew is read from its start."""
        try:
            with self._path.open("rb") as file:
                stat = os.fstat(file.fileno())
                if (stat.st_mtime, stat.st_ino, stat.st_size) == (self.changed, self._inode, self._offset):
                    return
                header = file.readline()
                # A metric that is logged for the first time adds a column, in another file of that name.
                if (header, stat.st_ino) != (self._header, self._inode) or stat.st_size < self._offset:
                    self._forget()
                    self._header, self._inode, self._offset = header, stat.st_ino, len(header)
                file.seek(self._offset)
                written = file.read()
        except OSError:
            return
        # The last line may have been written in part.
        whole = written[: written.rfind(b"\n") + 1]
        self._offset, self.changed = self._offset + len(whole), stat.st_mtime
        text = (self._header + whole).decode("utf-8", "replace")
        # A damaged file tells nothing more.
        with suppress(csv.Error):
            for row in csv.DictReader(text.splitlines()):
                self._take(row)

    def _take(self, row: Mapping[str | None, str | None]) -> None:
        try:
            epoch, step = int(row.get("epoch") or ""), int(row.get("step") or "")
            value = float(row.get(self._metric) or "nan")
        except (ValueError, TypeError):
            return
        if epoch < 0:
            return
        if row.get(self._metric):
            self.epochs = epoch + 1
            self._steps_an_epoch = (step + 1) / self.epochs
        if math.isfinite(value):
            self.best = value if self.best is None else self._better(self.best, value)
        if self._steps_an_epoch:
            self.progress = (step + 1) / self._steps_an_epoch
