"""What a person sees while a run trains: one line an epoch, and on a terminal a bar below the lines."""

import sys
import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def make_progress(refresh_s: float = 0.2) -> pl.Callback:
    """A bar when stdout is a terminal, else the lines alone.

    Args:
        refresh_s: seconds between two refreshes of the bar; a refresh costs about a millisecond.
    """
    return Bar(refresh_s) if sys.stdout.isatty() else EpochLines()


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

    def print_line(self, line: str) -> None:
        """Print one line."""
        print(line, flush=True)

    def _print_pending(self, trainer: pl.Trainer) -> None:
        if self._pending is not None and trainer.is_global_zero:
            self.print_line(epoch_line(trainer, *self._pending))
        self._pending = None


class Bar(EpochLines):
    """The lines, and below them a bar over the batches of the running epoch.

    Lightning's own bars refresh by counting steps and cost up to 0.4 ms each; this one looks at the clock.

    Args:
        refresh_s: seconds between two refreshes.
        console: where to draw; stdout by default.
    """

    # Content with the last of several batches: it does not keep a training step from being compiled.
    samples_batches = True

    def __init__(self, refresh_s: float = 0.2, console: Console | None = None) -> None:
        super().__init__()
        self.refresh_s = refresh_s
        self._console = console or Console()
        self._progress: Progress | None = None
        self._next_refresh = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's bar."""
        super().on_train_epoch_start(trainer, pl_module)
        if trainer.is_global_zero:
            self._stop()
            text = TextColumn(_epoch(trainer, trainer.current_epoch))
            columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            # No refreshing thread: it would take its time from the training's.
            self._progress = Progress(*columns, console=self._console, transient=True, auto_refresh=False)
            self._progress.add_task("", total=trainer.num_training_batches)
            self._progress.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Refresh the bar when it is time."""
        now = time.perf_counter()
        if now >= self._next_refresh and self._progress is not None:
            self._next_refresh = now + self.refresh_s
            self._progress.update(self._progress.task_ids[0], completed=batch_idx + 1, refresh=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away, then print the last line."""
        self._stop()
        super().on_train_end(trainer, pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Take the bar away, so that the message stands on a line of its own."""
        self._stop()

    def print_line(self, line: str) -> None:
        """Print one line above the bar."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = None


def epoch_line(trainer: pl.Trainer, epoch: int, seconds: float) -> str:
    """``epoch 2/5  train/loss 0.101  val/acc 0.9712 ...  3.2 s``, training metrics first."""
    names = sorted(trainer.callback_metrics, key=lambda name: (not name.startswith("train"), name))
    told = [name for name in names if "floor" not in name and not name.startswith("layer_gradient/")]
    shown = "  ".join(f"{name} {float(trainer.callback_metrics[name]):.4g}" for name in told)
    return f"{_epoch(trainer, epoch)}  {shown}  {seconds:.1f} s"


def _epoch(trainer: pl.Trainer, epoch: int) -> str:
    """``epoch 2/5``; of a run that steps, time or Ctrl-C will end, ``epoch 2``."""
    last = trainer.max_epochs or -1
    return f"epoch {epoch + 1}/{last}" if last > 0 else f"epoch {epoch + 1}"
