"""What a network still knows of each task, where tasks come one after the other.

Shapes: T tasks, B batch, C classes.
"""

import logging
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from fulgurite.callbacks.checkpoint import BestCheckpoint
from fulgurite.data.split_mnist import SplitMNIST

log = logging.getLogger(__name__)


class Forgetting(pl.Callback):
    """Logs the accuracy on each task, such as ``val/acc_task_01``, and how much was forgotten.

    ``val/forgetting`` and ``test/forgetting`` are what was known of a task when it had just been learned, on the
    validation part, less what is known of it now; the mean over all tasks that are no longer learned. It is the
    backward transfer of Lopez-Paz and Ranzato, "Gradient episodic memory" (2017), equation 3, with the other sign. The
    test part is looked at once, at the end, so what was known before is that of the validation part in both. Where an
    epoch between the tasks is tested, the tasks are those that were over by then.

    Does nothing for data without tasks.

    Attributes:
        learned: accuracy on each task when it had just been learned, in [0, 1]; ``None`` before that.
        epochs: that the weights have had when they were last validated; 0 before that.
    """

    def __init__(self) -> None:
        self.learned: list[float | None] = []
        self.epochs = 0
        self._counts = torch.zeros(2, 0)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say so when an epoch between the tasks may be the best, which would be tested."""
        data = _data_of(trainer)
        chosen = [each.choose for each in trainer.checkpoint_callbacks if isinstance(each, BestCheckpoint)]
        if data is not None and data.method == "naive" and "best" in chosen:
            log.warning(
                "the best epoch is tested, and with data.method=naive that may be one before the last task; "
                "callbacks.best_checkpoint.choose=last tests the last"
            )

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start counting."""
        self._start(trainer)

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start counting."""
        self._start(trainer)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *rest: Any
    ) -> None:
        """Count the right ones of a batch."""
        if (data := _data_of(trainer)) is not None:
            self._count(data, outputs["output"], batch[1])

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *rest: Any
    ) -> None:
        """Count the right ones of a batch."""
        if (data := _data_of(trainer)) is not None:
            # The step keeps its output to itself.
            self._count(data, pl_module(batch[0]), batch[1])

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log; after the last epoch of a task, remember what is known of it."""
        data = _data_of(trainer)
        if data is None or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        known, self.epochs = self._known(trainer), trainer.current_epoch + 1
        for number, last in enumerate(data.last_epochs()):
            if last == self.epochs:
                self.learned[number] = known[number]
        self._log(data, pl_module, "val", known)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log."""
        if (data := _data_of(trainer)) is not None:
            self._log(data, pl_module, "test", self._known(trainer))

    def state_dict(self) -> dict[str, Any]:
        """What was known."""
        return {"learned": self.learned, "epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take that over."""
        self.learned, self.epochs = list(state_dict["learned"]), state_dict.get("epochs", 0)

    def _start(self, trainer: pl.Trainer) -> None:
        if (data := _data_of(trainer)) is not None:
            self.learned = self.learned or [None] * len(data.tasks)
            self._counts = torch.zeros(2, len(data.tasks))

    def _count(self, data: SplitMNIST, output: Tensor, target: Tensor) -> None:
        """Add a batch, B x C and B, to the right ones and to all of each task (2 x T)."""
        task, right = data.task_of(target).cpu(), (output.argmax(dim=1) == target).float().cpu()
        self._counts[0].index_add_(0, task, right)
        self._counts[1].index_add_(0, task, torch.ones_like(right))

    def _known(self, trainer: pl.Trainer) -> list[float]:
        """Accuracy on each task, over all ranks."""
        right, all_of_them = trainer.strategy.reduce(self._counts.to(trainer.strategy.root_device), reduce_op="sum")
        return (right / all_of_them).tolist()

    def _log(self, data: SplitMNIST, pl_module: pl.LightningModule, stage: str, known: list[float]) -> None:
        values = {f"{stage}/acc_task_{name}": now for name, now in zip(data.task_names, known, strict=True)}
        lost = [
            before - now
            for before, now, last in zip(self.learned, known, data.last_epochs(), strict=True)
            if before is not None and last < self.epochs
        ]
        if lost:
            values[f"{stage}/forgetting"] = sum(lost) / len(lost)
        pl_module.log_dict(values, on_step=False, on_epoch=True, sync_dist=True)


def _data_of(trainer: pl.Trainer) -> SplitMNIST | None:
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data if isinstance(data, SplitMNIST) else None
