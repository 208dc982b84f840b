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
    return isinstance(trainer.lightning_module, Supervised) and why_special(trainer) is None


def why_special(trainer: Any, strategies: tuple[type, ...] = (SingleDeviceStrategy,)) -> str | None:
    """What this run's training steps need beyond forward, backward and update, in words; ``None`` when nothing.

    Args:
        trainer: of the run.
        strategies: of Lightning, that are not special.
    """
    model, optimizers = trainer.lightning_module, trainer.optimizers
    base = Supervised if isinstance(model, Supervised) else pl.LightningModule
    special = {
        "its data does not come from memory": not isinstance(trainer.train_dataloader, BatchLoader),
        "it optimises by hand": not model.automatic_optimization,
        f"its strategy is {type(trainer.strategy).__name__}": type(trainer.strategy) not in strategies,
        f"trainer.precision={trainer.precision} is not 32-true, 64-true, bf16-mixed": not _is_plain_precision(trainer),
        "it has a profiler": not isinstance(trainer.profiler, PassThroughProfiler),
        "trainer.detect_anomaly is on": bool(trainer._detect_anomaly),
        f"it has {len(optimizers)} optimisers": len(optimizers) != 1,
        "LBFGS looks at each batch several times": any(isinstance(each, torch.optim.LBFGS) for each in optimizers),
        # It may end the epoch by returning -1.
        "its model has a hook on_train_batch_start": _overrides(model, base, "on_train_batch_start"),
        **_hooks("model", model, base, _MODEL_HOOKS),
        **_hooks("data module", trainer.datamodule, pl.LightningDataModule, _DATA_HOOKS),
    }
    for callback in trainer.callbacks:
        special |= _hooks(f"callback {type(callback).__name__}", callback, pl.Callback, _CALLBACK_HOOKS)
    return next((reason for reason, applies in special.items() if applies), None)


def _hooks(owner: str, instance: Any, base: type, hooks: tuple[str, ...]) -> dict[str, bool]:
    return {f"its {owner} has a hook {hook}": _overrides(instance, base, hook) for hook in hooks}


def _is_plain_precision(trainer: pl.Trainer) -> bool:
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
