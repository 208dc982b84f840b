"""Train a ``Run``, test its best checkpoint once, and say what came out."""

from dataclasses import dataclass

from pytorch_lightning.callbacks import ModelCheckpoint

from fulgurite.build import Run


@dataclass(frozen=True)
class Outcome:
    """What training gave.

    Attributes:
        objective: best value of the objective, or ``None`` without validation.
        metrics: validation metrics of the best epoch, training metrics of the last, test metrics of the best.
        epochs: epochs completed.
        samples_per_s: training samples a second, validation apart.
        diverged: the loss became infinite or not a number.
    """

    objective: float | None
    metrics: dict[str, float]
    epochs: int
    samples_per_s: float | None
    diverged: bool


def fit(run: Run) -> Outcome:
    """Train, then test the best checkpoint (the last, where nothing was validated)."""
    trainer = run.trainer
    trainer.fit(run.model, datamodule=run.data, ckpt_path=run.checkpoint, weights_only=True)
    epochs = trainer.current_epoch
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    best = trainer.checkpoint_callback
    objective = None
    if isinstance(best, ModelCheckpoint) and best.best_model_score is not None:
        objective = float(best.best_model_score)
        metrics |= getattr(best, "best_metrics", {})
    diverged = run.divergence.diverged
    if run.test and not diverged:
        has_best = isinstance(best, ModelCheckpoint) and best.best_model_path
        trainer.test(
            run.model, datamodule=run.data, ckpt_path="best" if has_best else None, verbose=False, weights_only=True
        )
        metrics |= {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
    return Outcome(objective, metrics, epochs, run.throughput.samples_per_s, diverged)
