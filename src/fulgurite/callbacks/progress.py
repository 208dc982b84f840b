"""What a person sees while a run trains: a bar on a terminal, one line an epoch in a file."""

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar


def make_progress(refresh_rate: int = 50) -> pl.Callback:
    """The bar when stdout is a terminal, else the lines.

    Args:
        refresh_rate: steps between two refreshes of the bar; each costs 0.2 to 0.4 ms.
    """
    return Bar(refresh_rate) if sys.stdout.isatty() else EpochLines()


class EpochLines(pl.Callback):
    """Prints one line an epoch: the metrics and the seconds."""

    def __init__(self) -> None:
        self._since = 0.0
        self._pending: tuple[int, float] | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line of the epoch before; start the clock."""
        self._print_pending(trainer)
        self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock. The model logs its training metrics only after this hook, so the line must wait."""
        self._pending = trainer.current_epoch, time.perf_counter() - self._since

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line of the last epoch."""
        self._print_pending(trainer)

    def _print_pending(self, trainer: pl.Trainer) -> None:
        if self._pending is not None and trainer.is_global_zero:
            self._print(epoch_line(trainer, *self._pending))
        self._pending = None

    def _print(self, line: str) -> None:
        print(line, flush=True)


class Bar(EpochLines, RichProgressBar):
    """Rich's bar, and the lines of the epochs that have ended above it."""

    def __init__(self, refresh_rate: int = 50) -> None:
        EpochLines.__init__(self)
        RichProgressBar.__init__(self, refresh_rate=refresh_rate)

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Nothing beside the bar: the metrics stand in the lines."""
        return {}

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Both."""
        EpochLines.on_train_epoch_start(self, trainer, pl_module)
        RichProgressBar.on_train_epoch_start(self, trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Both."""
        EpochLines.on_train_epoch_end(self, trainer, pl_module)
        RichProgressBar.on_train_epoch_end(self, trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away, then print the last line."""
        RichProgressBar.on_train_end(self, trainer, pl_module)
        EpochLines.on_train_end(self, trainer, pl_module)

    def _print(self, line: str) -> None:
        if self._console is not None:
            self._console.print(line, highlight=False, markup=False)


def epoch_line(trainer: pl.Trainer, epoch: int, seconds: float) -> str:
    """``epoch 2/5  train/loss 0.101  val/acc 0.9712 ...  3.2 s``, training metrics first."""
    names = sorted(trainer.callback_metrics, key=lambda name: (not name.startswith("train"), name))
    shown = "  ".join(f"{name} {float(trainer.callback_metrics[name]):.4g}" for name in names if "floor" not in name)
    return f"epoch {epoch + 1}/{trainer.max_epochs}  {shown}  {seconds:.1f} s"
