"""Which runs the fast loop covers, and which hooks it has to call."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import DoublePrecision, MixedPrecision, Precision
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import SingleDeviceStrategy

from fulgurite.data.batches import BatchLoader
from fulgurite.models.supervised import Supervised

# What the fast loop does not call: a callback, a model or a data module that has one of these wants Lightning's loop.
_CALLBACK_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
_DATA_HOOKS = ("on_before_batch_transfer", "on_after_batch_transfer", "transfer_batch_to_device")
_MODEL_HOOKS = (
    *_CALLBACK_HOOKS,
    *_DATA_HOOKS,
    "configure_gradient_clipping",
    "optimizer_step",
    "optimizer_zero_grad",
    "lr_scheduler_step",
    "backward",
)


def is_covered(trainer: Any) -> bool:
    """True when the fast loop does all that this run's training steps need."""
    model = trainer.lightning_module
    return (
        isinstance(model, Supervised)
        and isinstance(trainer.train_dataloader, BatchLoader)
        and model.automatic_optimization
        and type(trainer.strategy) is SingleDeviceStrategy
        and _has_plain_precision(trainer)
        and trainer.accumulate_grad_batches == 1
        and isinstance(trainer.profiler, PassThroughProfiler)
        and not trainer._detect_anomaly
        and len(trainer.optimizers) == 1
        and not isinstance(trainer.optimizers[0], torch.optim.LBFGS)
        # It may end the epoch by returning -1.
        and not _overrides(model, Supervised, "on_train_batch_start")
        and not any(_overrides(model, pl.LightningModule, hook) for hook in _MODEL_HOOKS)
        and not any(_overrides(trainer.datamodule, pl.LightningDataModule, hook) for hook in _DATA_HOOKS)
        and not any(_overrides(each, pl.Callback, hook) for each in trainer.callbacks for hook in _CALLBACK_HOOKS)
    )


def _has_plain_precision(trainer: pl.Trainer) -> bool:
    plugin = trainer.precision_plugin
    return type(plugin) in (Precision, DoublePrecision) or (type(plugin) is MixedPrecision and plugin.scaler is None)


def _overrides(instance: Any, base: type, hook: str) -> bool:
    return instance is not None and getattr(type(instance), hook, None) is not getattr(base, hook, None)


def find_hooks(trainer: Any, name: str) -> list[Callable[..., Any]]:
    """The hooks called ``name`` that do something: callbacks' first, then the model's."""
    model = trainer.lightning_module
    acting = [each for each in trainer.callbacks if _overrides(each, pl.Callback, name) and not _saves_by_epoch(each)]
    own = [getattr(model, name)] if _overrides(model, pl.LightningModule, name) else []
    return [partial(getattr(each, name), trainer, model) for each in acting] + own


def _saves_by_epoch(callback: pl.Callback) -> bool:
    """True for a checkpoint callback whose batch hook finds, in 10 microseconds, that it has nothing to do."""
    return (
        isinstance(callback, ModelCheckpoint)
        and type(callback).on_train_batch_end is ModelCheckpoint.on_train_batch_end
        and callback._every_n_train_steps < 1
        and callback._train_time_interval is None
    )
