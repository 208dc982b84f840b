"""A training loop for Lightning's Trainer that costs a tenth of Lightning's own, step for step the same.

Lightning spends about 300 microseconds a step on closures, hook dispatch, profiling contexts and result bookkeeping: as
much as a small network's whole arithmetic. ``FastEpochLoop`` runs the step directly and keeps what callbacks,
checkpoints and schedulers rely on: batch and step counters, hooks at batch start and end, gradient clipping, precision
contexts, learning-rate schedules. Whatever it does not cover (several devices, accumulation, closures, other hooks) runs
through Lightning's own loop, unchanged.

It leans on private attributes of pytorch-lightning 2.6, which ``pyproject.toml`` pins; ``tests/unit/test_loop.py``
compares the two loops number by number.
"""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.plugins.precision import MixedPrecision, Precision
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import SingleDeviceStrategy

from fulgurite.models.supervised import Supervised

# Hooks inside a step, between its forward pass and its update: a callback or model that has one wants Lightning's loop.
_INNER_HOOKS = (
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_batch_transfer",
    "on_after_batch_transfer",
    "transfer_batch_to_device",
    "configure_gradient_clipping",
    "optimizer_step",
    "optimizer_zero_grad",
    "lr_scheduler_step",
    "backward",
)


def use_fast_loop(trainer: pl.Trainer) -> None:
    """Give ``trainer`` the fast loop, before ``fit``."""
    slow = trainer.fit_loop.epoch_loop
    trainer.fit_loop.epoch_loop = FastEpochLoop(trainer, slow.min_steps, slow.max_steps)


class FastEpochLoop(_TrainingEpochLoop):
    """Lightning's epoch loop with a short ``advance`` for the ordinary case."""

    def on_run_start(self, data_fetcher: Any) -> None:
        """Decide once an epoch which loop runs it."""
        super().on_run_start(data_fetcher)
        self._fast = is_covered(self.trainer)
        if self._fast:
            self._batch_start = _hooks(self.trainer, "on_train_batch_start")
            self._batch_end = _hooks(self.trainer, "on_train_batch_end")
            self._step_schedulers = [
                config.scheduler
                for config in self.trainer.lr_scheduler_configs
                if config.interval == "step" and not config.reduce_on_plateau and config.frequency == 1
            ]

    def advance(self, data_fetcher: Any) -> None:
        """Run one training step."""
        if not self._fast or self.restarting:
            super().advance(data_fetcher)
            return
        trainer = self.trainer
        self.val_loop.restarting = False
        batch, _, _ = next(data_fetcher)
        batch_idx = self.batch_idx + 1
        progress = self.batch_progress
        progress.is_last_batch = data_fetcher.done
        progress.increment_ready()
        trainer._logger_connector.on_batch_start(batch)
        for hook in self._batch_start:
            hook(batch, batch_idx)
        progress.increment_started()
        outputs = self._step(trainer, batch, batch_idx)
        progress.increment_processed()
        for scheduler in self._step_schedulers:
            scheduler.step()
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        for hook in self._batch_end:
            hook(outputs, batch, batch_idx)
        trainer._logger_connector.on_batch_end()
        progress.increment_completed()

    def _step(self, trainer: pl.Trainer, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """Forward, backward, clip, update; the order of the calls is Lightning's."""
        model = trainer.lightning_module
        optimizer = trainer.optimizers[0]
        counts = self.automatic_optimization.optim_progress.optimizer
        with trainer.precision_plugin.train_step_context():
            outputs = model.training_step(batch, batch_idx)
        optimizer.zero_grad()
        outputs["loss"].backward()
        if trainer.gradient_clip_val:
            _clip(trainer, model)
        counts.step.increment_ready()
        optimizer.step()
        counts.step.increment_completed()
        return outputs


def is_covered(trainer: pl.Trainer) -> bool:
    """True when the fast loop does all that this run's training steps need."""
    model = trainer.lightning_module
    return (
        isinstance(model, Supervised)
        and model.automatic_optimization
        and type(trainer.strategy) is SingleDeviceStrategy
        and _has_plain_precision(trainer)
        and trainer.accumulate_grad_batches == 1
        and isinstance(trainer.profiler, PassThroughProfiler)
        and not trainer._detect_anomaly
        and len(trainer.optimizers) == 1
        and not isinstance(trainer.optimizers[0], torch.optim.LBFGS)
        and not any(_overrides(model, pl.LightningModule, hook) for hook in _INNER_HOOKS)
        and not any(_overrides(each, pl.Callback, hook) for each in trainer.callbacks for hook in _INNER_HOOKS[:4])
    )


def _has_plain_precision(trainer: pl.Trainer) -> bool:
    plugin = trainer.precision_plugin
    return type(plugin) is Precision or (type(plugin) is MixedPrecision and plugin.scaler is None)


def _overrides(instance: Any, base: type, hook: str) -> bool:
    return getattr(type(instance), hook, None) is not getattr(base, hook, None)


def _hooks(trainer: pl.Trainer, name: str) -> list[Callable[..., Any]]:
    """The hooks called ``name`` that do something: callbacks' first, then the model's."""
    hooks: list[Callable[..., Any]] = []
    for callback in trainer.callbacks:
        if _overrides(callback, pl.Callback, name):
            bound = getattr(callback, name)
            hooks.append(lambda *args, bound=bound: bound(trainer, trainer.lightning_module, *args))
    if _overrides(trainer.lightning_module, pl.LightningModule, name):
        hooks.append(getattr(trainer.lightning_module, name))
    return hooks


def _clip(trainer: pl.Trainer, model: pl.LightningModule) -> None:
    if trainer.gradient_clip_algorithm == "value":
        torch.nn.utils.clip_grad_value_(model.parameters(), trainer.gradient_clip_val)
    else:
        torch.nn.utils.clip_grad_norm_(model.parameters(), trainer.gradient_clip_val)
