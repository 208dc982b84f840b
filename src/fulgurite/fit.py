"""Train a ``Run``, test its best checkpoint once, and say what came out."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from pytorch_lightning.plugins.precision import DoublePrecision
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.model_helpers import is_overridden

from fulgurite.build import Run
from fulgurite.callbacks.checkpoint import BestCheckpoint, LastCheckpoint
from fulgurite.callbacks.divergence import is_lost
from fulgurite.errors import Pruned, RunFolderError
from fulgurite.training.products import suitable_products


@dataclass(frozen=True)
class Outcome:
    """What training gave.

    Attributes:
        objective: best value of the objective, or ``None`` without validation.
        metrics: validation metrics of the best epoch, training metrics of the last, test metrics of the best.
        epochs: epochs completed.
        samples_per_s: training samples a second, validation apart.
        diverged: the loss became infinite or not a number.
        pruned: it was ended because others of its sweep are better; it was not tested.
    """

    objective: float | None
    metrics: dict[str, float]
    epochs: int
    samples_per_s: float | None
    diverged: bool
    pruned: bool = False


def fit(run: Run) -> Outcome:
    """Train, then test the best checkpoint (the last weights, where nothing was validated).

    Raises:
        KeyboardInterrupt: when the user, or a termination signal, ended it.
    """
    if threading.current_thread() is not threading.main_thread():
        # A member of a fused sweep, which chooses the products for all threads.
        return _fit(run)
    with products_of(run):
        return _fit(run)


def products_of(run: Run) -> AbstractContextManager[None]:
    """The way in which the run makes its matrix products, whenever the same numbers are to come out."""
    batch_size = getattr(run.data, "batch_size", None) or 1
    return suitable_products(run.model, batch_size, run.trainer.strategy.root_device)


def _fit(run: Run) -> Outcome:
    trainer = run.trainer
    pruned = False
    if isinstance(trainer.precision_plugin, DoublePrecision):
        # Lightning does so after it has loaded the checkpoint, whose weights it would round to float32.
        run.model.double()
    try:
        with _interrupts(), _misfits(run):
            trainer.fit(run.model, datamodule=run.data, ckpt_path=run.checkpoint, weights_only=True)
    except Pruned:
        pruned = True
    # Not ``current_epoch``: that is one less in a run that goes on after it was stopped early.
    progress: Any = trainer.fit_loop.epoch_progress.current
    epochs = progress.processed
    # A run that goes on after its last epoch has none of its own.
    last = next((each for each in trainer.checkpoint_callbacks if isinstance(each, LastCheckpoint)), None)
    metrics = (last.metrics if last is not None else {}) | _floats(trainer.callback_metrics)
    best = next((each for each in trainer.checkpoint_callbacks if isinstance(each, BestCheckpoint)), None)
    objective = path = None
    if best is not None and best.best_model_score is not None:
        objective, path = float(best.best_model_score), best.best_model_path
        metrics |= best.best_metrics
    # Of several devices one may log a loss of its own; all must go the same way.
    diverged = trainer.strategy.reduce_boolean_decision(run.divergence.diverged or is_lost(metrics), all=False)
    # Somebody's own module may have no test.
    if run.test and is_overridden("test_step", run.model) and not diverged and not pruned:
        with _interrupts():
            trainer.test(run.model, datamodule=run.data, ckpt_path=path, verbose=False, weights_only=True)
        metrics |= _floats(trainer.callback_metrics, "test/")
    return Outcome(objective, metrics, epochs, run.throughput.samples_per_s, diverged, pruned)


def _floats(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if name.startswith(prefix)}


@contextmanager
def _misfits(run: Run) -> Iterator[None]:
    """Tell the user that the checkpoint is of another model; torch's own error would be taken for a bug."""
    try:
        yield
    except ValueError as error:
        if run.checkpoint is None or "loaded state dict" not in str(error):
            raise
        # Of the optimiser: each weight has its place, and other ones of them are trained.
        names = ", ".join(type(each).__name__ for each in run.trainer.optimizers)
        raise RunFolderError(
            f"{run.checkpoint} is the checkpoint of another model: its optimiser trains other parameters than this "
            f"run's {names} ({error}); use that of a run with the same words"
        ) from error
    except RuntimeError as error:
        if run.checkpoint is None or "loading state_dict" not in str(error):
            raise
        # torch's first line says no more than that.
        differs = str(error).splitlines()[1].strip().rstrip(".")
        raise RunFolderError(
            f"{run.checkpoint} is the checkpoint of another model ({differs}); use that of a run with the same words"
        ) from error


@contextmanager
def _interrupts() -> Iterator[None]:
    """Let an interrupt leave as what it is: Lightning turns it into an exit and ignores Ctrl-C from then on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error, SIGTERMException) or isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        # Signals belong to the main thread; a job in another one never had them.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
