"""Which jobs' steps can be computed with others', beyond what ``training/loop_scope.py`` asks of them."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import GradientAccumulationScheduler

from fulgurite.models.supervised import Supervised


def why_alone(
    trainer: Any, hooks: Iterable[Callable[..., Any]], looks_at_each_batch: Callable[[Any], bool]
) -> str | None:
    """Why a job's steps cannot be computed with others', in words; ``None`` when they can.

    Args:
        trainer: of the job, which is not special.
        hooks: what it calls round each batch.
        looks_at_each_batch: whether a callback with such a hook must see all of them.
    """
    model = trainer.lightning_module
    if trainer.val_check_batch is None:
        return "trainer.val_check_interval is a time"
    if any(isinstance(each, GradientAccumulationScheduler) for each in trainer.callbacks):
        return "it accumulates gradients over a number of batches that changes"
    if trainer.accumulate_grad_batches > 1 and not isinstance(model, Supervised):
        return "it accumulates gradients, and its step may log"
    if reason := _gradient_hook(model):
        return reason
    for hook in hooks:
        # Callbacks' hooks are bound to trainer and model, the model's own are not.
        if isinstance(hook, partial):
            callback: Any = hook.func.__self__  # type: ignore[attr-defined]
            if looks_at_each_batch(callback):
                return f"its callback {type(callback).__name__} looks at each batch"
        elif not isinstance(model, Supervised):
            return "its model has a hook on_train_batch_end"
    return None


def _gradient_hook(model: pl.LightningModule) -> str | None:
    """Whose gradient a hook looks at, in words: gradients of a program pass it by."""
    for name, parameter in model.named_parameters():
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            return f"its parameter {name} has a hook for its gradient"
    for name, module in model.named_modules():
        if module._backward_hooks or module._backward_pre_hooks:
            return f"its layer {name or type(module).__name__} has a hook for gradients"
    return None
